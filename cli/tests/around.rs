//! What stands around the transfers: the emulator, the demo, completions and man pages.

mod support;

use std::io::{BufRead, BufReader};

use support::world::world;
use support::{bare, ran, run};

#[test]
fn the_demo_shows_each_command_once_and_leaves_nothing() {
    let w = world();
    let ran = ran(bare(&w, &["demo"]).env("ZCRM_DATA_CENTER", "eu"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for shown in ["$ zcrm upload Contacts/", "uploaded ", "$ zcrm ls", "saved files/contract.txt", "$ zcrm run < steps.ndjson", "deleted "] {
        assert!(ran.out.contains(shown), "{shown}: {}", ran.out);
    }
    assert_eq!(w.files(), Vec::<String>::new());
}

#[test]
fn an_emulator_can_be_started_and_logged_in_to() {
    let w = world();
    let mut emulator = bare(&w, &["emulator", "--port", "0", "--login"]).spawn().unwrap();
    let mut lines = BufReader::new(emulator.stdout.take().unwrap()).lines().map_while(Result::ok);
    let url = lines.next().unwrap();
    let contact = lines.find(|line| line.trim_start().starts_with("Contacts ")).unwrap();
    let id = contact.split_whitespace().nth(1).unwrap().to_owned();
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    let ran = ran(&mut bare(&w, &["--profile", "emulator", "ls", &format!("Contacts/{id}")]));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(std::process::Command::new("kill").arg(emulator.id().to_string()).status().unwrap().success());
    assert_eq!(emulator.wait().unwrap().code(), Some(0));
}

#[test]
fn a_wrong_option_of_the_emulator_is_exit_code_2() {
    let w = world();
    let ran = run(&w, &["emulator", "--nonsense"]);
    assert!(ran.code == Some(2) && ran.err.contains("--nonsense"), "{ran:?}");
}

#[test]
fn shells_get_completions() {
    let w = world();
    for shell in ["bash", "zsh", "fish"] {
        let ran = run(&w, &["completions", shell]);
        assert!(ran.code == Some(0) && ran.out.contains("upload") && ran.out.contains("if-exists"), "{shell}");
    }
}

#[test]
fn every_command_has_a_man_page() {
    let w = world();
    let ran = run(&w, &["man", "."]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for page in ["zcrm.1", "zcrm-upload.1", "zcrm-photo-set.1", "zcrm-doctor.1"] {
        assert!(w.files().contains(&page.to_owned()), "{page}: {:?}", w.files());
    }
    assert!(std::fs::read_to_string(w.path("zcrm.1")).unwrap().contains("Exit codes"));
}
