//! Decisions as pure functions: what to choose, what to refuse, what to run together.
//!
//! A decision that asks the clock or the system for randomness can only be tested by waiting and hoping.  So here
//! time is an argument, a [`Duration`](std::time::Duration) since any epoch the caller keeps to, randomness is a
//! seed, and nothing does I/O.  Who measures and who acts lives in `waypost-plane`.
//!
//! Read in the order of a request: [`mod@admit`] refuses at the door, [`stats`] describe an instance (out of [`ewma`],
//! [`quantile`], [`fading`] and [`success`]), [`breaker`] and [`outlier`] leave the sick ones out, [`mod@score`] ranks,
//! [`pick`] lists the policies, [`balance`] chooses by one of them, [`retry`] says whether a second try is affordable,
//! [`hedge`] when one is worth its price, [`batch`] says which texts run together in the worker.  Of tenants: [`rate`]
//! says how often they may call.  Of models: [`tier`] says how much of one a prompt deserves (by its [`rank`]),
//! [`route`] which one comes after which, [`slice`](mod@slice) which side of a rollout a caller is on, [`sequential`]
//! whether that side is worse (by [`wager`]), [`traffic`] when that can be seen.  Of generation: [`fair`] says who is
//! served next, [`prefix`] in which slot, [`chunk`] how much of its prompt a step reads.
#![warn(missing_docs)]

pub mod admit;
pub mod balance;
pub mod batch;
pub mod breaker;
pub mod chunk;
pub mod ewma;
pub mod fading;
pub mod fair;
pub mod hedge;
pub mod outlier;
pub mod pick;
pub mod prefix;
pub mod quantile;
pub mod rank;
pub mod rate;
pub mod retry;
pub mod route;
pub mod score;
pub mod sequential;
pub mod slice;
pub mod stats;
pub mod success;
pub mod tier;
pub mod traffic;
pub mod wager;

pub use admit::{Limit, Permit};
pub use balance::{Balancer, Choice, Nowhere, Offer, View};
pub use batch::{Budget, plan};
pub use breaker::{Breaker, State};
pub use ewma::PeakEwma;
pub use outlier::{Exclusion, Health, admit};
pub use pick::{Load, Picker, Policy};
pub use quantile::WindowedQuantile;
pub use retry::RetryBudget;
pub use score::{Candidate, Scored, Terms, Weights, score};
pub use stats::{Serving, Stats, StatsConfig, Verdict};
pub use success::SuccessRate;
