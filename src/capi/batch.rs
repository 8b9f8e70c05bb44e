//! Batches: many steps with one call.

use std::ffi::{c_char, c_void};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError, RwLock, RwLockWriteGuard, TryLockError};

use super::call::zcrm_call;
use super::client::{operate, zcrm_client};
use super::config::User;
use super::error::zcrm_error;
use super::handle::{self, Noun};
use super::result::{Readable, zcrm_result};
use super::status::{OK, zcrm_status};
use super::text::{self, zcrm_str};
use super::{guard, sized};
use crate::batch::{self, Ended, Item, Next, Options, Pause, Source, Summary};
use crate::error::{Error, Result, Status};
use crate::fallible;

/// Steps to be run together. Filled by one thread; zcrm_batch_pause() may be called from any. Free it with zcrm_batch_free().
#[derive(Default)]
pub struct zcrm_batch {
    /// Read as long as the batch runs.
    steps: RwLock<Steps>,
    /// Held by the run that asks the source: it is only one caller's.
    asking: Mutex<()>,
    pause: Pause,
}

#[derive(Default)]
struct Steps {
    added: Vec<Item>,
    source: Option<Asked>,
}

/// The host's function, and what it is given.
struct Asked {
    next: NextStep,
    user: User,
}

type NextStep = unsafe extern "C" fn(*mut c_void, *mut zcrm_str, *mut zcrm_str) -> i32;

impl Noun for zcrm_batch {
    const MAGIC: u32 = 0x7a63_6507;
}

/// Reports how a step of a batch ended, in the order in which they end. Runs on the thread that called zcrm_batch_run().
///
/// @param key           the step's key, NUL-terminated; during the callback
/// @param status        `ZCRM_OK`, or the status that zcrm_step_run() would have returned
/// @param json          what zcrm_result_json() or zcrm_error_json() would have given, NUL-terminated; during the callback
/// @param from_journal  1 when it was done in an earlier run, 0 otherwise
/// @return 0 to go on; anything else cancels the batch
pub type zcrm_batch_fn =
    Option<unsafe extern "C" fn(user: *mut c_void, key: *const c_char, status: zcrm_status, json: *const c_char, from_journal: i32) -> i32>;

/// Asked for the next step of a batch. Runs on the thread that called zcrm_batch_run(), one call at a time, whenever there is room for a step; not
/// while the batch is held or after it was stopped, and not again in a run to which it has said that there are no more.
///
/// @param key   receives the step's key, as for zcrm_batch_add()
/// @param json  receives the step, as for zcrm_batch_add(). Both texts are read up to the next call, or the end of zcrm_batch_run().
/// @return 1 with a step, 0 when there are no more, anything else to stop the batch: zcrm_batch_summary.stopped is "source" then
pub type zcrm_next_step_fn = Option<unsafe extern "C" fn(user: *mut c_void, key: *mut zcrm_str, json: *mut zcrm_str) -> i32>;

/// How a batch is run. NULL instead of it, or zeros, mean the defaults. Borrowed for the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct zcrm_batch_args {
    /// `sizeof(zcrm_batch_args)`.
    pub struct_size: usize,
    /// Path of a file that remembers what was begun and done; empty = none. The batch creates it if it isn't there, and locks it while it runs.
    /// Run again with the same journal, a batch goes on where a killed run was: it takes what is done from the journal, and first looks for the
    /// effect of each step that was begun and not finished. Unfinished uploads may show late, for up to the sum of the setting `settle_waits_ms`
    /// after the journal's last line: they come last, and a log line says how long they wait. A journal belongs to one run of a job: begin a new one
    /// for the next run, since the batch doesn't send again what the journal lists as done. A step whose file has changed since fails with the reason
    /// "journal_source_changed", and nothing is sent.
    pub journal: zcrm_str,
    /// API calls after which no further step is begun; 0 = no bound.
    pub credits: u64,
    /// NULL, or called at the end of each step.
    pub ended: zcrm_batch_fn,
    /// Passed to `ended`.
    pub user: *mut c_void,
    /// Steps at once, at most 256; 0 = as many as the setting `max_in_flight` lets in, which applies as well.
    pub parallel: u32,
    /// Must be 0.
    pub reserved: u32,
}

// SAFETY: repr(C), begins with a usize; all zero is empty text, no callback and zeros.
unsafe impl sized::Struct for zcrm_batch_args {}

/// Makes an empty batch. Free it with zcrm_batch_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_batch_new(out: *mut *mut zcrm_batch) -> zcrm_status {
    let body = || {
        let out = handle::out(out, "out")?;
        // SAFETY: not NULL, and writable by the header's contract.
        unsafe { out.write(handle::give(zcrm_batch::default())) };
        Ok(())
    };
    // SAFETY: NULL is allowed.
    unsafe { guard::status(std::ptr::null_mut::<*mut zcrm_error>(), body) }
}

