//! Hosts that know the library by one symbol: `examples/plugin-host` and `python -m zcrm`, as the commands that engines would start.
#![cfg(all(feature = "capi", target_os = "linux"))]

mod support;
#[path = "support/world.rs"]
mod world;

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};
use support::{library, root, scratch, succeed, text};
use world::{canary, world};
use zcrm_emulator::{Emulator, Fault, StallAt};

#[derive(Clone, Copy, PartialEq, Debug)]
enum Host {
    C,
    Python,
}

use Host::{C, Python};

const HOSTS: [Host; 2] = [C, Python];

/// The example compiled as its first comment says: the library isn't linked.
fn plugin_host() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let make = || {
        let program = scratch("plugin-host").join("plugin-host");
        let mut compiler = support::compiler::c();
        compiler.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-g", "-I"]).arg(root().join("include")).arg("-o").arg(&program);
        succeed(compiler.arg(root().join("examples/plugin-host/plugin-host.c")).args(["-pthread", "-ldl"]));
        program
    };
    PROGRAM.get_or_init(make).clone()
}

impl Host {
    fn bare(self, arguments: &[&str]) -> Command {
        let mut command = match self {
            C => Command::new(plugin_host()),
            Python => {
                let mut python = Command::new("python3");
                python.args(["-m", "zcrm"]);
                python
            }
        };
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("ZCRM_LIBRARY", library()).args(arguments);
        command.env("PYTHONPATH", root().join("bindings/python/src")).env("PYTHONDONTWRITEBYTECODE", "1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn command(self, emulator: &Emulator, arguments: &[&str]) -> Command {
        let mut command = self.bare(arguments);
        command.env("ZCRM_API_DOMAIN", emulator.url()).env("ZCRM_ACCESS_TOKEN", emulator.access_token()).env("ZCRM_MAX_RETRIES", "0");
        command
    }
}

/// Gives the lines to the command, closes its input and waits for its end.
fn feed(mut command: Command, lines: &[String]) -> (Vec<Value>, Output) {
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let all: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let writing = std::thread::spawn(move || drop(input.write_all(all.as_bytes())));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    canary::check(&(text(&output.stdout) + &text(&output.stderr)));
    let printed = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect();
    (printed, output)
}

fn list(record: &str) -> String {
    json!({"operation": "attachment.list", "module": "Contacts", "record_id": record}).to_string()
}

fn stall() -> Fault {
    Fault::stall(StallAt::BeforeReply)
}

#[test]
fn the_example_in_c_is_short_enough_to_be_read() {
    let lines = std::fs::read_to_string(root().join("examples/plugin-host/plugin-host.c")).unwrap().lines().count();
    assert!(lines < 230, "{lines} lines");
}

#[test]
fn results_come_in_the_order_of_the_steps_though_the_first_one_is_the_slowest() {
    for host in HOSTS {
        let w = world();
        w.emulator.settings(|s| s.concurrency = 100);
        let records: Vec<String> = (0..5)
            .map(|many| {
                let record = w.record();
                (0..many).for_each(|i| drop(w.emulator.attach("Contacts", &record, &format!("{i}"), b"x")));
                record
            })
            .collect();
        w.emulator.script("attachment.list", [Fault::delay(300)]);
        let lines: Vec<String> = records.iter().cycle().take(40).map(|record| list(record)).collect();
        let (printed, output) = feed(host.command(&w.emulator, &["-n", "4"]), &lines);
        let found: Vec<usize> = printed.iter().map(|line| line["result"]["attachments"].as_array().expect("no list").len()).collect();
        assert_eq!(found, (0..5).cycle().take(40).collect::<Vec<_>>(), "{host:?}");
        assert_eq!(output.status.code(), Some(0), "{host:?}");
        let connections: std::collections::HashSet<u64> = w.emulator.ledger().requests.iter().map(|r| r.connection).collect();
        assert!((2..=4).contains(&connections.len()), "{host:?} ran {} at a time", connections.len());
    }
}

#[test]
fn a_bad_line_is_reported_in_its_place_and_the_others_are_done() {
    for host in HOSTS {
        let w = world();
        let record = w.record();
        let lines = [list(&record), "nonsense".into(), " \t ".into(), json!({"operation": "x"}).to_string(), list("99"), list(&record)];
        let (printed, output) = feed(host.command(&w.emulator, &[]), &lines);
        let told: Vec<(&Value, &Value)> = printed.iter().map(|line| (&line["line"], &line["error"]["reason"])).collect();
        let (null, bad) = (&Value::Null, &json!("step_input"));
        assert_eq!(told[..3], [(null, null), (&json!(2), bad), (&json!(4), bad)], "{host:?}: a blank line is passed over, and counted");
        assert_eq!((&printed[3]["error"]["name"], told[4], told.len()), (&json!("ZCRM_E_INVALID_RECORD"), (null, null), 5), "{host:?}");
        assert_eq!(output.status.code(), Some(1), "{host:?}");
    }
}

#[test]
fn bytes_that_are_no_text_are_a_bad_line() {
    for host in HOSTS {
        let w = world();
        let mut child = host.command(&w.emulator, &[]).spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"\xff\xfe{}\n{\"operation\":\0\"x\"}\n").unwrap();
        let output = child.wait_with_output().unwrap();
        let told: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let reasons: Vec<&Value> = told.iter().map(|line| &line["error"]["reason"]).collect();
        assert_eq!((reasons, output.status.code()), (vec![&json!("step_input"); 2], Some(1)), "{host:?}: {told:?}");
        assert!(
            told[0]["error"]["message"].as_str().unwrap().contains("UTF-8") && told[0]["error"]["details"]["json_path"] == "$",
            "{host:?}: {told:?}"
        );
    }
}

