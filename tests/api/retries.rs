//! What is tried again, how often, and what is not.

use std::time::Duration;

use serde_json::json;
use zcrm::attachment::{self, ListArgs};
use zcrm::{Call, File, Outcome, Result, Sent, Status, Streamed, photo};
use zcrm_emulator::{Fault, PNG};

use crate::support::{World, bytes, why, world, world_with};

fn list(w: &World) -> Result<Outcome<attachment::Page>> {
    attachment::list(&w.client, &w.contact, &ListArgs::default(), Call::default())
}

#[test]
fn an_idempotent_call_survives_three_failures_and_not_four() {
    let failures = [Fault::status(500), Fault::reset_before_store(), Fault::status(503)];
    let w = world();
    w.emulator.script("attachment.list", failures.clone());
    let outcome = list(&w).unwrap();
    assert_eq!(outcome.attempts, 4);
    assert!(outcome.waited_ms > 0);
    w.emulator.script("attachment.list", failures.into_iter().chain([Fault::status(502)]));
    let error = list(&w).unwrap_err();
    assert_eq!((error.status(), error.detail().http_status, error.detail().attempts), (Status::Server, 502, 4));
    assert!(error.detail().retryable);
}

#[test]
fn a_refusal_is_not_tried_again() {
    for http in [400, 403, 404, 413, 415] {
        let w = world();
        w.emulator.script("attachment.list", [Fault::status(http)]);
        let error = list(&w).unwrap_err();
        assert_eq!((error.detail().http_status, error.detail().retryable), (http, false));
        assert_eq!(w.requests("attachment.list").len(), 1);
    }
}

#[test]
fn a_refusal_after_a_lost_reply_leaves_open_whether_it_was_done() {
    let w = world();
    w.emulator.script("photo.upload", [Fault::reset_after_store(), Fault::status(403)]);
    let error = photo::upload(&w.client, &w.contact, File::memory("a.png", PNG), Call::default()).unwrap_err();
    assert_eq!((error.status(), error.detail().http_status, error.detail().attempts), (Status::OutcomeUnknown, 403, 2));
    w.emulator.script("photo.delete", [Fault::reset_after_store(), Fault::status(403)]);
    let error = photo::delete(&w.client, &w.contact, Call::default()).unwrap_err();
    assert_eq!(error.status(), Status::OutcomeUnknown);
    // A read has nothing to be done, and an attempt that never arrived did nothing.
    w.emulator.script("attachment.list", [Fault::reset_after_store(), Fault::status(403)]);
    assert_eq!(list(&w).unwrap_err().status(), Status::Forbidden);
    w.emulator.script("photo.delete", [Fault::status(429), Fault::status(403)]);
    assert_eq!(photo::delete(&w.client, &w.contact, Call::default()).unwrap_err().status(), Status::Forbidden);
}

#[test]
fn a_429_is_waited_out_for_uploads_too() {
    let w = world();
    w.emulator.script("attachment.upload", [Fault::status(429), Fault::status(429)]);
    assert_eq!(w.upload("a", &bytes(100_000)).unwrap().attempts, 3);
    assert_eq!(w.stored(), [("a".to_owned(), 100_000)]);
}

#[test]
fn retry_after_is_honoured() {
    let w = world();
    w.emulator.script("attachment.list", [Fault::status(429).with_header("Retry-After", "1")]);
    assert!(list(&w).unwrap().waited_ms >= 1000);
}

#[test]
fn a_fraction_of_a_second_in_retry_after_is_rounded_up() {
    for asked in ["0.4", "1.0"] {
        let w = world();
        w.emulator.script("attachment.list", [Fault::status(503).with_header("Retry-After", asked)]);
        assert!(list(&w).unwrap().waited_ms >= 1000, "{asked}");
    }
    let w = world();
    w.emulator.script("attachment.list", [Fault::status(429).with_header("Retry-After", "86399.5")]);
    assert_eq!(list(&w).unwrap_err().detail().retry_after_ms, 86_400_000);
}

