//! A router that wants a key gets it with every call.

use waypost_client::v1::{EmbedRequest, ErrorReason};
use waypost_client::{Builder, Client, Code};

use crate::env;

#[tokio::test]
async fn with_the_key_a_call_is_answered() {
    let client = keyed().token(env::required("WAYPOST_KEY")).connect().await.unwrap();
    assert_eq!(client.embed(EmbedRequest::new(["hello"])).await.unwrap().vectors.len(), 1);
}

#[tokio::test]
async fn without_the_key_the_caller_is_unknown() {
    for builder in [keyed(), keyed().token("wrong")] {
        let client = builder.connect().await.unwrap();
        let error = client.embed(EmbedRequest::new(["hello"])).await.unwrap_err();
        assert_eq!((error.code, error.reason), (Code::Unauthenticated, ErrorReason::Unauthenticated));
    }
}

#[tokio::test]
async fn a_token_that_no_header_may_have_is_refused_without_being_shown() {
    let error = keyed().token("secret\n").connect().await.err().unwrap();
    assert_eq!(error.code, Code::InvalidArgument);
    assert!(!error.message.contains("secret"));
}

fn keyed() -> Builder {
    Client::builder(env::required("WAYPOST_KEYED_ADDRESS"))
}
