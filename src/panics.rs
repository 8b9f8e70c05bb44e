//! Panics that are caught: where each began, and whether a thread catches those that begin on it.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, resume_unwind};

thread_local! {
    /// How many catchers are active on this thread.
    static CATCHERS: Cell<u32> = const { Cell::new(0) };
    /// Where the panic that is being caught began.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// A panic that was caught.
pub(crate) struct Caught {
    payload: Box<dyn Any + Send>,
    place: String,
}

/// Runs `body` and catches its panic. What that leaves behind half done is `body`'s own, or is not to be used any more.
pub(crate) fn catch<T>(body: impl FnOnce() -> T) -> Result<T, Caught> {
    CATCHERS.set(CATCHERS.get() + 1);
    let outcome = catch_unwind(AssertUnwindSafe(body));
    CATCHERS.set(CATCHERS.get() - 1);
    outcome.map_err(|payload| Caught { payload, place: PLACE.try_with(RefCell::take).unwrap_or_default() })
}

impl Caught {
    /// Lets the panic go on, perhaps on another thread than that on which it began.
    pub(crate) fn go_on(self) -> ! {
        let _ = PLACE.try_with(|at| at.replace(self.place));
        resume_unwind(self.payload)
    }

    /// Its message, and where it began if [`note`] was told.
    pub(crate) fn text(&self) -> String {
        let text = self.payload.downcast_ref::<&str>().copied().or_else(|| self.payload.downcast_ref::<String>().map(String::as_str));
        format!("{} (at {})", text.unwrap_or("no message"), self.place)
    }
}

/// For a panic hook: `true` when this thread catches the panic, whose place is kept then.
pub(crate) fn note(info: &PanicHookInfo<'_>) -> bool {
    if CATCHERS.get() == 0 {
        return false;
    }
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let _ = PLACE.try_with(|at| at.replace(place)); // a thread that ends has none any more
    true
}
