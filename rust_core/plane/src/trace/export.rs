//! The task that sends spans: every second, or sooner when there are many, over OTLP.
//!
//! A receiver that is away costs its spans and nothing else: they are counted, and the operator is told once until it
//! is back.  Headers for the receiver (a key, say) are taken from `OTEL_EXPORTER_OTLP_HEADERS`, as the OpenTelemetry
//! specification has it.

use std::{io, sync::Arc, time::Duration};

use opentelemetry::{
    InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId,
    trace::{Link, SpanContext, Status, TraceState},
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithTonicConfig, tonic_types::transport::ClientTlsConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkError,
    trace::{SpanData, SpanExporter as _, SpanLinks},
};
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{
    SpanRecord, TraceContext,
    queue::{BATCH, Queue},
};
use crate::log;

/// Spans wait no longer than this.
const PERIOD: Duration = Duration::from_secs(1);
/// A receiver has so long for a batch.
const TIMEOUT: Duration = Duration::from_secs(10);
const SECURE: &str = "https://";
const SCOPE: &str = "waypost";

/// The running task.
#[derive(Debug)]
pub struct Exporter {
    closing: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Exporter {
    /// Begins to send what is put into `queue`.
    pub fn start(endpoint: &str, service: &'static str, instance: &str, queue: Arc<Queue>) -> io::Result<Self> {
        let mut exporter = connect(endpoint)?;
        exporter.set_resource(&resource(service, instance));
        let closing = CancellationToken::new();
        let scope = InstrumentationScope::builder(SCOPE).with_version(env!("CARGO_PKG_VERSION")).build();
        let sender = Sender { exporter, scope, queue, told: false, lost: 0 };
        let task = tokio::spawn(sender.run(closing.clone()));
        Ok(Self { closing, task: Mutex::new(Some(task)) })
    }

    /// Sends what there is, and ends.
    pub async fn close(&self, patience: Duration) {
        self.closing.cancel();
        let Some(mut task) = self.task.lock().take() else { return };
        if tokio::time::timeout(patience, &mut task).await.is_err() {
            task.abort();
        }
    }
}

/// Connects when there is something to send.
fn connect(endpoint: &str) -> io::Result<SpanExporter> {
    let builder = SpanExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(TIMEOUT);
    let builder = match endpoint.starts_with(SECURE) {
        true => builder.with_tls_config(ClientTlsConfig::new().with_enabled_roots()),
        false => builder,
    };
    builder.build().map_err(io::Error::other)
}

fn resource(service: &'static str, instance: &str) -> Resource {
    Resource::builder_empty()
        .with_service_name(service)
        .with_attributes([
            KeyValue::new("service.namespace", SCOPE),
            KeyValue::new("service.instance.id", instance.to_string()),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        ])
        .build()
}

struct Sender {
    exporter: SpanExporter,
    scope: InstrumentationScope,
    queue: Arc<Queue>,
    /// The operator knows that spans are being lost.
    told: bool,
    lost: u64,
}

impl Sender {
    async fn run(mut self, closing: CancellationToken) {
        let mut is_open = true;
        while is_open {
            tokio::select! {
                () = self.queue.enough() => {}
                () = tokio::time::sleep(PERIOD) => {}
                () = closing.cancelled() => is_open = false,
            }
            self.send_all().await;
        }
    }

    async fn send_all(&mut self) {
        let mut spans = self.queue.take().into_iter().peekable();
        let mut failed = None;
        while spans.peek().is_some() {
            let batch: Vec<_> = spans.by_ref().take(BATCH).map(|span| data(span, &self.scope)).collect();
            let count = batch.len();
            if let Err(error) = self.exporter.export(batch).await {
                self.queue.lose(count);
                failed = Some(error);
            }
        }
        self.tell(failed);
    }

    /// Once until all is well again.
    fn tell(&mut self, failed: Option<OTelSdkError>) {
        let lost = self.queue.dropped();
        let was_lost = std::mem::replace(&mut self.lost, lost) < lost;
        if was_lost && !std::mem::replace(&mut self.told, true) {
            let why = failed.map_or("telemetry.span_queue is full".to_string(), |error| error.to_string());
            log::warn("spans_lost", &why);
        }
        self.told &= was_lost;
    }
}

fn data(span: SpanRecord, scope: &InstrumentationScope) -> SpanData {
    let links = span.links.into_iter().map(|link| Link::new(told(link), vec![], 0)).collect();
    let mut span_links = SpanLinks::default();
    span_links.links = links;
    SpanData {
        span_context: told(span.context),
        parent_span_id: span.parent.map_or(SpanId::INVALID, |id| SpanId::from_bytes(id.to_be_bytes())),
        parent_span_is_remote: false,
        span_kind: span.kind,
        name: span.name.into(),
        start_time: span.started,
        end_time: span.ended,
        attributes: span.attributes.into_iter().map(|(key, value)| KeyValue::new(key, value)).collect(),
        dropped_attributes_count: 0,
        events: Default::default(),
        links: span_links,
        status: span.error.map_or(Status::Unset, Status::error),
        instrumentation_scope: scope.clone(),
    }
}

fn told(context: TraceContext) -> SpanContext {
    let trace_id = TraceId::from_bytes(context.trace_id.to_be_bytes());
    let span_id = SpanId::from_bytes(context.span_id.to_be_bytes());
    SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, false, TraceState::NONE)
}
