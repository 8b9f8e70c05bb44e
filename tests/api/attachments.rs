//! Upload and delete attachments.

use std::io::Cursor;

use zcrm::attachment;
use zcrm::{Call, Cancel, File, Reader, Record, Seekable, Source, Status, Streamed};

use crate::server::{Server, record, reply};
use crate::support::{bytes, client, why, world, world_with};

const SHA256_OF_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[test]
fn a_file_is_stored_under_its_own_name_with_its_bytes() {
    let w = world();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("contract.pdf");
    let content = bytes(300_000);
    std::fs::write(&path, &content).unwrap();
    let uploaded = attachment::upload(&w.client, &w.contact, File::open(&path).unwrap(), Call::default()).unwrap();
    let stored = &w.emulator.attachments("Contacts", &w.contact.id)[0];
    assert_eq!((stored.id.as_str(), stored.name.as_str()), (uploaded.result.id.as_str(), "contract.pdf"));
    assert!(stored.bytes == content);
    assert_eq!((uploaded.operation, uploaded.result.bytes, uploaded.attempts), ("attachment.upload", 300_000, 1));
    assert!(!uploaded.result.created_time.is_empty());
}

#[test]
fn memory_is_stored_whatever_its_size() {
    let w = world();
    for size in [0, 1, 65_000, 65_536, 65_537, 1_000_000, 5_000_001] {
        let content = bytes(size);
        let uploaded = w.upload("m.bin", &content).unwrap().result;
        let stored = w.emulator.attachments("Contacts", &w.contact.id).pop().unwrap();
        assert!(stored.id == uploaded.id && stored.bytes == content, "{size} bytes");
    }
}

#[test]
fn a_reader_with_a_known_length_is_sent_with_content_length() {
    let w = world();
    let content = bytes(200_000);
    let mut reader = Streamed(Cursor::new(&content));
    attachment::upload(&w.client, &w.contact, File::reader("r.bin", &mut reader, Some(200_000)), Call::default()).unwrap();
    let request = &w.requests("attachment.upload")[0];
    let length = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length")).map(|(_, v)| v.parse().unwrap());
    assert_eq!(length, Some(request.body_bytes));
    assert!(w.emulator.attachments("Contacts", &w.contact.id)[0].bytes == content);
}

