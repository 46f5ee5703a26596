//! The mesh behind TLS, where `clients/run.py` has one.

use waypost_client::v1::EmbedRequest;
use waypost_client::{Builder, Certificate, Client, ClientTlsConfig, Code, Error, Identity};

use crate::env;

#[tokio::test]
async fn a_server_of_the_given_authority_is_trusted() {
    let Some(builder) = secured() else { return };
    assert!(embed(builder.tls(authority())).await.is_ok());
}

#[tokio::test]
async fn a_server_of_an_unknown_authority_is_not() {
    let Some(builder) = secured() else { return };
    assert_eq!(
        embed(builder.tls(ClientTlsConfig::new().with_native_roots())).await.unwrap_err().code,
        Code::Unavailable
    );
}

#[tokio::test]
async fn plain_text_is_not_understood() {
    let Some(builder) = secured() else { return };
    assert_eq!(embed(builder).await.unwrap_err().code, Code::Unavailable);
}

async fn embed(builder: Builder) -> Result<usize, Error> {
    Ok(builder.connect().await?.embed(EmbedRequest::new(["hello"])).await?.vectors.len())
}

fn secured() -> Option<Builder> {
    let address = std::env::var("WAYPOST_TLS_ADDRESS").ok();
    if address.is_none() {
        eprintln!("SKIPPED: WAYPOST_TLS_ADDRESS is not set");
    }
    address.map(Client::builder)
}

fn authority() -> ClientTlsConfig {
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem("WAYPOST_CA")));
    match std::env::var("WAYPOST_CLIENT_CERT") {
        Ok(_) => tls.identity(Identity::from_pem(pem("WAYPOST_CLIENT_CERT"), pem("WAYPOST_CLIENT_KEY"))),
        Err(_) => tls,
    }
}

fn pem(name: &str) -> Vec<u8> {
    std::fs::read(env::required(name)).unwrap()
}