#[test]
fn a_result_is_given_before_the_next_step_is_asked_for() {
    for host in HOSTS {
        let w = world();
        let mut child = host.command(&w.emulator, &[]).spawn().unwrap();
        let (mut input, mut output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        for _ in 0..3 {
            writeln!(input, "{}", list(&w.record())).unwrap();
            let mut line = String::new();
            output.read_line(&mut line).unwrap();
            assert!(line.contains("\"attachments\":[]"), "{host:?}: {line}");
        }
        drop(input);
        assert_eq!(child.wait().unwrap().code(), Some(0), "{host:?}");
    }
}

#[test]
fn what_keeps_a_host_from_starting_is_said_once_and_is_exit_code_2() {
    for host in HOSTS {
        let w = world();
        let mut wrong_setting = host.command(&w.emulator, &[]);
        wrong_setting.env("ZCRM_ACCES_TOKEN", "x");
        let mut no_library = host.command(&w.emulator, &[]);
        no_library.env("ZCRM_LIBRARY", "/nowhere/libzcrm.so");
        let mut not_zcrm = host.command(&w.emulator, &[]);
        not_zcrm.env("ZCRM_LIBRARY", "libc.so.6");
        for (command, word) in [(host.bare(&[]), "token"), (wrong_setting, "access_token"), (no_library, "/nowhere"), (not_zcrm, "zcrm")] {
            let (printed, output) = feed(command, &[list("1")]);
            let said = text(&output.stderr);
            assert!(printed.is_empty() && said.contains(word) && said.lines().count() == 1, "{host:?} {word}: {said}");
            assert_eq!(output.status.code(), Some(2), "{host:?} {word}");
        }
    }
}

#[test]
fn the_description_is_printed() {
    for host in HOSTS {
        let output = succeed(&mut host.bare(&["-d"]));
        let description: Value = serde_json::from_slice(&output.stdout).unwrap();
        let expected: Value = serde_json::from_str(include_str!("../src/step/description.json")).unwrap();
        assert_eq!(description["operations"], expected["operations"], "{host:?}");
    }
}

#[test]
fn settings_are_read_from_a_file() {
    let w = world();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("# an emulator\n\napi_domain={}\r\naccess_token={}\n", w.emulator.url(), w.emulator.access_token())).unwrap();
    let (printed, output) = feed(C.bare(&["-c", file.path().to_str().unwrap()]), &[list(&w.record())]);
    assert!(printed[0]["result"].is_object() && output.status.success(), "{printed:?}");
}

