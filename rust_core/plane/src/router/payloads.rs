//! What was said, for whoever keeps it: requests and replies as the bytes they came in.
//!
//! A call whose tenant wants nothing kept, or that says so itself, pays for one comparison.  The others share their
//! frames with the record, without a copy; what waits is bounded in calls and bytes, and beyond that a call is counted
//! and lost: nobody waits for the record.  Decoding, redacting and writing happen elsewhere.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use parking_lot::Mutex;
use tonic::Code;
use waypost_decide::{Limit, Permit};

use super::{
    config::{self, PayloadMode},
    events::code_text,
    methods::{Method, Shape},
    ring::Ring,
    tenants::Tenant,
};
use crate::proto::v1::RouteHints;

/// Calls that wait.
const WAITING: usize = 16_384;
/// Bytes that a call takes beside what was said.
const OVERHEAD: usize = 512;

/// One direction of a call: frames with their prefixes.
#[derive(Debug, Default)]
pub struct Said {
    frames: Vec<Bytes>,
    size: usize,
    cut: bool,
}

impl Said {
    /// Everything, however much.
    fn all(frames: &[Bytes]) -> Self {
        Self { size: frames.iter().map(Bytes::len).sum(), frames: frames.to_vec(), cut: false }
    }

    /// More, up to a limit over all of it.
    fn add(&mut self, data: &Bytes, limit: usize) {
        let room = limit.saturating_sub(self.size).min(data.len());
        self.cut |= room < data.len();
        if room > 0 {
            self.frames.push(data.slice(..room));
            self.size += room;
        }
    }

    /// The frames in one piece.
    pub fn concat(&self) -> Vec<u8> {
        self.frames.concat()
    }

    /// Whether there was more.
    pub fn is_cut(&self) -> bool {
        self.cut
    }
}

/// One call.
#[derive(Debug)]
pub struct Payload {
    /// When it came in.
    pub begun: SystemTime,
    /// The call.
    pub method: &'static str,
    /// Its name.
    pub request_id: String,
    /// For whom it was.
    pub tenant: Arc<str>,
    /// What may be kept of it.
    pub mode: PayloadMode,
    /// The model asked last; none where it did not come so far.
    pub model: Option<Arc<str>>,
    /// How it ended.
    pub code: Code,
    /// What was asked,
    pub request: Said,
    /// and answered.
    pub reply: Said,
    room: Option<Permit>,
}

impl Payload {
    /// How it ended, as gRPC calls it.
    pub fn status(&self) -> &'static str {
        code_text(self.code)
    }
}

/// All that wait; clones share them.
#[derive(Clone)]
pub struct Payloads {
    ring: Ring<Box<Payload>>,
    room: Limit,
    dropped: Arc<AtomicU64>,
    max_stream: usize,
}

impl Payloads {
    /// As configured.
    pub fn new(config: &config::Payloads) -> Self {
        let (ring, room) = (Ring::new(WAITING), Limit::new(config.waiting_bytes));
        Self { ring, room, dropped: Arc::default(), max_stream: config.max_text_bytes }
    }

    /// Up to `max` calls; waits up to `timeout` for the first.  Blocks: not for the reactor's threads.
    pub fn next(&self, max: usize, timeout: Duration) -> Vec<Box<Payload>> {
        self.ring.next(max, timeout)
    }

    /// Calls lost because nobody fetched them in time.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed) + self.ring.dropped()
    }

    /// What is kept of a call, where anything is; `begun` is its first message, or its only one.
    pub fn begin(
        &self,
        tenant: &Tenant,
        hints: &RouteHints,
        method: &Method,
        request_id: impl FnOnce() -> String,
        begun: &Bytes,
    ) -> Option<Box<Capture>> {
        if tenant.payloads == PayloadMode::Off || hints.no_store {
            return None;
        }
        let mut request = Said::default();
        let limit = if method.shape == Shape::Both { self.max_stream } else { usize::MAX };
        request.add(begun, limit);
        let payload = Payload {
            begun: SystemTime::now(),
            method: method.path,
            request_id: request_id(),
            tenant: tenant.name.clone(),
            mode: tenant.payloads,
            model: None,
            code: Code::Cancelled,
            request: Said::default(),
            reply: Said::default(),
            room: None,
        };
        let tap = Tap { said: Arc::new(Mutex::new(request)), limit };
        Some(Box::new(Capture { payloads: self.clone(), request: tap, payload: Some(Box::new(payload)) }))
    }

    fn put(&self, mut payload: Box<Payload>) {
        payload.room = self.room.try_acquire(OVERHEAD + payload.request.size + payload.reply.size);
        match payload.room {
            Some(_) => self.ring.put(payload),
            None => {
                self.dropped.fetch_add(1, Relaxed);
            }
        }
    }
}

/// Hears what a client goes on to say.
#[derive(Clone, Debug)]
pub struct Tap {
    said: Arc<Mutex<Said>>,
    limit: usize,
}

