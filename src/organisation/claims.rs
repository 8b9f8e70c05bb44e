//! Claims under way in this process, and the attachments that they own: what belongs to one upload, no other may take for its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// An id is remembered this long: longer than any look for a lost upload goes on.
const REMEMBERED: Duration = Duration::from_secs(15 * 60);
/// Ids beyond this many are looked through for old ones.
const MANY: usize = 4096;

/// What tells two uploads apart before either has an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) module: String,
    pub(crate) record_id: String,
    pub(crate) name: String,
    pub(crate) bytes: u64,
}

#[derive(Default)]
pub(crate) struct Claims {
    state: Mutex<State>,
    /// Wakes whoever waits for an upload to be over.
    over: Notify,
}

#[derive(Default)]
struct State {
    under_way: Vec<Arc<Mark>>,
    claimed: HashMap<String, Instant>,
    prune_at: usize,
}

/// An upload under way; over when dropped.
pub(crate) struct UnderWay<'u> {
    claims: &'u Claims,
    mark: Arc<Mark>,
}

impl Claims {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begin(&self, mark: Mark) -> UnderWay<'_> {
        let mark = Arc::new(mark);
        self.state().under_way.push(mark.clone());
        UnderWay { claims: self, mark }
    }

    /// The same once no other upload of that name and size to that record is under way: whoever looks whether it is there already must not look
    /// while it is on its way.
    pub(crate) async fn begin_alone(&self, mark: Mark) -> UnderWay<'_> {
        let mark = Arc::new(mark);
        loop {
            let over = self.over.notified(); // is woken by what ends from here on
            {
                let mut state = self.state();
                if !state.under_way.contains(&mark) {
                    state.under_way.push(mark.clone());
                    return UnderWay { claims: self, mark };
                }
            }
            over.await;
        }
    }

    /// Takes an attachment for this call; `false` when another call has it.
    pub(crate) fn claim(&self, id: &str) -> bool {
        let mut state = self.state();
        if state.claimed.len() >= state.prune_at.max(MANY) {
            state.claimed.retain(|_, at| at.elapsed() < REMEMBERED);
            state.prune_at = 2 * state.claimed.len();
        }
        state.claimed.insert(id.to_owned(), Instant::now()).is_none()
    }

    pub(crate) fn is_claimed(&self, id: &str) -> bool {
        self.state().claimed.contains_key(id)
    }
}

impl UnderWay<'_> {
    /// Whether another upload of the same name and size to the same record is under way: then what is found may be that one's.
    pub(crate) fn has_double(&self) -> bool {
        self.claims.state().under_way.iter().filter(|mark| **mark == self.mark).count() > 1
    }

    pub(crate) fn mark(&self) -> &Mark {
        &self.mark
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut state = self.claims.state();
        if let Some(at) = state.under_way.iter().position(|mark| Arc::ptr_eq(mark, &self.mark)) {
            state.under_way.swap_remove(at);
        }
        drop(state);
        self.claims.over.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attachment_belongs_to_the_first_call_that_claims_it() {
        let claims = Claims::default();
        assert!(claims.claim("1") && !claims.claim("1") && claims.is_claimed("1") && !claims.is_claimed("2"));
    }

    #[tokio::test]
    async fn an_upload_that_looks_first_begins_when_its_double_is_over() {
        let claims = Claims::default();
        let mark = || Mark { module: "Leads".into(), record_id: "1".into(), name: "a".into(), bytes: 3 };
        let first = claims.begin(mark());
        let mut second = Box::pin(claims.begin_alone(mark()));
        let mut third = Box::pin(claims.begin_alone(mark()));
        assert!(polled(&mut second).is_none() && polled(&mut third).is_none());
        drop(first);
        let second = second.await;
        assert!(polled(&mut third).is_none(), "one of them at a time");
        drop(second);
        assert!(!third.await.has_double());
    }

    fn polled<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        match std::pin::Pin::new(future).poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }

    #[test]
    fn a_double_is_seen_only_while_it_is_under_way() {
        let claims = Claims::default();
        let mark = |name: &str| Mark { module: "Leads".into(), record_id: "1".into(), name: name.into(), bytes: 3 };
        let first = claims.begin(mark("a"));
        let other = claims.begin(mark("b"));
        assert!(!first.has_double());
        let second = claims.begin(mark("a"));
        assert!(first.has_double() && second.has_double() && !other.has_double());
        drop(second);
        assert!(!first.has_double());
    }
}