#[test]
fn a_profile_is_used_where_it_is_named_and_the_environment_comes_before_it() {
    for host in HOSTS {
        let w = world();
        let profiles = w.file("profiles.toml", format!("[work]\napi_domain = \"{}\"\naccess_token = \"1000.x\"\n", w.emulator.url()).as_bytes());
        std::fs::set_permissions(&profiles, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let with = |variables: &[(&str, &str)]| {
            let mut command = host.bare(&[]);
            command.env("ZCRM_PROFILES", &profiles).envs(variables.iter().copied());
            feed(command, &[list(&w.record())])
        };
        let token = w.emulator.access_token();
        let (printed, _) = with(&[("ZCRM_PROFILE", "work")]);
        assert_eq!(printed[0]["error"]["name"], "ZCRM_E_AUTH", "{host:?}: the profile's token is refused");
        let (printed, output) = with(&[("ZCRM_PROFILE", "work"), ("ZCRM_ACCESS_TOKEN", &token)]);
        assert!(printed[0]["result"].is_object() && output.status.success(), "{host:?}: {printed:?}");
        let (printed, output) = with(&[]);
        assert!(printed.is_empty() && text(&output.stderr).contains("\"default\"") && output.status.code() == Some(2), "{host:?}: {output:?}");
    }
}

#[test]
fn sigterm_cancels_what_runs_and_what_waits() {
    let w = world();
    w.emulator.script("attachment.list", [stall(), stall()]);
    let mut child = C.command(&w.emulator, &["-n", "2"]).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for _ in 0..4 {
        writeln!(input, "{}", list(&w.record())).unwrap();
    }
    while w.emulator.faults_left("attachment.list") > 0 {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    terminate(&child);
    let output = child.wait_with_output().unwrap();
    drop(input);
    let printed = text(&output.stdout);
    assert_eq!((printed.matches("ZCRM_E_CANCELLED").count(), printed.lines().count()), (4, 4), "{printed}");
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn a_signal_ends_a_batch_with_its_summary() {
    for (host, more_may_come) in [(C, false), (C, true), (Python, false), (Python, true)] {
        let w = world();
        w.emulator.script("attachment.list", [stall(), stall()]);
        let steps: Vec<Value> =
            (0..4).map(|key| json!({"key": key.to_string(), "step": serde_json::from_str::<Value>(&list(&w.record())).unwrap()})).collect();
        let mut child = host.command(&w.emulator, &[]).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        writeln!(input, "{}", json!({"operation": "batch", "parallel": 2, "steps": steps})).unwrap();
        let input = Some(input).filter(|_| more_may_come);
        while w.emulator.faults_left("attachment.list") > 0 {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        terminate(&child);
        let output = child.wait_with_output().unwrap();
        drop(input);
        let summary: Value = serde_json::from_str(&text(&output.stdout)).unwrap_or_else(|e| panic!("{host:?} {more_may_come}: {e}: {output:?}"));
        assert_eq!((&summary["result"]["stopped"], &summary["result"]["left"]), (&json!("cancelled"), &json!(4)), "{host:?}: {summary}");
        assert_eq!(output.status.code(), Some(3), "{host:?} {more_may_come}");
    }
}

#[test]
fn no_secret_is_in_the_arguments_of_a_host_and_none_in_what_it_prints_of_failures() {
    for host in HOSTS {
        let w = world();
        w.emulator.script("attachment.list", [Fault::status(403), Fault::status(500), Fault::status(401)]);
        let mut child = host.command(&w.emulator, &[]).spawn().unwrap();
        let (mut input, mut output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut shown = String::new();
        for _ in 0..3 {
            writeln!(input, "{}", list(&w.record())).unwrap();
            output.read_line(&mut shown).unwrap();
        }
        let arguments = text(&std::fs::read(format!("/proc/{}/cmdline", child.id())).unwrap());
        drop(input);
        shown += &text(&child.wait_with_output().unwrap().stderr);
        assert!(shown.contains("ZCRM_E_AUTH") && arguments.contains("host") | arguments.contains("zcrm"), "{host:?}: {arguments} {shown}");
        canary::check(&(shown + &arguments));
    }
}

#[test]
fn a_result_that_cannot_be_written_is_exit_code_2() {
    for host in HOSTS {
        for steps in [1, 50] {
            let w = world();
            let mut command = host.command(&w.emulator, &[]);
            command.stdout(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
            let (_, output) = feed(command, &vec![list(&w.record()); steps]);
            assert_eq!(output.status.code(), Some(2), "{host:?}, {steps} steps");
            assert!(text(&output.stderr).contains("output can't be written: "), "{host:?}: {}", text(&output.stderr));
        }
    }
}

#[test]
fn output_is_utf_8_whatever_the_locale() {
    for host in HOSTS {
        let w = world();
        w.emulator.attach("Contacts", &w.contact.id, "見積書.txt", b"x");
        let mut command = host.command(&w.emulator, &[]);
        command.env("LC_ALL", "C").env("PYTHONIOENCODING", "ascii").env("PYTHONUTF8", "0");
        let (printed, output) = feed(command, &[list(&w.contact.id)]);
        assert_eq!(printed[0]["result"]["attachments"][0]["file_name"], "見積書.txt", "{host:?}");
        assert_eq!(output.status.code(), Some(0), "{host:?}");
    }
}

#[test]
fn fewer_threads_than_one_and_a_description_that_cannot_be_written_are_exit_code_2() {
    for host in HOSTS {
        for threads in ["0", "-1", "x"] {
            let output = host.bare(&["-n", threads]).output().unwrap();
            assert!(output.status.code() == Some(2) && text(&output.stderr).contains("-n"), "{host:?} {threads}: {output:?}");
            assert!(!text(&output.stderr).contains("Traceback"), "{host:?} {threads}: {output:?}");
        }
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = host.bare(&["-d"]).stdout(full).output().unwrap();
        assert!(output.status.code() == Some(2) && !output.stderr.is_empty(), "{host:?}: {output:?}");
    }
}

#[test]
fn without_an_output_or_a_readable_input_nothing_is_run() {
    for host in HOSTS {
        for (how, said) in [("exec \"$@\" >&-", "is closed"), ("exec \"$@\" <&-", "is closed"), ("exec \"$@\" <.", "input can't be read")] {
            let w = world();
            let program = host.command(&w.emulator, &[]);
            let mut shell = Command::new("sh");
            shell.env_clear().args(["-c", how, "sh"]).arg(program.get_program()).args(program.get_args());
            shell
                .envs(program.get_envs().filter_map(|(key, value)| Some((key, value?))))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            let (_, output) = feed(shell, &[list(&w.record())]);
            if host == C || !how.ends_with("<.") {
                assert_eq!(output.status.code(), Some(2), "{host:?} {how}: {output:?}");
                assert!(text(&output.stderr).contains(said), "{host:?} {how}: {output:?}");
            }
            assert!(!output.status.success(), "{host:?} {how}"); // Python itself refuses a directory, with 1
            assert_eq!(w.emulator.ledger().requests.len(), 0, "{host:?} {how}");
        }
    }
}

#[test]
fn a_batch_tells_by_the_exit_code_what_became_of_its_steps() {
    for (host, (faults, code)) in
        HOSTS.iter().flat_map(|host| [(vec![], 0), (vec![Fault::ResetAfterStore {}], 4), (vec![Fault::status(403)], 1)].map(|case| (host, case)))
    {
        let w = world();
        w.emulator.script("attachment.upload", faults);
        let source = json!({"base64": "eA==", "name": "a.txt"});
        let step = json!({"operation": "attachment.upload", "module": "Contacts", "record_id": w.record(), "source": source});
        let mut command = host.command(&w.emulator, &[]);
        command.env("ZCRM_SETTLE", "off");
        let batch = json!({"operation": "batch", "steps": [{"key": "a", "step": step}]});
        let (printed, output) = feed(command, &[batch.to_string()]);
        assert_eq!(output.status.code(), Some(code), "{host:?}: {printed:?}");
    }
}

#[test]
fn an_upload_of_which_nobody_knows_is_exit_code_4() {
    for host in HOSTS {
        let w = world();
        w.emulator.script("attachment.upload", [Fault::ResetAfterStore {}]);
        let source = json!({"base64": "eA==", "name": "a.txt"});
        let upload = json!({"operation": "attachment.upload", "module": "Contacts", "record_id": w.record(), "source": source});
        let mut command = host.command(&w.emulator, &[]);
        command.env("ZCRM_SETTLE", "off");
        let (printed, output) = feed(command, &[upload.to_string()]);
        assert_eq!((&printed[0]["error"]["name"], output.status.code()), (&json!("ZCRM_E_OUTCOME_UNKNOWN"), Some(4)), "{host:?}");
    }
}

#[test]
fn a_signal_ends_a_host_whose_results_nobody_reads() {
    for host in HOSTS {
        let w = world();
        (0..50).for_each(|i| drop(w.emulator.attach("Contacts", &w.contact.id, &format!("{i}"), b"x")));
        let mut child = host.command(&w.emulator, &[]).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let lines = format!("{}\n", list(&w.contact.id)).repeat(100);
        let writing = std::thread::spawn(move || drop(input.write_all(lines.as_bytes())));
        while w.emulator.ledger().requests.len() < 5 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        terminate(&child);
        assert_eq!(child.wait().unwrap().code(), Some(3), "{host:?}");
        writing.join().unwrap();
    }
}

fn terminate(child: &Child) {
    succeed(Command::new("kill").args(["-TERM", &child.id().to_string()]));
}
