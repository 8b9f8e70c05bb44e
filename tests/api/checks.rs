//! Local checks: each refuses before a byte is sent, each can be switched off, and then the server decides.

use std::io::Cursor;

use zcrm::{Call, Client, File, Record, Result, Seekable, Source, Status, attachment, photo};
use zcrm_emulator::{Fault, PNG};

use crate::support::{World, why, world, world_with};

/// A PNG header that says it has this size; enough for whoever reads only the header.
fn png(width: u32, height: u32) -> Vec<u8> {
    [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(), &width.to_be_bytes(), &height.to_be_bytes(), b"\x08\x06\0\0\0"].concat()
}

/// One call that a check refuses.
struct Case {
    check: &'static str,
    status: Status,
    reason: &'static str,
    run: fn(&World) -> Result<()>,
}

fn attach<'a>(w: &World, source: impl Into<Source<'a>>) -> Result<()> {
    attachment::upload(&w.client, &w.contact, source, Call::default()).map(drop)
}

fn portray(w: &World, file: File<'_>) -> Result<()> {
    photo::upload(&w.client, &w.contact, file, Call::default()).map(drop)
}

const CASES: &[Case] = &[
    Case {
        check: "id",
        status: Status::Argument,
        reason: "id",
        run: |w| attachment::list(&w.client, &Record::new("Contacts", "12/../34?x"), &Default::default(), Call::default()).map(drop),
    },
    Case {
        check: "module",
        status: Status::Argument,
        reason: "module",
        run: |w| attachment::list(&w.client, &Record::new("Con/../tacts\r\n", "123"), &Default::default(), Call::default()).map(drop),
    },
    Case {
        check: "photo_module",
        status: Status::InvalidModule,
        reason: "photo_module",
        run: |w| {
            let record = Record::new("Tasks", w.contact.id.clone());
            photo::upload(&w.client, &record, File::memory("p.png", PNG), Call::default()).map(drop)
        },
    },
    Case { check: "attachment_type", status: Status::FileType, reason: "attachment_type", run: |w| attach(w, File::memory("Setup.EXE", b"MZ")) },
    Case { check: "photo_format", status: Status::FileType, reason: "photo_format", run: |w| portray(w, File::memory("p.png", b"%PDF-1.7")) },
    Case { check: "link_scheme", status: Status::InvalidLink, reason: "link_scheme", run: |w| attach(w, Source::link("javascript:alert(1)", "")) },
    Case {
        check: "link_length",
        status: Status::InvalidLink,
        reason: "link_length",
        run: |w| attach(w, Source::link(format!("https://example.com/{}", "x".repeat(3000)), "")),
    },
    Case {
        check: "link_user_info",
        status: Status::InvalidLink,
        reason: "link_user_info",
        run: |w| attach(w, Source::link("https://u:p@example.com/", "")),
    },
    Case {
        check: "link_control",
        status: Status::InvalidLink,
        reason: "link_control",
        run: |w| attach(w, Source::link("https://example.com/\r\nX: y", "")),
    },
    Case {
        check: "title_length",
        status: Status::InvalidLink,
        reason: "title_length",
        run: |w| attach(w, Source::link("https://example.com/", "x".repeat(256))),
    },
];

#[test]
fn each_check_refuses_with_its_own_error_before_a_byte_is_sent() {
    let w = world();
    for case in CASES {
        assert_eq!(why((case.run)(&w)), (case.status, case.reason));
    }
    assert!(w.emulator.ledger().requests.is_empty());
}

#[test]
fn each_check_switched_off_leaves_the_verdict_to_the_server() {
    for case in CASES {
        let w = world_with(&[("checks_off", case.check)]);
        if let Err(error) = (case.run)(&w) {
            assert_ne!(error.reason(), case.reason, "{error}");
        }
        assert_eq!(w.emulator.ledger().requests.len(), 1, "{}: the server was asked", case.check);
    }
}

#[test]
fn all_checks_are_switched_off_by_one_word() {
    let w = world_with(&[("checks_off", "all")]);
    for case in CASES {
        let _ = (case.run)(&w);
    }
    assert_eq!(w.emulator.ledger().requests.len(), CASES.len());
}

type Run = fn(&World) -> Result<()>;

