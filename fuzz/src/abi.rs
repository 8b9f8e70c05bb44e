//! The C ABI as a host calls it: any function in any order that `zcrm.h` allows, with any text, flag, NULL and struct size.
//!
//! Every operation has a token that was fired before, so that nothing is sent. What a debug build keeps of freed handles is really freed
//! here, so that AddressSanitizer sees a use after the free.

use std::ffi::{CStr, CString, c_char, c_void};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::OpenOptionsExt;
use std::ptr::{null, null_mut};

use arbitrary::{Arbitrary, Result, Unstructured};

type Handle = *mut c_void;

const OK: i32 = 0;
const ARGUMENT: i32 = 1;
const VERSION: i32 = 4;
const CANCELLED: i32 = 15;
const PANIC: i32 = 21;

// What `zcrm.h` declares; every handle is a `void *` here.
unsafe extern "C" {
    fn zcrm_status_name(status: i32) -> *const c_char;
    fn zcrm_error_code(error: Handle) -> i32;
    fn zcrm_error_reason(error: Handle) -> *const c_char;
    fn zcrm_error_message(error: Handle) -> *const c_char;
    fn zcrm_error_http_status(error: Handle) -> i32;
    fn zcrm_error_api_code(error: Handle) -> *const c_char;
    fn zcrm_error_retryable(error: Handle) -> i32;
    fn zcrm_error_retry_after_ms(error: Handle) -> i64;
    fn zcrm_error_request_sent(error: Handle) -> i32;
    fn zcrm_error_callback_status(error: Handle) -> i32;
    fn zcrm_error_outcome_open(error: Handle) -> i32;
    fn zcrm_error_candidate(error: Handle, index: usize) -> *const c_char;
    fn zcrm_error_json(error: Handle) -> *const c_char;
    fn zcrm_error_free(error: Handle);
    fn zcrm_config_new(out: *mut Handle) -> i32;
    fn zcrm_config_set(config: Handle, key: *const c_char, value: *const c_char, len: usize, err: *mut Handle) -> i32;
    fn zcrm_config_set_token_fn(config: Handle, ask: Option<TokenFn>, user: Handle, drop: Option<DropFn>) -> i32;
    fn zcrm_config_set_log_fn(config: Handle, level: i32, log: Option<LogFn>, user: Handle, drop: Option<DropFn>) -> i32;
    fn zcrm_config_set_token_store(config: Handle, store: Ptr, err: *mut Handle) -> i32;
    fn zcrm_config_load_profile(config: Handle, path: *const c_char, name: *const c_char, err: *mut Handle) -> i32;
    fn zcrm_config_free(config: Handle);
    fn zcrm_client_new(config: Handle, out: *mut Handle, err: *mut Handle) -> i32;
    fn zcrm_client_free(client: Handle);
    fn zcrm_cancel_new(out: *mut Handle) -> i32;
    fn zcrm_cancel_fire(cancel: Handle);
    fn zcrm_cancel_free(cancel: Handle);
    fn zcrm_attachment_upload(client: Handle, target: Ptr, source: Ptr, call: Ptr, result: *mut Handle, err: *mut Handle) -> i32;
    fn zcrm_attachment_list(client: Handle, target: Ptr, args: Ptr, call: Ptr, result: *mut Handle, err: *mut Handle) -> i32;
    fn zcrm_record_list(client: Handle, module: Ptr, len: usize, args: Ptr, call: Ptr, result: *mut Handle, err: *mut Handle) -> i32;
    fn zcrm_record_pages_new(client: Handle, module: Ptr, len: usize, args: Ptr, out: *mut Handle, err: *mut Handle) -> i32;
    fn zcrm_pages_new(client: Handle, target: Ptr, args: Ptr, out: *mut Handle, err: *mut Handle) -> i32;
    fn zcrm_pages_next(pages: Handle, call: Ptr, result: *mut Handle, err: *mut Handle) -> i32;
    fn zcrm_pages_free(pages: Handle);
    fn zcrm_attachment_download(client: Handle, target: Ptr, sink: Ptr, call: Ptr, result: *mut Handle, err: *mut Handle) -> i32;
    fn zcrm_attachment_delete(client: Handle, target: Ptr, call: Ptr, result: *mut Handle, err: *mut Handle) -> i32;
    fn zcrm_photo_upload(client: Handle, target: Ptr, source: Ptr, call: Ptr, result: *mut Handle, err: *mut Handle) -> i32;
    fn zcrm_photo_download(client: Handle, target: Ptr, sink: Ptr, call: Ptr, result: *mut Handle, err: *mut Handle) -> i32;
    fn zcrm_photo_delete(client: Handle, target: Ptr, call: Ptr, result: *mut Handle, err: *mut Handle) -> i32;
    fn zcrm_result_count(result: Handle) -> usize;
    fn zcrm_result_attachment(result: Handle, index: usize, out: *mut u8, err: *mut Handle) -> i32;
    fn zcrm_result_record_id(result: Handle, index: usize, n: *mut usize) -> *const c_char;
    fn zcrm_result_transfer(result: Handle, out: *mut u8, err: *mut Handle) -> i32;
    fn zcrm_result_page(result: Handle, out: *mut u8, err: *mut Handle) -> i32;
    fn zcrm_result_batch(result: Handle, out: *mut u8, err: *mut Handle) -> i32;
    fn zcrm_result_data(result: Handle, data: *mut *const u8, n: *mut usize, err: *mut Handle) -> i32;
    fn zcrm_result_json(result: Handle, n: *mut usize) -> *const c_char;
    fn zcrm_result_free(result: Handle);
    fn zcrm_step_run(client: Handle, json: *const c_char, len: usize, call: Ptr, result: *mut Handle, err: *mut Handle) -> i32;
    fn zcrm_batch_new(out: *mut Handle) -> i32;
    fn zcrm_batch_add(batch: Handle, key: *const c_char, json: *const c_char, len: usize, err: *mut Handle) -> i32;
    fn zcrm_batch_set_source(batch: Handle, next: Option<NextFn>, user: Handle, err: *mut Handle) -> i32;
    fn zcrm_batch_pause(batch: Handle, on: i32);
    fn zcrm_batch_run(client: Handle, batch: Handle, args: Ptr, call: Ptr, result: *mut Handle, err: *mut Handle) -> i32;
    fn zcrm_batch_free(batch: Handle);
}

