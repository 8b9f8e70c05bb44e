//! Download attachments: whole, checked, named, or not at all.

use std::path::Path;

use zcrm::attachment::{self, Downloaded};
use zcrm::{Call, Result, Sink, Status, Written};
use zcrm_emulator::{DownloadLength, DownloadName, Emulator, Fault, Options, UnknownAttachment};

use crate::support::{World, bytes, client, why, world, world_with};

fn to_memory(w: &World, id: &str) -> Result<Downloaded> {
    attachment::download(&w.client, &w.contact, id, Sink::memory(), Call::default()).map(|o| o.result)
}

fn to_file(w: &World, id: &str, path: &Path, call: Call<'_>) -> Result<Downloaded> {
    attachment::download(&w.client, &w.contact, id, Sink::file(path, false), call).map(|o| o.result)
}

fn files_in(dir: &Path) -> usize {
    std::fs::read_dir(dir).unwrap().count()
}

#[test]
fn a_file_is_byte_for_byte_what_was_stored_in_every_sink_and_size() {
    let w = world();
    let dir = tempfile::tempdir().unwrap();
    for size in [0, 1, 65_536, 3_000_001] {
        let content = bytes(size);
        let id = w.attach("a.bin", &content);
        assert!(to_memory(&w, &id).unwrap().data.unwrap() == content, "memory, {size}");
        let path = dir.path().join(format!("{size}"));
        let got = to_file(&w, &id, &path, Call::default()).unwrap();
        assert!(std::fs::read(&path).unwrap() == content, "file, {size}");
        assert_eq!((got.bytes, got.path.as_deref(), got.length_verified), (size as u64, Some(path.as_path()), true));
        let mut taken = Vec::new();
        let mut writer = Written(&mut taken);
        attachment::download(&w.client, &w.contact, &id, Sink::writer(&mut writer), Call::default()).unwrap();
        assert!(taken == content, "writer, {size}");
    }
}

#[test]
fn the_servers_name_is_given_decoded_in_both_forms_and_is_never_a_path() {
    for form in [DownloadName::Extended, DownloadName::Quoted] {
        let w = world();
        w.emulator.settings(|s| s.download_name = form);
        let id = w.attach("Grüße (2) it's.pdf", b"abc");
        assert_eq!(to_memory(&w, &id).unwrap().file_name, "Grüße (2) it's.pdf", "{form:?}");
        let id = w.attach("../../etc/passwd", b"abc");
        assert_eq!(to_memory(&w, &id).unwrap().file_name, "passwd", "{form:?}");
    }
}

#[test]
fn a_download_without_a_name_is_given_without_one() {
    let w = world();
    w.emulator.settings(|s| s.download_name = DownloadName::Absent);
    let id = w.attach("a.pdf", b"abc");
    assert_eq!(to_memory(&w, &id).unwrap().file_name, "");
}

#[test]
fn a_length_is_not_needed_but_then_marked_as_unverified() {
    for form in [DownloadLength::Chunked, DownloadLength::Close] {
        let w = world();
        w.emulator.settings(|s| s.download_length = form);
        let id = w.attach("a", &bytes(200_000));
        let got = to_memory(&w, &id).unwrap();
        assert!(!got.length_verified && got.data.unwrap() == bytes(200_000), "{form:?}");
        let call = Call { expected_bytes: Some(200_000), ..Call::default() };
        let got = attachment::download(&w.client, &w.contact, &id, Sink::memory(), call).unwrap().result;
        assert!(got.length_verified, "{form:?}");
    }
}

#[test]
fn a_truncated_download_leaves_no_file_and_is_tried_again() {
    let w = world();
    let dir = tempfile::tempdir().unwrap();
    let id = w.attach("a", &bytes(200_000));
    w.emulator.script("attachment.download", (0..4).map(|_| Fault::truncate(1)));
    assert_eq!(why(to_file(&w, &id, &dir.path().join("a"), Call::default())), (Status::Network, "reply_truncated"));
    assert_eq!((files_in(dir.path()), w.requests("attachment.download").len()), (0, 4));
    w.emulator.script("attachment.download", [Fault::truncate(100_000), Fault::none()]);
    to_file(&w, &id, &dir.path().join("a"), Call::default()).unwrap();
    assert!(std::fs::read(dir.path().join("a")).unwrap() == bytes(200_000));
}

