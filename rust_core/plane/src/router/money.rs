//! What a call may cost, held before it is sent and settled when it has ended.
//!
//! Only calls to models with a price come here, so local work pays nothing for it.  What is held is the most the call
//! can come to, so that the month's limit cannot be passed whatever the answer's length; what was held and never
//! settled (the caller left, the connection broke, this router died) counts as spent, because nobody can say that the
//! provider has not billed it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use bytes::{Buf, Bytes, BytesMut};
use prost::Message;
use waypost_store::{Ask, Caps, Money, Month, Outcome, ReserveError, Scope, Standing, Store, Ticket};

use super::{
    config,
    envelope::{PREFIX, Prompt, frame_length},
    models::Wanted,
    tenants::Tenant,
};
use crate::{
    error::Error,
    proto::v1::{FinishReason, GenerateUsage, ModelInfo, Task, TextUsage, Timings},
};

/// Tokens a chat template adds to a message, at most,
const MESSAGE_TOKENS: usize = 32;
/// and to the whole: a system message of its own, words about tools.
const TEMPLATE_TOKENS: usize = 256;
/// Tokens of an answer where neither request nor model sets a limit.
const UNLIMITED_TOKENS: u32 = 8192;
/// A reservation outlives its call's deadline by this, before it counts as lost.
const GRACE: Duration = Duration::from_secs(30);
/// When to come back while the ledger is away.
pub const LEDGER_PAUSE: Duration = Duration::from_secs(1);

/// US dollars per 1,000 tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Price {
    prompt: f64,
    answer: f64,
}

impl Price {
    /// Of a model.
    pub fn of(info: &ModelInfo) -> Self {
        let answer = match info.cost_per_1k_output_tokens_usd {
            0.0 => info.cost_per_1k_tokens_usd,
            other => other,
        };
        Self { prompt: info.cost_per_1k_tokens_usd, answer }
    }

    /// Whether calls cost nothing.
    pub fn is_free(self) -> bool {
        self.prompt <= 0.0 && self.answer <= 0.0
    }

    /// Of so many tokens.
    pub fn cost(self, tokens: Tokens) -> f64 {
        (self.prompt * tokens.prompt as f64 + self.answer * tokens.answer as f64) / 1000.0
    }
}

/// Tokens read and written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Read.
    pub prompt: u64,
    /// Those of them that had been read before.
    pub cached: u64,
    /// Written.
    pub answer: u64,
}

impl Tokens {
    /// The most a call can come to, where `added` bytes are put to its prompt: a token is a byte at least.
    pub fn most(wanted: &Wanted, info: &ModelInfo, added: usize) -> Self {
        let Some(prompt) = &wanted.asked.prompt else {
            return Self { prompt: (wanted.bytes + MESSAGE_TOKENS) as u64, ..Self::default() };
        };
        let read = wanted.bytes + added + TEMPLATE_TOKENS + MESSAGE_TOKENS * (1 + prompt.messages());
        Self { prompt: read as u64, cached: 0, answer: longest(prompt, info).into() }
    }
}

/// What a reply says of the work it was; of each part none where nobody knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Tokens it came to.
    pub tokens: Option<Tokens>,
    /// How long it waited at the instance.
    pub queue: Option<Duration>,
}

impl Told {
    /// By the reply `message` to a call of `task`.
    pub fn of(task: Task, message: &[u8]) -> Self {
        match task {
            Task::Generate => GenerateReply::decode(message).map(|reply| (&reply).into()),
            _ => TextsReply::decode(message).map(Self::from),
        }
        .unwrap_or_default()
    }
}

impl From<&GenerateReply> for Told {
    fn from(reply: &GenerateReply) -> Self {
        Self { tokens: reply.usage.map(Tokens::from), queue: queue(reply.timings.as_ref()) }
    }
}

impl From<TextsReply> for Told {
    fn from(reply: TextsReply) -> Self {
        let prompt = reply.usage.iter().map(|text| u64::from(text.tokens)).sum();
        Self { tokens: Some(Tokens { prompt, ..Tokens::default() }), queue: queue(reply.timings.as_ref()) }
    }
}

fn queue(timings: Option<&Timings>) -> Option<Duration> {
    timings?.queue.and_then(|queue| queue.try_into().ok())
}

/// Why an answer that was written ends, as the reply `message` says.
pub fn finish(message: &[u8]) -> Option<FinishReason> {
    Some(GenerateReply::decode(message).ok()?.finish_reason())
}

impl From<GenerateUsage> for Tokens {
    fn from(usage: GenerateUsage) -> Self {
        Self {
            prompt: usage.prompt_tokens.into(),
            cached: usage.cached_tokens.into(),
            answer: usage.completion_tokens.into(),
        }
    }
}

fn longest(prompt: &Prompt, info: &ModelInfo) -> u32 {
    let asked = [prompt.max_tokens, info.default_max_tokens, UNLIMITED_TOKENS];
    asked.into_iter().find(|tokens| *tokens > 0).unwrap_or(UNLIMITED_TOKENS)
}