type Ptr = *const u8;
type TokenFn = unsafe extern "C" fn(Handle, i32, *mut c_char, usize, *mut usize) -> i32;
type LogFn = unsafe extern "C" fn(Handle, i32, *const c_char, usize);
type DropFn = unsafe extern "C" fn(Handle);
type NextFn = unsafe extern "C" fn(Handle, *mut [usize; 2], *mut [usize; 2]) -> i32;

unsafe extern "C" fn no_token(_: Handle, _: i32, _: *mut c_char, _: usize, _: *mut usize) -> i32 {
    7
}

unsafe extern "C" fn log(_: Handle, level: i32, line: *const c_char, len: usize) {
    // SAFETY: the header: NUL-terminated, during the callback.
    let line = unsafe { CStr::from_ptr(line) };
    assert!((1..=5).contains(&level) && line.to_bytes().len() == len && !line.to_bytes().contains(&b'\n'));
}

// A token store that nobody asks: the configs have an access token.
unsafe extern "C" fn no_document(_: Handle, _: *mut u8, _: usize, _: *mut usize) -> i32 {
    7
}

unsafe extern "C" fn no_place(_: Handle, _: *const u8, _: usize) -> i32 {
    7
}

unsafe extern "C" fn no_lock(_: Handle, _: *mut i32) -> i32 {
    7
}

unsafe extern "C" fn no_unlock(_: Handle) {}

/// What a batch asks: gives one of its steps after the other, then what it was made with.
struct Steps {
    texts: Vec<(Vec<u8>, Vec<u8>)>,
    given: usize,
    then: i32,
}

unsafe extern "C" fn next(steps: Handle, key: *mut [usize; 2], json: *mut [usize; 2]) -> i32 {
    // SAFETY: the Steps of the batch that runs, whose texts live for the whole run; both outputs are a zcrm_str.
    unsafe {
        let Steps { texts, given, then } = &mut *steps.cast::<Steps>();
        let Some((a, b)) = texts.get(*given) else { return *then };
        *given += 1;
        *key = [a.as_ptr() as usize, a.len() - 1];
        *json = [b.as_ptr() as usize, usize::MAX];
        1
    }
}

