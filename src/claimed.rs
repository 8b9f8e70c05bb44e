//! Attachments that jobs own.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::record::Record;
use crate::sorted::Sorted;
use crate::text::joined;

/// Ids of attachments that jobs own: each is the work of one job. Clones are the same set.
#[derive(Debug, Clone, Default)]
pub struct Claimed(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    ids: Ids,
    /// The names of the files that jobs will look for, by record.
    awaited: HashMap<Record, HashSet<String>>,
}

impl Claimed {
    /// A job takes this one; `false` when a job has it already.
    pub fn claim(&self, id: impl AsRef<str>) -> bool {
        self.held().ids.insert(id.as_ref())
    }

    /// Whether a job owns this one.
    pub fn contains(&self, id: &str) -> bool {
        self.held().ids.contains(id)
    }

    /// A job will look for a file of this name: a job of another name doesn't take it.
    pub(crate) fn await_name(&self, record: Record, name: String) {
        self.held().awaited.entry(record).or_default().insert(joined(&name).into_owned());
    }

    pub(crate) fn awaits(&self, record: &Record, name: &str) -> bool {
        self.held().awaited.get(record).is_some_and(|names| names.contains(name))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ids, of which there may be millions.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    numbers: Sorted,
    /// What isn't written as a number of at most 19 digits is.
    others: HashSet<String>,
}

impl Ids {
    /// `false` when it is there.
    pub(crate) fn insert(&mut self, id: &str) -> bool {
        match number(id) {
            Some(number) => self.numbers.add(number),
            None => self.others.insert(id.to_owned()),
        }
    }

    pub(crate) fn contains(&self, id: &str) -> bool {
        number(id).map_or_else(|| self.others.contains(id), |number| self.numbers.contains(number))
    }
}

/// Of 19 digits at most, which no 64 bits are too few for.
fn number(id: &str) -> Option<u64> {
    let digits = id.as_bytes();
    let is_plain = digits.len() <= 19 && matches!(digits.first(), Some(b'1'..=b'9'));
    let add = |number: u64, digit: &u8| digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0'));
    if is_plain { digits.iter().try_fold(0, add) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_id_is_claimed_once_however_many_there_are() {
        let claimed = Claimed::default();
        let ids: Vec<u64> = (0..50_000_u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 << 63).collect();
        assert!(ids.iter().all(|id| !claimed.contains(&id.to_string()) && claimed.claim(id.to_string())));
        assert!(ids.iter().all(|id| claimed.contains(&id.to_string()) && !claimed.claim(id.to_string())));
    }

    #[test]
    fn ids_that_are_written_otherwise_are_others() {
        let claimed = Claimed::default();
        for id in ["7", "07", "+7", "", "7a", "99999999999999999999", "099999999999999999999"] {
            assert!(claimed.claim(id) && !claimed.claim(id) && claimed.contains(id), "{id:?}");
        }
    }
}
