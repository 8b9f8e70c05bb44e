//! The list of attachments, its pages and their end.

use zcrm::attachment::{self, Attachment, ListArgs, Page};
use zcrm::{Call, Record, Result, Status};
use zcrm_emulator::{EmptyList, Fault};

use crate::support::{World, why, world, world_with};

fn list(w: &World, args: ListArgs) -> Result<Page> {
    attachment::list(&w.client, &w.contact, &args, Call::default()).map(|outcome| outcome.result)
}

fn fill(w: &World, count: usize) -> Vec<String> {
    (0..count).map(|i| w.attach(&format!("{i}.txt"), b"x")).collect()
}

fn sorted_ids(attachments: &[Attachment]) -> Vec<String> {
    let mut ids: Vec<String> = attachments.iter().map(|a| a.id.clone()).collect();
    ids.sort();
    ids
}

#[test]
fn an_entry_has_what_the_server_knows() {
    let w = world();
    let file = w.attach("Grüße.pdf", b"12345");
    let link = w.emulator.attach_link("Contacts", &w.contact.id, "Zoho", "https://www.zoho.com/");
    let all = list(&w, ListArgs::default()).unwrap().attachments;
    let file = all.iter().find(|a| a.id == file).unwrap();
    assert_eq!((file.file_name.as_str(), file.bytes, file.is_link, file.link_url.as_str()), ("Grüße.pdf", Some(5), false, ""));
    assert!(!file.created_time.is_empty() && !file.owner_name.is_empty() && !file.created_by_id.is_empty() && !file.file_id.is_empty());
    assert_eq!(file.parent_id, w.contact.id);
    let link = all.iter().find(|a| a.id == link).unwrap();
    assert_eq!((link.file_name.as_str(), link.is_link, link.link_url.as_str()), ("Zoho", true, "https://www.zoho.com/"));
}

#[test]
fn no_attachments_are_an_empty_list_in_both_forms() {
    for form in [EmptyList::NoContent204, EmptyList::Ok200] {
        let w = world();
        w.emulator.settings(|s| s.empty_list = form);
        assert_eq!(list(&w, ListArgs::default()).unwrap(), Page::default(), "{form:?}");
    }
}

#[test]
fn every_page_is_followed_by_number() {
    let w = world();
    let ids = fill(&w, 450);
    let page = list(&w, ListArgs::default()).unwrap();
    assert_eq!((sorted_ids(&page.attachments) == ids, page.more_records), (true, false));
    assert_eq!(w.requests("attachment.list").len(), 3);
}

#[test]
fn beyond_two_thousand_the_page_token_is_followed() {
    let w = world();
    let ids = fill(&w, 2_450);
    let page = list(&w, ListArgs::default()).unwrap();
    assert!(sorted_ids(&page.attachments) == ids);
    let requests = w.requests("attachment.list");
    assert_eq!(requests.len(), 13);
    assert!(requests[9].query.contains("page=10") && requests[10].query.contains("page_token="), "{} {}", requests[9].query, requests[10].query);
}

#[test]
fn beyond_two_thousand_without_tokens_pages_are_numbered_on() {
    let w = world_with(&[("api_version", "v6")]);
    let ids = fill(&w, 2_001);
    assert!(sorted_ids(&list(&w, ListArgs::default()).unwrap().attachments) == ids);
    assert!(w.requests("attachment.list")[10].query.contains("page=11"));
}

#[test]
fn one_page_is_given_with_the_token_of_the_next() {
    let w = world();
    let ids = fill(&w, 25);
    let first = list(&w, ListArgs { page: 1, per_page: 10, ..ListArgs::default() }).unwrap();
    assert_eq!((first.attachments.len(), first.more_records), (10, true));
    let token = first.next_page_token.unwrap();
    let second = list(&w, ListArgs { page_token: token, per_page: 10, ..ListArgs::default() }).unwrap();
    assert_eq!(second.attachments.len(), 10);
    let third = list(&w, ListArgs { page: 3, per_page: 10, ..ListArgs::default() }).unwrap();
    assert_eq!((third.attachments.len(), third.more_records), (5, false));
    let all: Vec<Attachment> = [first.attachments, second.attachments, third.attachments].concat();
    assert_eq!(sorted_ids(&all), ids);
}

#[test]
fn the_iterator_gives_page_after_page_and_then_ends() {
    let w = world();
    let ids = fill(&w, 25);
    let pages: Vec<Page> =
        attachment::pages(&w.client, &w.contact, &ListArgs { per_page: 10, ..ListArgs::default() }).unwrap().collect::<Result<_>>().unwrap();
    assert_eq!(pages.iter().map(|p| p.attachments.len()).collect::<Vec<_>>(), [10, 10, 5]);
    assert_eq!(sorted_ids(&pages.into_iter().flat_map(|p| p.attachments).collect::<Vec<_>>()), ids);
}