/// Counts the uses of `user` that have ended.
unsafe extern "C" fn dropped(user: Handle) {
    // SAFETY: `user` is a counter that outlives every config and client.
    unsafe { *user.cast::<usize>() += 1 };
}

#[derive(Arbitrary, Debug)]
enum Act {
    ConfigNew,
    ConfigSet(u8),
    ConfigCallbacks(u8, i8),
    ConfigStore(u8),
    ConfigProfile(u8),
    ConfigFree(u8),
    ClientNew(u8),
    ClientFree(u8),
    Cancel,
    Operate(u8, u8),
    RunStep(u8),
    BatchNew,
    BatchAdd(u8),
    BatchSource(u8, i32),
    BatchPause(u8, bool),
    BatchRun(u8, u8),
    BatchFree(u8),
    PagesNew(u8),
    RecordPagesNew(u8),
    PagesNext(u8),
    PagesFree(u8),
    Nulls,
}

/// Everything that lives; a handle that is freed leaves its list.
#[derive(Default)]
struct Host {
    configs: Vec<Handle>,
    clients: Vec<Handle>,
    batches: Vec<Handle>,
    walks: Vec<Handle>,
    #[expect(clippy::vec_box, reason = "batches have their addresses")]
    steps: Vec<Box<Steps>>,
    callbacks: usize,
}

/// A list of calls.
pub fn abi(data: &[u8]) {
    let (mut host, mut ended) = (Host::default(), Box::new(0_usize));
    let user: Handle = (&raw mut *ended).cast();
    let mut plan = Unstructured::new(data);
    for _ in 0..32 {
        if plan.is_empty() || host.act(user, &mut plan).is_err() {
            break;
        }
    }
    // SAFETY: each is a live handle, freed once. Clients outlive their config.
    unsafe {
        host.configs.drain(..).for_each(|config| zcrm_config_free(config));
        host.batches.drain(..).for_each(|batch| zcrm_batch_free(batch));
        host.clients.drain(..).for_each(|client| zcrm_client_free(client));
        host.walks.drain(..).for_each(|pages| zcrm_pages_free(pages)); // which may outlive their client
    }
    assert_eq!(*ended, host.callbacks, "each user pointer is let go of once");
}

/// One of the handles, or NULL.
fn pick(handles: &[Handle], which: u8) -> Handle {
    handles.get(usize::from(which) % (handles.len() + 1)).copied().unwrap_or(null_mut())
}

fn take(handles: &mut Vec<Handle>, which: u8) -> Handle {
    let index = usize::from(which) % (handles.len() + 1);
    if index < handles.len() { handles.swap_remove(index) } else { null_mut() }
}

