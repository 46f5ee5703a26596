//! Answers that routers keep for each other, in Redis.
//!
//! Whoever is to ask a model looks there first, briefly: an answer that does not come at once is asked for.  What a model
//! then says is put there beside the call.  Only answers that the router keeps itself come here, under the same key and
//! with the time they have left; the version of Waypost and the house's style are part of it, for they decide about
//! answers too.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, Version};
use prost::Message;
use waypost_decide::admit::Limit;
use waypost_store::Store;
use xxhash_rust::xxh3::xxh3_64;

use super::{cache::Key, config::RouterConfig, reply::Reply};

/// To ask a model takes longer than this, or is not worth keeping.
const PATIENCE: Duration = Duration::from_millis(20);
/// Answers that are on their way to the store at once; what comes beyond is not kept for the others.
const UNDER_WAY: usize = 64;

/// The answers of all routers.
pub struct Answers {
    store: Store,
    most: usize,
    ttl: Duration,
    /// Of everything else that decides about answers.
    salt: u64,
    under_way: Limit,
    hits: AtomicU64,
}

impl Answers {
    /// None where they are not wanted, or there is nowhere to keep them.
    pub fn new(store: &Store, config: &RouterConfig) -> Option<Arc<Self>> {
        let wanted = config.cache.enabled && config.cache.shared && store.is_quick();
        let said =
            [&config.version, &config.style.prompt, &config.style.models.join(",")].map(String::as_str).join("\n");
        let (store, salt) = (store.clone(), xxh3_64(said.as_bytes()));
        let (most, ttl, hits) = (config.cache.shared_max_bytes, config.cache.ttl, AtomicU64::new(0));
        wanted.then(|| Arc::new(Self { store, most, ttl, salt, under_way: Limit::new(UNDER_WAY), hits }))
    }

    /// An answer that another router asked for, and until when it is good.
    pub async fn find(&self, key: Key) -> Option<(Reply, Instant)> {
        let kept = self.store.answer(&self.name(key), PATIENCE).await.ok()??;
        let kept = Kept::decode(kept.as_slice()).ok()?;
        let left = Duration::from_millis(kept.until.saturating_sub(millis(SystemTime::now())));
        let reply = kept.reply().filter(|_| !left.is_zero())?;
        self.hits.fetch_add(1, Relaxed);
        Some((reply, Instant::now() + left.min(self.ttl)))
    }

    /// Keeps one for the others, beside the call, if the store keeps up.
    pub fn keep(self: &Arc<Self>, key: Key, reply: &Reply) {
        if reply.size() > self.most {
            return;
        }
        let Some(permit) = self.under_way.try_acquire(1) else { return };
        let (answers, kept) = (self.clone(), Kept::of(reply, millis(SystemTime::now() + self.ttl)));
        tokio::spawn(async move {
            let _permit = permit;
            // Who could not keep it is none the worse.
            let _ = answers.store.keep_answer(&answers.name(key), &kept.encode_to_vec(), answers.ttl).await;
        });
    }

    /// Answers that another router had asked for.
    pub fn hits(&self) -> u64 {
        self.hits.load(Relaxed)
    }

    fn name(&self, key: Key) -> String {
        format!("{:016x}{key}", self.salt)
    }
}

/// As it is stored.
#[derive(Clone, PartialEq, Message)]
struct Kept {
    /// Milliseconds since 1970.
    #[prost(uint64, tag = "1")]
    until: u64,
    #[prost(message, repeated, tag = "2")]
    headers: Vec<Line>,
    #[prost(bytes = "bytes", repeated, tag = "3")]
    frames: Vec<Bytes>,
    #[prost(message, repeated, tag = "4")]
    trailers: Vec<Line>,
}

#[derive(Clone, PartialEq, Message)]
struct Line {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

impl Kept {
    fn of(reply: &Reply, until: u64) -> Self {
        let trailers = reply.trailers().map(lines).unwrap_or_default();
        Self { until, headers: lines(&reply.head.headers), frames: reply.frames().to_vec(), trailers }
    }

    fn reply(self) -> Option<Reply> {
        let (mut head, ()) = Response::new(()).into_parts();
        head.version = Version::HTTP_2;
        head.headers = map(self.headers)?;
        let trailers = if self.trailers.is_empty() { None } else { Some(map(self.trailers)?) };
        Some(Reply::whole(head, self.frames, trailers))
    }
}

fn lines(map: &HeaderMap) -> Vec<Line> {
    map.iter().map(|(name, value)| Line { name: name.to_string(), value: value.as_bytes().into() }).collect()
}

fn map(lines: Vec<Line>) -> Option<HeaderMap> {
    lines.into_iter().map(|Line { name, value }| Some((name.parse::<HeaderName>().ok()?, value_of(&value)?))).collect()
}

fn value_of(bytes: &[u8]) -> Option<HeaderValue> {
    HeaderValue::from_bytes(bytes).ok()
}

fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use waypost_store::Place;

    use super::*;

    fn reply() -> Reply {
        let (mut head, ()) = Response::new(()).into_parts();
        head.headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        let trailers = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
        Reply::whole(head, vec![Bytes::from_static(b"\0\0\0\0\x02hi")], Some(trailers))
    }

    #[test]
    fn an_answer_comes_back_as_it_was() {
        let reply = reply();
        let kept = Kept::decode(Kept::of(&reply, 7).encode_to_vec().as_slice()).expect("it is one");
        let back = kept.reply().expect("it is whole");
        assert_eq!((back.frames(), back.trailers(), back.code()), (reply.frames(), reply.trailers(), tonic::Code::Ok));
        assert_eq!(back.head.headers, reply.head.headers);
    }

    #[tokio::test]
    async fn few_answers_are_on_their_way_to_a_store_that_does_not_answer() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let place = Place::Redis(format!("redis://{}/0", silent.local_addr().expect("it listens")));
        let store = Store::open(&place, "here").await.expect("it connects when it is asked");
        let (most, ttl, under_way) = (1024, Duration::from_secs(60), Limit::new(UNDER_WAY));
        let answers = Arc::new(Answers { store, most, ttl, salt: 0, under_way, hits: AtomicU64::new(0) });
        for _ in 0..2 * UNDER_WAY {
            answers.keep(Key::default(), &reply());
        }
        assert_eq!(answers.under_way.in_use(), UNDER_WAY);
        let given_up = async {
            while answers.under_way.in_use() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), given_up).await.expect("they give up");
    }
}
