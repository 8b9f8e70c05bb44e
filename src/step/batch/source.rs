//! Where the steps of a batch come from.

use super::Item;
use crate::error::Error;

/// What a [`Source`] has next.
pub enum Next {
    /// A step.
    Step(Item),
    /// A step that can't be run. It is told under this key, and the batch goes on.
    Refused {
        /// Its key, as far as that can be read.
        key: String,
        /// What is wrong with it.
        error: Error,
    },
    /// There are no more. The source isn't asked again.
    End,
    /// The source has failed, which stops the batch.
    Failed,
}

/// Gives the steps of a batch one after another. It is asked on the calling thread, when the batch has room for a step.
pub trait Source {
    /// The next step.
    fn next(&mut self) -> Next;

    /// How many steps are left, when the batch was stopped before the end. One that can't tell leaves "one or more".
    fn left(&mut self) -> u64 {
        1
    }
}

/// Steps that are there, or are made when they are asked for.
pub(super) struct Listed<I>(pub(super) I);

impl<I: Iterator<Item = Item>> Source for Listed<I> {
    fn next(&mut self) -> Next {
        self.0.next().map_or(Next::End, Next::Step)
    }

    fn left(&mut self) -> u64 {
        self.0.by_ref().count() as u64
    }
}
