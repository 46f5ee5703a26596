//! Every case of the table that all clients share is answered as the table says.

use std::time::Duration;

use serde_json::{Map, Value, json};
use waypost_client::v1::embed_service_client::EmbedServiceClient;
use waypost_client::v1::retrieve_service_client::RetrieveServiceClient;
use waypost_client::v1::{
    DeleteNamespaceRequest, ErrorReason, FinishReason, GenerateStreamRequest, GetDocumentsRequest, GetNamespaceRequest,
    ListModelsResponse, ListNamespacesRequest, SetNamespaceRequest,
};
use waypost_client::{Client, Code, Error};

use crate::env;
use crate::json::{matches, read, write};

const TIMEOUT_MS: u64 = 20_000;

#[tokio::test]
async fn every_case_is_answered_as_the_table_says() {
    let table: Vec<Value> = serde_json::from_slice(&std::fs::read(env::golden()).unwrap()).unwrap();
    let client = env::client().await;
    let mut failures = Vec::new();
    for case in &table {
        let (wanted, got) = (expected(case), answer(&client, case).await);
        if !matches(&wanted, &got) {
            failures.push(format!("{}: {wanted} is not part of {got}", case["name"]));
        }
    }
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), table.len(), failures.join("\n"));
}

fn expected(case: &Value) -> Value {
    let asked = ["name", "rpc", "request", "requests", "timeout_ms"];
    case.as_object().unwrap().clone().into_iter().filter(|(key, _)| !asked.contains(&key.as_str())).collect()
}

async fn answer(client: &Client, case: &Value) -> Value {
    let timeout = Duration::from_millis(case["timeout_ms"].as_u64().unwrap_or(TIMEOUT_MS));
    ask(&client.with_timeout(timeout), case).await.unwrap_or_else(|error| json!({"error": failure(&error)}))
}

/// Through the client where it has the call, else through a generated one.
async fn ask(client: &Client, case: &Value) -> Result<Value, Error> {
    let request = &case["request"];
    Ok(match case["rpc"].as_str().unwrap().rsplit_once('/').unwrap().1 {
        "Embed" => response("EmbedResponse", &client.embed(read("EmbedRequest", request)).await?.response),
        "EmbedStream" => return embed_stream(client, &case["requests"]).await,
        "CountTokens" => {
            let request: waypost_client::v1::CountTokensRequest = read("CountTokensRequest", request);
            let counted = EmbedServiceClient::new(client.channel()).count_tokens(request).await?;
            response("CountTokensResponse", &counted.into_inner())
        }
        "Classify" => response("ClassifyResponse", &client.classify(read("ClassifyRequest", request)).await?),
        "Rerank" => response("RerankResponse", &client.rerank(read("RerankRequest", request)).await?),
        "Generate" => response("GenerateResponse", &client.generate(read("GenerateRequest", request)).await?),
        "GenerateStream" => return generate_stream(client, read("GenerateStreamRequest", request)).await,
        "UpsertDocumentsStream" => return upsert_stream(client, &case["requests"]).await,
        "UpsertDocuments" => {
            let stored = client.upsert_documents(read("UpsertDocumentsRequest", request)).await?;
            response("UpsertDocumentsResponse", &stored)
        }
        "QueryDocuments" => {
            response("QueryDocumentsResponse", &client.query_documents(read("QueryDocumentsRequest", request)).await?)
        }
        "ListDocuments" => {
            response("ListDocumentsResponse", &client.list_documents(read("ListDocumentsRequest", request)).await?)
        }
        "DeleteDocuments" => response(
            "DeleteDocumentsResponse",
            &client.delete_documents(read("DeleteDocumentsRequest", request)).await?,
        ),
        other @ ("GetDocuments" | "SetNamespace" | "GetNamespace" | "ListNamespaces" | "DeleteNamespace") => {
            return generated(client, other, request).await;
        }
        "ListModels" => response("ListModelsResponse", &ListModelsResponse { models: client.models().await? }),
        other => panic!("the test does not know {other}"),
    })
}

fn response<M: prost::Message>(kind: &str, message: &M) -> Value {
    json!({"response": write(kind, message)})
}

async fn embed_stream(client: &Client, requests: &Value) -> Result<Value, Error> {
    let requests: Vec<_> = requests.as_array().unwrap().iter().map(|one| read("EmbedStreamRequest", one)).collect();
    let sent = futures_util::stream::iter(requests);
    let mut answers = EmbedServiceClient::new(client.channel()).embed_stream(sent).await?.into_inner();
    let mut responses = Vec::new();
    while let Some(answer) = answers.message().await? {
        responses.push(write("EmbedStreamResponse", &answer));
    }
    Ok(json!({"responses": responses}))
}

async fn upsert_stream(client: &Client, requests: &Value) -> Result<Value, Error> {
    let kind = "UpsertDocumentsStreamRequest";
    let requests: Vec<_> = requests.as_array().unwrap().iter().map(|one| read(kind, one)).collect();
    let sent = futures_util::stream::iter(requests);
    let mut answers = RetrieveServiceClient::new(client.channel()).upsert_documents_stream(sent).await?.into_inner();
    let mut responses = Vec::new();
    while let Some(answer) = answers.message().await? {
        responses.push(write("UpsertDocumentsStreamResponse", &answer));
    }
    Ok(json!({"responses": responses}))
}

/// What the client leaves to the generated one, or gives a part of.
async fn generated(client: &Client, method: &str, request: &Value) -> Result<Value, Error> {
    let mut service = RetrieveServiceClient::new(client.channel());
    let (sent, kind) = (format!("{method}Request"), format!("{method}Response"));
    Ok(match method {
        "GetDocuments" => {
            response(&kind, &service.get_documents(read::<GetDocumentsRequest>(&sent, request)).await?.into_inner())
        }
        "SetNamespace" => {
            response(&kind, &service.set_namespace(read::<SetNamespaceRequest>(&sent, request)).await?.into_inner())
        }
        "GetNamespace" => {
            response(&kind, &service.get_namespace(read::<GetNamespaceRequest>(&sent, request)).await?.into_inner())
        }
        "ListNamespaces" => {
            response(&kind, &service.list_namespaces(read::<ListNamespacesRequest>(&sent, request)).await?.into_inner())
        }
        _ => response(
            &kind,
            &service.delete_namespace(read::<DeleteNamespaceRequest>(&sent, request)).await?.into_inner(),
        ),
    })
}

async fn generate_stream(client: &Client, request: GenerateStreamRequest) -> Result<Value, Error> {
    let mut pieces = client.generate_stream(request.request.unwrap()).await?;
    let (mut text, mut finish) = (String::new(), FinishReason::Unspecified);
    while let Some(piece) = pieces.next().await? {
        text += &piece.text;
        finish = piece.r#final.map_or(finish, |end| end.finish_reason());
    }
    Ok(json!({"text": text, "finish_reason": finish.as_str_name()}))
}

fn failure(error: &Error) -> Value {
    let mut failure = Map::from_iter([
        ("code".to_string(), json!(name(error.code))),
        ("has_retry_info".to_string(), json!(error.retry_after.is_some())),
        ("field".to_string(), json!(error.field)),
        ("metadata".to_string(), json!(error.metadata)),
    ]);
    if error.reason != ErrorReason::Unspecified {
        failure.insert("reason".to_string(), json!(error.reason.as_str_name()));
    }
    failure.into()
}

/// As the table writes it: `InvalidArgument` is INVALID_ARGUMENT.
fn name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}