#[test]
fn a_download_cut_without_a_length_is_seen_by_the_listed_size() {
    let w = world();
    let dir = tempfile::tempdir().unwrap();
    w.emulator.settings(|s| s.download_length = DownloadLength::Close);
    let id = w.attach("a", &bytes(200_000));
    let call = Call { expected_bytes: Some(200_001), ..Call::default() };
    assert_eq!(why(to_file(&w, &id, &dir.path().join("a"), call)), (Status::Checksum, "size"));
    assert_eq!(files_in(dir.path()), 0);
}

#[test]
fn a_flipped_byte_is_seen_by_the_expected_hash() {
    let w = world();
    let dir = tempfile::tempdir().unwrap();
    let content = bytes(200_000);
    let id = w.attach("a", &content);
    let wanted = Call { sha256: true, ..Call::default() };
    let hash = attachment::download(&w.client, &w.contact, &id, Sink::memory(), wanted).unwrap().result.sha256.unwrap();
    assert_eq!(hash, w.emulator.attachments("Contacts", &w.contact.id)[0].sha256);
    let expected: Vec<u8> = (0..32).map(|i| u8::from_str_radix(&hash[2 * i..2 * i + 2], 16).unwrap()).collect();
    let call = || Call { expected_sha256: Some(expected.clone().try_into().unwrap()), ..Call::default() };
    w.emulator.script("attachment.download", [Fault::corrupt()]);
    assert_eq!(why(to_file(&w, &id, &dir.path().join("a"), call())), (Status::Checksum, "sha256"));
    assert_eq!(files_in(dir.path()), 0);
    to_file(&w, &id, &dir.path().join("a"), call()).unwrap();
}

#[test]
fn a_page_of_html_in_place_of_the_file_is_never_saved() {
    for status in [200, 403, 502] {
        let w = world();
        let dir = tempfile::tempdir().unwrap();
        let id = w.attach("a", b"abc");
        w.emulator.script("attachment.download", (0..4).map(|_| Fault::html(status)));
        let error = to_file(&w, &id, &dir.path().join("a"), Call::default()).unwrap_err();
        assert_ne!(error.detail().http_status, 0, "{error}");
        assert_eq!(files_in(dir.path()), 0, "{status}");
    }
}

#[test]
fn an_error_in_json_inside_http_200_is_the_error_and_not_the_file() {
    let w = world();
    let id = w.attach("a", b"abc");
    let body = br#"{"code":"NO_PERMISSION","details":{},"message":"Permission denied to download attachment","status":"error"}"#;
    let answer = Fault::body(200, body)
        .with_header("Content-Type", "application/json;charset=UTF-8")
        .with_header("Content-Disposition", "attachment; filename=response.json");
    w.emulator.script("attachment.download", [answer]);
    assert_eq!(why(to_memory(&w, &id)), (Status::Forbidden, "no_permission"));
}

