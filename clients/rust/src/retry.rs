//! Tries of calls without side effects: at most four within the deadline, of those that are UNAVAILABLE.
//!
//! Between them lies the pause the server asks for, or one that doubles from 100 ms to a second, give or take a fifth.
//! A pause beyond the deadline is not waited for: the caller learns at once why and when.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt;

use crate::budget::Budget;
use crate::error::{self, Error};

const TRIES: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const PUSHBACK: &str = "grpc-retry-pushback-ms";
/// The server's deadline is this much later than ours, so that tonic, which watches what it sends as well and then
/// speaks of CANCELLED, is not the first to notice.
const LATER: Duration = Duration::from_millis(5);

/// The limits of one call.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) deadline: Instant,
    pub(crate) budget: Arc<Budget>,
}

impl Limits {
    /// One try.
    pub(crate) async fn once<Q, R, F>(&self, request: Q, send: impl FnOnce(Request<Q>) -> F) -> Result<R, Error>
    where
        F: Future<Output = Result<Response<R>, Status>>,
    {
        Ok(self.attempt(request, send).await?)
    }

    /// As many tries as it takes, and as are allowed.
    pub(crate) async fn repeat<Q: Clone, R, F>(&self, request: Q, send: impl Fn(Request<Q>) -> F) -> Result<R, Error>
    where
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let mut tries = 0..TRIES;
        loop {
            let doubled = tries.next().unwrap_or_default();
            let status = match self.attempt(request.clone(), &send).await {
                Ok(answer) => return Ok(self.answered(answer)),
                Err(status) => status,
            };
            match self.pause(&status, doubled).filter(|_| !tries.is_empty()) {
                Some(pause) => sleep(pause).await,
                None => return Err(status.into()),
            }
        }
    }

    async fn attempt<Q, R, F>(&self, request: Q, send: impl FnOnce(Request<Q>) -> F) -> Result<R, Status>
    where
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let mut request = Request::new(request);
        request.set_timeout(self.deadline.saturating_duration_since(Instant::now()) + LATER);
        match timeout_at(self.deadline, send(request)).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) if status.code() != Code::Cancelled || Instant::now() < self.deadline => Err(status),
            _ => Err(too_late()),
        }
    }

    fn answered<R>(&self, answer: R) -> R {
        self.budget.answered();
        answer
    }

    /// How long to wait for the next try; none: there is none.
    fn pause(&self, status: &Status, doubled: u32) -> Option<Duration> {
        if error::code(status) != Code::Unavailable || !self.budget.failed() {
            return None;
        }
        let pause = match asked(status) {
            Asked::Nothing => backoff(doubled),
            Asked::Pause(pause) => pause,
            Asked::NoMore => return None,
        };
        (Instant::now() + pause < self.deadline).then_some(pause)
    }
}

pub(crate) fn too_late() -> Status {
    Status::deadline_exceeded("the deadline passed")
}

/// What the server says of another try.
enum Asked {
    Nothing,
    Pause(Duration),
    NoMore,
}

fn asked(status: &Status) -> Asked {
    match status.metadata().get(PUSHBACK) {
        Some(said) => said.to_str().ok().and_then(millis).map_or(Asked::NoMore, Asked::Pause),
        None => status.get_details_retry_info().and_then(|info| info.retry_delay).map_or(Asked::Nothing, Asked::Pause),
    }
}

fn millis(said: &str) -> Option<Duration> {
    said.parse().ok().map(Duration::from_millis)
}

fn backoff(doubled: u32) -> Duration {
    (FIRST_PAUSE * 2u32.pow(doubled)).min(LONGEST_PAUSE).mul_f64(0.8 + 0.4 * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const UNAVAILABLE: fn() -> Status = || Status::unavailable("later");

    /// Calls something that fails so many times, and says how often it was asked, how long that took, what came of it.
    async fn tried(failures: u32, failure: impl Fn() -> Status) -> (u32, Duration, Result<u32, Code>) {
        let (begun, asked) = (Instant::now(), Cell::new(0));
        let limits = Limits { deadline: begun + Duration::from_secs(60), budget: Arc::default() };
        let answer = limits.repeat(7, |request: Request<u32>| {
            asked.set(asked.get() + 1);
            let failed = asked.get() <= failures;
            std::future::ready(if failed { Err(failure()) } else { Ok(Response::new(request.into_inner())) })
        });
        let answer = answer.await.map_err(|error| error.code);
        (asked.get(), begun.elapsed(), answer)
    }

    fn pushback(said: &'static str) -> impl Fn() -> Status {
        move || {
            let mut status = UNAVAILABLE();
            status.metadata_mut().insert(PUSHBACK, said.parse().unwrap());
            status
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_tried_until_it_is_answered() {
        assert!(matches!(tried(3, UNAVAILABLE).await, (4, _, Ok(7))));
    }

    #[tokio::test(start_paused = true)]
    async fn four_tries_are_the_most() {
        assert!(matches!(tried(9, UNAVAILABLE).await, (4, _, Err(Code::Unavailable))));
    }

    #[tokio::test(start_paused = true)]
    async fn other_failures_are_final() {
        let (asked, took, answer) = tried(1, || Status::resource_exhausted("full")).await;
        assert_eq!((asked, took, answer), (1, Duration::ZERO, Err(Code::ResourceExhausted)));
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_double() {
        let (_, took, _) = tried(3, UNAVAILABLE).await;
        assert!(took >= Duration::from_millis(560) && took <= Duration::from_millis(850), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_servers_pause_is_kept() {
        assert_eq!(tried(2, pushback("7000")).await, (3, Duration::from_secs(14), Ok(7)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_pause_of_retry_info_is_kept() {
        let details = tonic_types::ErrorDetails::with_retry_info(Some(Duration::from_secs(5)));
        let failure = || Status::with_error_details(Code::Unavailable, "later", details.clone());
        assert_eq!(tried(1, failure).await, (2, Duration::from_secs(5), Ok(7)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_may_forbid_another_try() {
        assert_eq!(tried(1, pushback("-1")).await, (1, Duration::ZERO, Err(Code::Unavailable)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_beyond_the_deadline_is_not_waited_for() {
        assert_eq!(tried(1, pushback("60000")).await, (1, Duration::ZERO, Err(Code::Unavailable)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_ends_at_its_deadline() {
        let begun = Instant::now();
        let limits = Limits { deadline: begun + Duration::from_secs(3), budget: Arc::default() };
        let answer: Result<(), Error> = limits.repeat((), |_| std::future::pending()).await;
        assert_eq!(answer.unwrap_err().code, Code::DeadlineExceeded);
        assert_eq!(begun.elapsed().as_secs(), 3);
    }
}