#[test]
fn the_iterator_ends_after_an_error() {
    let w = world();
    fill(&w, 25);
    w.emulator.script("attachment.list", [Fault::none(), Fault::status(403)]);
    let mut pages = attachment::pages(&w.client, &w.contact, &ListArgs { per_page: 10, ..ListArgs::default() }).unwrap();
    assert!(pages.next().unwrap().is_ok());
    assert_eq!(why(pages.next().unwrap()).0, Status::Forbidden);
    assert!(pages.next().is_none());
}

#[test]
fn a_list_that_never_ends_is_left() {
    let w = world();
    let endless = r#"{"data":[{"id":"1"},{"id":"2"}],"info":{"more_records":true,"next_page_token":"same","page":1,"count":2,"per_page":2}}"#;
    w.emulator.script("attachment.list", (0..50).map(|_| Fault::body(200, endless.as_bytes()).with_header("Content-Type", "application/json")));
    assert_eq!(why(list(&w, ListArgs::default())), (Status::Page, "page_loop"));
    assert_eq!(w.requests("attachment.list").len(), 2);
}

#[test]
fn an_entry_that_two_pages_repeat_is_given_once() {
    let w = world();
    let page = |ids: &[u32], more| {
        let rows: Vec<String> = ids.iter().map(|id| format!(r#"{{"id":"{id}"}}"#)).collect();
        let body = format!(r#"{{"data":[{}],"info":{{"more_records":{more},"page":1,"count":2,"per_page":2}}}}"#, rows.join(","));
        Fault::body(200, body.as_bytes()).with_header("Content-Type", "application/json")
    };
    w.emulator.script("attachment.list", [page(&[1, 2], true), page(&[2, 3], false)]);
    assert_eq!(sorted_ids(&list(&w, ListArgs::default()).unwrap().attachments), ["1", "2", "3"]);
}

#[test]
fn the_fields_are_the_callers_if_named() {
    let w = world();
    w.attach("a", b"abc");
    let page = list(&w, ListArgs { fields: "id,File_Name".into(), ..ListArgs::default() }).unwrap();
    assert_eq!((page.attachments[0].file_name.as_str(), page.attachments[0].bytes), ("a", None));
    assert!(w.requests("attachment.list")[0].query.contains("fields=id%2CFile_Name"));
}

#[test]
fn what_a_version_lacks_is_refused_before_anything_is_sent() {
    let w = world_with(&[("api_version", "v6")]);
    assert_eq!(why(list(&w, ListArgs { page_token: "x".into(), ..ListArgs::default() })), (Status::Version, "page_token"));
    assert_eq!(why(list(&w, ListArgs { page: 1, page_token: "x".into(), ..ListArgs::default() })).0, Status::Argument);
    assert_eq!(why(list(&w, ListArgs { per_page: 201, ..ListArgs::default() })).0, Status::Argument);
    assert!(w.emulator.ledger().requests.is_empty());
}

#[test]
fn a_page_token_with_other_parameters_is_refused_as_a_page() {
    let w = world();
    fill(&w, 25);
    let token = list(&w, ListArgs { page: 1, per_page: 10, ..ListArgs::default() }).unwrap().next_page_token.unwrap();
    let other = ListArgs { page_token: token, per_page: 10, fields: "id,Size".into(), ..ListArgs::default() };
    assert_eq!(why(list(&w, other)), (Status::Page, "page_token_mismatch"));
}

#[test]
fn a_reply_that_is_no_list_is_an_error_and_never_an_empty_list() {
    for body in [
        "",
        "<html>",
        "[]",
        "{}",
        r#"{"data":null}"#,
        r#"{"data":[{"File_Name":"no id"}]}"#,
        r#"{"data":[{"id":1.5}]}"#,
        "{\"data\":[{\"id\":\"\u{feff}",
    ] {
        let w = world();
        w.emulator.script("attachment.list", [Fault::body(200, body.as_bytes()).with_header("Content-Type", "application/json")]);
        assert_eq!(why(list(&w, ListArgs::default())).0, Status::Protocol, "{body}");
    }
}

#[test]
fn a_reply_nested_a_hundred_thousand_deep_is_an_error() {
    let w = world();
    let deep = format!(r#"{{"data":{}"#, "[".repeat(100_000));
    w.emulator.script("attachment.list", [Fault::body(200, deep.as_bytes()).with_header("Content-Type", "application/json")]);
    assert_eq!(why(list(&w, ListArgs::default())).0, Status::Protocol);
}

#[test]
fn a_reply_over_eight_megabytes_is_not_read_to_its_end() {
    let w = world();
    let big = format!(r#"{{"data":[],"x":"{}"}}"#, "x".repeat(9 << 20));
    w.emulator.script("attachment.list", [Fault::body(200, big.as_bytes()).with_header("Content-Type", "application/json")]);
    assert_eq!(why(list(&w, ListArgs::default())), (Status::TooLarge, "reply_too_large"));
}

#[test]
fn a_note_lists_its_own_attachments() {
    let w = world();
    let note = Record::new("Notes", w.emulator.add_record("Notes"));
    let id = w.emulator.attach("Notes", &note.id, "n.txt", b"abc");
    let listed = attachment::list(&w.client, &note, &ListArgs::default(), Call::default()).unwrap().result;
    assert_eq!(listed.attachments[0].id, id);
}
