//! What the shell does for a store of documents: checks, vectors, two lanes, reading again.

use prost::Message;
use tonic::{Code, Request};
use waypost_plane::{
    proto::v1,
    worker::{inbox::Inbox, refusal::Refusal, retrieve::errand::Errand},
};

use crate::desk::{Desk, code, desk, within};

fn document(id: &str, text: &str) -> v1::Document {
    v1::Document { id: id.into(), text: text.into(), ..Default::default() }
}

fn vector(values: &[f32]) -> Option<v1::Vector> {
    Some(v1::Vector { values: values.to_vec() })
}

fn upsert(documents: Vec<v1::Document>) -> v1::UpsertDocumentsRequest {
    v1::UpsertDocumentsRequest { model: "documents".into(), namespace: "n".into(), documents, ..Default::default() }
}

fn query(text: &str) -> v1::QueryDocumentsRequest {
    let queries = vec![v1::DocumentQuery { text: text.into(), vector: None }];
    v1::QueryDocumentsRequest { model: "documents".into(), namespace: "n".into(), queries, ..Default::default() }
}

async fn next(inbox: &std::sync::Arc<Inbox<Errand>>) -> Errand {
    let inbox = inbox.clone();
    tokio::task::spawn_blocking(move || inbox.take(None)).await.expect("waits").expect("is open")
}

fn answer(errand: &Errand, reply: &impl Message) {
    errand.answer(Ok(reply.encode_to_vec().into()));
}

async fn ended(desk: Desk) {
    desk.drain().await;
}

#[tokio::test]
async fn texts_get_their_vectors_before_the_store_sees_them() {
    within(async {
        let desk = desk(serde_json::json!({})).await;
        let mut client = desk.retrieve();
        let mut request = Request::new(upsert(vec![document("1", "a b"), document("2", "c d")]));
        request.metadata_mut().insert("waypost-tenant", "acme".parse().expect("is text"));
        let call = tokio::spawn(async move { client.upsert_documents(request).await });
        desk.run();
        let errand = next(&desk.documents.changes).await;
        let vectors = errand.vectors.as_ref().expect("are made");
        assert_eq!((errand.method, errand.tenant.as_str()), ("UpsertDocuments", "acme"));
        assert_eq!((vectors.width, vectors.data.as_slice()), (2, &[0.6_f32; 4][..]));
        let seen = v1::UpsertDocumentsRequest::decode(errand.request.clone()).expect("is the request");
        assert_eq!(seen.documents.len(), 2);
        answer(&errand, &v1::UpsertDocumentsResponse { added: 2, ..Default::default() });
        let reply = call.await.expect("ends").expect("is answered").into_inner();
        assert_eq!((reply.added, reply.served.map(|served| served.model)), (2, Some("documents".into())));
        assert!(reply.timings.and_then(|timings| timings.inference).is_some());
        ended(desk).await;
    })
    .await;
}

