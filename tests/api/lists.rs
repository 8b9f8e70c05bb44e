//! The list of attachments, its pages and their end.

use std::ops::Range;
use std::time::Duration;

use serde_json::{Value, json};
use zcrm::attachment::{self, Attachment, ListArgs, Page, Pages};
use zcrm::{Call, Cancel, Record, Result, Status};
use zcrm_emulator::{EmptyList, Fault, StallAt};

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
fn every_page_is_followed_by_its_token_from_the_first_on() {
    let w = world();
    let ids = fill(&w, 2_450);
    let page = list(&w, ListArgs::default()).unwrap();
    assert!(sorted_ids(&page.attachments) == ids && !page.more_records && page.next_page_token.is_none());
    let requests = w.requests("attachment.list");
    let by_token = requests.iter().skip(1).filter(|request| request.query.contains("page_token=")).count();
    assert_eq!((requests.len(), by_token), (13, 12));
}

#[test]
fn without_tokens_pages_are_numbered_on_beyond_two_thousand() {
    let w = world_with(&[("api_version", "v6")]);
    let ids = fill(&w, 2_001);
    assert!(sorted_ids(&list(&w, ListArgs::default()).unwrap().attachments) == ids);
    assert!(w.requests("attachment.list")[10].query.contains("page=11"));
}