impl Host {
    fn act(&mut self, user: Handle, plan: &mut Unstructured<'_>) -> Result<()> {
        let act = Act::arbitrary(plan)?;
        let mut err = null_mut();
        // SAFETY: handles are live or NULL, texts NUL-terminated or as long as is said, structs as large as they say.
        unsafe {
            match act {
                Act::ConfigNew if self.configs.len() < 4 => {
                    let mut config = null_mut();
                    assert_eq!(zcrm_config_new(&raw mut config), OK);
                    for (key, value) in [(c"api_domain", c"http://127.0.0.1:9"), (c"access_token", c"1000.canary-of-abi"), (c"max_retries", c"0")] {
                        assert_eq!(zcrm_config_set(config, key.as_ptr(), value.as_ptr(), usize::MAX, null_mut()), OK);
                    }
                    self.configs.push(config);
                }
                Act::ConfigSet(which) => {
                    let (key, value) = (text(plan)?, text(plan)?);
                    let known = zcrm::config::KEYS[usize::from(plan.arbitrary::<u8>()?) % zcrm::config::KEYS.len()].name;
                    let key = if plan.arbitrary()? { format!("{known}\0").into_bytes() } else { key };
                    if key.starts_with(b"ca_file") || key.starts_with(b"token_file") || key.starts_with(b"spool") || key.starts_with(b"api_domain") {
                        return Ok(()); // files and hosts of this machine
                    }
                    let len = if plan.arbitrary()? { usize::MAX } else { value.len() };
                    check(zcrm_config_set(pick(&self.configs, which), key.as_ptr().cast(), value.as_ptr().cast(), len, &raw mut err), &mut err);
                }
                Act::ConfigCallbacks(which, level) => {
                    let config = pick(&self.configs, which);
                    let set = zcrm_config_set_log_fn(config, level.into(), Some(log), user, Some(dropped));
                    assert!(set == OK || set == ARGUMENT);
                    self.callbacks += usize::from(set == OK);
                    if plan.arbitrary()? {
                        let set = zcrm_config_set_token_fn(config, Some(no_token), user, Some(dropped));
                        self.callbacks += usize::from(set == OK);
                    }
                }
                Act::ConfigStore(which) => {
                    let config = pick(&self.configs, which);
                    let callbacks = [no_document as *const (), no_place as _, no_lock as _, no_unlock as _, user.cast_const().cast(), dropped as _];
                    let mut words = callbacks.map(|callback| callback as usize);
                    if plan.ratio(1, 4)? {
                        words[plan.int_in_range(0..=3)?] = 0;
                    }
                    let mut store = sized(plan, &words)?;
                    let whole = store.len() / size_of::<usize>() * size_of::<usize>(); // half a function's address is none
                    store[..size_of::<usize>()].copy_from_slice(&whole.to_ne_bytes());
                    let set = zcrm_config_set_token_store(config, store.as_ptr(), &raw mut err);
                    self.callbacks += usize::from(set == OK && whole > 6 * size_of::<usize>());
                    check(set, &mut err);
                }
                // Miri sees no files.
                Act::ConfigProfile(which) if !cfg!(miri) => {
                    let (path, name) = (profile(plan)?, text(plan)?);
                    let name = if plan.arbitrary()? { null() } else { name.as_ptr() };
                    check(zcrm_config_load_profile(pick(&self.configs, which), path.as_ptr(), name.cast(), &raw mut err), &mut err);
                }
                Act::ConfigFree(which) => zcrm_config_free(take(&mut self.configs, which)),
                // Miri runs no foreign code, which TLS is; a NULL stands for every client there.
                Act::ClientNew(which) if self.clients.len() < 4 && !cfg!(miri) => {
                    let mut client = null_mut();
                    let status = zcrm_client_new(pick(&self.configs, which), &raw mut client, &raw mut err);
                    check(status, &mut err);
                    assert_eq!(client.is_null(), status != OK);
                    if status == OK {
                        self.clients.push(client);
                    }
                }
                Act::ClientFree(which) => zcrm_client_free(take(&mut self.clients, which)),
                Act::Cancel => {
                    let mut cancel = null_mut();
                    assert_eq!(zcrm_cancel_new(&raw mut cancel), OK);
                    zcrm_cancel_fire(cancel);
                    zcrm_cancel_fire(cancel);
                    zcrm_cancel_free(cancel);
                }
                Act::Operate(which, operation) => operate(pick(&self.clients, which), operation, plan)?,
                Act::RunStep(which) => {
                    let json = text(plan)?;
                    let mut result = null_mut();
                    with_call(plan, |call, _| {
                        let status =
                            zcrm_step_run(pick(&self.clients, which), json.as_ptr().cast(), json.len() - 1, call, &raw mut result, &raw mut err);
                        check(status, &mut err);
                        Ok(())
                    })?;
                    zcrm_result_free(result); // of a batch, which was begun with nothing
                }
                Act::BatchNew if self.batches.len() < 4 => {
                    let mut batch = null_mut();
                    assert_eq!(zcrm_batch_new(&raw mut batch), OK);
                    self.batches.push(batch);
                }
                Act::BatchAdd(which) => {
                    let (key, json) = (text(plan)?, text(plan)?);
                    let added = zcrm_batch_add(pick(&self.batches, which), key.as_ptr().cast(), json.as_ptr().cast(), usize::MAX, &raw mut err);
                    check(added, &mut err);
                }
                Act::BatchSource(which, then) => {
                    let batch = pick(&self.batches, which);
                    let mut steps = Box::new(Steps { texts: Vec::new(), given: 0, then: if then == 1 { 0 } else { then } });
                    for _ in 0..plan.int_in_range(0..=3)? {
                        steps.texts.push((text(plan)?, text(plan)?));
                    }
                    let set = zcrm_batch_set_source(batch, (then != 2).then_some(next), (&raw mut *steps).cast(), &raw mut err);
                    check(set, &mut err);
                    self.steps.push(steps); // which lives as long as a batch may ask
                }
                Act::BatchPause(which, on) => {
                    let batch = pick(&self.batches, which);
                    zcrm_batch_pause(batch, i32::from(on));
                    zcrm_batch_pause(batch, 0); // one that is held waits for ever
                }
                Act::BatchRun(which, client) => {
                    let mut result = null_mut();
                    let (client, batch) = (pick(&self.clients, client), pick(&self.batches, which));
                    with_call(plan, |call, _| {
                        let status = zcrm_batch_run(client, batch, null(), call, &raw mut result, &raw mut err);
                        check(status, &mut err);
                        Ok(())
                    })?;
                    read(result, plan)?;
                    zcrm_result_free(result);
                }
                Act::BatchFree(which) => zcrm_batch_free(take(&mut self.batches, which)),
                Act::PagesNew(which) if self.walks.len() < 4 => {
                    let (target, mut pages) = (Target::of(plan)?, null_mut());
                    let args = target.list_args(plan)?;
                    let status = zcrm_pages_new(pick(&self.clients, which), target.record.as_ptr(), args.as_ptr(), &raw mut pages, &raw mut err);
                    assert_eq!(pages.is_null(), status != OK);
                    check(status, &mut err);
                    if status == OK {
                        self.walks.push(pages);
                    }
                }
                Act::RecordPagesNew(which) if self.walks.len() < 4 => {
                    let (module, target, mut pages) = (text(plan)?, Target::of(plan)?, null_mut());
                    let args = target.list_args(plan)?; // which point into it
                    let status = with_text(plan, &module, |module, len| {
                        zcrm_record_pages_new(pick(&self.clients, which), module, len, args.as_ptr(), &raw mut pages, &raw mut err)
                    })?;
                    assert_eq!(pages.is_null(), status != OK);
                    check(status, &mut err);
                    if status == OK {
                        self.walks.push(pages);
                    }
                }
                Act::PagesNext(which) => {
                    let (pages, mut result) = (pick(&self.walks, which), null_mut());
                    with_call(plan, |call, plan| {
                        let result_to = if plan.ratio(1, 8)? { null_mut() } else { &raw mut result };
                        let status = zcrm_pages_next(pages, call, result_to, &raw mut err);
                        assert!(status != OK && result.is_null(), "a call that was cancelled before");
                        check(status, &mut err);
                        Ok(())
                    })?;
                }
                Act::PagesFree(which) => zcrm_pages_free(take(&mut self.walks, which)),
                Act::Nulls => nulls(),
                Act::ConfigNew | Act::ClientNew(_) | Act::BatchNew | Act::PagesNew(_) | Act::RecordPagesNew(_) | Act::ConfigProfile(_) => {}
            }
        }
        Ok(())
    }
}

