//! A disk that fails at any step, and a system that gives no threads or file descriptors: in processes of their own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};
use zcrm::attachment::{self, ListArgs};
use zcrm::batch::{self, Item, Options, Summary};
use zcrm::{Call, Client, Config, Error, File, Record, Result, Sent, Sink, Status, Streamed};
use zcrm_emulator::{Fault, StallAt};

use crate::quick::quick;
use crate::support::{World, bytes};

const LENGTH: usize = 200_000;

/// The library that fails the steps, from `shim.c`.
fn shim() -> &'static Path {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    SHIM.get_or_init(|| {
        let shim = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("shim-{}.so", std::process::id()));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/shim.c");
        let mut compiler = crate::compiler::c();
        compiler.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-o"]).arg(&shim).arg(source).arg("-ldl");
        assert!(compiler.status().unwrap().success());
        shim
    })
}

/// Runs a test of this binary as a process, with the shim; gives what it wrote to `ZCRM_OUT`, and whether a step has failed.
fn under_shim(test: &str, settings: &[(&str, &str)]) -> (Value, bool) {
    let control = tempfile::tempdir().unwrap();
    let (on, out, dir) = (control.path().join("on"), control.path().join("out"), control.path().join("files"));
    std::fs::write(&on, "").unwrap();
    std::fs::create_dir(&dir).unwrap();
    let mut process = crate::again(test);
    process.arg("--test-threads=1").env("LD_PRELOAD", shim()).env("ZCRM_OUT", &out).envs(settings.iter().copied());
    process.env("ZCRM_SHIM_ON", &on).env("ZCRM_SHIM_DIR", &dir).stderr(Stdio::piped());
    let output = process.output().unwrap();
    assert!(output.status.success(), "{test} {settings:?}: {}", String::from_utf8_lossy(&output.stderr));
    let fired = std::fs::read_to_string(&on).is_ok_and(|text| text == "fired");
    let told = serde_json::from_str(&std::fs::read_to_string(out).unwrap()).unwrap();
    (told, fired)
}

fn tell(what: &Value) {
    std::fs::write(std::env::var_os("ZCRM_OUT").expect("started by a test"), what.to_string()).unwrap();
}

fn directory() -> PathBuf {
    std::env::var_os("ZCRM_SHIM_DIR").expect("started by a test").into()
}

/// From here on nothing fails.
fn mend() {
    let on = PathBuf::from(std::env::var_os("ZCRM_SHIM_ON").unwrap());
    let told = std::fs::read_to_string(&on).unwrap();
    let aside = on.with_extension("told");
    std::fs::rename(&on, &aside).unwrap();
    assert!(told.is_empty() || told == "fired");
}

fn break_again() {
    let on = PathBuf::from(std::env::var_os("ZCRM_SHIM_ON").unwrap());
    std::fs::rename(on.with_extension("told"), on).unwrap();
}

