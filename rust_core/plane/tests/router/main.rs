//! The router against real workers over real sockets.

mod choice;
mod fake;
mod forward;
mod mesh;
