//! Documents of a namespace: stored, found, listed, deleted.

use waypost_client::v1::{
    DeleteDocumentsRequest, Document, ErrorReason, Filter, GetDocumentsRequest, ListDocumentsRequest,
    QueryDocumentsRequest, UpsertDocumentsRequest,
};
use waypost_client::{Client, Error};

use crate::env;

const MODEL: &str = "documents";
const NAMESPACE: &str = "rust";

#[tokio::test]
async fn what_is_stored_is_found_listed_and_deleted() {
    let client = env::client().await;
    let leave = Document::new("leave", "The leave is 30 days long.").with("lang", "en").with("year", 2026.0);
    let ferien = Document::new("ferien", "How long is the leave? 30 Tage.").with("lang", "de");
    let trips = Document::new("trips", "Trips are booked by the office.");
    let request = UpsertDocumentsRequest::new(NAMESPACE, [leave.clone(), ferien, trips]);
    let stored = client.upsert_documents(UpsertDocumentsRequest { model: MODEL.into(), ..request }).await.unwrap();
    assert_eq!(stored.added + stored.replaced, 3);

    let query = QueryDocumentsRequest {
        model: MODEL.into(),
        filter: Some(Filter::equals("lang", "en")),
        snippets: 1,
        ..QueryDocumentsRequest::new(NAMESPACE, "how long is the leave?")
    };
    let found = client.query_documents(query).await.unwrap().results.remove(0).documents;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].document.as_ref(), found[0].snippets.len()), (Some(&leave), 1));

    let (model, namespace) = (MODEL.to_string(), NAMESPACE.to_string());
    let ids = vec!["leave".to_string(), "none".to_string()];
    let asked = GetDocumentsRequest { model, namespace, ids, ..GetDocumentsRequest::default() };
    assert_eq!(client.get_documents(asked).await.unwrap(), [leave]);

    let ids = listed(&client, NAMESPACE).await.unwrap();
    assert_eq!(ids, ["ferien", "leave", "trips"]);
    let request = DeleteDocumentsRequest { model: MODEL.into(), ..DeleteDocumentsRequest::new(NAMESPACE, ids) };
    assert_eq!(client.delete_documents(request).await.unwrap().deleted, 3);
}

#[tokio::test]
async fn a_list_of_no_namespace_says_so() {
    let error = listed(&env::client().await, "nowhere").await.unwrap_err();
    assert_eq!(error.reason, ErrorReason::NamespaceNotFound);
}

/// All ids, two a page.
async fn listed(client: &Client, namespace: &str) -> Result<Vec<String>, Error> {
    let (model, namespace) = (MODEL.to_string(), namespace.to_string());
    let mut request = ListDocumentsRequest { model, namespace, page_size: 2, ..ListDocumentsRequest::default() };
    let mut ids = Vec::new();
    loop {
        let page = client.list_documents(request.clone()).await?;
        ids.extend(page.documents.into_iter().map(|document| document.id));
        if page.next_page_token.is_empty() {
            return Ok(ids);
        }
        request.page_token = page.next_page_token;
    }
}
