//! Answers to prompts that mean the same: opt-in, guarded, and audited.
//!
//! An encoder gives near vectors to opposite questions, so nearness alone is never enough: what may differ between two
//! prompts is for [`waypost_text::alike`] to say.  A share of the hits is answered afresh all the same, and the fresh
//! answer compared with the kept one: how often they differ is the rate of false hits, which is told with the status.
//!
//! Kept prompts are searched one by one: for some thousands of them that is a millisecond beside an encoder's several.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use bytes::Bytes;
use parking_lot::Mutex;
use waypost_text::alike;

use super::{
    Plane, ask, cache,
    config::SemanticCache,
    envelope::{PREFIX, Prompt},
    judge::dot,
    methods::Shape,
    models::Wanted,
    registry::Model,
    reply::Reply,
};
use crate::proto::v1::{EmbedRequest, EmbedResponse, GenerateResponse, Truncation, generate_request::Input};

/// The encoder may take so long; a prompt that cannot be compared in time is a new one.
const PATIENCE: Duration = Duration::from_secs(2);
/// Two answers nearer than this say the same.
const SAME_ANSWER: f32 = 0.8;

/// Prompts and their answers.
pub struct Semantic {
    config: SemanticCache,
    ttl: Duration,
    kept: Mutex<VecDeque<Kept>>,
    hits: AtomicU64,
    audited: AtomicU64,
    false_hits: AtomicU64,
}

struct Kept {
    place: Place,
    reply: Reply,
    until: Instant,
}

/// What a prompt is compared by.
#[derive(Clone)]
pub struct Place {
    /// Everything the answer depends on but the prompt's wording.
    group: u128,
    text: String,
    vector: Bytes,
}

/// What was found.
pub enum Near {
    /// An answer.
    Hit(Reply),
    /// None: keep the new one here; where one was there that is to be audited, it comes too.
    New(Place, Option<Reply>),
}

impl Semantic {
    /// As configured; none where it is not wanted.
    pub fn new(config: &SemanticCache, ttl: Duration) -> Option<Self> {
        config.enabled.then(|| Self {
            config: config.clone(),
            ttl,
            kept: Mutex::default(),
            hits: AtomicU64::new(0),
            audited: AtomicU64::new(0),
            false_hits: AtomicU64::new(0),
        })
    }

    /// Looks for a prompt that means the same; none where calls like this are not kept.
    pub async fn look(
        &self,
        plane: &Plane,
        wanted: &Wanted,
        model: &Model,
        tenant: &str,
        message: &Bytes,
    ) -> Option<Near> {
        let prompt = wanted.asked.prompt.as_ref().filter(|_| wanted.method.shape == Shape::Unary)?;
        let (text, before) = only_text(prompt)?;
        // To look means to show the text to another model, which remembers what it was shown.
        if wanted.asked.route.no_cache || wanted.asked.route.no_store {
            return None;
        }
        let group = cache::group(wanted, model, tenant, before, message.get(PREFIX..)?)?;
        let vector = self.embed(plane, &[text]).await?.pop()?;
        let place = Place { group, text: text.into(), vector };
        Some(self.find(place))
    }

    fn find(&self, place: Place) -> Near {
        let now = Instant::now();
        let mut kept = self.kept.lock();
        kept.retain(|each| each.until > now);
        let like = |each: &&Kept| each.place.group == place.group && self.may_share(&each.place, &place);
        let Some(found) = kept.iter().rev().find(like).map(|each| each.reply.clone()) else {
            return Near::New(place, None);
        };
        if rand::random::<f64>() < self.config.audit_share {
            return Near::New(place, Some(found));
        }
        self.hits.fetch_add(1, Relaxed);
        Near::Hit(found)
    }

    fn may_share(&self, kept: &Place, new: &Place) -> bool {
        let near = kept.text == new.text || dot(&kept.vector, &new.vector) >= self.config.threshold;
        near && alike::may_share(&kept.text, &new.text).is_ok()
    }

    /// Keeps an answer.
    pub fn keep(&self, place: Place, reply: &Reply) {
        let mut kept = self.kept.lock();
        while kept.len() >= self.config.max_entries.max(1) {
            kept.pop_front();
        }
        kept.push_back(Kept { place, reply: reply.clone(), until: Instant::now() + self.ttl });
    }

    /// Compares the answer that would have been given with the one that was.
    pub async fn audit(&self, plane: &Plane, kept: &Reply, fresh: &Reply) {
        let text = |reply: &Reply| {
            let message = reply.message()?;
            <GenerateResponse as prost::Message>::decode(message).ok().map(|reply| reply.text)
        };
        let (Some(kept), Some(fresh)) = (text(kept), text(fresh)) else { return };
        let same = kept == fresh
            || match self.embed(plane, &[&kept, &fresh]).await.as_deref() {
                Some([a, b]) => dot(a, b) >= SAME_ANSWER,
                _ => return,
            };
        self.audited.fetch_add(1, Relaxed);
        self.false_hits.fetch_add(u64::from(!same), Relaxed);
    }

    async fn embed(&self, plane: &Plane, texts: &[&str]) -> Option<Vec<Bytes>> {
        let request = EmbedRequest {
            model: self.config.model.clone(),
            texts: texts.iter().map(ToString::to_string).collect(),
            truncation: Truncation::End.into(),
            ..EmbedRequest::default()
        };
        let reply: EmbedResponse = ask::model(plane, "/waypost.v1.EmbedService/Embed", &request, PATIENCE).await?;
        let (vectors, width) = (reply.vectors, 4 * reply.dimensions as usize);
        (vectors.len() == width * texts.len())
            .then(|| (0..texts.len()).map(|row| vectors.slice(row * width..(row + 1) * width)).collect())
    }

    /// Hits given, hits audited, and those of them that were false.
    pub fn counts(&self) -> [u64; 3] {
        [self.hits.load(Relaxed), self.audited.load(Relaxed), self.false_hits.load(Relaxed)]
    }
}

/// The text that is compared, and what stands before it; none where more than one turn decides about the answer.
fn only_text(prompt: &Prompt) -> Option<(&str, &str)> {
    match prompt.input.as_ref()? {
        Input::Raw(text) => Some((text, "")),
        Input::Chat(chat) => match chat.messages.as_slice() {
            [user] if user.role == "user" => Some((&user.content, "")),
            [system, user] if system.role == "system" && user.role == "user" => Some((&user.content, &system.content)),
            _ => None,
        },
    }
}