fn files() -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(directory()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn reason<T>(result: &Result<T>) -> Value {
    result.as_ref().err().map_or(json!(null), |e: &Error| json!({"status": e.status().name(), "reason": e.reason(), "errno": e.detail().os_error}))
}

#[test]
#[ignore = "the process whose disk fails"]
fn download() {
    let (w, target) = (quick(&[]), directory().join("target.bin"));
    let id = w.emulator.attach("Contacts", &w.contact.id, "a.bin", &bytes(LENGTH));
    let download = || {
        let sink = Sink::file(target.clone(), false);
        attachment::download(&w.client, &w.contact, &id, sink, Call::default())
    };
    let first = download();
    mend();
    assert!(files().iter().all(|name| name == "target.bin"), "I4: {:?}", files());
    assert_eq!(first.is_ok(), target.exists(), "I4: a failure leaves no file");
    if first.is_err() {
        download().expect("the disk is mended");
    }
    assert!(std::fs::read(&target).unwrap() == bytes(LENGTH));
    break_again();
    tell(&reason(&first));
}

#[test]
#[ignore = "the process whose disk fails"]
fn spool() {
    let dir = directory();
    let w = quick(&[("spool_dir", dir.to_str().unwrap())]);
    let content = bytes(LENGTH);
    let upload = || {
        let mut reader = Streamed(content.as_slice());
        attachment::upload(&w.client, &w.contact, File::reader("a.bin", &mut reader, None), Call::default())
    };
    let first = upload();
    mend();
    assert_eq!(files(), [""; 0], "I4");
    let stored = || w.emulator.attachments("Contacts", &w.contact.id).len();
    assert_eq!(stored(), usize::from(first.is_ok()), "I3");
    if first.is_err() {
        upload().expect("the disk is mended");
    }
    assert_eq!(stored(), 1);
    break_again();
    tell(&reason(&first));
}

#[test]
#[ignore = "the process whose disk fails"]
fn token_file() {
    let file = directory().join("token");
    let w = quick(&[("token_file", file.to_str().unwrap())]);
    let list = || attachment::list(&w.client, &w.contact, &ListArgs::default(), Call::default());
    let first = list();
    mend();
    let known = |name: &String| name == "token" || name == "token.lock" || name.starts_with("token.") && name.ends_with(".places");
    assert!(files().iter().all(known), "I4: {:?}", files());
    list().expect("the disk is mended");
    assert!(w.requests("token").len() <= 2, "{} token requests", w.requests("token").len());
    break_again();
    tell(&reason(&first));
}

#[test]
#[ignore = "the process whose disk fails"]
fn journal() {
    let dir = directory();
    let sources = tempfile::tempdir().unwrap();
    let w = quick(&[("allow_paths", sources.path().to_str().unwrap())]);
    let item = |i: usize| {
        let path = sources.path().join(format!("{i}.bin"));
        std::fs::write(&path, [bytes(100), vec![i as u8]].concat()).unwrap();
        let step = json!({"operation": "attachment.upload", "module": "Contacts", "record_id": w.contact.id, "source": {"path": path}});
        Item { key: i.to_string(), step: step.to_string() }
    };
    let items: Vec<_> = (0..4).map(item).collect();
    let run = || -> Result<Summary> {
        let options = Options { parallel: 2, journal: Some(dir.join("journal")), ..Options::default() };
        Ok(batch::run(&w.client, items.clone(), &options, Call::default(), &mut |_| true)?.result)
    };
    let first = run();
    mend();
    let second = run().expect("the disk is mended");
    assert_eq!((second.done, second.failed, second.left), (4, 0, 0), "{second:?}");
    let mut names: Vec<_> = w.emulator.attachments("Contacts", &w.contact.id).into_iter().map(|a| a.name).collect();
    names.sort();
    assert_eq!(names, ["0.bin", "1.bin", "2.bin", "3.bin"], "I1: after {:?}", first.err());
    break_again();
    tell(&reason(&first));
}

/// Fails step 1, 2, 3 … in one way until there is none left; gives how the runs ended.
fn at_every_step(scenario: &str, how: &str) -> Vec<Value> {
    let mut ends = Vec::new();
    loop {
        let step = (ends.len() + 1).to_string();
        let (end, fired) = under_shim(&format!("disk::{scenario}"), &[("ZCRM_SHIM_STEP", &step), ("ZCRM_SHIM_HOW", how)]);
        if !fired {
            println!("{scenario}, {how}: {} steps", ends.len());
            return ends;
        }
        ends.push(end);
    }
}

fn names_the_disk(ends: &[Value], errno: i32) {
    let failed: Vec<_> = ends.iter().filter(|end| !end.is_null()).collect();
    assert!(!failed.is_empty());
    for end in failed {
        assert_eq!((&end["status"], &end["errno"]), (&json!("ZCRM_E_IO"), &json!(errno)), "{end}");
    }
}

#[test]
fn a_disk_that_fails_at_any_step_leaves_nothing_half_done() {
    for scenario in ["download", "spool", "journal"] {
        let ends = at_every_step(scenario, "once");
        names_the_disk(&ends, libc::EIO);
    }
}

#[test]
fn a_disk_that_is_full_from_any_step_on_leaves_nothing_half_done() {
    for scenario in ["download", "spool", "journal"] {
        let ends = at_every_step(scenario, "full");
        names_the_disk(&ends, libc::ENOSPC);
    }
}

#[test]
fn a_line_of_which_a_full_disk_took_a_part_is_no_part_of_the_journal() {
    let ends = at_every_step("journal", "torn");
    names_the_disk(&ends, libc::ENOSPC);
    assert!(ends.iter().all(|end| !end.is_null()), "a batch that can't write its journal says so: {ends:?}");
}

#[test]
fn a_disk_that_takes_no_token_costs_no_call() {
    for how in ["once", "full"] {
        let ends = at_every_step("token_file", how);
        assert!(!ends.is_empty() && ends.iter().all(Value::is_null), "{how}: {ends:?}");
    }
}

#[test]
fn a_write_that_is_short_or_interrupted_goes_on() {
    for (scenario, how) in ["download", "spool", "token_file", "journal"].into_iter().zip(["short", "interrupted", "short", "interrupted"]) {
        let ends = at_every_step(scenario, how);
        assert!(!ends.is_empty() && ends.iter().all(Value::is_null), "{scenario} {how}: {ends:?}");
    }
}

#[test]
fn a_directory_that_goes_or_a_target_that_comes_during_a_download_is_an_error_and_leaves_nothing() {
    for vanishes in [true, false] {
        let w = quick(&[]);
        let dir = w.path("into");
        let (target, kept) = (dir.join("target.bin"), dir.join("target.bin/kept"));
        std::fs::create_dir(&dir).unwrap();
        let id = w.emulator.attach("Contacts", &w.contact.id, "a.bin", &bytes(LENGTH));
        let mut progress = |_: u64, _: Option<u64>| {
            if vanishes {
                let _ = std::fs::remove_dir_all(&dir); // it is gone the second time
            } else {
                std::fs::create_dir_all(&kept).unwrap();
            }
            true
        };
        let sink = Sink::file(target.clone(), true);
        let call = Call { progress: Some(&mut progress), ..Call::default() };
        let error = attachment::download(&w.client, &w.contact, &id, sink, call).unwrap_err();
        let reason = if vanishes { "sink_rename" } else { "target_not_a_file" };
        assert_eq!((error.status(), error.reason()), (Status::Io, reason), "{error}");
        assert!(vanishes || (kept.is_dir() && std::fs::read_dir(&dir).unwrap().count() == 1), "nothing else is there");
    }
}

/// A client for the emulator of the process that started this one.
fn elsewhere(settings: &[(&str, &str)]) -> (Client, Record) {
    let of_parent = |name: &str| std::env::var(name).expect("started by a test");
    let (url, token) = (of_parent("ZCRM_URL"), of_parent("ZCRM_TOKEN"));
    let mut config = Config::new();
    let own = [("api_domain", url.as_str()), ("accounts_url", &url), ("access_token", &token), ("max_retries", "0")];
    own.iter().chain(settings).for_each(|(key, value)| config.set(key, value).unwrap());
    (Client::new(config).unwrap(), Record::new("Contacts", of_parent("ZCRM_RECORD")))
}

/// The environment that tells another process of this world.
fn address(w: &World) -> [(&'static str, String); 3] {
    [("ZCRM_URL", w.emulator.url().to_owned()), ("ZCRM_TOKEN", w.emulator.access_token()), ("ZCRM_RECORD", w.contact.id.clone())]
}

#[test]
#[ignore = "the process that gets no threads"]
fn threadless() {
    let sources = tempfile::tempdir().unwrap();
    let (client, record) = elsewhere(&[("allow_paths", sources.path().to_str().unwrap())]);
    assert!(std::thread::Builder::new().spawn(|| ()).is_err(), "no thread is given");
    let items = (0..5).map(|i| {
        let path = sources.path().join(format!("{i}.bin"));
        std::fs::write(&path, [i]).unwrap();
        let step = json!({"operation": "attachment.upload", "module": "Contacts", "record_id": record.id, "source": {"path": path}});
        Item { key: i.to_string(), step: step.to_string() }
    });
    let summary = batch::run(&client, items, &Options::default(), Call::default(), &mut |_| true).unwrap().result;
    tell(&json!(summary.done));
}

#[test]
fn a_batch_that_gets_no_threads_works_on_the_calling_one() {
    let w = quick(&[]);
    let address = address(&w);
    let settings: Vec<_> = address.iter().map(|(k, v)| (*k, v.as_str())).chain([("ZCRM_SHIM_NO_THREADS", "1")]).collect();
    assert_eq!(under_shim("disk::threadless", &settings).0, json!(5));
    assert_eq!(w.emulator.attachments("Contacts", &w.contact.id).len(), 5);
}

#[test]
#[ignore = "the process that runs out of descriptors"]
fn descriptors() {
    let (client, record) = elsewhere(&[]);
    let content = bytes(LENGTH);
    let upload = |name: &str| attachment::upload(&client, &record, File::memory(name, &content), Call::default());
    let mut held = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        held.push(file);
    }
    let none = upload("none.bin").unwrap_err();
    assert!(matches!(none.status(), Status::Io | Status::Network), "{none}");
    assert_eq!((none.detail().request_sent, none.detail().retryable), (Sent::No, true), "{none}");
    // One after another is given back: whatever a call finds missing then is an error too.
    let mut stored = 0;
    for i in 0..24 {
        held.pop();
        stored += usize::from(upload(&format!("{i}.bin")).is_ok());
    }
    drop(held);
    upload("last.bin").expect("all descriptors are back");
    tell(&json!(stored + 1));
}

#[test]
fn without_file_descriptors_a_call_fails_and_works_again_when_some_are_back() {
    let w = quick(&[]);
    let out = tempfile::NamedTempFile::new().unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 64; exec \"$@\"", "sh"]).arg(std::env::current_exe().unwrap());
    shell.args(["--ignored", "--exact", "disk::descriptors"]).env("ZCRM_OUT", out.path()).envs(address(&w));
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let stored: usize = std::fs::read_to_string(out.path()).unwrap().parse().unwrap();
    assert!(stored > 1, "some calls found enough of them before all were back");
    assert_eq!(w.emulator.attachments("Contacts", &w.contact.id).len(), stored, "I1, I3");
}

