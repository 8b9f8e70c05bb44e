//! What the multipart body looks like on the wire.

use zcrm::{Call, File, Status, attachment};

use crate::support::{why, world};

fn part_of(name: &str, content_type: &str) -> zcrm_emulator::Part {
    let w = world();
    let source = File { content_type: content_type.to_owned(), ..File::memory(name, b"abc") };
    attachment::upload(&w.client, &w.contact, source, Call::default()).unwrap();
    let mut parts = w.requests("attachment.upload").remove(0).parts;
    assert_eq!(parts.len(), 1, "exactly one part");
    parts.remove(0)
}

#[test]
fn a_name_travels_as_raw_utf_8_and_never_as_filename_star() {
    let part = part_of("Žádost о приёме 契約 😀.pdf", "");
    assert_eq!((part.name.as_str(), part.filename.as_deref()), ("file", Some("Žádost о приёме 契約 😀.pdf")));
    assert!(!part.headers.iter().any(|h| h.contains("filename*")));
}

#[test]
fn quotes_and_line_breaks_in_a_name_are_percent_encoded_and_add_no_header() {
    let part = part_of("a\"b\r\nX-Evil: 1\r\n\r\nc%0Dd.txt", "");
    assert_eq!(part.filename.as_deref(), Some("a%22b%0D%0AX-Evil: 1%0D%0A%0D%0Ac%0Dd.txt"));
    assert_eq!(part.headers.len(), 2, "{:?}", part.headers);
}

#[test]
fn a_content_type_is_sent_as_given_or_as_octet_stream() {
    assert!(part_of("a.pdf", "application/pdf").headers.iter().any(|h| h == "Content-Type: application/pdf"));
    assert!(part_of("a.pdf", "").headers.iter().any(|h| h == "Content-Type: application/octet-stream"));
}

#[test]
fn a_content_type_with_a_line_break_is_refused_before_anything_is_sent() {
    let w = world();
    let source = File { content_type: "text/plain\r\nX-Evil: 1".to_owned(), ..File::memory("a", b"abc") };
    assert_eq!(why(attachment::upload(&w.client, &w.contact, source, Call::default())), (Status::Argument, "content_type"));
    assert!(w.emulator.ledger().requests.is_empty());
}

#[test]
fn a_name_with_a_nul_or_none_at_all_is_refused_before_anything_is_sent() {
    let w = world();
    assert_eq!(why(w.upload("a\0b", b"abc")), (Status::Argument, "file_name"));
    assert_eq!(why(w.upload("", b"abc")), (Status::Argument, "file_name"));
    assert!(w.emulator.ledger().requests.is_empty());
}

#[test]
fn a_file_that_holds_the_boundary_of_another_call_arrives_whole() {
    let w = world();
    w.upload("first", b"abc").unwrap();
    let boundary = w.requests("attachment.upload")[0]
        .headers
        .iter()
        .find_map(|(name, value)| name.eq_ignore_ascii_case("content-type").then(|| value.split_once("boundary=").unwrap().1.to_owned()));
    let evil = format!("x\r\n--{}--\r\n", boundary.unwrap()).into_bytes();
    w.upload("second", &evil).unwrap();
    assert!(w.emulator.attachments("Contacts", &w.contact.id)[1].bytes == evil);
}