/// A text with a NUL behind it; others may be inside.
fn text(plan: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut text = <&[u8]>::arbitrary(plan)?.to_vec();
    text.push(0);
    Ok(text)
}

/// A module: mostly one that there may be, with or without its length.
fn with_text<T>(plan: &mut Unstructured<'_>, text: &[u8], call: impl FnOnce(Ptr, usize) -> T) -> Result<T> {
    let text = if plan.ratio(3, 4)? { b"Contacts\0" } else { text };
    let len = if plan.arbitrary()? { usize::MAX } else { text.len() - 1 };
    Ok(call(text.as_ptr(), len))
}

/// The path of a file of profiles: what the plan says, or nothing that is there.
fn profile(plan: &mut Unstructured<'_>) -> Result<CString> {
    let path = std::env::temp_dir().join(format!("zcrm-fuzz-profiles-{}.toml", std::process::id()));
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&path).expect("a temporary file");
    if plan.arbitrary()? {
        file.write_all(b"[default]\naccess_token = \"1000.canary-of-abi\"\n").expect("written");
    }
    file.write_all(<&[u8]>::arbitrary(plan)?).expect("written");
    Ok(CString::new(path.into_os_string().into_vec()).expect("no NUL"))
}

/// A struct in memory of its own, so that a byte read behind its size is found out: `words` and what the plan puts over them.
fn sized(plan: &mut Unstructured<'_>, words: &[usize]) -> Result<Box<[u8]>> {
    let whole = (words.len() + 1) * size_of::<usize>();
    let size = match plan.int_in_range(0..=9)? {
        0 => plan.int_in_range(0..=whole + 64)?,
        1 => whole + 8 * plan.int_in_range(0..=8)?,
        _ => whole,
    };
    let mut bytes = vec![0; size.max(size_of::<usize>())];
    for (i, word) in words.iter().enumerate() {
        let at = (i + 1) * size_of::<usize>();
        if let Some(place) = bytes.get_mut(at..at + size_of::<usize>()) {
            put(place, *word);
        }
    }
    if plan.ratio(1, 16)? && size > whole {
        bytes[size - 1] = 1;
    }
    bytes[..size_of::<usize>()].copy_from_slice(&size.to_ne_bytes());
    Ok(bytes.into())
}

