//! The standard server metrics of gRPC, of every rpc that comes through the door: the names of go-grpc-middleware,
//! which dashboards know.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::Frame;
use prost::Message;
use prost_types::{FileDescriptorSet, MethodDescriptorProto};
use tonic::{Code, Status, body::Body};

use crate::{
    metrics::{CALLS, Counters, Histograms, Meter},
    proto,
    router::{
        events::code_text,
        methods::{Method, Shape},
    },
};

/// Those of calls that no service has: callers can make up any number of paths.
const UNKNOWN: Rpc<'static> = Rpc { kind: "unary", service: "unknown", method: "unknown" };

/// One rpc, as labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rpc<'a> {
    kind: &'static str,
    service: &'a str,
    method: &'a str,
}

impl From<&'static Method> for Rpc<'static> {
    fn from(method: &'static Method) -> Self {
        let kind = match method.shape {
            Shape::Unary => "unary",
            Shape::Replies => "server_stream",
            Shape::Both => "bidi_stream",
        };
        Rpc { kind, service: method.service, method: &method.path[method.service.len() + 2..] }
    }
}

/// The counters.
#[derive(Clone)]
pub struct Grpc {
    started: Counters<3>,
    handled: Counters<4>,
    seconds: Histograms<3>,
    /// Those that are not forwarded, by path: their kind.
    own: Arc<HashMap<String, &'static str>>,
}

impl Grpc {
    /// Nothing counted yet.
    pub fn new(meter: &Meter) -> Self {
        let labels = ["grpc_type", "grpc_service", "grpc_method"];
        let [kind, service, method] = labels;
        Self {
            started: meter.counters("grpc_server_started", "RPCs started on the server", labels),
            handled: meter.counters(
                "grpc_server_handled",
                "RPCs completed on the server, regardless of success or failure",
                [kind, service, method, "grpc_code"],
            ),
            seconds: meter.histograms(
                "grpc_server_handling_seconds",
                "How long the server took to handle RPCs",
                labels,
                CALLS,
            ),
            own: Arc::new(if meter.is_enabled() { own() } else { HashMap::new() }),
        }
    }

    /// One came in.
    pub fn started(&self, rpc: Rpc) {
        self.started.inc([rpc.kind, rpc.service, rpc.method]);
    }

    /// One has ended.
    pub fn ended(&self, rpc: Rpc, code: Code, after: Duration) {
        self.handled.inc([rpc.kind, rpc.service, rpc.method, code_text(code)]);
        self.seconds.observe([rpc.kind, rpc.service, rpc.method], after.as_secs_f64(), None);
    }

    /// One that is answered here came in; it has ended when this is dropped.
    pub fn watch(&self, path: &str) -> Watch {
        let path = self.own.contains_key(path).then(|| path.to_string());
        let watch = Watch { grpc: self.clone(), path, since: Instant::now(), code: Code::Cancelled };
        self.started(watch.rpc());
        watch
    }

    fn rpc<'a>(&self, path: &'a str) -> Rpc<'a> {
        let kind = self.own.get(path);
        let parts = path.strip_prefix('/').and_then(|path| path.split_once('/'));
        kind.zip(parts).map_or(UNKNOWN, |(kind, (service, method))| Rpc { kind, service, method })
    }
}

/// Everything described to reflection.
fn own() -> HashMap<String, &'static str> {
    let sets = [
        proto::DESCRIPTORS,
        proto::OIP_DESCRIPTORS,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    // What this program was built with is well formed: a test says so.
    let files = sets.iter().filter_map(|set| FileDescriptorSet::decode(*set).ok()).flat_map(|set| set.file);
    let services = files.flat_map(|file| {
        let package = file.package().to_string();
        file.service.into_iter().map(move |service| (format!("/{package}.{}/", service.name()), service.method))
    });
    services
        .flat_map(|(prefix, methods)| methods.into_iter().map(move |m| (format!("{prefix}{}", m.name()), kind(&m))))
        .collect()
}