#[tokio::test]
async fn a_vector_that_is_brought_is_not_made_again() {
    within(async {
        let desk = desk(serde_json::json!({})).await;
        let mut client = desk.retrieve();
        let brought = v1::Document { vector: vector(&[3.0, 4.0]), ..document("1", "a") };
        let call = tokio::spawn(async move { client.upsert_documents(upsert(vec![brought])).await });
        let errand = next(&desk.documents.changes).await;
        assert_eq!(errand.vectors.as_ref().map(|matrix| matrix.data.clone()), Some(vec![0.6, 0.8]));
        let seen = v1::UpsertDocumentsRequest::decode(errand.request.clone()).expect("is the request");
        assert_eq!(seen.documents[0].vector, None, "it travels apart");
        answer(&errand, &v1::UpsertDocumentsResponse::default());
        assert_eq!(code(call.await.expect("ends")), Code::Ok);
        ended(desk).await;
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_meant_does_not_reach_the_store() {
    within(async {
        let desk = desk(serde_json::json!({})).await;
        let mut client = desk.retrieve();
        let long = v1::Document { vector: vector(&[1.0; 3]), ..document("1", "a") };
        assert_eq!(code(client.upsert_documents(upsert(vec![long])).await), Code::InvalidArgument);
        assert_eq!(code(client.upsert_documents(upsert(vec![document("1", "")])).await), Code::InvalidArgument);
        let nowhere = v1::UpsertDocumentsRequest { namespace: "../x".into(), ..upsert(vec![document("1", "a")]) };
        assert_eq!(code(client.upsert_documents(nowhere).await), Code::InvalidArgument);
        let dense = v1::QueryDocumentsRequest { mode: v1::QueryMode::Dense.into(), model: "bare".into(), ..query("a") };
        assert_eq!(code(client.query_documents(dense).await), Code::FailedPrecondition);
        let unknown = v1::QueryDocumentsRequest { model: "enc".into(), ..query("a") };
        assert_eq!(code(client.query_documents(unknown).await), Code::FailedPrecondition);
        ended(desk).await;
    })
    .await;
}

#[tokio::test]
async fn a_store_without_an_encoder_searches_by_words() {
    within(async {
        let desk = desk(serde_json::json!({})).await;
        let mut client = desk.retrieve();
        let words = v1::QueryDocumentsRequest { model: "bare".into(), ..query("a") };
        // Nobody takes the errands of this one: the test only looks at whether it got through.
        let mut request = Request::new(words);
        request.set_timeout(std::time::Duration::from_millis(50));
        let told = client.query_documents(request).await;
        assert!(matches!(code(told), Code::DeadlineExceeded | Code::Internal | Code::Cancelled));
        ended(desk).await;
    })
    .await;
}

#[tokio::test]
async fn what_reads_does_not_wait_for_what_changes() {
    within(async {
        let desk = desk(serde_json::json!({})).await;
        let (mut one, mut other) = (desk.retrieve(), desk.retrieve());
        let brought = v1::Document { vector: vector(&[1.0, 0.0]), ..document("1", "a") };
        let change = tokio::spawn(async move { one.upsert_documents(upsert(vec![brought])).await });
        let under_way = next(&desk.documents.changes).await;
        let words = v1::QueryDocumentsRequest { mode: v1::QueryMode::Bm25.into(), ..query("a") };
        let read = tokio::spawn(async move { other.query_documents(words).await });
        let errand = next(&desk.documents.reads).await;
        assert_eq!(errand.vectors, None, "words need none");
        answer(&errand, &v1::QueryDocumentsResponse::default());
        assert_eq!(code(read.await.expect("ends")), Code::Ok);
        answer(&under_way, &v1::UpsertDocumentsResponse::default());
        assert_eq!(code(change.await.expect("ends")), Code::Ok);
        ended(desk).await;
    })
    .await;
}

#[tokio::test]
async fn the_best_are_read_again_where_that_is_asked_for() {
    within(async {
        let desk = desk(serde_json::json!({})).await;
        let mut client = desk.retrieve();
        let asked =
            v1::QueryDocumentsRequest { mode: v1::QueryMode::Bm25.into(), rerank: true, top_k: 1, ..query("a") };
        let call = tokio::spawn(async move { client.query_documents(asked).await });
        let errand = next(&desk.documents.reads).await;
        let seen = v1::QueryDocumentsRequest::decode(errand.request.clone()).expect("is the request");
        assert_eq!(seen.top_k, 30, "more than is returned");
        let found =
            |id: &str, text: &str| v1::ScoredDocument { document: Some(document(id, text)), ..Default::default() };
        let documents = vec![found("other", "b c"), found("same", "a")];
        answer(
            &errand,
            &v1::QueryDocumentsResponse { results: vec![v1::QueryResult { documents }], ..Default::default() },
        );
        desk.run();
        let reply = call.await.expect("ends").expect("is answered").into_inner();
        let documents = &reply.results[0].documents;
        assert_eq!(documents.len(), 1);
        assert_eq!(documents[0].document.as_ref().map(|document| document.id.as_str()), Some("same"));
        assert!(documents[0].rerank.is_some());
        ended(desk).await;
    })
    .await;
}

#[tokio::test]
async fn what_the_store_says_is_what_the_caller_hears() {
    within(async {
        let desk = desk(serde_json::json!({})).await;
        for (refusal, expected) in [
            (Refusal::StoreFull { limit: 9 }, Code::ResourceExhausted),
            (Refusal::NamespaceNotFound { namespace: "n".into() }, Code::NotFound),
            (Refusal::StoreUnreachable { why: "refused".into() }, Code::Unavailable),
        ] {
            let mut client = desk.retrieve();
            let request = v1::GetNamespaceRequest { namespace: "n".into(), ..Default::default() };
            let call = tokio::spawn(async move { client.get_namespace(request).await });
            let errand = next(&desk.documents.reads).await;
            errand.answer(Err(refusal.of("documents")));
            assert_eq!(code(call.await.expect("ends")), expected);
        }
        ended(desk).await;
    })
    .await;
}

#[tokio::test]
async fn a_stream_stores_in_the_order_of_its_requests() {
    within(async {
        let desk = desk(serde_json::json!({})).await;
        let mut client = desk.retrieve();
        let one = |id: &str| v1::UpsertDocumentsStreamRequest {
            request: Some(upsert(vec![v1::Document { vector: vector(&[1.0, 0.0]), ..document(id, "a") }])),
        };
        let requests = futures::stream::iter(["1", "2", "3"].map(one));
        let call = tokio::spawn(async move { client.upsert_documents_stream(requests).await });
        for number in 1..=3 {
            let errand = next(&desk.documents.changes).await;
            let seen = v1::UpsertDocumentsRequest::decode(errand.request.clone()).expect("is the request");
            assert_eq!(seen.documents[0].id, number.to_string());
            answer(&errand, &v1::UpsertDocumentsResponse { added: number, ..Default::default() });
        }
        let mut stream = call.await.expect("ends").expect("begins").into_inner();
        for number in 1..=3 {
            let reply = stream.message().await.expect("goes on").expect("has one more");
            assert_eq!(reply.response.map(|response| response.added), Some(number));
        }
        ended(desk).await;
    })
    .await;
}
