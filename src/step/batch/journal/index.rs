//! Where a journal tells of each key, in as little memory as that takes.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use hashbrown::HashTable;

/// Eight bytes a key, and the table's room to grow: 10 to 21, and half as much more while it grows. The keys themselves stay on the disk; where
/// two have the same bits, their lines are read.
#[derive(Default)]
pub(super) struct Index {
    entries: HashTable<Entry>,
    hasher: RandomState,
}

/// From the left: 23 bits of the key's hash, whether this run was given the key, 40 bits that say where its last line begins.
#[derive(Clone, Copy)]
pub(super) struct Entry(u64);

const AT: u64 = (1 << 40) - 1;
const GIVEN: u64 = 1 << 40;
const HASH: u64 = !(AT | GIVEN);

/// Longest journal: a terabyte.
pub(super) const LONGEST: u64 = AT;

impl Entry {
    pub(super) fn at(self) -> u64 {
        self.0 & AT
    }

    pub(super) fn is_given(self) -> bool {
        self.0 & GIVEN != 0
    }

    pub(super) fn set_given(&mut self) {
        self.0 |= GIVEN;
    }

    pub(super) fn set_at(&mut self, at: u64) {
        self.0 = self.0 & !AT | at;
    }

    /// The few bits that are kept, spread over all that the table looks at.
    fn spread(self) -> u64 {
        (self.0 & HASH).rotate_left(23).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

impl Index {
    pub(super) fn keys(&self) -> usize {
        self.entries.len()
    }

    /// The entry of a key. `is_of_it` reads the line that begins at an offset.
    pub(super) fn find(&mut self, key: &str, mut is_of_it: impl FnMut(u64) -> bool) -> Option<&mut Entry> {
        let sought = self.entry(key, 0);
        self.entries.find_mut(sought.spread(), |entry| (entry.0 ^ sought.0) & HASH == 0 && is_of_it(entry.at()))
    }

    /// A key that isn't there.
    pub(super) fn insert(&mut self, key: &str, at: u64, given: bool) {
        let mut entry = self.entry(key, at);
        if given {
            entry.set_given();
        }
        self.entries.insert_unique(entry.spread(), entry, |entry| entry.spread());
    }

    fn entry(&self, key: &str, at: u64) -> Entry {
        Entry(self.hasher.hash_one(key) & HASH | at)
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
            let entry = index.find(&key(i), |at| at == i * 1000).unwrap();
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

    #[test]
    fn a_key_takes_at_most_21_bytes() {
        let mut index = Index::default();
        for i in 0..300_000_u64 {
            index.insert(&i.to_string(), i, true);
            assert!(i < 1000 || index.entries.allocation_size() as u64 <= 21 * (i + 1), "{i} keys");
        }
    }
}
