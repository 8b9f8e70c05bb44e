//! What is made at the first look.

use once_cell::race::OnceBox;

use crate::error::Result;

/// A value that is made when it is first wanted, and kept. Where two threads want it at once, both make it and one's is kept: neither waits for
/// the other, as a forked child may have a value that was in the middle of being made by a thread which it hasn't got.
pub(super) struct Made<T>(OnceBox<T>);

impl<T> Default for Made<T> {
    fn default() -> Made<T> {
        Made(OnceBox::new())
    }
}

impl<T> Made<T> {
    /// The value. One that can't be made now is tried again the next time.
    pub(super) fn get(&self, make: impl FnOnce() -> Result<T>) -> Result<&T> {
        self.0.get_or_try_init(|| make().map(Box::new))
    }
}
