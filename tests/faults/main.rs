//! Faults: whatever the server, the network, the disk or a killed process does, each file is on its record once, or the result says what isn't known.
#![cfg(target_os = "linux")]

mod cause;
mod chaos;
mod disk;
mod kill;
mod matrix;
mod operation;
mod random;
mod relay;
mod replay;
mod world;

use std::process::{Command, Stdio};

/// A test of this binary, as a process of its own.
fn again(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", test]).stdout(Stdio::null());
    command
}