/// What is over a limit: the setting that raises it, the error's reason, and the call.
const LIMITS: &[(&str, &str, Run)] = &[
    ("attachment_max_bytes", "attachment_size", |w| attach(w, File::memory("a.txt", b"12345678901"))),
    ("attachment_max_bytes", "attachment_size", |w| attach(w, File::reader("a.txt", &mut Seekable(Cursor::new("12345678901")), None))),
    ("photo_max_bytes", "photo_size", |w| portray(w, File::memory("p.png", &[PNG, &[0; 20_000]].concat()))),
    ("photo_max_pixels", "photo_pixels", |w| portray(w, File::memory("p.png", &png(4000, 2501)))),
];

#[test]
fn what_is_over_a_limit_is_refused_before_a_byte_is_sent_and_the_setting_raises_the_limit() {
    let small = [("attachment_max_bytes", "10"), ("photo_max_bytes", "20000")];
    for (setting, reason, run) in LIMITS {
        let w = world_with(&[small.as_slice(), &[("checks_off", "all")]].concat());
        assert_eq!(why(run(&w)), (Status::TooLarge, *reason));
        assert!(w.emulator.ledger().requests.is_empty());
        let w = world_with(&[small.as_slice(), &[(setting, "1000000000")]].concat());
        let _ = run(&w);
        assert_eq!(w.emulator.ledger().requests.len(), 1, "{setting}: the server was asked");
    }
}

#[test]
fn an_id_or_module_that_is_let_through_cannot_leave_its_path_segment() {
    let w = world_with(&[("checks_off", "all")]);
    let _ = attachment::list(&w.client, &Record::new("Con/../tacts\r\n", "12/../34?x#y"), &Default::default(), Call::default());
    assert_eq!(w.emulator.ledger().requests[0].path, "/crm/v8/Con%2F..%2Ftacts%0D%0A/12%2F..%2F34%3Fx%23y/Attachments");
}

#[test]
fn an_id_that_would_make_another_url_is_refused_whatever_is_switched_off() {
    let w = world_with(&[("checks_off", "all")]);
    let record = |module: &str, id: &str| Record::new(module, id);
    for wrong in ["", ".", ".."] {
        for (failed, field) in [
            (attachment::delete(&w.client, &record("Contacts", "1"), &[wrong], Call::default()).map(drop), "attachment_id"),
            (attachment::delete(&w.client, &record("Contacts", "1"), &["2", wrong], Call::default()).map(drop), "attachment_id"),
            (photo::delete(&w.client, &record("Contacts", wrong), Call::default()).map(drop), "record_id"),
            (attachment::list(&w.client, &record(wrong, "v2"), &Default::default(), Call::default()).map(drop), "module"),
        ] {
            let error = failed.unwrap_err();
            assert_eq!((error.status(), error.detail().field), (Status::Argument, Some(field)), "{wrong:?}");
        }
    }
    assert!(w.emulator.ledger().requests.is_empty());
}

#[test]
fn an_id_of_a_reply_that_would_make_another_url_is_not_asked_for() {
    // The upload is stored, its reply lost, and the list that is looked at then has a row with such an id, which strict settlement deletes as a twin.
    let w = world_with(&[("settle_waits_ms", "1")]);
    let now = "2999-01-01T00:00:00+00:00";
    let row = serde_json::json!({"data": [{"id": "..", "File_Name": "a.txt", "Size": "3", "Created_Time": now}], "info": {"more_records": false}});
    w.emulator.script("attachment.upload", [Fault::reset_after_store()]);
    w.emulator.script("attachment.list", (0..3).map(|_| Fault::body(200, row.to_string().as_bytes())));
    let _ = w.upload("a.txt", b"abc");
    let paths: Vec<String> = w.emulator.ledger().requests.into_iter().map(|r| r.path).collect();
    assert!(paths.iter().all(|path| path.ends_with("/Attachments")), "{paths:?}");
    assert!(paths.len() > 1, "it was looked for: {paths:?}");
}

#[test]
fn exactly_the_limit_passes() {
    let w = world_with(&[("attachment_max_bytes", "10")]);
    w.upload("a.txt", b"1234567890").unwrap();
    portray(&w, File::memory("p.png", PNG)).unwrap();
    attach(&w, Source::link("https://example.com/", "x".repeat(255))).unwrap();
}

#[test]
fn a_huge_sparse_file_is_refused_without_reading_it() {
    let w = world();
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(5 << 30).unwrap();
    assert_eq!(why(attach(&w, File::open(file.path()).unwrap().named("a.bin"))), (Status::TooLarge, "attachment_size"));
}