#[test]
fn without_tokens_one_page_is_asked_for_once() {
    let w = world_with(&[("api_version", "v6")]);
    fill(&w, 3);
    list(&w, ListArgs::default()).unwrap();
    assert_eq!(w.requests("attachment.list").len(), 1);
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

/// The pages of the contact's list, so many rows each.
fn pages(w: &World, per_page: u32) -> Pages {
    attachment::pages(&w.client, &w.contact, &ListArgs { per_page, ..ListArgs::default() }).unwrap()
}

fn next(pages: &mut Pages) -> Result<Option<Page>> {
    Ok(pages.next(&Call::default())?.map(|outcome| outcome.result))
}

#[test]
fn page_after_page_is_given_until_the_end() {
    let w = world();
    let ids = fill(&w, 25);
    let mut pages = pages(&w, 10);
    let all: Vec<Page> = std::iter::from_fn(|| next(&mut pages).unwrap()).collect();
    assert_eq!(all.iter().map(|p| p.attachments.len()).collect::<Vec<_>>(), [10, 10, 5]);
    assert_eq!(sorted_ids(&all.into_iter().flat_map(|p| p.attachments).collect::<Vec<_>>()), ids);
    assert_eq!((next(&mut pages).unwrap(), w.requests("attachment.list").len()), (None, 3));
}

#[test]
fn no_attachments_are_one_empty_page() {
    let w = world();
    let mut pages = pages(&w, 10);
    assert_eq!((next(&mut pages).unwrap(), next(&mut pages).unwrap()), (Some(Page::default()), None));
}

#[test]
fn deleting_each_attachment_that_a_page_tells_leaves_none_behind() {
    for version in ["v2", "v6", "v7", "v8"] {
        let w = world_with(&[("api_version", version)]);
        let ids = fill(&w, 45);
        let mut pages = pages(&w, 10);
        let mut told = Vec::new();
        while let Some(page) = next(&mut pages).unwrap() {
            for entry in page.attachments {
                attachment::delete(&w.client, &w.contact, &[&entry.id], Call::default()).unwrap();
                told.push(entry);
            }
        }
        assert_eq!((sorted_ids(&told) == ids, w.stored().len()), (true, 0), "{version}: {} of {} told", told.len(), ids.len());
    }
}

#[test]
fn after_an_error_the_same_page_is_asked_for_again() {
    let w = world();
    let ids = fill(&w, 25);
    w.emulator.script("attachment.list", [Fault::none(), Fault::status(403)]);
    let mut pages = pages(&w, 10);
    let mut all = next(&mut pages).unwrap().unwrap().attachments;
    assert_eq!(why(next(&mut pages)).0, Status::Forbidden);
    all.extend(std::iter::from_fn(|| next(&mut pages).unwrap()).flat_map(|page| page.attachments));
    assert_eq!(sorted_ids(&all), ids);
}

#[test]
fn each_page_has_its_own_timeout_cancel_token_and_trace_id() {
    let w = world();
    fill(&w, 25);
    let stall = || Fault::Stall { at: StallAt::BeforeReply, after_bytes: 0, ms: None };
    w.emulator.script("attachment.list", [Fault::none(), stall()]);
    let mut pages = pages(&w, 10);
    assert!(next(&mut pages).unwrap().is_some());
    let short = Call { timeout: Some(Duration::from_millis(50)), ..Call::default() };
    assert_eq!(why(pages.next(&short)).0, Status::Timeout);
    let cancel = Cancel::new();
    cancel.fire();
    assert_eq!(why(pages.next(&Call { cancel: Some(cancel), ..Call::default() })).0, Status::Cancelled);
    assert_eq!(next(&mut pages).unwrap().unwrap().attachments.len(), 10);
}

/// A page of these ids, with a token when there is more.
fn reply(ids: &[String], next: Option<&str>) -> Fault {
    let rows: Vec<String> = ids.iter().map(|id| format!(r#"{{"id":"{id}"}}"#)).collect();
    let (more, token) = (next.is_some(), next.map_or("null".to_owned(), |token| format!("\"{token}\"")));
    let body = format!(r#"{{"data":[{}],"info":{{"more_records":{more},"next_page_token":{token},"page":1,"per_page":2}}}}"#, rows.join(","));
    Fault::body(200, body.as_bytes()).with_header("Content-Type", "application/json")
}

fn ids(range: Range<u32>) -> Vec<String> {
    range.map(|id| id.to_string()).collect()
}

#[test]
fn a_list_that_goes_in_a_circle_is_left() {
    let (same, two) = ([ids(1..3)], [ids(1..3), ids(3..5)]);
    for (circle, requests) in [(same.as_slice(), 2), (two.as_slice(), 3)] {
        for version in ["v6", "v8"] {
            let w = world_with(&[("api_version", version)]);
            let replies = (0..50).map(|i| reply(&circle[i % circle.len()], Some(&format!("token-{i}"))));
            w.emulator.script("attachment.list", replies);
            assert_eq!(why(list(&w, ListArgs::default())), (Status::Page, "page_loop"), "{version} {circle:?}");
            assert_eq!(w.requests("attachment.list").len(), requests, "{version} {circle:?}");
        }
    }
}

#[test]
fn a_list_that_never_ends_is_left_at_the_bound_of_its_rows() {
    let w = world_with(&[("list_max_rows", "10")]);
    w.emulator.script("attachment.list", (0..50).map(|i| reply(&ids(2 * i..2 * i + 2), Some("next"))));
    assert_eq!(why(list(&w, ListArgs::default())), (Status::Page, "list_too_long"));
    assert_eq!(w.requests("attachment.list").len(), 6);
}

#[test]
fn a_list_that_never_ends_in_pages_of_one_row_is_left_long_before_that() {
    let w = world();
    w.emulator.script("attachment.list", (0..2_000).map(|i| reply(&ids(i..i + 1), Some("next"))));
    assert_eq!(why(list(&w, ListArgs::default())), (Status::Page, "list_too_long"));
    assert!(w.requests("attachment.list").len() < 1_200);
}

#[test]
fn a_list_whose_rows_are_as_long_as_no_row_is_is_left_before_it_fills_the_memory() {
    let w = world_with(&[("list_max_rows", "1000")]);
    let page = |i: u32| {
        let rows: Vec<Value> = (0..100).map(|n| json!({"id": (1000 * i + n + 1).to_string(), "File_Name": "x".repeat(40_000)})).collect();
        json!({"data": rows, "info": {"more_records": true, "next_page_token": "next"}})
    };
    w.emulator.script("attachment.list", (0..10).map(|i| Fault::body(200, page(i).to_string().as_bytes())));
    assert_eq!(why(list(&w, ListArgs::default())), (Status::Page, "list_too_long"));
    assert_eq!(w.requests("attachment.list").len(), 3);
}

#[test]
fn a_page_with_more_rows_than_were_asked_for_is_not_believed() {
    let w = world();
    w.emulator.script("attachment.list", [reply(&ids(0..3), None), reply(&ids(0..201), None)]);
    assert_eq!(why(list(&w, ListArgs { page: 1, per_page: 2, ..ListArgs::default() })), (Status::Page, "page_overfull"));
    assert_eq!(why(list(&w, ListArgs::default())), (Status::Page, "page_overfull"));
}

#[test]
fn an_entry_that_two_pages_repeat_is_given_once() {
    let w = world();
    w.emulator.script("attachment.list", [reply(&ids(1..3), Some("next")), reply(&ids(2..4), None)]);
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
fn a_link_is_one_whatever_fields_the_caller_names() {
    let w = world();
    w.attach("a", b"abc");
    w.emulator.attach_link("Contacts", &w.contact.id, "b", "https://example.com");
    for fields in ["id,File_Name", "id, $link_url ,File_Name"] {
        let mut page = list(&w, ListArgs { fields: fields.into(), ..ListArgs::default() }).unwrap();
        page.attachments.sort_by(|a, b| a.file_name.cmp(&b.file_name));
        assert_eq!(page.attachments.iter().map(|a| a.is_link).collect::<Vec<_>>(), [false, true], "{fields}");
    }
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
    for body in ["", "<html>", "[]", "{}", r#"{"data":[{"File_Name":"no id"}]}"#, r#"{"data":[{"id":1.5}]}"#, "{\"data\":[{\"id\":\"\u{feff}"] {
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

#[test]
fn a_list_goes_on_however_it_says_that_there_is_more() {
    for more in ["true", "\"true\"", "\"True\"", "1", "\"1\""] {
        let w = world();
        let page = |id: u32, more: &str| {
            let body = format!(r#"{{"data":[{{"id":"{id}"}}],"info":{{"more_records":{more},"next_page_token":"t"}}}}"#);
            Fault::body(200, body.as_bytes()).with_header("Content-Type", "application/json")
        };
        w.emulator.script("attachment.list", [page(1, more), page(2, "false")]);
        assert_eq!(list(&w, ListArgs::default()).unwrap().attachments.len(), 2, "{more}");
    }
}

#[test]
fn a_list_is_read_as_far_as_it_says_something() {
    let row = r#"{"id":"1"}"#;
    for (body, entries) in [
        (format!(r#"{{"data":[{row}]}}"#), 1),
        (format!(r#"{{"data":[{row}],"info":null}}"#), 1),
        (format!(r#"{{"data":[{row}],"info":7}}"#), 1),
        (format!(r#"{{"data":[{row}],"info":{{"more_records":null,"next_page_token":5}}}}"#), 1),
        (format!(r#"{{"data":[{row}],"info":{{"more_records":"false"}}}}"#), 1),
        (format!("\u{feff}{{\"data\":[{row}]}}"), 1),
        (r#"{"data":null}"#.to_owned(), 0),
    ] {
        let w = world();
        w.emulator.script("attachment.list", [Fault::body(200, body.as_bytes()).with_header("Content-Type", "application/json")]);
        assert_eq!(list(&w, ListArgs::default()).unwrap().attachments.len(), entries, "{body}");
    }
}
