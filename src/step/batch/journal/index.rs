//! Where a journal tells of each key, in as little memory as that takes.

use twox_hash::XxHash3_128;

use crate::sorted::Sorted;

/// A number for each key, in the order of the keys' hashes: 11 bytes a key. The keys themselves stay on the disk; where two have the same bits,
/// their lines are read.
pub(super) struct Index {
    entries: Sorted,
    keys: usize,
    /// Nobody can make keys of the same bits, not knowing it.
    seed: u64,
}

/// The number of a key. From the left: 23 bits of its hash, whether this run was given it, 40 bits that say where its last line begins.
pub(super) struct Entry<'i>(&'i mut u64);

const AT: u64 = (1 << 40) - 1;
const GIVEN: u64 = 1 << 40;
const HASH: u64 = !(AT | GIVEN);

/// Longest journal: a terabyte.
pub(super) const LONGEST: u64 = AT;

impl Entry<'_> {
    pub(super) fn at(&self) -> u64 {
        *self.0 & AT
    }

    pub(super) fn is_given(&self) -> bool {
        *self.0 & GIVEN != 0
    }

    pub(super) fn set_given(&mut self) {
        *self.0 |= GIVEN;
    }

    pub(super) fn set_at(&mut self, at: u64) {
        *self.0 = *self.0 & !AT | at;
    }
}

impl Default for Index {
    fn default() -> Index {
        Index { entries: Sorted::default(), keys: 0, seed: getrandom::u64().unwrap_or_default() }
    }
}

impl Index {
    pub(super) fn keys(&self) -> usize {
        self.keys
    }

    /// The entry of a key. `is_of_it` reads the line that begins at an offset.
    pub(super) fn find(&mut self, key: &str, mut is_of_it: impl FnMut(u64) -> bool) -> Option<Entry<'_>> {
        let hash = self.hash(key);
        let alike = self.entries.from(hash).take_while(|entry| **entry & HASH == hash);
        alike.map(Entry).find(|entry| is_of_it(entry.at()))
    }

    /// A key that isn't there.
    pub(super) fn insert(&mut self, key: &str, at: u64, given: bool) {
        let hash = self.hash(key);
        self.entries.insert(hash, hash | if given { GIVEN } else { 0 } | at);
        self.keys += 1;
    }

    fn hash(&self, key: &str) -> u64 {
        XxHash3_128::oneshot_with_seed(self.seed, key.as_bytes()) as u64 & HASH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_many_keys_is_found_where_it_is_and_no_other_is() {
        let mut index = Index::default();
        let key = |i: u64| format!("key {i}");
        (0..100_000).for_each(|i| index.insert(&key(i), i * 1000, i % 2 == 0));
        for i in 0..100_000 {
            let mut entry = index.find(&key(i), |at| at == i * 1000).unwrap();
            assert_eq!((entry.at(), entry.is_given()), (i * 1000, i % 2 == 0));
            entry.set_given();
            entry.set_at(LONGEST - i);
        }
        assert!((0..100_000).all(|i| index.find(&key(i), |at| at == LONGEST - i).unwrap().is_given()));
        let mut read = 0;
        (100_000..200_000).for_each(|i| {
            assert!(
                index
                    .find(&key(i), |_| {
                        read += 1;
                        false
                    })
                    .is_none()
            )
        });
        assert!(read < 10_000, "{read} lines of other keys are read");
        assert_eq!(index.keys(), 100_000);
    }
}
