//! A worker with an encoder whose runs a test lets go one by one, a hash, and a writer whose jobs the test answers.

use std::{
    future::Future,
    path::{Path, PathBuf},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use serde_json::json;
use tonic::{Code, Status, transport::Channel};
use waypost_plane::{
    proto::v1::{
        self, classify_service_client::ClassifyServiceClient, embed_service_client::EmbedServiceClient,
        generate_service_client::GenerateServiceClient, mesh_service_client::MeshServiceClient,
        retrieve_service_client::RetrieveServiceClient,
    },
    worker::{
        Worker,
        generate::job::Job,
        inbox::Inbox,
        retrieve,
        run::{Batch, Rows, RunError, Runner},
    },
};

/// No test takes longer.
pub async fn within<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), test).await.expect("the test ends in time")
}

/// A run for each word it is given: "run" or "fail".
struct Gated {
    words: mpsc::Receiver<&'static str>,
    begun: Arc<AtomicUsize>,
}

impl Runner for Gated {
    fn run(&mut self, batch: Batch) -> Result<Rows, RunError> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        match self.words.recv() {
            Ok("run") => Ok(Rows { data: vec![0.6; batch.rows * 2], width: 2 }),
            _ => Err(RunError("it was told to".into())),
        }
    }
}

/// The worker.
pub struct Desk {
    pub channel: Channel,
    pub inbox: Arc<Inbox<Job>>,
    /// Where the errands of the store of documents wait.
    pub documents: retrieve::Desk,
    worker: Worker,
    runs: mpsc::Sender<&'static str>,
    begun: Arc<AtomicUsize>,
}

/// Written once: others may be reading it.
static TOKENIZER: LazyLock<PathBuf> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("words-{}.json", std::process::id()));
    std::fs::write(&path, words().to_string()).expect("is written");
    path
});

/// With `more` in its configuration.
pub async fn desk(more: serde_json::Value) -> Desk {
    let identity = |name| json!({"name": name, "version": "1", "backend": "test", "max_tokens": 64});
    let batching = json!({"mode": "budget", "token_budget": 64, "max_rows": 8});
    let mut config = json!({
        "instance": "w-0", "listen": "127.0.0.1:0", "version": "test",
        "limits": {"max_receive_bytes": 100_000, "max_texts": 16, "max_text_bytes": 1000, "queue_limit": 8},
        "models": [
            {"identity": identity("enc"), "kind": "encoder", "dimensions": 2, "tokenizer": *TOKENIZER,
             "batching": batching},
            {"identity": identity("hash"), "kind": "hash", "dimensions": 8},
        ],
        "generators": [{"identity": identity("writer"), "slots": 2, "queue_limit": 4, "default_max_tokens": 16}],
        "retrievers": [{"identity": identity("documents"), "encoder": "enc"}, {"identity": identity("bare")}],
    });
    let more = more.as_object().cloned().unwrap_or_default();
    config.as_object_mut().expect("is an object").extend(more);
    let config = serde_json::from_value(config).expect("is a configuration");
    let (runs, words) = mpsc::channel();
    let begun = Arc::<AtomicUsize>::default();
    let gated = Gated { words, begun: begun.clone() };
    let inbox = Arc::new(Inbox::default());
    let runners = [("enc".to_string(), vec![Box::new(gated) as Box<dyn Runner>])];
    let inboxes = [("writer".to_string(), inbox.clone())];
    let documents = retrieve::Desk::default();
    let desks = [("documents".to_string(), documents.clone())];
    let worker = Worker::start(config, runners.into(), inboxes.into(), desks.into()).await.expect("starts");
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", worker.address()));
    let channel = endpoint.expect("is an address").connect().await.expect("is there");
    Desk { channel, inbox, documents, worker, runs, begun }
}

/// Each word is a token.
fn words() -> serde_json::Value {
    let words = ["[UNK]", "a", "b", "c", "d", "e"];
    let vocab: serde_json::Map<_, _> = words.iter().zip(0..).map(|(word, id)| (word.to_string(), json!(id))).collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "[UNK]"},
    })
}