/// Writes a word that may be an address as a pointer: made of bytes alone it would point to nothing under Miri.
fn put(place: &mut [u8], word: usize) {
    assert!(place.len() >= size_of::<Ptr>());
    // SAFETY: it is large enough, and any bytes are a pointer.
    unsafe { place.as_mut_ptr().cast::<Ptr>().write_unaligned(std::ptr::with_exposed_provenance(word)) }
}

/// A zcrm_str: two words. NULL with a length, text, nothing.
fn str_of(plan: &mut Unstructured<'_>, text: &[u8]) -> Result<[usize; 2]> {
    Ok(match plan.int_in_range(0..=7)? {
        0 => [0, plan.int_in_range(0..=3)?],
        1 => [0, usize::MAX],
        2 => [text.as_ptr() as usize, usize::MAX],
        _ => [text.as_ptr() as usize, text.len() - 1],
    })
}

/// A zcrm_call whose token is fired.
fn with_call(plan: &mut Unstructured<'_>, mut body: impl FnMut(Ptr, &mut Unstructured<'_>) -> Result<()>) -> Result<()> {
    let mut cancel = null_mut();
    let (trace, sum, triggers) = (text(plan)?, text(plan)?, text(plan)?);
    let (trace, sum, triggers) =
        (str_of(plan, &trace).map(|s| (s, trace))?, str_of(plan, &sum).map(|s| (s, sum))?, str_of(plan, &triggers).map(|s| (s, triggers))?);
    let (timeout, expected, flags) = (plan.arbitrary::<u16>()?, plan.arbitrary::<i16>()?, plan.arbitrary::<u8>()?);
    // SAFETY: a token that lives until the call has ended. No field but the last flags is cut off: a struct has at least its token.
    unsafe {
        assert_eq!(zcrm_cancel_new(&raw mut cancel), OK);
        zcrm_cancel_fire(cancel);
        let words = [
            cancel as usize,
            usize::from(timeout),
            0,
            0,
            trace.0[0],
            trace.0[1],
            sum.0[0],
            sum.0[1],
            expected as usize,
            triggers.0[0],
            triggers.0[1],
            usize::from(flags % 17),
        ];
        let mut call = sized(plan, &words)?;
        if call.len() < 16 {
            call = vec![0; 16].into();
            put(&mut call[..8], 16);
            put(&mut call[8..], cancel as usize);
        }
        let size = usize::from_ne_bytes(call[..8].try_into().unwrap());
        assert!(size <= call.len());
        let done = body(call.as_ptr(), plan);
        zcrm_cancel_free(cancel);
        done
    }
}

/// A zcrm_target, and the texts that it and other structs point to.
struct Target {
    texts: [Vec<u8>; 4],
    record: Box<[u8]>,
}

impl Target {
    fn of(plan: &mut Unstructured<'_>) -> Result<Target> {
        let texts = [text(plan)?, text(plan)?, text(plan)?, text(plan)?];
        let mut words = Vec::new();
        let plain = plan.ratio(3, 4)?;
        let module: &[u8] = if plain { b"Contacts\0" } else { &texts[0] };
        let record: &[u8] = if plain { b"3652397000000649013\0" } else { &texts[1] };
        for text in [module, record, if plain { b"12345\0" } else { &texts[2] }] {
            words.extend(if plain { [text.as_ptr() as usize, usize::MAX] } else { str_of(plan, text)? });
        }
        let record = sized(plan, &words)?;
        Ok(Target { texts, record })
    }