fn kind(method: &MethodDescriptorProto) -> &'static str {
    match (method.client_streaming(), method.server_streaming()) {
        (false, false) => "unary",
        (false, true) => "server_stream",
        (true, false) => "client_stream",
        (true, true) => "bidi_stream",
    }
}

/// An rpc under way; one that is dropped before its status is known was cancelled.
pub struct Watch {
    grpc: Grpc,
    path: Option<String>,
    since: Instant,
    code: Code,
}

impl Watch {
    fn rpc(&self) -> Rpc<'_> {
        self.path.as_deref().map_or(UNKNOWN, |path| self.grpc.rpc(path))
    }

    /// The response, whose end ends the rpc.
    pub fn over(mut self, response: Response<Body>) -> Response<Body> {
        match self.heard(response.headers()) {
            true => response,
            false => response.map(|body| Body::new(Watched { body, watch: Some(self) })),
        }
    }

    /// Whether these say how it ended.
    fn heard(&mut self, meta: &HeaderMap) -> bool {
        let status = Status::from_header_map(meta);
        self.code = status.as_ref().map_or(self.code, Status::code);
        status.is_some()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.grpc.ended(self.rpc(), self.code, self.since.elapsed());
    }
}

struct Watched {
    body: Body,
    watch: Option<Watch>,
}

impl Watched {
    fn look(&mut self, frame: Option<&Result<Frame<Bytes>, Status>>) {
        let trailers = match frame {
            Some(Ok(frame)) => frame.trailers_ref(),
            Some(Err(_)) | None => None,
        };
        if let (Some(trailers), Some(watch)) = (trailers, &mut self.watch) {
            watch.heard(trailers);
            self.watch = None;
        }
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(frame) = &polled {
            self.look(frame.as_ref());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::{proto::v1::MetricFamily, router::methods};

    fn handled(meter: &Meter) -> Vec<String> {
        let families = meter.families();
        let family: &MetricFamily = families.iter().find(|f| f.name == "grpc_server_handled").expect("was counted");
        family.series.iter().map(|series| series.values.join(" ")).collect()
    }

    #[test]
    fn every_service_is_known_with_its_kinds() {
        let own = own();
        let kinds = [
            ("/waypost.v1.MeshService/GetMetrics", "unary"),
            ("/grpc.health.v1.Health/Watch", "server_stream"),
            ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "bidi_stream"),
            ("/inference.GRPCInferenceService/ModelInfer", "unary"),
        ];
        kinds.into_iter().for_each(|(path, kind)| assert_eq!(own.get(path), Some(&kind), "{path}"));
    }

    #[test]
    fn a_forwarded_call_is_called_as_its_descriptor_has_it() {
        for method in &methods::METHODS {
            let rpc = Rpc::from(method);
            assert_eq!(format!("/{}/{}", rpc.service, rpc.method), method.path);
            assert_eq!(own().get(method.path), Some(&rpc.kind));
        }
    }

    #[test]
    fn paths_that_callers_make_up_are_one_series() {
        let meter = Meter::new(true);
        let grpc = Grpc::new(&meter);
        ["/a/b", "/c/d", "nothing"].into_iter().for_each(|path| drop(grpc.watch(path)));
        assert_eq!(handled(&meter), ["unary unknown unknown CANCELLED"]);
    }

    #[tokio::test]
    async fn a_status_in_the_headers_or_in_the_trailers_ends_it() {
        let meter = Meter::new(true);
        let grpc = Grpc::new(&meter);
        let path = "/waypost.v1.MeshService/GetStatus";
        let refused = grpc.watch(path).over(Status::not_found("no").into_http());
        assert_eq!(handled(&meter), ["unary waypost.v1.MeshService GetStatus NOT_FOUND"]);
        drop(refused);
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
        let body = http_body_util::StreamBody::new(tokio_stream::iter([Ok::<_, Status>(Frame::trailers(trailers))]));
        let response = grpc.watch(path).over(Response::new(Body::new(body)));
        response.into_body().collect().await.expect("ends");
        assert!(handled(&meter).contains(&"unary waypost.v1.MeshService GetStatus OK".to_string()));
    }
}
