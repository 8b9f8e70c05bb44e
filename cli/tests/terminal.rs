//! The command at a real terminal: bars, questions, Ctrl-C.

mod support;

use rexpect::process::wait::WaitStatus;
use rexpect::session::{PtySession, spawn_command};
use support::world::{World, bytes, world};
use support::{bare, contact, zcrm};
use zcrm_emulator::{Credentials, Fault, StallAt};

/// A terminal's patience, in milliseconds: the machine may be busy.
const PATIENCE: Option<u64> = Some(60_000);

fn at_a_terminal(mut command: std::process::Command) -> PtySession {
    command.env("TERM", "xterm-256color").env("COLUMNS", "100");
    command.stdin(std::process::Stdio::inherit()).stdout(std::process::Stdio::inherit()).stderr(std::process::Stdio::inherit());
    spawn_command(command, PATIENCE).unwrap()
}

fn code(terminal: &PtySession) -> Option<i32> {
    match terminal.process.wait().unwrap() {
        WaitStatus::Exited(_, code) => Some(code),
        _ => None,
    }
}

fn login_of(w: &World) -> std::process::Command {
    let mut command = bare(w, &["login"]);
    command.env("ZCRM_API_DOMAIN", w.emulator.url()).env("ZCRM_ACCOUNTS_URL", w.emulator.url());
    command
}

#[test]
fn a_transfer_has_a_bar_and_its_line_stays() {
    let w = world();
    w.file("large.bin", &bytes(4 << 20));
    w.emulator.script("attachment.upload", [Fault::stall_for(StallAt::Request, 1 << 20, 1500)]);
    let mut terminal = at_a_terminal(zcrm(&w, &["upload", &contact(&w), "large.bin"]));
    terminal.exp_string("large.bin").unwrap();
    terminal.exp_string("of 4.00 MiB").unwrap();
    terminal.exp_string("uploaded ").unwrap();
    terminal.exp_eof().unwrap();
    assert_eq!(code(&terminal), Some(0));
}

#[test]
fn through_a_pipe_and_with_quiet_there_is_no_bar() {
    let w = world();
    w.file("a.bin", b"x");
    let ran = support::run(&w, &["upload", &contact(&w), "a.bin"]);
    assert!(ran.err.is_empty() && !ran.out.contains('\u{1b}'), "{ran:?}");
    let mut terminal = at_a_terminal(zcrm(&w, &["--quiet", "upload", &contact(&w), "a.bin"]));
    assert_eq!((terminal.exp_eof().unwrap().as_str(), code(&terminal)), ("", Some(0)));
}

#[test]
fn ctrl_c_in_the_middle_of_100_mb_ends_with_code_3_and_no_file() {
    let w = world();
    w.attach("large.bin", &bytes(100 << 20));
    w.emulator.script("attachment.download", [Fault::stall_after(StallAt::Reply, 50 << 20)]);
    let mut terminal = at_a_terminal(zcrm(&w, &["get", &contact(&w), "-o", "d"]));
    terminal.exp_string("of 100.00 MiB").unwrap();
    terminal.send_control('c').unwrap();
    terminal.exp_eof().unwrap();
    assert_eq!((code(&terminal), std::fs::read_dir(w.path("d")).unwrap().count()), (Some(3), 0));
}

#[test]
fn login_asks_for_what_is_missing_and_shows_no_secret() {
    let w = world();
    let Credentials { client_id, client_secret, .. } = w.emulator.credentials();
    let grant_code = w.emulator.grant_code();
    let mut terminal = at_a_terminal(login_of(&w));
    let mut shown = String::new();
    for (question, answer) in [("Client id", &client_id), ("Client secret", &client_secret), ("Code", &grant_code)] {
        shown += &terminal.exp_string(question).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(200)); // a person reads the question
        terminal.send_line(answer).unwrap();
    }
    shown += &terminal.exp_eof().unwrap();
    assert!(shown.contains("profile default is in") && !shown.contains(&client_secret) && !shown.contains(&grant_code), "{shown}");
    assert_eq!(code(&terminal), Some(0));
    assert_eq!(support::ran(&mut bare(&w, &["ls", &contact(&w)])).code, Some(0));
}

#[test]
fn ctrl_c_at_a_question_ends_the_login_and_writes_nothing() {
    let w = world();
    let mut terminal = at_a_terminal(login_of(&w));
    terminal.exp_string("Client id").unwrap();
    terminal.send_line("1000.X").unwrap();
    terminal.exp_string("Client secret").unwrap();
    terminal.send_control('c').unwrap();
    terminal.exp_eof().unwrap();
    assert_eq!((code(&terminal), w.path(".config").exists()), (Some(3), false));
}