    fn list_args(&self, plan: &mut Unstructured<'_>) -> Result<Box<[u8]>> {
        let list = [str_of(plan, &self.texts[0])?, str_of(plan, &self.texts[1])?].concat();
        let pages = plan.arbitrary::<u64>()? as usize;
        sized(plan, &[list, vec![pages]].concat())
    }
}

/// An operation, up to where the first request would leave.
fn operate(client: Handle, operation: u8, plan: &mut Unstructured<'_>) -> Result<()> {
    let target = Target::of(plan)?;
    let list = target.list_args(plan)?;
    let (Target { texts, record: target }, max_bytes) = (target, plan.arbitrary::<u16>()?);
    let kind = plan.int_in_range(0..=4_u32)?; // a file would be one of this machine
    let mut source = vec![if kind == 1 { 2 } else { kind as usize }];
    source.extend(str_of(plan, &texts[0])?);
    source.extend(str_of(plan, &texts[1])?);
    source.extend([0, 0, texts[2].as_ptr() as usize, texts[2].len(), plan.arbitrary::<i8>()? as usize, 0, 0, 0]);
    source.extend(str_of(plan, &texts[3])?);
    let source = sized(plan, &source)?;
    let kinds = plan.int_in_range(0..=4_usize)? | (usize::from(plan.arbitrary::<u8>()? % 3) << 32);
    let kinds = if kinds & 0xffff_ffff == 1 { kinds + 1 } else { kinds };
    let sink = sized(plan, &[kinds, 0, 0, max_bytes.into(), 0, 0])?;
    with_call(plan, |call, plan| {
        let (mut result, mut err) = (null_mut(), null_mut());
        let target = if plan.ratio(1, 32)? { null() } else { target.as_ptr() };
        let result_to = if plan.ratio(1, 8)? { null_mut() } else { &raw mut result };
        let err_to = if plan.ratio(1, 8)? { null_mut() } else { &raw mut err };
        // SAFETY: live handles or NULL, structs as large as they say, texts that live until the end.
        unsafe {
            let list = if plan.arbitrary()? { null() } else { list.as_ptr() };
            let status = match operation % 8 {
                0 => zcrm_attachment_upload(client, target, source.as_ptr(), call, result_to, err_to),
                1 => zcrm_attachment_list(client, target, list, call, result_to, err_to),
                2 => zcrm_attachment_download(client, target, sink.as_ptr(), call, result_to, err_to),
                3 => zcrm_attachment_delete(client, target, call, result_to, err_to),
                4 => zcrm_photo_upload(client, target, source.as_ptr(), call, result_to, err_to),
                5 => zcrm_photo_download(client, target, sink.as_ptr(), call, result_to, err_to),
                6 => zcrm_photo_delete(client, target, call, result_to, err_to),
                _ => with_text(plan, &texts[0], |module, len| zcrm_record_list(client, module, len, list, call, result_to, err_to))?,
            };
            assert_ne!(status, OK, "a call that was cancelled before");
            assert!(result.is_null(), "an output of a call that failed");
            assert_eq!(err.is_null(), err_to.is_null());
            if err.is_null() {
                assert_ne!(status, PANIC)
            } else {
                check(status, &mut err)
            }
            if client.is_null() {
                assert!([ARGUMENT, VERSION, CANCELLED].contains(&status), "{status}");
            }
        }
        Ok(())
    })
}

