//! Claims under way in this process, and the attachments that they own: what belongs to one upload, no other may take for its own.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::claimed::Ids;

/// An id is remembered at least this long, and at most twice as long: longer than any look for a lost upload goes on.
const REMEMBERED: Duration = Duration::from_secs(15 * 60);

/// What tells two uploads apart before either has an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) module: String,
    pub(crate) record_id: String,
    pub(crate) name: String,
    pub(crate) bytes: u64,
}

impl Mark {
    fn is_of_the_record_of(&self, other: &Mark) -> bool {
        (&self.module, &self.record_id) == (&other.module, &other.record_id)
    }

    fn may_be_stored_as(&self, other: &Mark, are_alike: impl Fn(&str, &str) -> bool) -> bool {
        self.is_of_the_record_of(other) && self.bytes == other.bytes && are_alike(&self.name, &other.name)
    }
}

#[derive(Default)]
pub(crate) struct Claims(Mutex<State>);

#[derive(Default)]
struct State {
    under_way: Vec<Running>,
    claimed: Ids,
    /// Those of the time before, and when that ended.
    before: Ids,
    since: Option<Instant>,
}

struct Running {
    mark: Arc<Mark>,
    /// It looks at the record before it sends.
    looks: bool,
}

/// An upload under way; over when dropped.
pub(crate) struct UnderWay<'u> {
    claims: &'u Claims,
    mark: Arc<Mark>,
}

impl Claims {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An upload begins. `None` while it has to wait for one that may be stored as it is: a call that looks whether it is there already must not
    /// look while it is on its way. `are_alike`: whether a server may take two names for one.
    pub(crate) fn begin(&self, mark: &Arc<Mark>, looks: bool, are_alike: impl Fn(&str, &str) -> bool) -> Option<UnderWay<'_>> {
        let mut state = self.state();
        if state.under_way.iter().any(|other| (looks || other.looks) && other.mark.may_be_stored_as(mark, &are_alike)) {
            return None;
        }
        state.under_way.push(Running { mark: mark.clone(), looks });
        Some(UnderWay { claims: self, mark: mark.clone() })
    }

    /// Takes an attachment for this call; `false` when another call has it.
    pub(crate) fn claim(&self, id: &str) -> bool {
        let mut state = self.state();
        if state.since.get_or_insert_with(Instant::now).elapsed() >= REMEMBERED {
            (state.before, state.since) = (mem::take(&mut state.claimed), Some(Instant::now()));
        }
        !state.before.contains(id) && state.claimed.insert(id)
    }

    pub(crate) fn is_claimed(&self, id: &str) -> bool {
        let state = self.state();
        state.claimed.contains(id) || state.before.contains(id)
    }
}

impl UnderWay<'_> {
    /// Whether another upload of the same name and size to the same record is under way: then what is found may be that one's.
    pub(crate) fn has_double(&self) -> bool {
        self.claims.state().under_way.iter().filter(|other| other.mark == self.mark).count() > 1
    }

    /// Whether another upload of this name to the same record is under way.
    pub(crate) fn is_anothers(&self, name: &str) -> bool {
        let of_the_record = |other: &&Running| other.mark.is_of_the_record_of(&self.mark);
        self.claims.state().under_way.iter().filter(of_the_record).any(|other| other.mark.name == name && !Arc::ptr_eq(&other.mark, &self.mark))
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut state = self.claims.state();
        if let Some(at) = state.under_way.iter().position(|other| Arc::ptr_eq(&other.mark, &self.mark)) {
            state.under_way.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(name: &str) -> Arc<Mark> {
        Arc::new(Mark { module: "Leads".into(), record_id: "1".into(), name: name.into(), bytes: 3 })
    }

    fn begin<'c>(claims: &'c Claims, mark: &Arc<Mark>, looks: bool) -> Option<UnderWay<'c>> {
        claims.begin(mark, looks, str::eq_ignore_ascii_case)
    }

    #[test]
    fn an_attachment_belongs_to_the_first_call_that_claims_it() {
        let claims = Claims::default();
        assert!(claims.claim("1") && !claims.claim("1") && claims.is_claimed("1") && !claims.is_claimed("2"));
    }

    #[test]
    fn an_upload_that_looks_first_is_alone_with_its_mark_while_others_go_side_by_side() {
        let claims = Claims::default();
        let plain = begin(&claims, &mark("a"), false).unwrap();
        assert!(begin(&claims, &mark("a"), false).is_some() && begin(&claims, &mark("b"), true).is_some());
        assert!(begin(&claims, &mark("a"), true).is_none());
        drop(plain);
        let looks = begin(&claims, &mark("a"), true).unwrap();
        assert!(begin(&claims, &mark("a"), true).is_none() && begin(&claims, &mark("a"), false).is_none());
        drop(looks);
        assert!(begin(&claims, &mark("a"), false).is_some());
    }

    #[test]
    fn names_that_a_server_may_take_for_one_take_turns_and_are_no_doubles() {
        let claims = Claims::default();
        let first = begin(&claims, &mark("A"), true).unwrap();
        assert!(begin(&claims, &mark("a"), true).is_none() && begin(&claims, &mark("a"), false).is_none());
        drop(first);
        let (first, second) = (begin(&claims, &mark("A"), false).unwrap(), begin(&claims, &mark("a"), false).unwrap());
        assert!(!first.has_double() && first.is_anothers("a") && second.is_anothers("A") && !first.is_anothers("A") && !first.is_anothers("b"));
    }

    #[test]
    fn a_double_is_seen_only_while_it_is_under_way() {
        let claims = Claims::default();
        let first = begin(&claims, &mark("a"), false).unwrap();
        let other = begin(&claims, &mark("b"), false).unwrap();
        assert!(!first.has_double());
        let second = begin(&claims, &mark("a"), false).unwrap();
        assert!(first.has_double() && second.has_double() && !other.has_double());
        drop(second);
        assert!(!first.has_double());
    }
}