#[derive(Clone, PartialEq, Message)]
struct GenerateReply {
    #[prost(message, optional, tag = "2")]
    timings: Option<Timings>,
    #[prost(enumeration = "FinishReason", tag = "4")]
    finish_reason: i32,
    #[prost(message, optional, tag = "5")]
    usage: Option<GenerateUsage>,
}

#[derive(Clone, PartialEq, Message)]
struct GenerateStreamReply {
    #[prost(message, optional, tag = "2")]
    last: Option<GenerateReply>,
}

#[derive(Clone, PartialEq, Message)]
struct TextsReply {
    #[prost(message, optional, tag = "2")]
    timings: Option<Timings>,
    #[prost(message, repeated, tag = "5")]
    usage: Vec<TextUsage>,
}

/// Finds the usage in a stream that passes, whose messages may be cut anywhere.  Those that come whole, as a token's do,
/// are read where they are.
#[derive(Debug, Default)]
pub struct Meter {
    /// The beginning of a message that was cut.
    rest: BytesMut,
    /// Why the answer ends, once that was said.
    pub finish: Option<FinishReason>,
}

impl Meter {
    /// A piece has passed.
    pub fn pass(&mut self, piece: &Bytes) -> Option<Told> {
        if self.rest.is_empty() {
            let (found, left) = whole_messages(piece);
            self.rest.extend_from_slice(left);
            return self.note(found);
        }
        self.rest.extend_from_slice(piece);
        let (found, left) = whole_messages(&self.rest);
        let read = self.rest.len() - left.len();
        self.rest.advance(read);
        self.note(found)
    }

    fn note(&mut self, last: Option<GenerateReply>) -> Option<Told> {
        let last = last?;
        self.finish = Some(last.finish_reason());
        Some((&last).into())
    }
}

/// The summary among the messages that are there, and the bytes of the one that is not yet.
fn whole_messages(mut bytes: &[u8]) -> (Option<GenerateReply>, &[u8]) {
    let mut found = None;
    while let Ok(Some(length)) = frame_length(bytes, usize::MAX) {
        let Some((frame, left)) = bytes.split_at_checked(length) else { break };
        found = GenerateStreamReply::decode(&frame[PREFIX..]).ok().and_then(|reply| reply.last).or(found);
        bytes = left;
    }
    (found, bytes)
}

/// The month's money.
pub struct Purse {
    store: Store,
    mesh_cap: Option<Money>,
    soft: Vec<config::Soft>,
    /// Share of the month's money that is gone, as bits of an `f64`: as last heard from the ledger.
    used: AtomicU64,
    /// Whether the ledger answered when it was asked last.
    up: AtomicBool,
}

impl Purse {
    /// With the limits of `config`.
    pub fn new(store: Store, config: &config::Budget) -> Self {
        let mesh_cap = config.monthly_usd.map(Money::cap_from_usd);
        Self { store, mesh_cap, soft: config.soft.clone(), used: AtomicU64::new(0), up: AtomicBool::new(true) }
    }

    /// The ledger.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The limits of a tenant.
    pub fn caps(&self, tenant: &Tenant) -> Caps {
        Caps { mesh: self.mesh_cap, tenant: tenant.monthly_usd.map(Money::cap_from_usd) }
    }

    /// The highest tier that is chosen by itself now.
    pub fn most(&self) -> Option<config::TierName> {
        let used = f64::from_bits(self.used.load(Relaxed));
        self.soft.iter().rev().find(|soft| used >= soft.at).map(|soft| soft.most)
    }

    /// The ledger said so.
    pub fn heard(&self, standing: &Standing) {
        self.used.store(standing.used_share.to_bits(), Relaxed);
    }

    /// Counts what nobody settled, and hears how the month stands.
    pub async fn tend(&self) {
        // A ledger that is away is asked again.
        let _ = self.store.sweep(SystemTime::now()).await;
        let caps = Caps { mesh: self.mesh_cap, tenant: None };
        let standing = self.store.standing(None, Month::of(SystemTime::now()), caps).await;
        self.up.store(standing.is_ok(), Relaxed);
        if let Ok(standing) = standing {
            self.heard(&standing);
        }
    }

    /// Whether the ledger answered lately.
    pub fn is_up(&self) -> bool {
        self.up.load(Relaxed)
    }

    /// Holds the most that a call may cost.
    pub async fn reserve(
        self: &Arc<Self>,
        tenant: &Tenant,
        model: &str,
        most: f64,
        request_id: &str,
        left: Duration,
    ) -> Result<Spending, Error> {
        let amount = Money::from_usd(most);
        let ask = Ask {
            request_id: request_id.into(),
            tenant: tenant.name.to_string(),
            model: model.into(),
            month: Month::of(SystemTime::now()),
            amount,
            caps: self.caps(tenant),
            expires_at: SystemTime::now() + left + GRACE,
        };
        let (ticket, standing) = self.store.reserve(ask).await.map_err(refusal)?;
        self.heard(&standing);
        Ok(Spending { purse: self.clone(), ticket: Some(ticket), amount, remaining: standing.remaining })
    }
}

