//! The error of a failed call says why, where, and when to come back.

use std::time::Duration;

use waypost_client::v1::{EmbedRequest, ErrorReason, RouteHints};
use waypost_client::{Blame, Client, Code};

use crate::env;

#[tokio::test]
async fn a_wrong_field_is_the_callers_and_is_named() {
    let error = env::client().await.embed(EmbedRequest::default()).await.unwrap_err();
    assert_eq!(
        (error.code, error.reason, error.blame()),
        (Code::InvalidArgument, ErrorReason::EmptyInput, Blame::Caller)
    );
    assert_eq!((error.field.as_str(), error.metadata["field"].as_str()), ("texts", "texts"));
    assert!(!error.request_id.is_empty());
}

#[tokio::test]
async fn a_spent_rate_says_when_to_come_back() {
    let route = Some(RouteHints { tenant: "throttled".into(), ..RouteHints::default() });
    let request = EmbedRequest { model: "hash".into(), route, ..EmbedRequest::new(["mine"]) };
    let error = env::client().await.embed(request).await.unwrap_err();
    assert_eq!((error.code, error.reason), (Code::ResourceExhausted, ErrorReason::QuotaExceeded));
    assert!(error.retry_after.is_some_and(|pause| pause > Duration::ZERO));
    assert_eq!(error.blame(), Blame::Nobody);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let error = Client::builder("127.0.0.1:1").connect().await.err().unwrap();
    assert_eq!((error.code, error.reason), (Code::Unavailable, ErrorReason::Unspecified));
    assert!(error.message.contains("refused"), "{error}");
}

#[tokio::test]
async fn an_address_that_is_none_is_refused() {
    let error = Client::builder("not an address").connect().await.err().unwrap();
    assert_eq!(error.code, Code::InvalidArgument);
}
