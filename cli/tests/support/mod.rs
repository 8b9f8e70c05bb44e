//! The built command, in a world of its own.
#![allow(dead_code, reason = "each test program uses a part of it")]

#[path = "../../../tests/support/world.rs"]
pub mod world;

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use world::{World, canary};

/// The command with no settings, in a home directory that is this world's directory.
pub fn bare(w: &World, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zcrm"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", w.dir.path()).current_dir(w.dir.path()).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The command with the emulator's address and token in its environment.
pub fn zcrm(w: &World, arguments: &[&str]) -> Command {
    let mut command = bare(w, arguments);
    let token = w.emulator.access_token();
    command.env("ZCRM_API_DOMAIN", w.emulator.url()).env("ZCRM_ACCESS_TOKEN", token).env("ZCRM_RETRY_BASE_MS", "10");
    command
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Each line as JSON.
    pub fn json(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        let text = |bytes| String::from_utf8(bytes).expect("the command prints UTF-8");
        let ran = Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
        canary::check(&ran.out);
        canary::check(&ran.err);
        ran
    }
}

pub fn ran(command: &mut Command) -> Ran {
    command.output().unwrap().into()
}

/// Runs the command on the emulator.
pub fn run(w: &World, arguments: &[&str]) -> Ran {
    ran(&mut zcrm(w, arguments))
}

/// The same, with these bytes through a pipe.
pub fn feed(mut command: Command, input: &[u8]) -> Ran {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || drop(stdin.write_all(input))); // the command may end before it has read all
        child.wait_with_output().unwrap().into()
    })
}

/// The contact as it is named on the command line.
pub fn contact(w: &World) -> String {
    format!("Contacts/{}", w.contact.id)
}
