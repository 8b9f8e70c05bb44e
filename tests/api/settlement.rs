//! Uploads whose reply was lost: each file is on its record once, or the result says what is not known.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use zcrm::attachment::{self, Uploaded};
use zcrm::{Call, File, IfExists, Outcome, Result, Seekable, Source, Status, Streamed};
use zcrm_emulator::Fault;

use crate::server::{Server, record, reply};
use crate::support::{World, bytes, why, world_with};

/// Looks that follow each other quickly.
const QUICK: (&str, &str) = ("settle_waits_ms", "20,50,100");

fn settling(settings: &[(&str, &str)]) -> World {
    world_with(&[&[QUICK], settings].concat())
}

fn uploaded(w: &World, faults: impl IntoIterator<Item = Fault>) -> Result<Outcome<Uploaded>> {
    w.emulator.script("attachment.upload", faults);
    w.upload("a.bin", &bytes(300_000))
}

fn posts(w: &World) -> usize {
    w.requests("attachment.upload").len()
}

fn lists(w: &World) -> usize {
    w.requests("attachment.list").len()
}

#[test]
fn a_stored_upload_whose_reply_was_lost_is_found_and_not_sent_again() {
    for mode in ["cheap", "strict"] {
        for fault in [Fault::reset_after_store(), Fault::status_after_store(500), Fault::status_after_store(503), Fault::reset_in_reply(20)] {
            let w = settling(&[("settle", mode)]);
            let result = uploaded(&w, [fault.clone()]).unwrap().result;
            assert!(result.settled && !result.name_changed && result.twins.is_empty(), "{mode} {fault:?}: {result:?}");
            let stored = w.emulator.attachments("Contacts", &w.contact.id);
            assert_eq!((stored.len(), stored[0].id.as_str(), posts(&w)), (1, result.id.as_str(), 1), "{mode} {fault:?}");
        }
    }
}