#[test]
fn a_json_or_html_file_is_a_file() {
    let w = world();
    for (name, content) in [("response.json", br#"{"code":"INVALID_DATA"}"#.as_slice()), ("page.html", b"<html></html>")] {
        let id = w.attach(name, content);
        assert_eq!(to_memory(&w, &id).unwrap().data.as_deref(), Some(content), "{name}");
    }
}

#[test]
fn a_link_has_no_bytes_in_any_version() {
    for version in ["v2", "v2.1", "v8"] {
        let w = world_with(&[("api_version", version)]);
        let id = w.emulator.attach_link("Contacts", &w.contact.id, "t", "https://example.com/");
        assert_eq!(why(to_memory(&w, &id)), (Status::IsLink, "is_link"), "{version}");
    }
}

#[test]
fn what_is_not_there_is_not_found_in_both_forms() {
    for form in [UnknownAttachment::NoContent204, UnknownAttachment::NotFound404] {
        let w = world();
        w.emulator.settings(|s| s.unknown_attachment = form);
        assert_eq!(why(to_memory(&w, "1234567890123456789")).0, Status::NotFound, "{form:?}");
    }
}

#[test]
fn an_existing_file_stays_unless_asked_otherwise() {
    let w = world();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    std::fs::write(&path, b"old").unwrap();
    let id = w.attach("a", b"new");
    assert_eq!(why(to_file(&w, &id, &path, Call::default())), (Status::Io, "target_exists"));
    assert!(w.emulator.ledger().requests.is_empty(), "refused before asking the server");
    attachment::download(&w.client, &w.contact, &id, Sink::file(path.clone(), true), Call::default()).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
}

#[test]
fn a_sink_takes_at_most_what_it_says() {
    let w = world();
    let id = w.attach("a", &bytes(1000));
    let download = |max| attachment::download(&w.client, &w.contact, &id, Sink::memory().at_most(max), Call::default());
    assert!(download(1000).is_ok());
    assert_eq!(why(download(999)), (Status::TooLarge, "max_bytes"));
}

#[test]
fn an_encoded_reply_is_refused_as_identity_was_asked_for() {
    let w = world();
    let id = w.attach("a", b"abc");
    w.emulator.script("attachment.download", [Fault::body(200, b"\x1f\x8b").with_header("Content-Encoding", "gzip")]);
    assert_eq!(why(to_memory(&w, &id)), (Status::Protocol, "content_encoding"));
    assert!(w.requests("attachment.download")[0].headers.iter().any(|(k, v)| k.eq_ignore_ascii_case("accept-encoding") && v == "identity"));
}

#[test]
fn a_writer_that_already_has_bytes_gets_them_only_once() {
    let w = world();
    let id = w.attach("a", &bytes(200_000));
    w.emulator.script("attachment.download", [Fault::truncate(1)]);
    let mut taken = Vec::new();
    let mut writer = Written(&mut taken);
    let failed = attachment::download(&w.client, &w.contact, &id, Sink::writer(&mut writer), Call::default());
    assert_eq!(why(failed), (Status::Network, "reply_truncated"));
    assert!(taken.len() < 200_000 && w.requests("attachment.download").len() == 1);
}

#[test]
fn a_redirect_is_followed_once_without_the_token_to_a_named_host_and_port_alone() {
    let other = Emulator::start(Options::default()).unwrap();
    let port = other.url().rsplit(':').next().unwrap().to_owned();
    let named = |hosts: &str| world_with(&[("allow_hosts", hosts)]);
    let location = format!("{}/elsewhere", other.url());
    let follow = |w: &World| {
        let id = w.attach("a", b"abc");
        w.emulator.script("attachment.download", [Fault::redirect(302, &location)]);
        to_memory(w, &id)
    };
    // Both listen on 127.0.0.1, a host that the client was given, but with another port.
    assert_eq!(why(follow(&named(""))), (Status::Protocol, "redirect_refused"));
    assert_eq!(why(follow(&named("127.0.0.1"))), (Status::Protocol, "redirect_refused"), "without a port it is that of http");
    assert!(other.ledger().requests.is_empty());
    other.script("other", [Fault::body(200, b"from elsewhere").with_header("Content-Disposition", "attachment; filename=\"x\"")]);
    assert_eq!(follow(&named(&format!("127.0.0.1:{port}"))).unwrap().data.as_deref(), Some(b"from elsewhere".as_slice()));
    let request = &other.ledger().requests[0];
    assert!(!request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization")), "{:?}", request.headers);
}

#[test]
fn a_redirect_to_any_other_host_is_refused() {
    let w = world();
    let id = w.attach("a", b"abc");
    for location in ["https://evil.example/", "http://www.zohoapis.com/", "file:///etc/passwd", "/relative", "https://www.zohoapis.com.evil.example/"]
    {
        w.emulator.script("attachment.download", [Fault::redirect(302, location)]);
        assert_eq!(why(to_memory(&w, &id)), (Status::Protocol, "redirect_refused"), "{location}");
    }
}

#[test]
fn a_second_redirect_is_not_followed() {
    let w = world();
    let id = w.attach("a", b"abc");
    let again = format!("{}/again", w.emulator.url());
    w.emulator.script("attachment.download", [Fault::redirect(302, &again)]);
    w.emulator.script("other", [Fault::redirect(302, &again)]);
    assert_eq!(why(to_memory(&w, &id)).0, Status::Protocol);
    assert_eq!(w.emulator.ledger().requests.len(), 2);
}

#[test]
fn an_upload_is_never_redirected() {
    let w = world();
    w.emulator.script("attachment.upload", [Fault::redirect(307, &format!("{}/x?token=1", w.emulator.url()))]);
    let error = w.upload("a", b"abc").unwrap_err();
    assert_eq!((error.status(), error.detail().http_status), (Status::Protocol, 307));
    assert!(
        error.to_string().contains(&format!("{}/x ", w.emulator.url())) && !error.to_string().contains("token=1"),
        "its target is named: {error}"
    );
    let ledger = w.emulator.ledger();
    assert!(ledger.requests.iter().all(|r| r.operation == "attachment.upload" || r.operation == "attachment.list"), "{:?}", ledger.requests);
    assert_eq!(w.requests("attachment.upload").len(), 1);
}

#[test]
fn a_broken_write_is_the_callers_own_error() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::Error::from_raw_os_error(28))
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let w = world();
    let id = w.attach("a", b"abc");
    let error = attachment::download(&w.client, &w.contact, &id, Sink::writer(&mut Written(Full)), Call::default()).unwrap_err();
    assert_eq!((error.status(), error.detail().os_error), (Status::Io, 28));
    // The connection that still held the body isn't used again.
    assert!(to_memory(&w, &id).is_ok());
}

