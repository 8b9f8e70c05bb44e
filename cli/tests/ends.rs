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
    assert!(no_credentials.code == Some(2) && no_credentials.err.contains("`zcrm login` writes one"), "{no_credentials:?}");
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
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader); // before it begins, as it is soon done
    let output = zcrm(&w, &["ls", &contact(&w)]).stdout(writer).spawn().unwrap().wait_with_output().unwrap();
    let ran = Ran::from(output);
    assert!(ran.code == Some(2) && ran.err.contains("output"), "{ran:?}");
}

#[test]
fn an_output_or_input_that_cannot_be_used_is_exit_code_2_and_nothing_is_sent() {
    let w = world();
    for (arguments, how) in [
        (&["run"][..], ">&-"),
        (&["run"], "<&-"),
        (&["run"], "1</dev/null"),
        (&["run"], "0>/dev/null"),
        (&["ls", &contact(&w)], "1</dev/null"),
        (&["batch", "--journal", "/nowhere/j"], "<&-"),
        (&["ls", &contact(&w)], ">&-"),
        (&["upload", &contact(&w), "-", "--name", "a.txt"], "<&-"),
        (&["export", "Contacts", "-o", "out", "--ids=-"], "<&-"),
    ] {
        let program = zcrm(&w, arguments);
        let mut shell = Command::new("sh");
        shell.env_clear().args(["-c", &format!("exec \"$@\" {how}"), "sh"]).arg(program.get_program()).args(program.get_args());
        shell.envs(program.get_envs().filter_map(|(key, value)| Some((key, value?))));
        let ran = ran(&mut shell);
        assert!(ran.code == Some(2) && ran.err.contains("standard "), "{arguments:?} {how}: {ran:?}");
    }
    assert!(w.emulator.ledger().requests.is_empty());
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null").unwrap(); // Python's subprocess.DEVNULL
    assert_eq!(zcrm(&w, &["run"]).stdin(Stdio::null()).stdout(null).status().unwrap().code(), Some(0));
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
        if name == "HUP" && hangup_is_ignored() {
            continue;
        }
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

/// Whether these tests run under nohup.
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() & 1 == 1
}

#[test]
fn a_hangup_that_is_ignored_stays_so_as_nohup_wants_it() {
    let w = world();
    let mut command = Command::new("sh");
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("ZCRM_API_DOMAIN", w.emulator.url());
    command.env("ZCRM_ACCESS_TOKEN", w.emulator.access_token()).env("HOME", w.dir.path());
    let script = "trap '' HUP; exec \"$0\" upload \"$1\" - --name a";
    command.args(["-c", script, env!("CARGO_BIN_EXE_zcrm"), &contact(&w)]).stdin(Stdio::piped()).stdout(Stdio::null());
    w.emulator.script("attachment.upload", [Fault::stall_for(StallAt::BeforeReply, 0, 500)]);
    let mut child = command.spawn().unwrap();
    drop(child.stdin.take());
    seen(&w, "attachment.upload");
    signal(&child, "HUP");
    assert_eq!((child.wait().unwrap().code(), w.stored().len()), (Some(0), 1));
}

#[test]
fn help_that_cannot_be_written_is_exit_code_2() {
    let w = world();
    for arguments in [&["--help"][..], &["--version"], &["completions", "bash"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let ran = ran(bare(&w, arguments).stdout(full));
        assert!(ran.code == Some(2) && ran.err.contains("output"), "{arguments:?}: {ran:?}");
    }
}

/// The command may write no file longer than this: what follows fails, as on a full disk.
fn with_file_limit(w: &World, blocks: u32, arguments: &[&str]) -> Ran {
    let plain = zcrm(w, arguments);
    let mut command = Command::new("sh");
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    command.arg("-c").arg(script).arg(plain.get_program()).args(plain.get_args()).current_dir(w.dir.path()).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("PATH", std::env::var_os("PATH").unwrap());
    ran(&mut command)
}

#[test]
fn an_export_whose_manifest_cannot_grow_stops_and_the_next_one_goes_on() {
    let w = world();
    let ids: Vec<String> = (0..40).map(|_| w.emulator.add_record("Widgets")).collect();
    ids.iter().for_each(|id| drop(w.emulator.attach("Widgets", id, "a.txt", b"x")));
    // 1,024 or 512 bytes, as the shell has it: a few lines.
    let full = with_file_limit(&w, 2, &["export", "Widgets", "-o", "out"]);
    assert!(full.code == Some(1) && full.err.contains("manifest.ndjson"), "{full:?}");
    let manifest = std::fs::read_to_string(w.path("out/manifest.ndjson")).unwrap();
    assert!(manifest.ends_with('\n') && manifest.lines().all(|line| line.ends_with('}')), "{manifest}");
    let spent = w.requests("attachment.download").len();
    assert!(spent < 30, "{spent} downloads, of which nothing can be remembered");
    let rest = run(&w, &["export", "Widgets", "-o", "out"]);
    assert!(rest.code == Some(0) && rest.out.contains(" 0 records are left"), "{rest:?}");
}