/// Adds a step.
///
/// @param key    what the caller calls the step, NUL-terminated, copied: unique in the batch, and the same whenever it is run again
/// @param json   the step, as zcrm_step_run() takes it; it is checked when it runs, may name files only below `allow_paths`, and downloads
///               only to a file
/// @param len    its length in bytes; `ZCRM_NUL` = NUL-terminated
/// @return `ZCRM_OK`, `ZCRM_E_ARGUMENT`, or `ZCRM_E_STATE` while the batch runs, also from its `ended`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_batch_add(
    batch: *mut zcrm_batch,
    key: *const c_char,
    json: *const c_char,
    len: usize,
    err: *mut *mut zcrm_error,
) -> zcrm_status {
    // SAFETY: the header's contract for each pointer, which each function that takes one looks at.
    unsafe {
        guard::status(err, || {
            let batch = handle::lend(batch, "batch")?;
            if key.is_null() {
                return Err(Error::argument("key", "is NULL"));
            }
            let (key, step) = (fallible::copy(text::read(key, usize::MAX, "key")?)?, fallible::copy(text::read(json, len, "json")?)?);
            let mut steps = batch.change()?;
            fallible::reserve(&mut steps.added, 1)?;
            steps.added.push(Item { key, step });
            Ok(())
        })
    }
}

/// Lets the batch ask `next` for its steps, after those that were added, so that a batch of any length takes little memory: it drops a step once it
/// has reported its end, and keeps at most 32 bytes to recognise its key.
///
/// A step that is malformed (no key, no UTF-8, a key that this run has had already) is reported to `ended` like every bad step, and the batch goes
/// on. While `next` blocks, the steps under way go on; when it returns, the batch reports them and notes them in the journal. A cancel or the timeout
/// ends them at once, and the run when `next` returns. Inside of `next`, zcrm_batch_add(), this function and zcrm_batch_run() are `ZCRM_E_STATE`;
/// zcrm_batch_free() frees the batch after the run. A batch that is run again asks again, and `next` decides with which step it begins; with a
/// journal it should be the first. If the batch stops before `next` has returned 0, zcrm_batch_summary.left counts all further steps as one.
///
/// @param next  gives each step; NULL = no source any more
/// @param user  passed to it
/// @return `ZCRM_OK`, `ZCRM_E_ARGUMENT`, or `ZCRM_E_STATE` while the batch runs
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_batch_set_source(
    batch: *mut zcrm_batch,
    next: zcrm_next_step_fn,
    user: *mut c_void,
    err: *mut *mut zcrm_error,
) -> zcrm_status {
    // SAFETY: the header's contract for each pointer, which each function that takes one looks at.
    unsafe {
        guard::status(err, || {
            let batch = handle::lend(batch, "batch")?;
            batch.change()?.source = next.map(|next| Asked { next, user: User::new(user, None) });
            Ok(())
        })
    }
}

impl zcrm_batch {
    /// What is run, to be changed.
    fn change(&self) -> Result<RwLockWriteGuard<'_, Steps>> {
        match self.steps.try_write() {
            Ok(steps) => Ok(steps),
            Err(TryLockError::Poisoned(steps)) => Ok(steps.into_inner()),
            Err(TryLockError::WouldBlock) => Err(Error::new(Status::State, "batch_runs", "batch: it runs; add steps before or after")),
        }
    }
}

/// Holds the batch: steps under way end and none is begun, until it goes on. From any thread, also from `ended`. NULL is ignored.
///
/// @param on     anything but 0 to hold it, 0 to let it go on
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_batch_pause(batch: *const zcrm_batch, on: i32) {
    // SAFETY: the header's contract: NULL or a handle.
    guard::value((), || unsafe {
        if let Ok(batch) = handle::lend(batch, "batch") {
            batch.pause.set(on != 0);
        }
    });
}

/// Runs the steps of a batch, several at once, on threads that end before this returns. A step that is refused or fails is reported to `ended` and
/// counted; the batch goes on. `left` steps were not begun, or not ended, because the batch was stopped:
/// by a cancel ("cancelled"), the call's timeout ("call_timeout"), `credits` ("credits_budget"), its source ("source"), because the organisation has
/// no API credits left ("credits_exhausted"), or because there is no token for any step ("no_token"). The batch is done when `left` is 0;
/// otherwise run it again with its journal.
///
/// A step costs as many API calls as it would by itself; one that a killed process had begun costs one list more.
/// https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html
///
/// @param batch   the steps; they stay, so that it can be run again
/// @param args    NULL, or how to run it
/// @param call    NULL, or timeout, cancel token and trace id of the whole, and `ZCRM_CALL_SHA256`, `ZCRM_CALL_SKIP_*` and `ZCRM_CALL_AGAIN` for
///                each step; nothing else of it is used. The setting `call_timeout_ms` bounds each step, never the whole
/// @param result  NULL, or receives the summary: zcrm_result_batch()
/// @return `ZCRM_OK` also when steps have failed or are left; an error only when nothing (further) can be run: `ZCRM_E_IO` (the journal can't
///         be read or written), `ZCRM_E_PROTOCOL` (the journal is broken), `ZCRM_E_STATE` (another batch has it), `ZCRM_E_ARGUMENT`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_batch_run(
    client: *const zcrm_client,
    batch: *const zcrm_batch,
    args: *const zcrm_batch_args,
    call: *const zcrm_call,
    result: *mut *mut zcrm_result,
    err: *mut *mut zcrm_error,
) -> zcrm_status {
    // SAFETY: the header's contract for each pointer, which each function that takes one looks at.
    unsafe {
        operate(client, call, result, err, |client, call| {
            let batch = handle::lend(batch, "batch")?;
            let steps = batch.steps.read().unwrap_or_else(PoisonError::into_inner);
            let _asking = match batch.asking.try_lock() {
                Err(TryLockError::WouldBlock) if steps.source.is_some() => {
                    return Err(Error::new(Status::State, "batch_runs", "batch: it runs, and its source is asked by one run at a time"));
                }
                asking => asking,
            };
            let args = sized::read_if_given(args, "args")?;
            let options = args.map_or_else(|| Ok(Options::default()), |args| args.options())?;
            let options = Options { pause: batch.pause.clone(), ..options };
            let tell = args.and_then(|args| args.ended.map(|ended| (ended, args.user)));
            let mut source = Given { added: steps.added.iter(), asked: steps.source.as_ref() };
            batch::pull(client, &mut source, &options, call.call()?, &mut |end| tell_ended(tell, &end))
        })
    }
}