/// A server that loses its first reply, lists one new entry of a size that isn't the upload's, and gives these bytes for it.
fn sizing_otherwise(stored: &'static str) -> Server {
    let posts = AtomicUsize::new(0);
    Server::start(move |seen| match seen.head.split_whitespace().take(2).collect::<Vec<_>>()[..] {
        ["POST", _] if posts.fetch_add(1, Relaxed) == 0 => None,
        ["POST", _] => Some(reply("200 OK", "", r#"{"data":[{"code":"SUCCESS","details":{"id":"8"},"message":"","status":"success"}]}"#)),
        [_, target] if target.contains("/Attachments?") => {
            Some(reply("200 OK", "", r#"{"data":[{"id":"7","File_Name":"a.txt","Size":"1024","Created_Time":"2099-01-01T00:00:00Z"}]}"#))
        }
        _ => Some(reply("200 OK", "Content-Disposition: attachment;filename*=UTF-8''a.txt\r\n", stored)),
    })
}

#[test]
fn a_stored_upload_whose_size_the_list_rounds_is_known_by_its_bytes() {
    for (stored, id, settled) in [("the bytes", "7", true), ("other ones", "8", false)] {
        let server = sizing_otherwise(stored);
        let client = server.client(&[QUICK]);
        let uploaded = attachment::upload(&client, &record(), File::memory("a.txt", b"the bytes"), Call::default()).unwrap().result;
        assert_eq!((uploaded.id.as_str(), uploaded.settled, uploaded.twins.len()), (id, settled, 0), "{stored}");
    }
}

#[test]
fn an_upload_that_was_not_stored_is_looked_for_and_then_sent_again() {
    let w = settling(&[]);
    let outcome = uploaded(&w, [Fault::reset_before_store()]).unwrap();
    assert!(!outcome.result.settled);
    assert_eq!((w.stored().len(), posts(&w)), (1, 2));
    // Four looks before the second sending, and one for a twin after it.
    assert_eq!(lists(&w), 5);
    assert_eq!(outcome.wait_reason, Some("settling"));
}

#[test]
fn a_body_of_many_pieces_that_left_whole_is_looked_for_until_it_shows() {
    for _ in 0..4 {
        let w = settling(&[]);
        w.emulator.script("attachment.upload", [Fault::hide_attachment(60).and_lost()]);
        let uploaded = w.upload("a.bin", &bytes(1_000_000)).unwrap().result;
        assert!(uploaded.settled, "{uploaded:?}");
        assert_eq!((w.emulator.attachments("Contacts", &w.contact.id).len(), posts(&w)), (1, 1));
    }
}

#[test]
fn a_body_that_never_left_whole_needs_one_look_alone() {
    let w = settling(&[]);
    w.emulator.script("attachment.upload", [Fault::reset_before_store_after(100_000)]);
    let outcome = w.upload("a.bin", &bytes(20_000_000)).unwrap();
    assert!(!outcome.result.settled);
    assert_eq!((w.stored().len(), posts(&w), lists(&w)), (1, 2, 2));
}

#[test]
fn nothing_costs_a_credit_while_nothing_is_lost() {
    let w = settling(&[]);
    uploaded(&w, []).unwrap();
    assert_eq!(lists(&w), 0);
    let w = settling(&[("settle", "strict")]);
    uploaded(&w, []).unwrap();
    assert_eq!(lists(&w), 1);
}

#[test]
fn an_upload_that_shows_late_is_waited_for() {
    // The emulator shows it after 60 ms; the looks come at 0, 20, 70 and 170 ms.
    let w = settling(&[]);
    let result = uploaded(&w, [Fault::hide_attachment(60).and_lost()]).unwrap().result;
    assert!(result.settled);
    assert_eq!((w.stored().len(), posts(&w)), (1, 1));
    assert!(lists(&w) > 1);
}

#[test]
fn a_twin_that_shows_after_the_second_sending_is_reported_or_deleted() {
    for (policy, left) in [("report", 2), ("delete", 1)] {
        let w = settling(&[("on_twin", policy), ("settle_waits_ms", "1")]);
        // The second sending takes its time, so that the first copy shows before the look for it.
        let result = uploaded(&w, [Fault::hide_attachment(1000).and_lost(), Fault::delay(2000)]).unwrap().result;
        assert_eq!(result.twins.len(), 1, "{policy}: {result:?}");
        assert!(!result.twins.contains(&result.id));
        let stored = w.emulator.attachments("Contacts", &w.contact.id);
        assert_eq!(stored.len(), left, "{policy}");
        assert!(stored.iter().any(|a| a.id == result.id));
    }
}

#[test]
fn another_file_of_the_same_name_and_size_is_never_taken_for_the_lost_one() {
    for mode in ["cheap", "strict"] {
        let w = settling(&[("settle", mode)]);
        let mut other = bytes(300_000);
        other[150_000] ^= 1;
        if mode == "cheap" {
            w.attach("a.bin", &other);
        }
        w.emulator.script("attachment.upload", [Fault::reset_before_store()]);
        if mode == "strict" {
            // It comes after the list that precedes the sending: only its bytes tell it apart.
            w.emulator.script("attachment.list", [Fault::none(), Fault::delay(50)]);
        }
        let result = w.upload("a.bin", &bytes(300_000)).unwrap().result;
        assert!(!result.settled, "{mode}");
        let stored = w.emulator.attachments("Contacts", &w.contact.id);
        assert!(stored.iter().find(|a| a.id == result.id).unwrap().bytes == bytes(300_000), "{mode}");
    }
}

#[test]
fn a_file_uploaded_before_by_the_same_process_is_not_taken_for_the_lost_one() {
    let w = settling(&[]);
    let first = w.upload("a.bin", &bytes(300_000)).unwrap().result;
    let second = uploaded(&w, [Fault::reset_before_store()]).unwrap().result;
    assert_ne!(first.id, second.id);
    assert_eq!(w.stored().len(), 2);
}

#[test]
fn eight_threads_that_lose_replies_for_equal_files_each_get_their_own() {
    let w = settling(&[("settle_waits_ms", "20,50,100,200,400")]);
    w.emulator.script("attachment.upload", (0..8).map(|i| if i % 2 == 0 { Fault::reset_after_store() } else { Fault::none() }));
    let ids: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| w.upload("a.bin", &bytes(30_000)))).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let mut known: Vec<_> = ids.iter().flatten().map(|o| o.result.id.clone()).collect();
    let unknown = ids.iter().filter(|r| r.as_ref().is_err_and(|e| e.status() == Status::OutcomeUnknown)).count();
    known.sort();
    known.dedup();
    assert_eq!(known.len() + unknown, 8, "each has one of its own, or says that it doesn't know: {ids:?}");
}

#[test]
fn a_changed_name_is_told() {
    let w = settling(&[]);
    w.emulator.script("attachment.upload", [Fault::rename("renamed by the server.bin").and_lost()]);
    let result = w.upload("a.bin", &bytes(300_000)).unwrap().result;
    assert!(result.settled && result.name_changed);
    assert_eq!(posts(&w), 1);
}

#[test]
fn a_renamed_upload_is_found_beside_another_file_that_bears_its_name() {
    let w = settling(&[]);
    w.attach("a.bin", &vec![7; 300_000]);
    w.emulator.script("attachment.upload", [Fault::rename("renamed by the server.bin").and_lost()]);
    let result = w.upload("a.bin", &bytes(300_000)).unwrap().result;
    assert!(result.settled && result.name_changed);
    assert_eq!((posts(&w), w.stored().len()), (1, 2));
}

#[test]
fn a_name_that_differs_in_its_normal_form_alone_is_the_same_name() {
    let w = settling(&[]);
    w.emulator.script("attachment.upload", [Fault::rename("Gru\u{308}ße.bin").and_lost()]);
    let result = w.upload("Gr\u{fc}ße.bin", &bytes(300_000)).unwrap().result;
    assert!(result.settled && !result.name_changed);
}

#[test]
fn when_the_list_cannot_be_had_the_outcome_is_unknown() {
    let w = settling(&[("max_retries", "2")]);
    w.emulator.script("attachment.list", (0..3).map(|_| Fault::status(500)));
    let error = uploaded(&w, [Fault::reset_after_store()]).unwrap_err();
    assert_eq!((error.status(), error.detail().retryable), (Status::OutcomeUnknown, false), "{error}");
    assert_eq!((w.stored().len(), posts(&w)), (1, 1));
}

#[test]
fn a_list_that_denies_a_record_whose_upload_left_whole_brings_no_second_copy() {
    let denied =
        br#"{"code":"INVALID_DATA","details":{"resource_path_index":1},"message":"the related id given seems to be invalid","status":"error"}"#;
    for fault in [Fault::reset_after_store(), Fault::status_after_store(500)] {
        let w = settling(&[]);
        w.emulator.script("attachment.list", [Fault::body(400, denied)]);
        let error = uploaded(&w, [fault]).unwrap_err();
        assert!(error.status() == Status::OutcomeUnknown && error.to_string().contains("the list can't be read"), "{error}");
        assert_eq!((w.stored().len(), posts(&w)), (1, 1));
    }
    let w = settling(&[]);
    w.emulator.script("attachment.list", [Fault::body(400, denied)]);
    w.emulator.script("attachment.upload", [Fault::reset_before_store_after(1000)]);
    w.upload("a.bin", &bytes(30_000_000)).unwrap(); // more than the system takes on its way
    assert_eq!((w.stored().len(), posts(&w)), (1, 2), "of what never left whole there is no copy");
}

#[test]
fn a_comparison_that_breaks_off_is_made_again() {
    let w = settling(&[]);
    w.emulator.script("attachment.download", [Fault::truncate(1000)]);
    assert!(uploaded(&w, [Fault::reset_after_store()]).unwrap().result.settled);
    assert_eq!(posts(&w), 1);
}

#[test]
fn several_that_could_be_it_are_named_and_none_is_taken() {
    let w = settling(&[("settle_hash", "off")]);
    let (a, b) = (w.attach("a.bin", &vec![1; 300_000]), w.attach("a.bin", &vec![2; 300_000]));
    let error = uploaded(&w, [Fault::reset_before_store()]).unwrap_err();
    let mut candidates = error.detail().candidates.clone();
    candidates.sort();
    assert_eq!((error.status(), candidates), (Status::OutcomeUnknown, vec![a, b]));
}

#[test]
fn the_policies_never_resend_and_off_leave_the_doubt_to_the_caller() {
    for (settings, looks) in [([("on_unknown", "never_resend")], 4), ([("settle", "off")], 0)] {
        let w = settling(&settings);
        assert_eq!(why(uploaded(&w, [Fault::reset_before_store()])).0, Status::OutcomeUnknown);
        assert_eq!((posts(&w), lists(&w)), (1, looks), "{settings:?}");
    }
}

#[test]
fn a_reader_that_cannot_rewind_is_found_by_size_and_never_sent_again() {
    let content = bytes(300_000);
    for (fault, found) in [(Fault::reset_after_store(), true), (Fault::reset_before_store(), false)] {
        let w = settling(&[]);
        w.emulator.script("attachment.upload", [fault]);
        let mut reader = Streamed(content.as_slice());
        let outcome = attachment::upload(&w.client, &w.contact, File::reader("a.bin", &mut reader, Some(300_000)), Call::default());
        match outcome {
            Ok(outcome) => assert!(found && outcome.result.settled),
            Err(error) => assert!(!found && error.status() == Status::OutcomeUnknown, "{error}"),
        }
        assert_eq!(posts(&w), 1);
    }
}

#[test]
fn a_reader_that_cannot_rewind_is_never_taken_for_another_file_of_its_name_and_size() {
    let content = bytes(300_000);
    for (fault, expected) in [
        (Fault::reset_before_store(), Status::OutcomeUnknown),
        // What never left whole can't be stored.
        (Fault::reset_before_store_after(0), Status::SourceConsumed),
    ] {
        let w = settling(&[]);
        w.attach("a.bin", &vec![7; 20_000_000]);
        w.attach("a.bin", &vec![7; 300_000]);
        w.emulator.script("attachment.upload", [fault]);
        let torn = expected == Status::SourceConsumed;
        let large = bytes(20_000_000);
        let content = if torn { large.as_slice() } else { content.as_slice() };
        let mut reader = Streamed(content);
        let source = File::reader("a.bin", &mut reader, Some(content.len() as u64));
        let error = attachment::upload(&w.client, &w.contact, source, Call::default()).unwrap_err();
        assert_eq!((error.status(), w.stored().len()), (expected, 2), "{error}");
    }
}

#[test]
fn a_reader_that_can_rewind_is_sent_again_whole() {
    let w = settling(&[]);
    w.emulator.script("attachment.upload", [Fault::reset_before_store()]);
    let mut reader = Seekable(std::io::Cursor::new(bytes(300_000)));
    attachment::upload(&w.client, &w.contact, File::reader("a.bin", &mut reader, Some(300_000)), Call::default()).unwrap();
    assert!(w.emulator.attachments("Contacts", &w.contact.id)[0].bytes == bytes(300_000));
}

#[test]
fn a_lost_link_is_found_by_its_url_or_sent_again() {
    for fault in [Fault::reset_after_store(), Fault::reset_before_store(), Fault::status_after_store(500)] {
        let w = settling(&[]);
        w.emulator.script("attachment.upload", [fault.clone()]);
        let result = attachment::upload(&w.client, &w.contact, Source::link("https://example.com/", "t"), Call::default()).unwrap().result;
        let stored = w.emulator.attachments("Contacts", &w.contact.id);
        assert_eq!((stored.len(), stored[0].id.as_str()), (1, result.id.as_str()), "{fault:?}");
    }
}

#[test]
fn when_the_second_sending_of_a_link_is_refused_the_first_one_is_looked_for_once_more() {
    // The first looks are over before the entry shows, and the second sending begins after that.
    for (hidden, found) in [(900, true), (60_000, false)] {
        let w = settling(&[("retry_base_ms", "3000")]);
        w.emulator.script("attachment.upload", [Fault::hide_attachment(hidden).and_lost(), Fault::status(403)]);
        let outcome = attachment::upload(&w.client, &w.contact, Source::link("https://example.com/", "t"), Call::default());
        assert_eq!((w.emulator.attachments("Contacts", &w.contact.id).len(), posts(&w)), (1, 2));
        match outcome {
            Ok(outcome) => assert!(found && outcome.result.settled, "{outcome:?}"),
            Err(error) => assert!(!found && error.status() == Status::OutcomeUnknown && error.detail().http_status == 403, "{error:?}"),
        }
    }
}

#[test]
fn a_link_that_was_there_before_is_a_duplicate_all_the_same() {
    let w = settling(&[]);
    w.emulator.attach_link("Contacts", &w.contact.id, "t", "https://example.com/");
    let again = attachment::upload(&w.client, &w.contact, Source::link("https://example.com/", "t"), Call::default());
    assert_eq!(why(again).0, Status::DuplicateLink);
}

#[test]
fn a_deadline_during_the_looks_says_that_the_outcome_is_unknown() {
    let w = settling(&[("settle_waits_ms", "60000")]);
    w.emulator.script("attachment.upload", [Fault::reset_before_store()]);
    let call = Call { timeout: Some(Duration::from_millis(300)), ..Call::default() };
    let error = attachment::upload(&w.client, &w.contact, File::memory("a.bin", b"abc"), call).unwrap_err();
    assert_eq!((error.status(), error.reason()), (Status::OutcomeUnknown, "call_timeout"), "{error}");
    assert_eq!(error.detail().request_sent, zcrm::Sent::Fully);
}

#[test]
fn a_refusal_is_a_refusal_and_nothing_is_looked_for() {
    let w = settling(&[]);
    assert_eq!(why(uploaded(&w, [Fault::status(403)])).0, Status::Forbidden);
    assert_eq!((posts(&w), lists(&w)), (1, 0));
}

#[test]
fn what_is_there_is_skipped_on_request_by_name_and_size_or_by_bytes_too() {
    let w = settling(&[]);
    let content = bytes(100_000);
    let upload = |name: &str, bytes: &[u8], if_exists| {
        let call = Call { if_exists, ..Call::default() };
        attachment::upload(&w.client, &w.contact, File::memory(name, bytes), call).unwrap().result
    };
    let first = upload("a.bin", &content, IfExists::Skip);
    assert!(!first.skipped);
    let again = upload("a.bin", &content, IfExists::Skip);
    assert!(again.skipped && again.id == first.id);
    let mut changed = content.clone();
    changed[5] ^= 1;
    assert!(upload("a.bin", &changed, IfExists::Skip).skipped, "same name and size");
    assert!(!upload("a.bin", &changed, IfExists::SkipSameBytes).skipped, "other bytes");
    assert!(upload("a.bin", &content, IfExists::SkipSameBytes).skipped);
    assert!(!upload("b.bin", &content, IfExists::Skip).skipped, "another name");
    assert_eq!(w.stored().len(), 3);
}

#[test]
fn a_link_that_is_there_is_skipped_on_request() {
    let w = settling(&[]);
    let id = w.emulator.attach_link("Contacts", &w.contact.id, "t", "https://example.com/");
    let call = Call { if_exists: IfExists::Skip, ..Call::default() };
    let result = attachment::upload(&w.client, &w.contact, Source::link("https://example.com/", "other"), call).unwrap().result;
    assert!(result.skipped && result.id == id);
}

#[test]
fn a_list_that_is_throttled_after_nineteen_looks_a_minute_does_not_break_settlement() {
    let w = settling(&[]);
    w.emulator.settings(|s| s.lists_per_minute = 19);
    for _ in 0..3 {
        let result = uploaded(&w, [Fault::reset_after_store()]).unwrap().result;
        assert!(result.settled);
    }
    assert!(lists(&w) <= 19);
}

#[test]
fn an_upload_whose_reply_is_too_large_to_be_read_is_looked_for() {
    let w = settling(&[]);
    w.emulator.script("attachment.upload", [Fault::status_after_store(200).with_body("text/html", &"x".repeat(9 << 20))]);
    let uploaded = w.upload("a", b"a").unwrap();
    assert!(uploaded.result.settled);
    assert_eq!(w.stored(), [("a".to_owned(), 1)]);
}

const HTML: &str = "text/html";
const JSON: &str = "application/json;charset=UTF-8";

/// Answers that are no word of Zoho's about the upload, and what each is when the upload isn't stored.
fn wordless() -> Vec<(Fault, Status)> {
    let json = |body: &str| Fault::body(200, b"").with_body(JSON, body);
    let success = |details: &str, status: &str| format!(r#"{{"data":[{{"code":"SUCCESS","details":{details},"status":"{status}"}}]}}"#);
    vec![
        (Fault::body(408, b""), Status::Timeout),
        (Fault::body(502, b"").with_body(HTML, "<html>bad gateway</html>"), Status::Server),
        (Fault::body(200, b"").with_body(HTML, "<html>welcome</html>"), Status::Protocol),
        (Fault::body(403, b"").with_body(HTML, "<html>no</html>"), Status::Forbidden),
        (Fault::body(404, b"").with_body(HTML, "<html>where?</html>"), Status::Protocol),
        (Fault::body(404, b"").with_body(JSON, r#"{"code":5,"message":"Not Found","details":[]}"#), Status::Protocol),
        (Fault::body(403, b"").with_body(JSON, r#"{"status":"error","code":"403","message":"blocked"}"#), Status::Forbidden),
        (Fault::body(302, b"").with_header("Location", "https://login.example/x?y=z"), Status::Protocol),
        (Fault::body(204, b""), Status::Protocol),
        (Fault::body(201, b""), Status::Protocol),
        (json(&success(r#"{"id":""}"#, "success")), Status::Protocol),
        (json(&success(r#"{"id":1.5}"#, "success")), Status::Protocol),
        (json(&success(r#"{"id":"1x"}"#, "success")), Status::Protocol),
        (json(&success(r#"{"id":"12345"}"#, "error")), Status::Protocol),
        (json(r#"{"data":[]}"#), Status::Protocol),
    ]
}

#[test]
fn an_upload_that_is_answered_without_a_word_of_zohos_is_found_when_it_is_stored() {
    for (fault, _) in wordless() {
        let w = settling(&[]);
        let result = uploaded(&w, [fault.clone().after_store()]).unwrap_or_else(|e| panic!("{fault:?}: {e}")).result;
        assert!(result.settled, "{fault:?}");
        assert_eq!((w.stored().len(), posts(&w)), (1, 1), "{fault:?}");
    }
}

#[test]
fn an_upload_that_is_answered_without_a_word_of_zohos_fails_with_that_answer_when_the_list_does_not_show_it() {
    for (fault, status) in wordless() {
        let w = settling(&[("max_retries", "0")]);
        let error = uploaded(&w, [fault.clone()]).unwrap_err();
        let may_still_come = matches!(status, Status::Timeout | Status::Server);
        assert_eq!((error.status(), error.detail().outcome_open, error.detail().retryable), (status, may_still_come, false), "{fault:?}: {error}");
        assert!(error.to_string().contains("the record's list doesn't show the upload"), "{error}");
        assert_eq!((w.stored().len(), posts(&w)), (0, 1), "{fault:?}");
    }
}

#[test]
fn an_upload_that_is_answered_without_a_word_of_zohos_is_unknown_when_the_list_cannot_be_had() {
    for (fault, _) in wordless() {
        let w = settling(&[("max_retries", "0")]);
        w.emulator.script("attachment.list", [Fault::html(200)]);
        let error = uploaded(&w, [fault.clone().after_store()]).unwrap_err();
        assert_eq!((error.status(), error.detail().outcome_open), (Status::OutcomeUnknown, true), "{fault:?}: {error}");
    }
}

#[test]
fn an_answer_that_may_pass_is_followed_by_a_second_sending() {
    for fault in [Fault::body(408, b""), Fault::html(502)] {
        let w = settling(&[]);
        assert!(!uploaded(&w, [fault]).unwrap().result.settled);
        assert_eq!((w.stored().len(), posts(&w)), (1, 2));
    }
}

#[test]
fn the_word_of_success_needs_no_more_than_code_status_and_id() {
    let w = settling(&[]);
    let fault = |value: serde_json::Value| {
        Fault::set("/data/0/message", value.clone())
            .and_set("/data/0/details/Created_Time", value.clone())
            .and_set("/data/0/details/Created_By", value)
    };
    for value in [serde_json::Value::Null, serde_json::json!(7), serde_json::json!({"a": []})] {
        assert!(!uploaded(&w, [fault(value)]).unwrap().result.settled);
    }
    assert_eq!(lists(&w), 0);
}

#[test]
fn an_id_is_read_by_its_digits_whatever_their_number() {
    let w = settling(&[]);
    let body = r#"{"data":[{"code":"SUCCESS","details":{"id":51234567890123456789},"status":"SUCCESS"}]}"#;
    let result = uploaded(&w, [Fault::body(200, b"").with_body(JSON, body)]).unwrap().result;
    assert_eq!(result.id, "51234567890123456789");
}

#[test]
fn clocks_that_disagree_make_no_second_copy() {
    const HOUR: i64 = 3_600_000;
    for ahead in [-HOUR, -20_000, 20_000, HOUR] {
        let w = settling(&[]);
        w.emulator.settings(|s| s.date_ahead_ms = ahead);
        let outcome = uploaded(&w, [Fault::reset_after_store()]);
        let stored = w.emulator.attachments("Contacts", &w.contact.id);
        assert_eq!((stored.len(), posts(&w)), (1, 1), "{ahead}");
        match outcome {
            Ok(outcome) => assert!(outcome.result.settled && outcome.result.id == stored[0].id && ahead < HOUR, "{ahead}"),
            // By that clock it is an hour old: its bytes are the same, and it may have been there before.
            Err(error) => {
                assert_eq!((error.status(), error.detail().candidates.as_slice()), (Status::OutcomeUnknown, &[stored[0].id.clone()][..]), "{ahead}")
            }
        }
    }
}

#[test]
fn an_old_file_with_the_same_bytes_is_never_taken_for_the_lost_one_and_not_ruled_out_either() {
    let w = settling(&[]);
    let old = w.attach("a.bin", &bytes(300_000));
    w.emulator.settings(|s| s.date_ahead_ms = 3_600_000);
    let error = uploaded(&w, [Fault::reset_before_store()]).unwrap_err();
    assert_eq!((error.status(), error.detail().candidates.as_slice()), (Status::OutcomeUnknown, &[old][..]), "{error}");
}

#[test]
fn what_a_list_says_oddly_of_a_stored_upload_does_not_hide_it() {
    for (pointer, value) in [
        ("/data/0/Size", serde_json::json!(null)),
        ("/data/0/Size", serde_json::json!(300_000.0)),
        ("/data/0/Created_Time", serde_json::json!(null)),
        ("/data/0/Owner", serde_json::json!("Somebody")),
        ("/info", serde_json::json!(null)),
    ] {
        let w = settling(&[]);
        w.emulator.script("attachment.list", vec![Fault::set(pointer, value.clone()); 4]);
        let outcome = uploaded(&w, [Fault::reset_after_store()]);
        assert_eq!((w.stored().len(), posts(&w)), (1, 1), "{pointer} {value}");
        assert!(outcome.as_ref().map_or_else(|e| e.status() == Status::OutcomeUnknown, |o| o.result.settled), "{pointer} {value}: {outcome:?}");
    }
}

#[test]
fn half_of_a_surrogate_pair_in_a_name_hides_no_entry() {
    let w = settling(&[]);
    w.attach("PLACE.txt", b"x");
    w.emulator.script("attachment.list", vec![Fault::replace("PLACE", "a\\ud83d"); 4]);
    assert!(uploaded(&w, [Fault::reset_after_store()]).unwrap().result.settled);
    assert_eq!(posts(&w), 1);
}

#[test]
fn a_cancel_while_the_reply_to_a_whole_upload_is_awaited_says_that_it_may_be_stored() {
    let w = settling(&[]);
    w.emulator.script("attachment.upload", [Fault::stall(zcrm_emulator::StallAt::BeforeReply)]);
    let error = cancelled(&w, |call| attachment::upload(&w.client, &w.contact, File::memory("a.bin", b"abc"), call).unwrap_err());
    assert_eq!((error.status(), error.detail().outcome_open, error.detail().retryable), (Status::Cancelled, true, false));
    assert!(error.to_string().contains("whether it is stored is not known") && error.to_json().contains(r#""outcome_open":true"#), "{error}");
    assert_eq!(w.stored().len(), 1);
}

#[test]
fn a_cancel_while_the_reply_to_a_change_is_awaited_says_that_it_may_be_done() {
    let w = settling(&[]);
    let id = w.attach("a.bin", b"abc");
    w.emulator.script("attachment.delete", [Fault::stall(zcrm_emulator::StallAt::BeforeReply)]);
    let error = cancelled(&w, |call| attachment::delete(&w.client, &w.contact, &[&id], call).unwrap_err());
    assert_eq!((error.status(), error.detail().outcome_open), (Status::Cancelled, true), "{error}");
    assert_eq!(w.stored(), []);
    w.emulator.script("attachment.list", [Fault::stall(zcrm_emulator::StallAt::BeforeReply)]);
    let error = cancelled(&w, |call| attachment::list(&w.client, &w.contact, &attachment::ListArgs::default(), call).unwrap_err());
    assert_eq!((error.status(), error.detail().outcome_open), (Status::Cancelled, false), "a list changes nothing: {error}");
}

/// The call's error when it is cancelled as soon as the server has the whole of its request.
fn cancelled(w: &World, call: impl FnOnce(Call<'static>) -> zcrm::Error) -> zcrm::Error {
    let (cancel, before) = (zcrm::Cancel::new(), w.emulator.ledger().faults_fired.len());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while w.emulator.ledger().faults_fired.len() == before {
                std::thread::sleep(Duration::from_millis(5));
            }
            cancel.fire();
        });
        call(Call { cancel: Some(cancel.clone()), ..Call::default() })
    })
}

#[test]
fn a_second_sending_that_is_refused_says_nothing_of_the_first() {
    let w = settling(&[]);
    let error = uploaded(&w, [Fault::hide_attachment(5_000).and_lost(), Fault::status(403)]).unwrap_err();
    assert_eq!((error.status(), error.detail().http_status), (Status::OutcomeUnknown, 403), "{error}");
}

#[test]
fn a_name_that_the_server_changes_is_known_again() {
    let long = format!("{}.bin", "a long name ".repeat(30));
    for (sent, setting) in [
        ("offer \"final\".bin", 0),
        ("Re\u{301}sume\u{301}.bin", 1),
        (" report .bin ", 2),
        ("a<b>.bin", 3),
        (long.as_str(), 4),
        ("a\u{1f600}b.bin", 3),
    ] {
        let w = settling(&[]);
        w.emulator.settings(|s| match setting {
            1 => s.name_form = zcrm_emulator::NameForm::Joined,
            2 => s.name_trimmed = true,
            3 => s.name_signs_replaced = "<>\u{1f600}".into(),
            4 => s.long_name = zcrm_emulator::OverLimit::Cut,
            _ => {}
        });
        let upload = |if_exists| {
            let call = Call { if_exists, ..Call::default() };
            attachment::upload(&w.client, &w.contact, File::memory(sent, b"the bytes"), call).unwrap().result
        };
        let first = upload(IfExists::Skip);
        for if_exists in [IfExists::Skip, IfExists::SkipSameBytes] {
            let again = upload(if_exists);
            assert_eq!((again.skipped, &again.id, again.name_changed), (true, &first.id, setting != 1), "{sent}");
        }
        w.emulator.script("attachment.upload", [Fault::reset_after_store()]);
        let lost = attachment::upload(&w.client, &w.contact, File::memory(sent, b"other bytes"), Call::default()).unwrap().result;
        assert!(lost.settled && lost.name_changed == (setting != 1), "{sent}");
    }
}

#[test]
fn a_file_whose_name_only_looks_alike_is_skipped_by_its_bytes_alone() {
    let w = settling(&[]);
    let upload = |name: &str, bytes: &[u8]| {
        let call = Call { if_exists: IfExists::Skip, ..Call::default() };
        attachment::upload(&w.client, &w.contact, File::memory(name, bytes), call).unwrap().result.skipped
    };
    assert!(!upload("report-1.1.bin", b"one") && !upload("report-11.bin", b"two"), "other bytes of the same length");
    assert_eq!(w.stored().len(), 2);
}

#[test]
fn a_progress_callback_that_stops_the_second_sending_says_that_the_first_may_be_stored() {
    let w = settling(&[]);
    w.emulator.script("attachment.upload", [Fault::hide_attachment(5_000).and_lost()]);
    let mut whole = 0;
    let mut progress = |done: u64, total: Option<u64>| {
        whole += u32::from(Some(done) == total);
        whole < 2
    };
    let call = Call { progress: Some(&mut progress), ..Call::default() };
    let error = attachment::upload(&w.client, &w.contact, File::memory("a.bin", b"abc"), call).unwrap_err();
    assert_eq!((error.status(), error.detail().outcome_open, posts(&w)), (Status::Cancelled, true, 1), "{error}");
}

#[test]
fn a_deadline_while_the_reply_to_a_change_is_awaited_says_that_it_may_be_done() {
    let w = settling(&[]);
    let id = w.attach("a.bin", b"abc");
    w.emulator.script("attachment.delete", [Fault::stall(zcrm_emulator::StallAt::BeforeReply)]);
    let call = Call { timeout: Some(Duration::from_millis(500)), ..Call::default() };
    let error = attachment::delete(&w.client, &w.contact, &[&id], call).unwrap_err();
    assert_eq!((error.status(), error.reason(), error.detail().outcome_open), (Status::Timeout, "call_timeout", true), "{error}");
}

#[test]
fn uploads_of_one_file_that_look_first_take_turns_and_store_it_once() {
    for places in ["1", "4"] {
        let w = settling(&[("max_in_flight", places)]);
        // The first of them has to look for its lost reply, and needs its place again for that.
        w.emulator.script("attachment.upload", [Fault::hide_attachment(60).and_lost()]);
        let call = || Call { if_exists: IfExists::Skip, timeout: Some(Duration::from_secs(60)), ..Call::default() };
        let results: Vec<Uploaded> = std::thread::scope(|scope| {
            let upload = || attachment::upload(&w.client, &w.contact, File::memory("a.bin", b"abc"), call()).unwrap().result;
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(upload)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!((w.stored().len(), posts(&w)), (1, 1), "{results:?}");
        assert_eq!(results.iter().filter(|uploaded| uploaded.skipped).count(), 3, "{results:?}");
    }
}

#[test]
fn a_reader_whose_length_nobody_knew_is_found_by_what_was_counted() {
    let w = settling(&[("unknown_length", "chunked")]);
    w.emulator.script("attachment.upload", [Fault::reset_after_store()]);
    let content = bytes(300_000);
    let mut reader = Streamed(content.as_slice());
    let result = attachment::upload(&w.client, &w.contact, File::reader("a.bin", &mut reader, None), Call::default()).unwrap().result;
    assert!(result.settled && result.bytes == 300_000);
    assert_eq!((w.stored().len(), posts(&w)), (1, 1));
}

#[test]
fn a_name_that_a_server_writes_otherwise_is_known_again() {
    for (sent, stored) in [
        ("R&D \"1\".bin", "R&amp;D &quot;1&quot;.bin"),
        ("Gr\u{fc}\u{df}e.bin", "Gr&uuml;&#223;e.bin"),
        ("R\u{e9}sum\u{e9}.bin", "Resume.bin"),
        ("C:\\Users\\x\\Report.bin", "Report.bin"),
        ("\u{5951}\u{7d04}.bin", "??.bin"),
        ("report.bin", "report (1).bin"),
    ] {
        let w = settling(&[]);
        w.emulator.script("attachment.upload", [Fault::rename(stored), Fault::rename(stored).and_lost()]);
        let upload = |bytes: &[u8], if_exists, again| {
            let call = Call { if_exists, again, ..Call::default() };
            attachment::upload(&w.client, &w.contact, File::memory(sent, bytes), call).unwrap().result
        };
        let first = upload(b"the bytes", IfExists::Upload, false);
        let skipping = upload(b"the bytes", IfExists::Skip, false);
        let again = upload(b"the bytes", IfExists::Upload, true);
        for found in [skipping, again] {
            assert!(found.skipped && found.name_changed && found.id == first.id, "{sent} {stored}: {found:?}");
        }
        let lost = upload(b"other bytes", IfExists::Upload, false);
        assert!(lost.settled && lost.name_changed && posts(&w) == 2, "{sent} {stored}: {lost:?}");
    }
}

#[test]
fn a_file_whose_name_the_list_does_not_say_is_known_by_its_bytes() {
    let w = settling(&[]);
    w.upload("a.bin", b"the bytes").unwrap();
    w.emulator.script("attachment.list", vec![Fault::set("/data/0/File_Name", serde_json::Value::Null); 2]);
    for (content, is_there) in [(b"the bytes", true), (b"OTHER one", false)] {
        let call = Call { again: true, ..Call::default() };
        let uploaded = attachment::upload(&w.client, &w.contact, File::memory("a.bin", content), call).unwrap().result;
        assert_eq!(uploaded.skipped, is_there);
    }
}

#[test]
fn of_two_uploads_with_the_same_bytes_none_takes_the_others_for_its_own() {
    for (a, b) in [("a.bin", "b.bin"), ("a-b.bin", "a.b.bin")] {
        let w = settling(&[("settle_waits_ms", "300,300")]);
        // The first isn't stored and lost; the second is stored, and its reply doesn't come.
        w.emulator.script("attachment.upload", [Fault::reset_before_store(), Fault::stall(zcrm_emulator::StallAt::BeforeReply)]);
        let cancel = zcrm::Cancel::new();
        std::thread::scope(|scope| {
            let first = scope.spawn(|| w.upload(a, b"the same bytes").unwrap().result);
            while w.emulator.ledger().faults_fired.is_empty() {
                std::thread::sleep(Duration::from_millis(5));
            }
            scope.spawn(|| {
                let call = Call { cancel: Some(cancel.clone()), ..Call::default() };
                attachment::upload(&w.client, &w.contact, File::memory(b, b"the same bytes"), call).unwrap_err()
            });
            let first = first.join().unwrap();
            assert!(!first.settled && !first.name_changed, "{first:?}");
            cancel.fire();
        });
        let mut names: Vec<String> = w.stored().into_iter().map(|(name, _)| name).collect();
        names.sort();
        assert_eq!(names, [a, b]);
    }
}

#[test]
fn without_its_bytes_no_file_of_another_name_is_taken_for_the_lost_one_and_none_is_ruled_out() {
    for (other, ahead) in [("b.bin", 0), ("b.bin", 3_600_000), ("\"a\".bin", 0)] {
        let w = settling(&[("settle_hash", "off")]);
        let other = w.attach(other, &vec![7; 300_000]);
        w.emulator.settings(|s| s.date_ahead_ms = ahead);
        let error = uploaded(&w, [Fault::reset_before_store()]).unwrap_err();
        assert_eq!((error.status(), error.detail().candidates.as_slice()), (Status::OutcomeUnknown, &[other][..]), "{error}");
    }
}

#[test]
fn names_that_are_one_take_turns_as_one_name_does() {
    let w = settling(&[("max_in_flight", "4")]);
    w.emulator.script("attachment.upload", [Fault::delay(100)]);
    std::thread::scope(|scope| {
        for name in ["R\u{e9}sum\u{e9}.bin", "Re\u{301}sume\u{301}.bin"] {
            let w = &w;
            scope.spawn(move || {
                let call = Call { if_exists: IfExists::Skip, ..Call::default() };
                attachment::upload(&w.client, &w.contact, File::memory(name, b"abc"), call).unwrap()
            });
        }
    });
    assert_eq!(w.stored().len(), 1);
}