#[test]
fn a_wait_that_the_call_does_not_outlive_is_told_too() {
    let within = |w: &World, seconds| {
        let call = Call { timeout: Some(Duration::from_secs(seconds)), ..Call::default() };
        attachment::list(&w.client, &w.contact, &ListArgs::default(), call).unwrap_err()
    };
    let resting = world_with(&[("retry_max_wait_ms", "60000")]);
    resting.emulator.script("attachment.list", [Fault::status(429).with_header("Retry-After", "30")]);
    let error = within(&resting, 2);
    assert!(error.status() == Status::Timeout && error.detail().waited_ms > 0, "{error:?}");

    let queueing = world_with(&[("max_in_flight", "1")]);
    queueing.emulator.script("attachment.list", [Fault::delay(4000)]);
    std::thread::scope(|scope| {
        scope.spawn(|| list(&queueing));
        while queueing.requests("attachment.list").is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let error = within(&queueing, 1);
        assert!(error.status() == Status::Timeout && error.detail().waited_ms > 0, "{error:?}");
    });
}

#[test]
fn a_retry_after_beyond_the_longest_wait_ends_the_call_and_is_told() {
    let w = world();
    w.emulator.script("attachment.list", [Fault::status(429).with_header("Retry-After", "86400")]);
    let error = list(&w).unwrap_err();
    assert_eq!((error.status(), error.detail().retry_after_ms, error.detail().retryable), (Status::RateLimited, 86_400_000, true));
    assert_eq!(w.requests("attachment.list").len(), 1);
}

#[test]
fn nonsense_in_retry_after_is_as_if_it_were_absent() {
    for value in ["abc", "-5", "99999999999999999999", "99999999999.5", "1,5", "60.s"] {
        let w = world();
        w.emulator.script("attachment.list", [Fault::status(429).with_header("Retry-After", value)]);
        assert_eq!(list(&w).unwrap().attempts, 2, "{value}");
    }
}

#[test]
fn no_retries_are_made_when_none_are_wanted() {
    let w = world_with(&[("max_retries", "0")]);
    w.emulator.script("attachment.list", [Fault::status(500)]);
    assert_eq!(why(list(&w)).0, Status::Server);
}

#[test]
fn a_photo_upload_and_its_deletion_are_repeated_freely() {
    let w = world();
    w.emulator.script("photo.upload", [Fault::reset_after_store(), Fault::status(500)]);
    photo::upload(&w.client, &w.contact, File::memory("p.png", PNG), Call::default()).unwrap();
    assert!(w.emulator.photo("Contacts", &w.contact.id).unwrap() == PNG);
    w.emulator.script("photo.delete", [Fault::reset_after_store()]);
    photo::delete(&w.client, &w.contact, Call::default()).unwrap();
    assert!(w.emulator.photo("Contacts", &w.contact.id).is_none());
}

#[test]
fn a_deletion_whose_reply_was_lost_is_done_when_its_repetition_finds_nothing() {
    let w = world();
    let id = w.attach("a", b"a");
    w.emulator.script("attachment.delete", [Fault::reset_after_store()]);
    assert_eq!(attachment::delete(&w.client, &w.contact, &[&id], Call::default()).unwrap().result.ids, [id]);
    let ids = [w.attach("b", b"b"), w.attach("c", b"c")];
    w.emulator.script("attachment.delete", [Fault::reset_after_store()]);
    let deleted = attachment::delete(&w.client, &w.contact, &[&ids[0], &ids[1]], Call::default()).unwrap();
    assert_eq!((deleted.result.ids.as_slice(), w.stored().len()), (ids.as_slice(), 0));
}