#[test]
fn a_file_that_is_missing_or_no_file_is_named() {
    let error = File::open("/nonexistent/a.txt").err().unwrap();
    assert!(error.status() == Status::Io && error.detail().os_error == 2 && error.to_string().contains("/nonexistent/a.txt"), "{error}");
    let folder = File::open("/tmp").map(drop).unwrap_err();
    assert!(folder.to_string().ends_with("/tmp is a directory; name the files in it"), "{folder}");
    assert_eq!(why::<()>(Err(folder)), (Status::Io, "source_open"));
}

#[test]
fn a_title_is_refused_where_the_version_has_none() {
    let w = world_with(&[("api_version", "v2")]);
    assert_eq!(why(attach(&w, Source::link("https://example.com/", "t"))), (Status::Version, "link_title"));
    attach(&w, Source::link("https://example.com/", "")).unwrap();
    assert!(world().upload("fine", b"x").is_ok());
}

#[test]
fn a_source_without_a_length_ends_at_the_limit_however_it_is_sent() {
    struct Endless(u64, &'static [u8]);
    impl zcrm::Reader for Endless {
        fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
            buf.fill(0xff);
            if self.0 == 0 {
                buf[..self.1.len()].copy_from_slice(self.1);
            }
            self.0 += buf.len() as u64;
            Ok(buf.len())
        }
    }
    for unknown_length in ["spool", "chunked"] {
        let limits = [("unknown_length", unknown_length), ("attachment_max_bytes", "300000"), ("photo_max_bytes", "200000")];
        let w = world_with(&limits);
        let mut reader = Endless(0, b"");
        assert_eq!(why(attach(&w, File::reader("a.bin", &mut reader, None))), (Status::TooLarge, "attachment_size"), "{unknown_length}");
        assert!(reader.0 < 600_000, "{unknown_length}: {} bytes were read", reader.0);
        // The size of the second stands behind its profiles, which have no end.
        for begin in [b"GIF89a\x01\0\x01\0".as_slice(), b"\xff\xd8\xff\xe2\xff\xff"] {
            let mut reader = Endless(0, begin);
            assert_eq!(why(portray(&w, File::reader("a.gif", &mut reader, None))), (Status::TooLarge, "photo_size"), "{unknown_length}");
            assert!(reader.0 < 600_000, "{unknown_length}: {} bytes were read", reader.0);
        }
        assert!(w.stored().is_empty());
    }
}

#[test]
fn a_picture_that_ends_before_its_size_is_not_sent() {
    let w = world();
    for start in [b"\x89PNG\r\n\x1a\n".as_slice(), b"\xff\xd8\xff\xe0\0\x10JFIF", b"GIF89a", b"BM"] {
        assert_eq!(why(portray(&w, File::memory("a", start))), (Status::FileType, "photo_format"), "{start:?}");
    }
    let huge_screen = portray(&w, File::memory("a.gif", b"GIF89a\xff\xff\xff\xff\x80\0\0"));
    assert_eq!(why(huge_screen), (Status::TooLarge, "photo_pixels"));
    assert_eq!(w.requests("photo.upload").len(), 0);
}

#[test]
fn a_spool_directory_that_is_not_there_is_named_with_its_setting() {
    let w = world_with(&[("spool_dir", "/nonexistent-folder")]);
    let error = attach(&w, File::reader("a.bin", &mut zcrm::Streamed(&b"abc"[..]), None)).unwrap_err();
    let text = error.to_string();
    assert!(error.status() == Status::Io && text.contains("/nonexistent-folder") && text.contains("spool_dir"), "{text}");
}

#[test]
fn a_setting_that_names_something_else_than_a_folder_is_told_when_the_client_is_made() {
    let e = zcrm_emulator::Emulator::start(Default::default()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    for (setting, value) in
        [("spool_dir", file.display().to_string()), ("spool_dir", "/dev/null".into()), ("allow_paths", format!("/tmp:{}", file.display()))]
    {
        let error = Client::new(crate::support::config(&e, &[(setting, &value)])).err().unwrap();
        assert_eq!((error.status(), error.detail().field), (Status::Config, Some(setting)), "{error}");
        assert!(error.to_string().contains(setting) && error.to_string().contains(value.rsplit(':').next().unwrap()), "{error}");
    }
}

#[test]
fn fifos_and_devices_are_no_files_to_send_and_nothing_waits_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
    for path in [fifo.as_path(), "/dev/zero".as_ref()] {
        let error = File::open(path).err().unwrap();
        assert!(why::<()>(Err(error.clone())) == (Status::Io, "source_open") && error.to_string().contains("reader"), "{error}");
    }
}