fn refusal(error: ReserveError) -> Error {
    match error {
        ReserveError::Exceeded { scope, cap, spent, reserved, asked } => Error::BudgetExceeded {
            subject: match scope {
                Scope::Mesh => "mesh".into(),
                Scope::Tenant => "tenant".into(),
            },
            left: format!("{:.6}", cap.to_usd() - spent.to_usd() - reserved.to_usd()),
            asked: format!("{:.6}", asked.to_usd()),
        },
        ReserveError::Store(why) => Error::LedgerUnreachable { why: why.to_string(), retry_after: LEDGER_PAUSE },
    }
}

/// Money held for one delivery.
pub struct Spending {
    purse: Arc<Purse>,
    ticket: Option<Ticket>,
    amount: Money,
    remaining: Option<Money>,
}

impl Spending {
    /// It came to `usd`; returns what is left then, of the tighter limit.
    pub fn settle(mut self, usd: f64) -> Option<f64> {
        let cost = Money::from_usd(usd);
        self.write(cost, Outcome::Served);
        let left = |remaining: Money| remaining.to_usd() + self.amount.to_usd() - cost.to_usd();
        self.remaining.map(left)
    }

    /// It was never sent, or refused unread.
    pub fn release(mut self) {
        self.write(Money::ZERO, Outcome::Unused);
    }

    /// The most it can come to.
    pub fn most(&self) -> f64 {
        self.amount.to_usd()
    }

    /// The answer need not wait for the ledger, which keeps the reservation until it hears; one that is away hears when
    /// it is back, or else counts all of it as spent: never less than the truth.
    fn write(&mut self, cost: Money, outcome: Outcome) {
        if let Some(ticket) = self.ticket.take() {
            let _ = self.purse.store.settle_soon(ticket, cost, outcome);
        }
    }
}

impl Drop for Spending {
    fn drop(&mut self) {
        let amount = self.amount;
        self.write(amount, Outcome::Lost);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        proto::v1::{GenerateResponse, GenerateStreamResponse},
        router::style::framed,
    };

    const USAGE: GenerateUsage =
        GenerateUsage { prompt_tokens: 12, cached_tokens: 3, completion_tokens: 34, dropped_tokens: 0 };

    const QUEUE: Duration = Duration::from_millis(7);

    fn waited() -> Timings {
        Timings { queue: QUEUE.try_into().ok(), ..Default::default() }
    }

    fn told(prompt: u64, cached: u64, answer: u64) -> Told {
        Told { tokens: Some(Tokens { prompt, cached, answer }), queue: Some(QUEUE) }
    }

    fn stream() -> Vec<u8> {
        let piece = |text: &str| GenerateStreamResponse { text: text.into(), ..Default::default() };
        let last = GenerateResponse { usage: Some(USAGE), timings: Some(waited()), ..Default::default() };
        let last = GenerateStreamResponse { r#final: Some(last), ..Default::default() };
        [piece("Once"), piece(&"upon a time ".repeat(50)), last].iter().flat_map(|each| framed(each).to_vec()).collect()
    }

    #[test]
    fn an_answer_s_price_is_the_prompt_s_where_it_has_none_of_its_own() {
        let mut info = ModelInfo { cost_per_1k_tokens_usd: 1.0, ..Default::default() };
        let tokens = Tokens { prompt: 1000, cached: 0, answer: 500 };
        assert_eq!(Price::of(&info).cost(tokens), 1.5);
        info.cost_per_1k_output_tokens_usd = 4.0;
        assert_eq!(Price::of(&info).cost(tokens), 3.0);
        assert!(Price::of(&ModelInfo::default()).is_free());
    }

    #[test]
    fn the_usage_and_the_wait_of_every_kind_of_reply_are_found() {
        let timings = Some(waited());
        let generated = GenerateResponse { usage: Some(USAGE), timings, ..Default::default() };
        assert_eq!(Told::of(Task::Generate, &generated.encode_to_vec()), told(12, 3, 34));
        let text = |tokens| TextUsage { tokens, truncated: false };
        let usage = vec![text(3), text(4)];
        let embedded = crate::proto::v1::EmbedResponse { usage, timings, ..Default::default() };
        assert_eq!(Told::of(Task::Embed, &embedded.encode_to_vec()), told(7, 0, 0));
        assert_eq!(Told::of(Task::Generate, &[]), Told::default());
    }

    proptest! {
        #[test]
        fn the_usage_of_a_stream_is_found_however_it_is_cut(cuts in prop::collection::vec(0usize..700, 0..12)) {
            let (whole, mut meter, mut at, mut found) = (stream(), Meter::default(), 0, None);
            let mut ends: Vec<_> = cuts.into_iter().map(|cut| cut.min(whole.len())).chain([whole.len()]).collect();
            ends.sort_unstable();
            for end in ends {
                found = meter.pass(&Bytes::copy_from_slice(&whole[at..end])).or(found);
                at = end;
            }
            prop_assert_eq!(found, Some(told(12, 3, 34)));
        }
    }
}