#[test]
#[ignore = "the process that is killed"]
fn killed_download() {
    let (client, record) = elsewhere(&[]);
    let of_parent = |name: &str| std::env::var(name).expect("started by a test");
    // Its file is open when the reply begins.
    let mut progress = |_: u64, _: Option<u64>| {
        std::fs::write(of_parent("ZCRM_OUT"), "it begins").unwrap();
        true
    };
    let call = Call { progress: Some(&mut progress), ..Call::default() };
    let sink = Sink::file(directory().join("target.bin"), of_parent("ZCRM_OVERWRITE") == "1");
    let _ = attachment::download(&client, &record, &of_parent("ZCRM_ATTACHMENT"), sink, call);
}

#[test]
fn a_process_that_is_killed_in_a_download_leaves_nothing() {
    for overwrite in ["0", "1"] {
        let w = quick(&[]);
        let id = w.emulator.attach("Contacts", &w.contact.id, "a.bin", &bytes(LENGTH));
        w.emulator.script("attachment.download", [Fault::stall_after(StallAt::Reply, LENGTH as u64 / 2)]);
        let control = tempfile::tempdir().unwrap();
        let (out, dir) = (control.path().join("out"), control.path().join("files"));
        std::fs::create_dir(&dir).unwrap();
        let mut process = crate::again("disk::killed_download");
        process.envs(address(&w)).env("ZCRM_OUT", &out).env("ZCRM_SHIM_DIR", &dir).env("ZCRM_ATTACHMENT", &id).env("ZCRM_OVERWRITE", overwrite);
        let mut process = process.spawn().unwrap();
        while !out.exists() {
            assert_eq!(process.try_wait().unwrap(), None, "it waits for the rest of the file");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        process.kill().unwrap();
        process.wait().unwrap();
        let left: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
