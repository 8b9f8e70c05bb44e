//! Steps come from outside: which files they may name.

use serde_json::json;
use zcrm::{Call, Status, step};
use zcrm_emulator::{Emulator, Options};

use crate::support::{client, world};
use crate::{json_path, refusal, run, upload};
#[cfg(unix)]
#[test]
fn a_step_reads_no_file_outside_of_the_allowed_directories() {
    let w = world();
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret.txt");
    std::fs::write(&secret, b"secret").unwrap();
    std::os::unix::fs::symlink(&secret, w.path("link.txt")).unwrap();
    std::os::unix::fs::symlink(outside.path(), w.path("dir")).unwrap();
    let sibling = format!("{}x", w.dir.path().display());
    std::fs::create_dir(&sibling).unwrap();
    std::fs::write(format!("{sibling}/a"), b"x").unwrap();
    let name = outside.path().file_name().unwrap().to_str().unwrap().to_owned();
    for path in [
        secret.clone(),
        w.path("link.txt"),
        w.path("dir/secret.txt"),
        w.path(&format!("../{name}/secret.txt")),
        w.path("missing/../../secret.txt"),
        format!("{sibling}/a").into(),
        "/etc/passwd".into(),
        "/nowhere/at/all".into(),
        outside.path().join("missing"),
        w.path("dir/missing"),
    ] {
        let error = refusal(&w, &upload(&w.record(), &json!({"path": path})));
        assert_eq!((error.status(), error.reason()), (Status::Argument, "path_not_allowed"), "{path:?}: {error}");
        assert_eq!(json_path(&error), "$.source.path");
        assert!(error.to_string().contains("allow_paths"), "{error}");
    }
    std::fs::remove_dir_all(sibling).unwrap();
    assert!(w.emulator.ledger().requests.is_empty());
}

#[cfg(unix)]
#[test]
fn a_step_writes_no_file_outside_of_the_allowed_directories() {
    let w = world();
    let outside = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(outside.path(), w.path("dir")).unwrap();
    let name = outside.path().file_name().unwrap().to_str().unwrap();
    let record = w.record();
    let id = w.emulator.attach("Contacts", &record, "a", b"x");
    for path in [outside.path().join("a"), w.path("dir/a"), w.path(&format!("../{name}/a")), "/a".into()] {
        let sink = json!({"path": path, "overwrite": true});
        let error =
            refusal(&w, &json!({"operation": "attachment.download", "module": "Contacts", "record_id": record, "attachment_id": id, "sink": sink}));
        assert_eq!((error.reason(), json_path(&error).as_str()), ("path_not_allowed", "$.sink.path"), "{path:?}: {error}");
    }
    for path in [w.path(".."), w.path("dir/."), w.path("dir/"), w.path("x/..")] {
        let sink = json!({"path": path, "overwrite": true});
        let error =
            refusal(&w, &json!({"operation": "attachment.download", "module": "Contacts", "record_id": record, "attachment_id": id, "sink": sink}));
        assert_eq!((error.status(), json_path(&error).as_str()), (Status::Argument, "$.sink.path"), "{path:?}: {error}");
    }
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    assert!(w.emulator.ledger().requests.is_empty());
}

#[test]
fn no_path_is_allowed_unless_the_setting_names_one() {
    let emulator = Emulator::start(Options::default()).unwrap();
    let client = client(&emulator, &[]);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a"), b"x").unwrap();
    let input = upload("1", &json!({"path": dir.path().join("a")})).to_string();
    assert_eq!(step::run(&client, &input, Call::default()).unwrap_err().reason(), "path_not_allowed");
}

#[test]
fn a_refused_path_says_whether_the_setting_its_directory_or_the_path_is_at_fault() {
    let emulator = Emulator::start(Options::default()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (there, absent) = (dir.path().join("there"), dir.path().join("absent"));
    std::fs::create_dir(&there).unwrap();
    let both = format!("{}:{}", there.display(), absent.display());
    for (allowed, path, words) in [
        ("", there.join("a"), "allow_paths is not set".to_owned()),
        (both.as_str(), absent.join("a"), format!("there is no directory {}", absent.display())),
        (both.as_str(), dir.path().join("a"), format!("is not below a directory of the setting allow_paths ({}", there.display())),
    ] {
        let client = client(&emulator, &[("allow_paths", allowed)]);
        for input in [
            upload("1", &json!({"path": path})),
            json!({"operation": "photo.download", "module": "Contacts", "record_id": "1", "sink": {"path": path}}),
            json!({"operation": "batch", "journal": path, "steps": [{"key": "a", "step": upload("1", &json!({"path": path}))}]}),
        ] {
            let error = step::run(&client, &input.to_string(), Call::default()).unwrap_err();
            assert_eq!(error.reason(), "path_not_allowed", "{error}");
            assert!(error.to_string().contains(&words), "{error}");
        }
    }
}

#[cfg(unix)]
#[test]
fn links_inside_of_the_allowed_directories_are_followed_and_the_file_keeps_the_name_of_the_step() {
    let w = world();
    let record = w.record();
    std::os::unix::fs::symlink(w.file("real.bin", b"x"), w.path("named.txt")).unwrap();
    std::fs::create_dir(w.path("sub")).unwrap();
    run(&w, &upload(&record, &json!({"path": w.path("sub/../named.txt")}))).unwrap();
    assert_eq!(w.emulator.attachments("Contacts", &record)[0].name, "named.txt");
}

#[test]
fn a_missing_file_in_an_allowed_directory_is_an_io_error() {
    let w = world();
    let error = refusal(&w, &upload("1", &json!({"path": w.path("missing.txt")})));
    assert_eq!((error.status(), error.reason()), (Status::Io, "source_open"), "{error}");
}
