//! Which failures are tried again, and after how long.

use std::time::Duration;

use super::doubt::Deed;
use super::reply;
use crate::config::Config;
use crate::error::{Error, Sent, Status};

/// Whether the failed request may be sent again, because it had no effect or because repeating its effect does no harm. A list whose reply can't be
/// understood is not asked for again: the reply would be the same. A change is, since only an answer says that it is done.
pub(crate) fn may_repeat(error: &Error, deed: Option<Deed>) -> bool {
    match error.status() {
        _ if deed == Some(Deed::Upload) && error.detail().outcome_open => false,
        // Refused before it was looked at. Credits come back in hours, which is the caller's time and not a wait.
        Status::RateLimited => error.reason() != "credits_exhausted",
        _ if deed == Some(Deed::Upload) => error.detail().retryable && error.detail().request_sent == Sent::No,
        _ => error.detail().retryable || error.detail().outcome_open || error.reason() == reply::CUT_OFF,
    }
}

/// The wait before the next attempt: what the server asks, else doubling from `retry_base_ms` with the upper half at random.
/// `None` when it would be longer than `retry_max_wait_ms`: then the caller decides, and knows how long.
pub(crate) fn wait(config: &Config, error: &Error, retries: u32) -> Option<Duration> {
    match error.retry_after() {
        Some(asked) if asked > config.retry_max_wait => None,
        Some(asked) => Some(asked + jitter(config.retry_base) / 2),
        None => {
            let full = config.retry_base.saturating_mul(1 << retries.min(16)).min(config.retry_max_wait);
            Some(full / 2 + jitter(full / 2))
        }
    }
}

/// The wait of a call that was refused for being one too many, after so many refusals before: what the server asks; else none at first, as its
/// window has shrunk, and then up to a second, as it may be for another reason. `None` as for [`wait`].
pub(crate) fn wait_for_room(config: &Config, error: &Error, refusals: u32) -> Option<Duration> {
    const FIRST: Duration = Duration::from_millis(100);
    match refusals {
        _ if error.retry_after().is_some() => wait(config, error, 0),
        0 => Some(Duration::ZERO),
        n => {
            let full = (FIRST * (1 << (n - 1).min(4))).min(Duration::from_secs(1));
            Some(full / 2 + jitter(full))
        }
    }
}

/// A time below `max`, so that workers which failed together don't come back together.
fn jitter(max: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    max.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_wait_than_allowed_ends_the_call() {
        let limited = |ms| Error::new(Status::RateLimited, "rate_limited", "").with(|d| d.retry_after_ms = ms);
        assert!(wait(&Config::new(), &limited(86_400_000), 0).is_none());
        assert!(wait(&Config::new(), &limited(1000), 0).unwrap() >= Duration::from_secs(1));
    }

    #[test]
    fn waits_double_within_their_bounds() {
        let error = Error::new(Status::Network, "connect", "");
        for (retries, low, high) in [(0, 250, 500), (1, 500, 1000), (2, 1000, 2000), (40, 30_000, 60_000)] {
            let wait = wait(&Config::new(), &error, retries).unwrap().as_millis();
            assert!((low..=high).contains(&wait), "{retries}: {wait}");
        }
    }

    #[test]
    fn an_upload_is_repeated_only_when_it_was_not_sent_or_refused_outright() {
        let lost = Error::new(Status::Network, "connection_lost", "");
        assert!(may_repeat(&lost, Some(Deed::Upload)));
        let lost = lost.with(|d| d.request_sent = Sent::Partly);
        assert!(!may_repeat(&lost, Some(Deed::Upload)) && may_repeat(&lost, Some(Deed::Change)) && may_repeat(&lost, None));
        let limited = Error::new(Status::RateLimited, "rate_limited", "").with(|d| d.request_sent = Sent::Answered);
        assert!(may_repeat(&limited, Some(Deed::Upload)));
        assert!(!may_repeat(&limited.with(|d| d.outcome_open = true), Some(Deed::Upload)), "a front server's 429 is no word of Zoho's");
    }

    #[test]
    fn a_change_is_repeated_when_its_answer_says_nothing_and_a_list_is_not() {
        let page = Error::new(Status::Protocol, "unexpected_reply", "").with(|d| d.http_status = 200);
        assert!(!may_repeat(&page, None));
        assert!(may_repeat(&page.with(|d| d.outcome_open = true), Some(Deed::Change)));
    }
}
