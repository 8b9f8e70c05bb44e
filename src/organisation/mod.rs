//! What all clients of one organisation share in this process: the gate (calls in flight, credits, retries) and the claims (attachments
//! that an upload already owns).

mod claims;
mod gate;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use once_cell::sync::Lazy;

pub(crate) use claims::{Claims, Mark, UnderWay};
pub(crate) use gate::{Gate, credits_left};

/// The organisations of this process, by key.
static ORGANISATIONS: Lazy<Mutex<BTreeMap<String, Weak<Organisation>>>> = Lazy::new(Mutex::default);

/// What the clients of one organisation share.
#[derive(Default)]
pub(crate) struct Organisation {
    pub(crate) gate: Gate,
    pub(crate) claims: Claims,
}

impl Organisation {
    /// The organisation that every client with this key shares.
    pub(crate) fn of(key: &str) -> Arc<Organisation> {
        let mut all = ORGANISATIONS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(key).and_then(Weak::upgrade) {
            return known;
        }
        let new = Arc::new(Organisation::default());
        all.insert(key.to_owned(), Arc::downgrade(&new));
        new
    }
}

impl Drop for Organisation {
    /// The last client of the organisation is gone.
    fn drop(&mut self) {
        ORGANISATIONS.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, organisation| organisation.strong_count() > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_of_one_organisation_share_it_and_others_do_not() {
        let (a, b, c) = (Organisation::of("test-1"), Organisation::of("test-1"), Organisation::of("test-2"));
        assert!(Arc::ptr_eq(&a, &b) && !Arc::ptr_eq(&a, &c));
    }
}