#[test]
fn a_reader_of_unknown_length_is_spooled_and_sent_with_content_length() {
    let w = world();
    let content = bytes(200_000);
    let mut reader = Streamed(Cursor::new(&content));
    attachment::upload(&w.client, &w.contact, File::reader("r.bin", &mut reader, None), Call::default()).unwrap();
    let request = &w.requests("attachment.upload")[0];
    assert!(request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")));
    assert!(w.emulator.attachments("Contacts", &w.contact.id)[0].bytes == content);
}

#[test]
fn a_reader_of_unknown_length_goes_in_chunks_when_asked_to() {
    let w = world_with(&[("unknown_length", "chunked")]);
    let content = bytes(200_000);
    let mut reader = Streamed(Cursor::new(&content));
    attachment::upload(&w.client, &w.contact, File::reader("r.bin", &mut reader, None), Call::default()).unwrap();
    let request = &w.requests("attachment.upload")[0];
    assert!(request.headers.iter().any(|(name, value)| name.eq_ignore_ascii_case("transfer-encoding") && value == "chunked"));
    assert!(w.emulator.attachments("Contacts", &w.contact.id)[0].bytes == content);
}

#[test]
fn a_reader_that_gives_fewer_or_more_bytes_than_announced_stores_nothing() {
    let w = world();
    for announced in [199_999, 200_001, 10, 1_000_000] {
        let mut reader = Seekable(Cursor::new(bytes(200_000)));
        let source = File::reader("r.bin", &mut reader, Some(announced));
        let failed = attachment::upload(&w.client, &w.contact, source, Call::default());
        assert_eq!(why(failed), (Status::SourceChanged, "source_changed"), "{announced}");
    }
    assert_eq!(w.stored(), []);
}

#[test]
fn a_link_is_stored_with_its_title_by_both_carriers() {
    for carrier in ["form", "query"] {
        let w = world_with(&[("link_carrier", carrier)]);
        let (url, title) = ("https://example.com/a?b=c&d=e#f", "Größe & Preis = #1 😀");
        let uploaded = attachment::upload(&w.client, &w.contact, Source::link(url, title), Call::default()).unwrap().result;
        let stored = &w.emulator.attachments("Contacts", &w.contact.id)[0];
        assert_eq!((stored.id.as_str(), stored.link_url.as_deref(), stored.name.as_str()), (uploaded.id.as_str(), Some(url), title), "{carrier}");
        assert_eq!(uploaded.link_url.as_deref(), Some(url));
    }
}

#[test]
fn the_same_link_twice_is_a_duplicate_in_each_form_of_the_refusal() {
    use zcrm_emulator::DuplicateLink::{Bare400, Data200, Data202};
    for form in [Bare400, Data200, Data202] {
        let w = world();
        w.emulator.settings(|s| s.duplicate_link = form);
        let link = || attachment::upload(&w.client, &w.contact, Source::link("https://example.com/", ""), Call::default());
        link().unwrap();
        assert_eq!(why(link()), (Status::DuplicateLink, "link_exists"), "{form:?}");
    }
}

#[test]
fn every_module_with_attachments_is_served_notes_and_custom_ones_included() {
    let w = world();
    for module in ["Leads", "Contacts", "Accounts", "Deals", "Products", "Vendors", "Cases", "Notes", "Invoices", "Site_Visits"] {
        let record = Record::new(module, w.emulator.add_record(module));
        attachment::upload(&w.client, &record, File::memory("a.txt", b"abc"), Call::default()).unwrap();
        assert_eq!(w.emulator.attachments(module, &record.id).len(), 1, "{module}");
    }
}

#[test]
fn every_api_version_uploads_lists_downloads_and_deletes() {
    for version in ["v2", "v2.1", "v3", "v4", "v5", "v6", "v7", "v8"] {
        let w = world_with(&[("api_version", version)]);
        let id = w.upload("a.txt", b"abc").unwrap().result.id;
        let listed = attachment::list(&w.client, &w.contact, &Default::default(), Call::default()).unwrap().result.attachments;
        assert_eq!((listed.len(), listed[0].id.as_str(), listed[0].bytes, listed[0].is_link), (1, id.as_str(), Some(3), false), "{version}");
        let got = attachment::download(&w.client, &w.contact, &id, zcrm::Sink::memory(), Call::default()).unwrap().result;
        assert_eq!(got.data.as_deref(), Some(b"abc".as_slice()), "{version}");
        attachment::delete(&w.client, &w.contact, &[&id], Call::default()).unwrap();
        assert_eq!(w.stored(), [], "{version}");
        let path = format!("/crm/{version}/Contacts/{}/Attachments", w.contact.id);
        assert!(w.emulator.ledger().requests.iter().all(|r| r.path.starts_with(&path)), "{version}");
    }
}

#[test]
fn the_hash_of_what_was_sent_is_given_when_asked_for() {
    let w = world();
    let call = Call { sha256: true, ..Call::default() };
    let uploaded = attachment::upload(&w.client, &w.contact, File::memory("a", b"abc"), call).unwrap().result;
    assert_eq!(uploaded.sha256.as_deref(), Some(SHA256_OF_ABC));
    assert_eq!(w.upload("b", b"abc").unwrap().result.sha256, None);
}

#[test]
fn bytes_with_another_hash_than_expected_are_not_stored() {
    for size in [3, 500_000] {
        let w = world();
        let call = Call { expected_sha256: Some([1; 32]), ..Call::default() };
        let failed = attachment::upload(&w.client, &w.contact, File::memory("a", &bytes(size)), call);
        assert_eq!(why(failed), (Status::Checksum, "sha256"));
        assert_eq!(w.stored(), []);
    }
}

#[test]
fn progress_goes_from_nothing_to_the_whole_and_never_back() {
    let w = world();
    let content = bytes(3_000_000);
    let mut told = Vec::new();
    let mut tell = |done, total| {
        told.push((done, total));
        true
    };
    let call = Call { progress: Some(&mut tell), ..Call::default() };
    attachment::upload(&w.client, &w.contact, File::memory("a", &content), call).unwrap();
    assert_eq!(told.first(), Some(&(0, Some(3_000_000))));
    assert_eq!(told.last(), Some(&(3_000_000, Some(3_000_000))));
    assert!(told.is_sorted());
}

#[test]
fn a_cancel_is_heard_between_two_reads_of_a_reader_that_gives_little_at_a_time() {
    /// Cancels its own call at its tenth read.
    struct Trickle(Cancel, u32);
    impl Reader for Trickle {
        fn read(&mut self, buf: &mut [u8]) -> zcrm::Result<usize> {
            self.1 += 1;
            if self.1 == 10 {
                self.0.fire();
            }
            buf[0] = 0;
            Ok(1)
        }
    }
    let w = world();
    let cancel = Cancel::new();
    let mut reader = Trickle(cancel.clone(), 0);
    let call = Call { cancel: Some(cancel), ..Call::default() };
    let failed = attachment::upload(&w.client, &w.contact, File::reader("a", &mut reader, Some(3_000_000)), call);
    assert_eq!(why(failed), (Status::Cancelled, "cancelled"));
    assert_eq!(reader.1, 10);
}

#[test]
fn a_progress_that_says_no_cancels_the_upload() {
    let w = world();
    let mut tell = |done: u64, _| done == 0;
    let call = Call { progress: Some(&mut tell), ..Call::default() };
    let failed = attachment::upload(&w.client, &w.contact, File::memory("a", &bytes(3_000_000)), call);
    assert_eq!(why(failed), (Status::Cancelled, "cancelled"));
    assert_eq!(w.stored(), []);
}

#[test]
fn one_attachment_is_deleted_by_its_id() {
    let w = world();
    let (a, b) = (w.attach("a", b"a"), w.attach("b", b"b"));
    let deleted = attachment::delete(&w.client, &w.contact, &[&a], Call::default()).unwrap();
    assert_eq!(deleted.result.ids, [a]);
    assert_eq!(w.emulator.attachments("Contacts", &w.contact.id)[0].id, b);
}

#[test]
fn a_link_is_deleted_like_a_file() {
    let w = world();
    let id = w.emulator.attach_link("Contacts", &w.contact.id, "t", "https://example.com/");
    attachment::delete(&w.client, &w.contact, &[&id], Call::default()).unwrap();
    assert_eq!(w.stored(), []);
}

#[test]
fn several_are_deleted_by_one_request() {
    let w = world();
    let ids: Vec<String> = (0..5).map(|i| w.attach(&format!("{i}"), b"x")).collect();
    attachment::delete(&w.client, &w.contact, &ids.iter().map(String::as_str).collect::<Vec<_>>(), Call::default()).unwrap();
    assert_eq!((w.stored().len(), w.requests("attachment.delete").len()), (0, 1));
}

#[test]
fn several_are_deleted_one_by_one_where_the_server_has_no_such_request() {
    let w = world();
    w.emulator.settings(|s| s.bulk_delete_in_v8 = false);
    let ids: Vec<String> = (0..3).map(|i| w.attach(&format!("{i}"), b"x")).collect();
    let deleted = attachment::delete(&w.client, &w.contact, &ids.iter().map(String::as_str).collect::<Vec<_>>(), Call::default()).unwrap();
    assert_eq!((deleted.result.ids, w.stored().len(), w.requests("attachment.delete").len()), (ids, 0, 4));
}

#[test]
fn an_id_that_is_given_twice_is_deleted_once() {
    let w = world();
    let (a, b) = (w.attach("a", b"a"), w.attach("b", b"b"));
    let deleted = attachment::delete(&w.client, &w.contact, &[&a, &b, &a], Call::default()).unwrap();
    assert_eq!((deleted.result.ids, w.stored()), (vec![a, b], vec![]));
}

#[test]
fn over_a_hundred_are_deleted_in_requests_of_a_hundred() {
    let w = world();
    let ids: Vec<String> = (0..205).map(|i| w.attach(&format!("{i}"), b"x")).collect();
    attachment::delete(&w.client, &w.contact, &ids.iter().map(String::as_str).collect::<Vec<_>>(), Call::default()).unwrap();
    assert_eq!((w.stored().len(), w.requests("attachment.delete").len()), (0, 3));
}

#[test]
fn a_deletion_with_an_unknown_id_names_it_and_what_was_deleted_beside_it() {
    for status in [200, 207] {
        let w = world();
        w.emulator.settings(|s| s.bulk_delete_partial_status = status);
        let (a, b) = (w.attach("a", b"a"), w.attach("b", b"b"));
        let error = attachment::delete(&w.client, &w.contact, &[&a, "1234567890123456789", &b], Call::default()).unwrap_err();
        assert_eq!(error.status(), Status::NotFound);
        let text = error.to_string();
        assert!(text.contains("1234567890123456789") && text.contains(&a) && text.contains(&b), "{text}");
        assert_eq!(w.stored(), []);
    }
}

/// The first of three is deleted, the second isn't, and the call ends with its refusal. The third is deleted all the same.
#[test]
fn what_a_reply_says_is_deleted_is_told_wherever_a_refusal_stands() {
    let verdict = |id: &str, code: &str, status: &str| format!(r#"{{"code":"{code}","details":{{"id":"{id}"}},"message":"m","status":"{status}"}}"#);
    let done = |id: &str| verdict(id, "SUCCESS", "success");
    let body = format!(r#"{{"data":[{},{},{}]}}"#, done("11"), verdict("12", "NO_PERMISSION", "error"), done("13"));
    let server = Server::start(move |_| Some(reply("200 OK", "", &body)));
    let error = attachment::delete(&server.client(&[]), &record(), &["11", "12", "13"], Call::default()).unwrap_err();
    assert_eq!(error.status(), Status::Forbidden);
    let text = error.to_string();
    assert!(text.starts_with("12: ") && text.contains("deleted all the same: 11,13"), "{text}");
}

#[test]
fn deleting_what_is_not_there_is_not_found() {
    let w = world();
    let failed = attachment::delete(&w.client, &w.contact, &["1234567890123456789"], Call::default());
    assert_eq!(why(failed), (Status::NotFound, "attachment_unknown"));
}

#[test]
fn two_organisations_in_one_process_never_mix() {
    let w = world();
    let other = client(&w.emulator, &[("access_token", &w.emulator.access_token_of(2))]);
    let theirs = Record::new("Contacts", w.emulator.record_of(2, "Contacts"));
    w.upload("ours", b"1").unwrap();
    attachment::upload(&other, &theirs, File::memory("theirs", b"2"), Call::default()).unwrap();
    let wrong = attachment::upload(&other, &w.contact, File::memory("x", b"3"), Call::default());
    assert_eq!(why(wrong), (Status::InvalidRecord, "record_invalid"));
    assert_eq!(w.stored(), [("ours".to_owned(), 1)]);
}

#[test]
fn eight_threads_share_one_client() {
    let w = world();
    std::thread::scope(|scope| {
        for t in 0..8 {
            let w = &w;
            scope.spawn(move || (0..10).for_each(|i| drop(w.upload(&format!("{t}-{i}"), &bytes(1000 * i)).unwrap())));
        }
    });
    assert_eq!(w.stored().len(), 80);
    let connections: std::collections::HashSet<_> = w.emulator.ledger().requests.iter().map(|r| r.connection).collect();
    assert!(connections.len() <= 8, "{} connections for 8 threads", connections.len());
}