/// The steps of a run: those that were added, and then those that the host is asked for.
struct Given<'b> {
    added: std::slice::Iter<'b, Item>,
    asked: Option<&'b Asked>,
}

impl Source for Given<'_> {
    fn next(&mut self) -> Next {
        match (self.added.next(), self.asked) {
            (Some(item), _) => Next::Step(item.clone()),
            (None, Some(asked)) => asked.next(),
            (None, None) => Next::End,
        }
    }

    fn left(&mut self) -> u64 {
        self.added.len() as u64 + u64::from(self.asked.is_some())
    }
}

impl Asked {
    fn next(&self) -> Next {
        const NOT_GIVEN: zcrm_str = zcrm_str { ptr: std::ptr::null(), len: 0 };
        let (mut key, mut json) = (NOT_GIVEN, NOT_GIVEN);
        // SAFETY: both outputs are ours; the header binds the host to give a function that may be called with its own `user`.
        match unsafe { (self.next)(self.user.get(), &raw mut key, &raw mut json) } {
            // SAFETY: the header binds the host to let both texts live until the next call.
            1 => unsafe { given(key, json) },
            0 => Next::End,
            _ => Next::Failed,
        }
    }
}

/// # Safety
/// Both texts are what the header says they must be, during the call.
unsafe fn given(key: zcrm_str, json: zcrm_str) -> Next {
    if key.ptr.is_null() {
        return Next::Refused { key: String::new(), error: Error::argument("key", "is NULL") };
    }
    // SAFETY: the caller's contract.
    let key = match unsafe { key.read("key") }.and_then(fallible::copy) {
        Ok(key) => key,
        Err(error) => return Next::Refused { key: String::new(), error },
    };
    // SAFETY: the caller's contract.
    match unsafe { text::read(json.ptr, json.len, "json") }.and_then(fallible::copy) {
        Ok(step) => Next::Step(Item { key, step }),
        Err(error) => Next::Refused { key, error },
    }
}

type Tell = (unsafe extern "C" fn(*mut c_void, *const c_char, zcrm_status, *const c_char, i32) -> i32, *mut c_void);

fn tell_ended(tell: Option<Tell>, end: &Ended<'_>) -> bool {
    let Some((ended, user)) = tell else { return true };
    let (status, json) = match end.outcome {
        Ok(json) => (OK, text::to_c(json)),
        Err(error) => (error.status() as zcrm_status, text::to_c(&error.to_json())),
    };
    let key = text::to_c(end.key);
    // SAFETY: both texts live during the callback; the header binds the host to give one that may be called with its own `user`.
    unsafe { ended(user, key.as_ptr(), status, json.as_ptr(), i32::from(end.from_journal)) == 0 }
}

impl zcrm_batch_args {
    /// # Safety
    /// The pointers are what the header says they must be.
    unsafe fn options(&self) -> Result<Options> {
        if self.reserved != 0 {
            return Err(Error::argument("args.reserved", "is not 0"));
        }
        // SAFETY: the caller's contract.
        let journal = unsafe { self.journal.read("args.journal")? };
        let journal = (!journal.is_empty()).then(|| PathBuf::from(journal));
        Ok(Options { parallel: self.parallel as usize, credits: self.credits, journal, pause: Pause::default() })
    }
}

/// Frees a batch. One that runs, even when it is freed from its `ended`, goes on to its end. NULL is accepted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zcrm_batch_free(batch: *mut zcrm_batch) {
    // SAFETY: the header's contract: NULL or a handle.
    guard::value((), || unsafe { handle::free(batch) });
}

impl Readable for Summary {
    fn summary(&self) -> Option<&Summary> {
        Some(self)
    }
}
