//! What stands around the transfers: the emulator, the demo, completions and man pages.

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;

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
    assert!(fs::read_to_string(w.path("zcrm.1")).unwrap().contains("Exit codes"));
}

/// What packages install: they are built for other machines too, where the command can't be asked.
#[test]
fn the_committed_man_pages_are_those_of_the_command() {
    let w = world();
    assert_eq!(run(&w, &["man", "."]).code, Some(0));
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/man");
    let own = |name: &str| name.starts_with("zcrm") && name != "zcrm-emulator.1";
    let there = fs::read_dir(&committed).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut there: Vec<String> = there.filter(|name| own(name)).collect();
    there.sort();
    if std::env::var_os("ZCRM_WRITE_GENERATED").is_some() {
        there.iter().for_each(|page| fs::remove_file(committed.join(page)).unwrap());
        w.files().iter().for_each(|page| assert!(fs::copy(w.path(page), committed.join(page)).is_ok()));
        return;
    }
    let stale: Vec<_> = w.files().into_iter().filter(|page| fs::read(w.path(page)).ok() != fs::read(committed.join(page)).ok()).collect();
    assert!(stale.is_empty() && there == w.files(), "make generated writes {stale:?}; packaging/man has {there:?}");
}

#[test]
fn what_is_wrong_and_what_the_demo_and_the_emulator_tell_is_json_where_that_is_wanted() {
    let w = world();
    let demo = ran(&mut bare(&w, &["--json", "demo"]));
    assert!(demo.code == Some(0) && demo.json().len() > 7, "{demo:?}");
    for (arguments, told) in [
        (&["--json", "ls", "Contacts/1"][..], "credentials"),
        (&["--json", "sync", "nowhere", "Contacts/1", "--set", "access_token=x"], "nowhere"),
        (&["--json", "ls", "--nonsense"], "--nonsense"),
        (&["--json", "emulator", "--nonsense"], "--nonsense"),
    ] {
        let ran = ran(&mut bare(&w, arguments));
        let message = ran.json()[0]["error"]["message"].as_str().unwrap().to_owned();
        assert!(ran.code == Some(2) && ran.err.is_empty() && message.contains(told), "{arguments:?}: {ran:?}");
    }
    let mut emulator = bare(&w, &["--json", "emulator", "--parent-pid", "1", "--until-stdin-closes"]).spawn().unwrap();
    let mut told = String::new();
    std::io::Read::read_to_string(&mut emulator.stdout.take().unwrap(), &mut told).unwrap();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert!(told["url"].is_string() && emulator.wait().unwrap().success(), "{told}");
}
