//! A whole worker, whose models a test drives.

mod counted;
mod desk;
#[path = "../router/receiver.rs"]
mod receiver;
mod retrieved;
mod traced;