impl Tap {
    /// It said this.
    pub fn hear(&self, data: &Bytes) {
        self.said.lock().add(data, self.limit);
    }
}

/// What is being kept of a call under way; dropping it hands it over, also where the caller leaves.
pub struct Capture {
    payloads: Payloads,
    request: Tap,
    payload: Option<Box<Payload>>,
}

impl Capture {
    /// For what follows the first message.
    pub fn tap(&self) -> Tap {
        self.request.clone()
    }

    /// The whole reply.
    pub fn answered(&mut self, frames: &[Bytes]) {
        if let Some(payload) = &mut self.payload {
            payload.reply = Said::all(frames);
        }
    }

    /// More of a reply.
    pub fn hear(&mut self, data: &Bytes) {
        if let Some(payload) = &mut self.payload {
            payload.reply.add(data, self.payloads.max_stream);
        }
    }

    /// How it ended, and the model asked last.
    pub fn close(&mut self, code: Code, model: Option<&Arc<str>>) {
        if let Some(payload) = &mut self.payload {
            (payload.code, payload.model) = (code, model.cloned());
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        if let Some(mut payload) = self.payload.take() {
            payload.request = mem::take(&mut *self.request.said.lock());
            self.payloads.put(payload);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::{methods, tenants::Tenants};

    fn tenant(mode: PayloadMode) -> Arc<Tenant> {
        let json = r#"{"listen": "127.0.0.1:0", "instance": "router", "version": "1"}"#;
        let mut config: config::RouterConfig = serde_json::from_str(json).expect("is complete");
        config.payloads.mode = mode;
        Tenants::new(&config).named("somebody")
    }

    fn begin(payloads: &Payloads, mode: PayloadMode, hints: &RouteHints, request: &Bytes) -> Option<Box<Capture>> {
        let method = methods::find("/waypost.v1.EmbedService/Embed").expect("is in the table");
        payloads.begin(&tenant(mode), hints, method, || "id".into(), request)
    }

    #[test]
    fn nothing_is_kept_where_tenant_or_call_do_not_want_it() {
        let payloads = Payloads::new(&config::Payloads::default());
        let (hints, request) = (RouteHints::default(), Bytes::from_static(b"secret"));
        assert!(begin(&payloads, PayloadMode::Off, &hints, &request).is_none());
        let private = RouteHints { no_store: true, ..hints };
        assert!(begin(&payloads, PayloadMode::Full, &private, &request).is_none());
    }

    #[test]
    fn a_call_is_handed_over_when_it_ends_and_shares_its_bytes() {
        let payloads = Payloads::new(&config::Payloads::default());
        let request = Bytes::from(vec![7; 100]);
        let mut capture = begin(&payloads, PayloadMode::Full, &RouteHints::default(), &request).expect("is wanted");
        capture.answered(&[Bytes::from_static(b"answer")]);
        capture.close(Code::Ok, Some(&"m".into()));
        assert!(payloads.next(10, Duration::ZERO).is_empty());
        drop(capture);
        let [payload] = &payloads.next(10, Duration::ZERO)[..] else { panic!("one call was kept") };
        assert_eq!(payload.request.frames[0].as_ptr(), request.as_ptr());
        assert_eq!((payload.reply.concat().as_slice(), payload.status()), (&b"answer"[..], "OK"));
    }

    #[test]
    fn of_a_caller_who_leaves_the_question_is_kept() {
        let payloads = Payloads::new(&config::Payloads::default());
        drop(begin(&payloads, PayloadMode::Hash, &RouteHints::default(), &Bytes::from_static(b"q")));
        assert_eq!(payloads.next(10, Duration::ZERO)[0].status(), "CANCELLED");
    }

    #[test]
    fn beyond_its_bytes_calls_are_lost_and_counted_until_there_is_room_again() {
        let payloads = Payloads::new(&config::Payloads { waiting_bytes: 2 * OVERHEAD, ..Default::default() });
        let one_more = || drop(begin(&payloads, PayloadMode::Full, &RouteHints::default(), &Bytes::from_static(b"q")));
        (0..3).for_each(|_| one_more());
        assert_eq!((payloads.next(10, Duration::ZERO).len(), payloads.dropped()), (1, 2));
        one_more();
        assert_eq!((payloads.next(10, Duration::ZERO).len(), payloads.dropped()), (1, 2));
    }

    #[test]
    fn a_stream_is_kept_up_to_its_limit() {
        let mut said = Said::default();
        for _ in 0..3 {
            said.add(&Bytes::from_static(b"1234"), 6);
        }
        assert_eq!((said.concat().as_slice(), said.is_cut()), (&b"123412"[..], true));
        let mut whole = Said::default();
        whole.add(&Bytes::from_static(b"123456"), 6);
        assert!(!whole.is_cut());
    }
}
