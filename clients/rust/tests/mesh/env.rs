use std::path::PathBuf;

use waypost_client::Client;

pub async fn client() -> Client {
    Client::builder(required("WAYPOST_ADDRESS")).connect().await.expect("the mesh runs")
}

pub fn golden() -> PathBuf {
    PathBuf::from(required("WAYPOST_GOLDEN")).join("vectors.json")
}

pub fn required(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run the tests by `make test-client-rust`"))
}
