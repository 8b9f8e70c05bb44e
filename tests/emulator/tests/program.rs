//! The program.
#![allow(missing_docs)]

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

#[test]
fn it_prints_its_address_first_and_ends_with_its_standard_input() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_zcrm-emulator"));
    let program = program.args(["--until-stdin-closes", "--seed"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = program.spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    out.read_line(&mut first).unwrap();
    assert!(first.starts_with("http://127.0.0.1:") && !first.trim().ends_with(":0"), "{first}");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    for expected in ["Alpenglow Coffee Roasters", "Harbour Lights Clinic", "refresh token", "見積書.txt"] {
        assert!(rest.contains(expected), "{expected}");
    }
}

#[test]
fn a_wrong_option_is_told_and_ends_with_2() {
    let out = Command::new(env!("CARGO_BIN_EXE_zcrm-emulator")).arg("--nonsense").output().unwrap();
    assert_eq!((out.status.code(), out.stdout.len()), (Some(2), 0));
    assert!(String::from_utf8_lossy(&out.stderr).contains("nonsense"));
}