/// What every failure gives; frees the error.
fn check(status: i32, err: &mut Handle) {
    assert_ne!(status, PANIC);
    assert_eq!(err.is_null(), status == OK, "an error object, exactly when it failed");
    // SAFETY: NULL or a live error; texts are borrowed until it is freed.
    unsafe {
        assert_eq!(zcrm_error_code(*err), status);
        let text = |text: *const c_char| CStr::from_ptr(text).to_str().expect("UTF-8").to_owned();
        let json = text(zcrm_error_json(*err));
        if status == OK {
            assert!(json.is_empty() && zcrm_error_retry_after_ms(*err) == -1);
        } else {
            let document: serde_json::Value = serde_json::from_str(&json).expect("JSON");
            assert_eq!(document["message"].as_str(), Some(text(zcrm_error_message(*err)).as_str()));
            assert_eq!(document["reason"].as_str(), Some(text(zcrm_error_reason(*err)).as_str()));
            assert_eq!(document["name"].as_str(), Some(text(zcrm_status_name(status)).as_str()));
            assert!(!json.contains("canary-of-abi") && !text(zcrm_error_message(*err)).contains('\n'));
            assert!(zcrm_error_http_status(*err) == 0 && zcrm_error_callback_status(*err) == 0 && text(zcrm_error_api_code(*err)).is_empty());
            assert!((0..=1).contains(&zcrm_error_retryable(*err)) && zcrm_error_request_sent(*err) == 0);
            assert!(zcrm_error_outcome_open(*err) == 0 && zcrm_error_candidate(*err, 0).is_null(), "nothing was sent");
        }
        zcrm_error_free(*err);
        *err = null_mut();
    }
}

/// Reads a result, or NULL, by every function.
fn read(result: Handle, plan: &mut Unstructured<'_>) -> Result<()> {
    let (mut attachment, mut transfer, mut page) = (sized(plan, &[0; 16])?.to_vec(), sized(plan, &[0; 10])?.to_vec(), sized(plan, &[0; 3])?.to_vec());
    let mut summary = sized(plan, &[0; 8])?.to_vec();
    let (mut data, mut n) = (null(), 0);
    // SAFETY: NULL or a live result; outputs as large as they say.
    unsafe {
        let id = zcrm_result_record_id(result, zcrm_result_count(result), null_mut());
        assert!(CStr::from_ptr(id).is_empty(), "no record behind the last");
        for status in [
            zcrm_result_attachment(result, plan.arbitrary::<u8>()?.into(), attachment.as_mut_ptr(), null_mut()),
            zcrm_result_transfer(result, transfer.as_mut_ptr(), null_mut()),
            zcrm_result_page(result, page.as_mut_ptr(), null_mut()),
            zcrm_result_batch(result, summary.as_mut_ptr(), null_mut()),
            zcrm_result_data(result, &raw mut data, &raw mut n, null_mut()),
        ] {
            assert_ne!(status, PANIC);
        }
        let json = CStr::from_ptr(zcrm_result_json(result, &raw mut n));
        assert!(result.is_null() || json.to_bytes().len() == n);
    }
    Ok(())
}

/// Every function that takes NULL for a handle, with NULL.
fn nulls() {
    // SAFETY: the header allows NULL.
    unsafe {
        zcrm_config_free(null_mut());
        zcrm_client_free(null_mut());
        zcrm_cancel_fire(null_mut());
        zcrm_cancel_free(null_mut());
        zcrm_batch_pause(null_mut(), 1);
        zcrm_batch_free(null_mut());
        zcrm_pages_free(null_mut());
        assert!(zcrm_error_candidate(null_mut(), 0).is_null());
        zcrm_result_free(null_mut());
        zcrm_error_free(null_mut());
        for status in [
            zcrm_config_new(null_mut()),
            zcrm_cancel_new(null_mut()),
            zcrm_batch_new(null_mut()),
            zcrm_client_new(null_mut(), null_mut(), null_mut()),
            zcrm_config_set(null_mut(), null(), null(), 0, null_mut()),
            zcrm_config_load_profile(null_mut(), null(), null(), null_mut()),
            zcrm_config_set_token_store(null_mut(), null(), null_mut()),
            zcrm_batch_add(null_mut(), null(), null(), 0, null_mut()),
            zcrm_batch_set_source(null_mut(), None, null_mut(), null_mut()),
            zcrm_record_list(null_mut(), null(), 0, null(), null(), null_mut(), null_mut()),
            zcrm_record_pages_new(null_mut(), null(), 0, null(), null_mut(), null_mut()),
            zcrm_pages_new(null_mut(), null(), null(), null_mut(), null_mut()),
            zcrm_pages_next(null_mut(), null(), null_mut(), null_mut()),
            zcrm_result_batch(null_mut(), null_mut(), null_mut()),
            zcrm_step_run(null_mut(), null(), 0, null(), null_mut(), null_mut()),
            zcrm_attachment_upload(null_mut(), null(), null(), null(), null_mut(), null_mut()),
        ] {
            assert_eq!(status, ARGUMENT);
        }
    }
}
