//! How a command ends: exit codes, settings that are wrong, output that nobody reads, signals.

mod support;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::world::{World, bytes, world};
use support::{Ran, bare, contact, ran, run, zcrm};
use zcrm_emulator::{Fault, StallAt};

#[test]
fn what_keeps_a_command_from_starting_is_one_line_and_exit_code_2() {
    let w = world();
    let wrong: [(Vec<&str>, &str, &str); 5] = [
        (vec!["ls", "Contacts/1"], "ZCRM_ACCES_TOKEN", "access_token"),
        (vec!["ls", "Contacts/1"], "ZCRM_API_VERSION", "api_version"),
        (vec!["ls", "Contacts/1", "--set", "api_versoin=v8"], "X", "api_version"),
        (vec!["ls", "Contacts/1", "--set", "max_retries=many"], "X", "max_retries"),
        (vec!["ls", "Contacts/1", "--set", "nothing"], "X", "KEY=VALUE"),
    ];
    for (arguments, variable, word) in wrong {
        let ran = ran(zcrm(&w, &arguments).env(variable, "x"));
        assert!(ran.code == Some(2) && ran.err.contains(word) && ran.out.is_empty(), "{arguments:?} {variable}: {ran:?}");
    }
    let no_credentials = ran(&mut bare(&w, &["ls", "Contacts/1"]));
    assert!(no_credentials.code == Some(2) && no_credentials.err.contains("credentials"), "{no_credentials:?}");
    for usage in [&["ls"][..], &["ls", "Contacts"], &["nothing"], &["upload", "Contacts/1"], &["ls", "Contacts/1", "--nothing"]] {
        assert_eq!(run(&w, usage).code, Some(2), "{usage:?}");
    }
}

#[test]
fn options_come_before_the_environment() {
    let w = world();
    let ran = ran(zcrm(&w, &["ls", &contact(&w), "--set", &format!("api_domain={}", w.emulator.url())]).env("ZCRM_API_DOMAIN", "http://127.0.0.1:1"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn help_and_version_are_no_failure() {
    let w = world();
    for arguments in [&["--help"][..], &["upload", "--help"], &["--version"]] {
        let ran = ran(&mut bare(&w, arguments));
        assert!(ran.code == Some(0) && ran.out.contains("zcrm"), "{ran:?}");
    }
}

#[test]
fn output_that_nobody_reads_is_exit_code_2() {
    let w = world();
    (0..3).for_each(|i| drop(w.attach(&format!("{i}"), b"x")));
    let mut child = zcrm(&w, &["ls", &contact(&w)]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let ran = Ran::from(output);
    assert!(ran.code == Some(2) && ran.err.contains("output"), "{ran:?}");
}

fn signal(process: &std::process::Child, name: &str) {
    let killed = Command::new("kill").args([&format!("-{name}"), &process.id().to_string()]).status().unwrap();
    assert!(killed.success());
}

/// Waits until the emulator has seen a request of the operation.
fn seen(w: &World, operation: &str) {
    let began = Instant::now();
    while w.requests(operation).is_empty() && w.emulator.faults_left(operation) > 0 {
        assert!(began.elapsed() < Duration::from_secs(60), "no {operation}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_signal_in_the_middle_of_100_mb_ends_the_command_and_leaves_no_file() {
    for (name, megabytes) in [("INT", 100), ("TERM", 1), ("HUP", 1)] {
        let w = world();
        let a = w.attach("large.bin", &bytes(megabytes << 20));
        w.emulator.script("attachment.download", [Fault::stall_after(StallAt::Reply, (megabytes as u64) << 19)]);
        let child = zcrm(&w, &["get", &format!("{}/{a}", contact(&w)), "-o", "d"]).spawn().unwrap();
        seen(&w, "attachment.download");
        signal(&child, name);
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!((ran.code, std::fs::read_dir(w.path("d")).unwrap().count()), (Some(3), 0), "{name}: {ran:?}");
    }
}

#[test]
fn a_signal_in_the_middle_of_an_upload_stores_nothing() {
    let w = world();
    w.file("large.bin", &bytes(50 << 20));
    w.emulator.script("attachment.upload", [Fault::stall_after(StallAt::Request, 20 << 20)]);
    let child = zcrm(&w, &["upload", &contact(&w), "large.bin"]).spawn().unwrap();
    seen(&w, "attachment.upload");
    signal(&child, "INT");
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!((ran.code, w.stored().len()), (Some(3), 0), "{ran:?}");
}

#[test]
fn a_second_signal_ends_what_the_first_could_not() {
    let w = world();
    let mut command = zcrm(&w, &["upload", &contact(&w), "-", "--name", "a"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let open = child.stdin.take(); // nothing comes, and it isn't closed
    std::thread::sleep(Duration::from_millis(300));
    let began = Instant::now();
    signal(&child, "INT");
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert!(began.elapsed() < Duration::from_secs(30));
    drop(open);
}