impl Desk {
    pub fn embed(&self) -> EmbedServiceClient<Channel> {
        EmbedServiceClient::new(self.channel.clone())
    }

    pub fn classify(&self) -> ClassifyServiceClient<Channel> {
        ClassifyServiceClient::new(self.channel.clone())
    }

    pub fn retrieve(&self) -> RetrieveServiceClient<Channel> {
        RetrieveServiceClient::new(self.channel.clone())
    }

    pub fn generate(&self) -> GenerateServiceClient<Channel> {
        GenerateServiceClient::new(self.channel.clone())
    }

    /// Lets one run go.
    pub fn run(&self) {
        self.runs.send("run").expect("a session waits");
    }

    /// Lets one run fail.
    pub fn fail(&self) {
        self.runs.send("fail").expect("a session waits");
    }

    /// Waits until so many runs have begun.
    pub async fn until_begun(&self, runs: usize) {
        while self.begun.load(Ordering::Relaxed) != runs {
            tokio::task::yield_now().await;
        }
    }

    /// The next job.
    pub async fn job(&self) -> Job {
        let inbox = self.inbox.clone();
        tokio::task::spawn_blocking(move || inbox.take(None)).await.expect("waits").expect("is open")
    }

    pub async fn families(&self) -> Vec<v1::MetricFamily> {
        let mut mesh = MeshServiceClient::new(self.channel.clone());
        mesh.get_metrics(v1::GetMetricsRequest::default()).await.expect("is told").into_inner().families
    }

    /// The series of these labels, without the instance.
    pub async fn series(&self, name: &str, labels: &[&str]) -> Option<v1::MetricSeries> {
        let family = self.families().await.into_iter().find(|family| family.name == name)?;
        family.series.into_iter().find(|series| series.values[0] == "w-0" && series.values[1..] == *labels)
    }

    /// Its value; of a histogram, how many values it has.
    pub async fn figure(&self, name: &str, labels: &[&str]) -> u64 {
        let Some(series) = self.series(name, labels).await else { return 0 };
        if series.buckets.is_empty() { series.value as u64 } else { series.buckets.iter().sum() }
    }

    /// Waits until a figure is this.
    pub async fn until(&self, name: &str, labels: &[&str], value: u64) {
        while self.figure(name, labels).await != value {
            tokio::task::yield_now().await;
        }
    }

    /// Lets its calls end.
    pub async fn drain(self) {
        self.inbox.close();
        self.documents.close();
        drop((self.channel, self.runs));
        assert!(self.worker.drain(Duration::from_secs(10)).await);
    }
}

/// A request for these texts of the encoder.
pub fn texts(texts: &[&str]) -> v1::EmbedRequest {
    let texts = texts.iter().map(ToString::to_string).collect();
    v1::EmbedRequest { model: "enc".into(), texts, ..Default::default() }
}

/// A request to the writer.
pub fn prompt() -> v1::GenerateRequest {
    let input = v1::generate_request::Input::Raw("say".into());
    v1::GenerateRequest { model: "writer".into(), input: Some(input), ..Default::default() }
}

/// The code a call ended with.
pub fn code<T>(answer: Result<T, Status>) -> Code {
    answer.map_or_else(|status| status.code(), |_| Code::Ok)
}

/// Writes "ab" for a job: two tokens of a prompt of five, three of them known.
pub fn write(job: &Job) {
    let usage = v1::GenerateUsage { prompt_tokens: 5, cached_tokens: 3, completion_tokens: 2, dropped_tokens: 0 };
    job.read(Instant::now());
    job.begin(Instant::now());
    ["a", "b"].into_iter().for_each(|text| job.push(text, vec![], 1, Instant::now()));
    let reason = v1::FinishReason::Stop;
    job.end(Ok(waypost_plane::worker::generate::job::Ending { reason, usage, ..Default::default() }));
}