#[test]
fn a_refusal_that_is_cut_off_is_asked_for_again_where_that_is_harmless() {
    let w = world();
    w.emulator.settings(|s| s.bulk_delete_in_v8 = false);
    let ids = [w.attach("a", b"a"), w.attach("b", b"b")];
    for cut in [Fault::truncate(1), Fault::reset_in_reply(200)] {
        w.emulator.script("attachment.delete", [cut]);
        let deleted = attachment::delete(&w.client, &w.contact, &[&ids[0], &ids[1]], Call::default());
        assert!(deleted.is_ok() || why(deleted) == (Status::NotFound, "attachment_unknown"), "the whole reply says how to go on");
    }
    assert_eq!(w.stored(), []);
}

#[test]
fn a_refusal_that_stays_cut_off_is_known_by_its_status_and_has_done_nothing() {
    let w = world();
    w.emulator.script("attachment.delete", [Fault::truncate(1), Fault::none()]);
    let deleted = attachment::delete(&w.client, &w.contact, &["1234567890123456789"], Call::default());
    assert_eq!(why(deleted), (Status::NotFound, "attachment_unknown"), "what was refused was not deleted by the lost attempt");
    w.emulator.script("attachment.delete", vec![Fault::truncate(1); 4]);
    let error = attachment::delete(&w.client, &w.contact, &["1234567890123456789"], Call::default()).unwrap_err();
    let d = error.detail();
    assert_eq!((d.status, d.reason, d.http_status, d.attempts), (Status::Protocol, "reply_truncated", 400, 4), "{error}");
}

#[test]
fn an_upload_whose_refusal_is_cut_off_is_refused() {
    let w = world();
    let gone = zcrm::Record::new("Contacts", "1234567890123456789");
    w.emulator.script("attachment.upload", [Fault::truncate(1)]);
    let error = attachment::upload(&w.client, &gone, File::memory("a", b"a"), Call::default()).unwrap_err();
    // What isn't Zoho's whole word is looked for: nothing hangs on a record that isn't there.
    assert_eq!((error.detail().http_status, error.detail().outcome_open, w.requests("attachment.upload").len()), (400, false, 1), "{error}");
}

#[test]
fn a_reader_that_cannot_rewind_is_not_sent_twice() {
    let w = world();
    w.emulator.script("attachment.upload", [Fault::status(429)]);
    let content = bytes(300_000);
    let mut reader = Streamed(content.as_slice());
    let failed = attachment::upload(&w.client, &w.contact, File::reader("a", &mut reader, Some(300_000)), Call::default());
    assert_eq!(why(failed), (Status::SourceConsumed, "source_consumed"));
    assert_eq!(w.stored(), []);
}

#[test]
fn how_much_was_sent_is_told() {
    let w = world_with(&[("max_retries", "0")]);
    w.emulator.script("attachment.list", [Fault::status(403)]);
    assert_eq!(list(&w).unwrap_err().detail().request_sent, Sent::Answered);
    w.emulator.script("attachment.list", [Fault::reset_before_store()]);
    assert_eq!(list(&w).unwrap_err().detail().request_sent, Sent::Fully);
    let url = w.emulator.url().to_owned();
    let (client, contact) = (w.client.clone(), w.contact.clone());
    drop(w);
    let error = attachment::list(&client, &contact, &ListArgs::default(), Call::default()).unwrap_err();
    assert_eq!((error.status(), error.detail().request_sent), (Status::Network, Sent::No), "{url}: {error}");
}

#[test]
fn a_list_that_a_front_server_gave_up_waiting_for_is_asked_for_again() {
    let w = world();
    w.emulator.script("attachment.list", [Fault::body(408, b"")]);
    assert_eq!(list(&w).unwrap().attempts, 2);
}

#[test]
fn a_photos_upload_that_a_page_answers_is_tried_again() {
    let w = world();
    w.emulator.script("photo.upload", [Fault::html(200), Fault::body(204, b"")]);
    let outcome = photo::upload(&w.client, &w.contact, File::memory("p.png", PNG), Call::default()).unwrap();
    assert_eq!((outcome.attempts, w.emulator.photo("Contacts", &w.contact.id).is_some()), (3, true));
    w.emulator.script("photo.upload", vec![Fault::html(200); 9]);
    let error = photo::upload(&w.client, &w.contact, File::memory("p.png", PNG), Call::default()).unwrap_err();
    assert_eq!((error.status(), error.detail().outcome_open), (Status::Protocol, true), "{error}");
}

