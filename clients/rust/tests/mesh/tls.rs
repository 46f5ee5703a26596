//! The mesh behind TLS, and one that asks its callers for a certificate as well, where `clients/run.py` has them.

use waypost_client::v1::EmbedRequest;
use waypost_client::{Builder, Certificate, Client, ClientTlsConfig, Code, Error, Identity};

use crate::env;

#[tokio::test]
async fn a_server_of_the_given_authority_is_trusted() {
    let Some(builder) = at("WAYPOST_TLS_ADDRESS") else { return };
    assert_eq!(embed(builder.tls(authority())).await.unwrap(), 1);
}

#[tokio::test]
async fn a_server_of_an_unknown_authority_is_not() {
    let Some(builder) = at("WAYPOST_TLS_ADDRESS") else { return };
    let error = embed(builder.tls(ClientTlsConfig::new().with_native_roots())).await.unwrap_err();
    assert_eq!(error.code, Code::Unavailable);
}

#[tokio::test]
async fn plain_text_is_not_understood() {
    let Some(builder) = at("WAYPOST_TLS_ADDRESS") else { return };
    assert_eq!(embed(builder).await.unwrap_err().code, Code::Unavailable);
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_is_shown_it() {
    let Some(builder) = at("WAYPOST_MTLS_ADDRESS") else { return };
    let identity = Identity::from_pem(pem("WAYPOST_CLIENT_CERT"), pem("WAYPOST_CLIENT_KEY"));
    assert_eq!(embed(builder.tls(authority().identity(identity))).await.unwrap(), 1);
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_says_so() {
    let Some(builder) = at("WAYPOST_MTLS_ADDRESS") else { return };
    assert_eq!(embed(builder.tls(authority())).await.unwrap_err().code, Code::Unauthenticated);
}

async fn embed(builder: Builder) -> Result<usize, Error> {
    Ok(builder.connect().await?.embed(EmbedRequest::new(["hello"])).await?.vectors.len())
}

fn at(variable: &str) -> Option<Builder> {
    let address = std::env::var(variable).ok();
    if address.is_none() {
        eprintln!("SKIPPED: {variable} is not set");
    }
    address.map(Client::builder)
}

fn authority() -> ClientTlsConfig {
    ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem("WAYPOST_CA")))
}

fn pem(name: &str) -> Vec<u8> {
    std::fs::read(env::required(name)).unwrap()
}
