//! What each process has for itself.

use once_cell::race::OnceBox;

/// A value that each process makes for itself: after a fork the child gets one of its own and leaves the parent's alone, where threads that the
/// child doesn't have may hold locks. Nothing here waits, so that no thread of the parent can have been in the middle of it.
///
/// The last value is of this process or of the nearest ancestor that has used it. The process id tells which: ids come round again, so one of
/// an older ancestor may be this process's, too.
pub(crate) struct PerProcess<T>(OnceBox<Node<T>>);

struct Node<T> {
    process: u32,
    value: T,
    child: PerProcess<T>,
}

impl<T> PerProcess<T> {
    pub(crate) const fn new() -> PerProcess<T> {
        PerProcess(OnceBox::new())
    }

    /// The value of this process. It is made at first use, perhaps by two threads at once, of which one's is kept. `make` gets the parent's value,
    /// of which it may use what takes no lock, or what it can lock without waiting.
    pub(crate) fn get(&self, make: impl FnOnce(Option<&T>) -> T) -> &T {
        let process = std::process::id();
        let (mut slot, mut last) = (self, None);
        while let Some(node) = slot.0.get() {
            (slot, last) = (&node.child, Some(node));
        }
        match last {
            Some(node) if node.process == process => &node.value,
            last => &slot.0.get_or_init(|| Box::new(Node { process, value: make(last.map(|parent| &parent.value)), child: PerProcess::new() })).value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_made_once_and_kept() {
        let value = PerProcess::new();
        assert_eq!(*value.get(|parent| if parent.is_none() { 1 } else { 2 }), 1);
        assert_eq!(*value.get(|_| 3), 1);
    }

    #[test]
    fn the_child_of_a_process_makes_its_own_and_sees_its_parents() {
        let parent = Node { process: std::process::id() + 1, value: 1, child: PerProcess::new() };
        let value = PerProcess(OnceBox::with_value(Box::new(parent)));
        assert_eq!(*value.get(|parent| parent.unwrap() + 1), 2);
        assert_eq!(*value.get(|_| 9), 2);
    }

    #[test]
    fn a_grandchild_with_its_grandparents_id_makes_its_own() {
        let node = |process, value, child| PerProcess(OnceBox::with_value(Box::new(Node { process, value, child })));
        let here = std::process::id();
        let value = node(here, 1, node(here + 1, 2, PerProcess::new()));
        assert_eq!(*value.get(|parent| parent.unwrap() + 1), 3);
        assert_eq!(*value.get(|_| 9), 3);
    }
}