#[test]
fn a_change_that_was_made_before_a_page_came_as_the_answer_is_told_as_done_whatever_the_status() {
    for status in [200, 302, 400, 403, 404, 408, 413, 429, 502] {
        let w = world();
        let id = w.attach("a", b"a");
        w.emulator.script("attachment.delete", [Fault::html(status).after_store()]);
        let deleted = attachment::delete(&w.client, &w.contact, &[&id], Call::default()).unwrap_or_else(|e| panic!("{status}: {e}"));
        assert_eq!((deleted.attempts, w.stored()), (2, vec![]), "{status}");
        w.emulator.script("photo.upload", [Fault::html(status).after_store()]);
        photo::upload(&w.client, &w.contact, File::memory("p.png", PNG), Call::default()).unwrap_or_else(|e| panic!("{status}: {e}"));
    }
}

#[test]
fn a_change_that_pages_alone_answer_may_be_done() {
    for status in [200, 302, 400, 403, 404, 413, 502] {
        let w = world_with(&[("max_retries", "1")]);
        w.emulator.script("attachment.delete", vec![Fault::html(status); 2]);
        let error = attachment::delete(&w.client, &w.contact, &[&w.attach("a", b"a")], Call::default()).unwrap_err();
        assert!(error.detail().outcome_open && error.detail().http_status == status, "{status}: {error}");
    }
}

#[test]
fn a_deletion_whose_answer_is_not_one_verdict_for_each_id_is_repeated() {
    let json = |value: &str| serde_json::from_str::<serde_json::Value>(value).unwrap();
    let row = |id: &str| format!(r#"{{"code":"SUCCESS","details":{{"id":"{id}"}},"status":"success"}}"#);
    for ids in [1, 3] {
        for change in 0..6 {
            let w = world();
            let stored: Vec<String> = (0..ids).map(|i| w.attach(&format!("{i}"), b"x")).collect();
            let another = json(&row("77"));
            let fault = match change {
                0 => Fault::set("/data/0/details/id", "77".into()),
                1 => Fault::set("/data/0/status", "error".into()),
                2 => Fault::set("/data/-", json(&row(&stored[0]))),
                3 => Fault::set("/data/-", another),
                4 => Fault::set("/data", json("[]")),
                _ => Fault::set("/data/0/details", json("{}")),
            };
            w.emulator.script("attachment.delete", [fault]);
            let asked: Vec<&str> = stored.iter().map(String::as_str).collect();
            let outcome = attachment::delete(&w.client, &w.contact, &asked, Call::default()).unwrap_or_else(|e| panic!("{ids} {change}: {e}"));
            assert_eq!((outcome.result.ids, w.stored().len()), (stored.clone(), 0), "{ids} {change}");
            assert!(outcome.attempts > 1, "{ids} {change}");
        }
    }
}

#[test]
fn verdicts_are_known_by_their_ids_and_not_by_their_order() {
    let w = world();
    let ids = [w.attach("a", b"a"), w.attach("b", b"b")];
    let missing = "1234567890123456789";
    let done = |id: &str| json!({"code": "SUCCESS", "details": {"id": id}, "status": "success"});
    let refused = json!({"code": "INVALID_DATA", "details": {"id": missing}, "message": "record not deleted", "status": "error"});
    w.emulator.script("attachment.delete", [Fault::set("/data", json!([done(&ids[1]), refused, done(&ids[0])]))]);
    let error = attachment::delete(&w.client, &w.contact, &[&ids[0], &ids[1], missing], Call::default()).unwrap_err();
    assert!(error.status() == Status::NotFound && error.to_string().starts_with(missing), "{error}");
    assert_eq!(w.stored(), []);
}
