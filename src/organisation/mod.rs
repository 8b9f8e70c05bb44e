//! What all clients of one organisation share in this process: the gate (calls in flight, credits, retries) and the claims (attachments
//! that an upload already owns).

mod claims;
mod gate;
mod place;
mod shared;
#[cfg(test)]
mod simulation;
mod trust;
mod window;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

pub(crate) use claims::{Claims, Mark, UnderWay};
pub(crate) use gate::{Answer, Barred, Gate};
pub(crate) use place::Place;

use crate::process::PerProcess;

type Known = BTreeMap<String, Weak<Organisation>>;

/// The organisations of this process, by key.
static ORGANISATIONS: PerProcess<Mutex<Known>> = PerProcess::new();

fn organisations() -> MutexGuard<'static, Known> {
    ORGANISATIONS.get(|_| Mutex::default()).lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the clients of one organisation share.
#[derive(Default)]
pub(crate) struct Organisation {
    pub(crate) gate: Gate,
    pub(crate) claims: Claims,
}

/// One client's membership in its organisation, which is another one in a forked child.
pub(crate) struct Membership {
    key: String,
    /// Through which it shares the window with other processes.
    file: Option<PathBuf>,
    here: PerProcess<Arc<Organisation>>,
}

impl Membership {
    /// In the organisation that every client with this key shares.
    pub(crate) fn of(key: String, file: Option<PathBuf>) -> Membership {
        let membership = Membership { key, file, here: PerProcess::new() };
        membership.organisation(); // it lives as long as any of its clients, whether that has made a call or not
        membership
    }

    pub(crate) fn organisation(&self) -> &Organisation {
        self.here.get(|_| {
            let organisation = Organisation::of(&self.key);
            self.file.iter().for_each(|file| organisation.gate.share(file));
            organisation
        })
    }
}

impl Organisation {
    fn of(key: &str) -> Arc<Organisation> {
        let mut all = organisations();
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
        organisations().retain(|_, organisation| organisation.strong_count() > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_of_one_organisation_share_it_and_others_do_not() {
        let [a, b, c] = ["test-1", "test-1", "test-2"].map(|key| Membership::of(key.to_owned(), None));
        assert!(std::ptr::eq(a.organisation(), b.organisation()) && !std::ptr::eq(a.organisation(), c.organisation()));
    }
}
