use waypost_client::v1::{EmbedRequest, GenerateRequest, RerankRequest};
use waypost_client::{Client, Error};

#[tokio::main]
pub async fn main() -> Result<(), Error> {
    let address = std::env::var("WAYPOST_ADDRESS").unwrap_or("127.0.0.1:50051".into());
    let client = Client::builder(address).connect().await?;

    let vectors = client.embed(EmbedRequest::new(["a man plays the guitar", "somebody makes music"])).await?.vectors;
    println!("{} vectors of {} numbers", vectors.len(), vectors[0].len());

    let best = client.rerank(RerankRequest::new("red car", ["a blue boat", "the red car"])).await?.ranking[0];
    println!("document {} fits best", best.index);

    let mut pieces = client.generate_stream(GenerateRequest::chat("Say hello.")).await?;
    while let Some(piece) = pieces.next().await? {
        print!("{}", piece.text);
    }
    println!();

    if let Err(error) = client.embed(EmbedRequest::default()).await {
        println!("{:?}: {}", error.reason, error.message);
    }
    Ok(())
}
