//! Calls without side effects are tried again, others are not; against a server, behind a Unix socket, that is
//! unavailable at first.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::net::UnixListener;
use tonic::body::Body;
use tonic::server::Grpc;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;
use waypost_client::Client;
use waypost_client::v1::{EmbedRequest, EmbedResponse, GenerateRequest};

const FAILURES: u32 = 2;

#[tokio::test]
async fn a_call_without_side_effects_is_tried_again() {
    let (client, calls, _folder) = served().await;
    assert!(client.embed(EmbedRequest::new(["hello"])).await.is_ok());
    assert_eq!(calls.load(SeqCst), FAILURES + 1);
}

#[tokio::test]
async fn a_call_with_side_effects_is_tried_once() {
    let (client, calls, _folder) = served().await;
    assert_eq!(client.generate(GenerateRequest::chat("hello")).await.unwrap_err().code, Code::Unavailable);
    assert_eq!(calls.load(SeqCst), 1);
}

async fn served() -> (Client, Arc<AtomicU32>, tempfile::TempDir) {
    let (folder, calls) = (tempfile::tempdir().unwrap(), Arc::new(AtomicU32::new(0)));
    let socket = folder.path().join("router.sock");
    serve(&socket, calls.clone());
    let client = Client::builder(format!("unix:{}", socket.display())).connect().await.unwrap();
    (client, calls, folder)
}

fn serve(socket: &Path, calls: Arc<AtomicU32>) {
    let listener = UnixListener::bind(socket).unwrap();
    let service = TowerToHyperService::new(service_fn(move |request| answer(calls.clone(), request)));
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await
    });
}

async fn answer(calls: Arc<AtomicU32>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    if calls.fetch_add(1, SeqCst) < FAILURES {
        return Ok(Status::unavailable("later").into_http());
    }
    let embed = service_fn(|_: tonic::Request<EmbedRequest>| async {
        Ok::<_, Status>(tonic::Response::new(EmbedResponse::default()))
    });
    Ok(Grpc::new(ProstCodec::<EmbedResponse, EmbedRequest>::default()).unary(embed, request).await)
}
