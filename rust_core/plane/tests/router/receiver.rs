//! A receiver of spans, as OpenTelemetry's collector is one.

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value::Value,
    trace::v1::{ResourceSpans, Span},
};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Request, Response, Status, transport::Server};

/// Listens until it is dropped.
pub struct Receiver {
    /// For a configuration.
    pub endpoint: String,
    batches: mpsc::UnboundedReceiver<ResourceSpans>,
    _serving: AbortOnDropHandle<()>,
}

struct Service(mpsc::UnboundedSender<ResourceSpans>);

impl Receiver {
    /// On a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let endpoint = format!("http://{}", listener.local_addr().expect("is bound"));
        let (sender, batches) = mpsc::unbounded_channel();
        let server = Server::builder().add_service(TraceServiceServer::new(Service(sender)));
        let serving = tokio::spawn(async move {
            server.serve_with_incoming(TcpListenerStream::new(listener)).await.expect("serves");
        });
        Self { endpoint, batches, _serving: AbortOnDropHandle::new(serving) }
    }

    /// The next batch.
    pub async fn batch(&mut self) -> ResourceSpans {
        self.batches.recv().await.expect("goes on")
    }

    /// All that have arrived, in the order of their beginnings.
    pub fn spans(&mut self) -> Vec<Span> {
        let batches = std::iter::from_fn(|| self.batches.try_recv().ok());
        let mut spans: Vec<_> = batches.flat_map(|batch| batch.scope_spans).flat_map(|scope| scope.spans).collect();
        spans.sort_by_key(|span| (span.start_time_unix_nano, std::cmp::Reverse(span.end_time_unix_nano)));
        spans
    }
}

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for batch in request.into_inner().resource_spans {
            // The test may be over already.
            let _ = self.0.send(batch);
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// An attribute, as text.
pub fn attribute(span: &Span, key: &str) -> Option<String> {
    let value = span.attributes.iter().find(|pair| pair.key == key)?.value.as_ref()?.value.as_ref()?;
    Some(match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}
