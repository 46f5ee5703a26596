//! The client against a real mesh, which `clients/run.py` starts; it says by the environment where it is.

mod documents;
mod env;
mod errors;
mod example;
mod golden;
mod json;
mod retries;
mod streams;
mod tls;
mod tokens;