#[test]
fn an_unwritable_directory_is_refused_before_the_server_is_asked() {
    let w = world();
    let id = w.attach("a", b"abc");
    let failed = to_file(&w, &id, Path::new("/nonexistent/dir/a"), Call::default());
    assert_eq!(why(failed), (Status::Io, "sink_create"));
    assert!(w.emulator.ledger().requests.is_empty());
    drop(client(&w.emulator, &[]));
}

#[test]
fn nothing_but_a_regular_file_is_ever_replaced() {
    let w = world();
    let id = w.attach("a", b"abc");
    let dir = tempfile::tempdir().unwrap();
    let (fifo, to_device, to_directory) = (dir.path().join("fifo"), dir.path().join("device"), dir.path().join("directory"));
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
    std::os::unix::fs::symlink("/dev/null", &to_device).unwrap();
    std::os::unix::fs::symlink(dir.path(), &to_directory).unwrap();
    for path in [&*fifo, &to_device, &to_directory, dir.path(), Path::new("/dev/null")] {
        let before = path.symlink_metadata().unwrap().file_type();
        for overwrite in [true, false] {
            let failed = attachment::download(&w.client, &w.contact, &id, Sink::file(path, overwrite), Call::default());
            assert_eq!(why(failed), (Status::Io, "target_not_a_file"), "{}", path.display()); // nobody is told to remove it
        }
        assert_eq!(path.symlink_metadata().unwrap().file_type(), before);
    }
    assert!(w.emulator.ledger().requests.is_empty());
    let (target, dangling) = (dir.path().join("target"), dir.path().join("dangling"));
    std::os::unix::fs::symlink(&target, &dangling).unwrap();
    attachment::download(&w.client, &w.contact, &id, Sink::file(&dangling, true), Call::default()).unwrap();
    assert!(dangling.symlink_metadata().unwrap().is_file() && !target.exists(), "a link to nothing is replaced, and not followed");
}

#[test]
fn a_file_that_is_replaced_hands_on_its_mode() {
    use std::os::unix::fs::PermissionsExt;
    let w = world();
    let id = w.attach("a", b"new");
    let path = w.file("a", b"old");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    attachment::download(&w.client, &w.contact, &id, Sink::file(&path, true), Call::default()).unwrap();
    assert_eq!((std::fs::read(&path).unwrap(), path.metadata().unwrap().permissions().mode() & 0o7777), (b"new".to_vec(), 0o600));
}
