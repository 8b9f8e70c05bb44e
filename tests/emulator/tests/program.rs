//! The program.
#![allow(missing_docs)]

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

fn program(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_zcrm-emulator")).args(arguments).output().unwrap()
}

fn first_line(arguments: &[&str]) -> (String, String, bool) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_zcrm-emulator"));
    let program = program.arg("--until-stdin-closes").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = program.spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let (mut first, mut rest) = (String::new(), String::new());
    out.read_line(&mut first).unwrap();
    drop(child.stdin.take());
    let ended = child.wait().unwrap().success();
    out.read_to_string(&mut rest).unwrap();
    (first, rest, ended)
}

#[test]
fn it_prints_its_address_first_and_ends_with_its_standard_input() {
    let (first, rest, ended) = first_line(&["--seed"]);
    assert!(first.starts_with("http://127.0.0.1:") && !first.trim().ends_with(":0"), "{first}");
    assert!(ended);
    for expected in ["Alpenglow Coffee Roasters", "Harbour Lights Clinic", "refresh token", "見積書.txt"] {
        assert!(rest.contains(expected), "{expected}");
    }
}

#[test]
fn as_json_it_prints_one_line() {
    let (first, rest, _) = first_line(&["--json"]);
    let told: serde_json::Value = serde_json::from_str(&first).unwrap();
    assert!(told["url"].as_str().unwrap().starts_with("http://127.0.0.1:") && rest.is_empty(), "{rest}");
    assert!(told["world"]["organisations"][0]["access_token"].is_string(), "{told}");
}

#[test]
fn its_first_line_is_the_name_by_which_others_reach_it() {
    let (first, rest, _) = first_line(&["--host", "0.0.0.0", "--public-name", "crm-emulator:8080"]);
    assert_eq!(first, "http://crm-emulator:8080\n");
    assert!(rest.contains("api domain     http://crm-emulator:8080") && rest.contains("http://sandbox.crm-emulator:8080"), "{rest}");
}

#[test]
fn a_wrong_option_is_told_and_ends_with_2() {
    let out = program(&["--nonsense"]);
    assert_eq!((out.status.code(), out.stdout.len()), (Some(2), 0));
    assert!(String::from_utf8_lossy(&out.stderr).contains("nonsense"));
}

#[test]
fn an_address_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let out = program(&["--port", &address.port().to_string()]);
    assert_eq!(out.status.code(), Some(2));
    let error = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(error.contains(&address.to_string()) && error.contains("in use") && !error.contains("os error"), "{error}");
}

#[test]
fn help_and_version_are_told_and_end_with_0() {
    let help = program(&["--help"]);
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    assert_eq!(help.status.code(), Some(0));
    for option in ["--port", "--host", "--public-name", "--tls", "--version"] {
        assert!(text.contains(option), "{option}");
    }
    let version = program(&["--version"]);
    assert_eq!((version.status.code(), version.stdout), (Some(0), format!("zcrm-emulator {}\n", env!("CARGO_PKG_VERSION")).into_bytes()));
}

#[test]
fn a_certificate_that_can_not_be_written_is_told_with_its_path() {
    for (arguments, text) in [(&["--tls", "--ca-out", "/nowhere/ca.pem"][..], "/nowhere/ca.pem: "), (&["--ca-out", "x"], "goes with --tls")] {
        let out = program(arguments);
        let error = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.code() == Some(2) && error.contains(text), "{error}");
    }
}

#[test]
fn a_signal_ends_it_with_0() {
    for signal in ["-TERM", "-INT"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_zcrm-emulator")).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut String::new()).unwrap();
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{signal}");
    }
}

#[test]
fn a_value_that_is_none_is_told_with_its_option() {
    for (option, value) in [("--port", "99999"), ("--host", "nowhere"), ("--parent-pid", "x"), ("--public-name", "http://crm/")] {
        let out = program(&[option, value]);
        let error = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(
            out.status.code() == Some(2) && error.contains(option.trim_start_matches('-').split('-').next().unwrap()) && error.contains(value),
            "{error}"
        );
    }
}
