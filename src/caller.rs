//! Whether a call is in its caller's own code: in a reader, a writer or another callback, which may be waiting for another call.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where a call is. Its word is odd while the call is in its caller's own code, another one each time, and has `LENT` when somebody took the
/// call's place meanwhile. So a callback costs two additions, and only who waits for a place looks at the clock.
#[derive(Default)]
pub(crate) struct Whereabouts {
    word: AtomicU64,
    /// Shows each new word to other processes, where there are any.
    show: Option<Box<dyn Fn(u64) + Send + Sync>>,
}

const LENT: u64 = 1 << 63;

thread_local! {
    /// The call that this thread is making.
    static CALL: RefCell<Option<Arc<Whereabouts>>> = const { RefCell::new(None) };
}

/// This thread makes a call as long as the value lives.
pub(crate) struct Here(Option<Arc<Whereabouts>>);

impl Whereabouts {
    pub(crate) fn shown(show: impl Fn(u64) + Send + Sync + 'static) -> Whereabouts {
        Whereabouts { show: Some(Box::new(show)), ..Whereabouts::default() }
    }

    pub(crate) fn is_shown(&self) -> bool {
        self.show.is_some()
    }

    fn goes_on(&self) {
        let word = self.word.fetch_add(1, Ordering::AcqRel) + 1;
        self.show.iter().for_each(|show| show(word & !LENT));
    }

    /// Says that the current thread makes this call.
    pub(crate) fn here(self: &Arc<Self>) -> Here {
        Here(CALL.try_with(|call| call.replace(Some(self.clone()))).unwrap_or_default())
    }

    /// While the call is in its caller's own code: a number that stands for this time, and for no other.
    pub(crate) fn outside(&self) -> Option<u64> {
        let word = self.word.load(Ordering::Acquire);
        (word % 2 == 1 && word & LENT == 0).then_some(word)
    }

    /// Lends the call's place, if the call is still where it was when `outside` gave this number.
    pub(crate) fn lend(&self, outside: u64) -> bool {
        self.word.compare_exchange(outside, outside | LENT, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Takes the place back: whether it was lent.
    pub(crate) fn take_back(&self) -> bool {
        self.word.load(Ordering::Acquire) & LENT != 0 && self.word.fetch_and(!LENT, Ordering::AcqRel) & LENT != 0
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        let _ = CALL.try_with(|call| call.replace(self.0.take()));
    }
}

/// Runs code of the caller for the call that this thread is making.
pub(crate) fn runs<T>(code: impl FnOnce() -> T) -> T {
    let call = CALL.try_with(|call| call.borrow().clone()).ok().flatten();
    let _outside = call.map(Outside::new);
    code()
}

/// The call is in its caller's own code as long as the value lives.
struct Outside(Arc<Whereabouts>);

impl Outside {
    fn new(call: Arc<Whereabouts>) -> Outside {
        call.goes_on();
        Outside(call)
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.0.goes_on();
    }
}
