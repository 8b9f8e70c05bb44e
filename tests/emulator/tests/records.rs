//! Get Records: the ids of a module, page by page.
#![allow(missing_docs)]

mod common;
use common::*;
use serde_json::{Value, json};
use std::time::Duration;
use zcrm_emulator::*;

/// A module of its own with so many records, ids in the order of their making.
fn filled(e: &Emulator, count: usize) -> Vec<String> {
    (0..count).map(|_| e.add_record("Widgets")).collect()
}

fn page(e: &Emulator, version: &str, query: &str) -> Got {
    call(e, "GET", &format!("/crm/{version}/Widgets?{query}"))
}

fn ids(got: &Value) -> Vec<String> {
    got["data"].as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn ids_come_newest_first_and_every_page_has_a_token_to_the_next() {
    let e = start();
    let mut wanted = filled(&e, 7);
    wanted.reverse();
    let (mut all, mut query) = (Vec::new(), "fields=id&per_page=3".to_owned());
    loop {
        let got = page(&e, "v8", &query).json();
        assert_eq!(got["data"][0].as_object().unwrap().len(), 1);
        all.extend(ids(&got));
        match got["info"]["next_page_token"].as_str() {
            Some(token) => query = format!("fields=id&per_page=3&page_token={token}"),
            None => break assert_eq!((&got["info"]["more_records"], &got["info"]["count"]), (&json!(false), &json!(1))),
        }
    }
    assert_eq!(all, wanted);
    assert_eq!(ids(&page(&e, "v8", "fields=id&per_page=3&page=2").json()), wanted[3..6]);
    wanted.reverse();
    assert_eq!(ids(&page(&e, "v8", "fields=id&sort_by=Created_Time&sort_order=asc").json()), wanted);
}

#[test]
fn tokens_walk_on_past_a_record_that_is_deleted_or_added_meanwhile() {
    let e = start();
    let made = filled(&e, 6);
    let first = page(&e, "v8", "fields=id&per_page=3").json();
    e.delete_record("Widgets", &made[3]);
    e.add_record("Widgets");
    let next = page(&e, "v8", &format!("fields=id&per_page=3&page_token={}", first["info"]["next_page_token"].as_str().unwrap())).json();
    assert_eq!(ids(&next), [made[2].clone(), made[1].clone(), made[0].clone()]);
}

#[test]
fn page_numbers_end_at_2000_records_and_tokens_at_100000() {
    let e = start();
    filled(&e, 30);
    e.settings(|s| (s.discrete_rows, s.list_rows) = (10, 20));
    assert_eq!(page(&e, "v8", "fields=id&per_page=5&page=2").status, 200);
    assert_eq!(page(&e, "v8", "fields=id&per_page=5&page=3").verdict(), (400, "DISCRETE_PAGINATION_LIMIT_EXCEEDED".into()));
    let mut query = "fields=id&per_page=10".to_owned();
    let mut walk = || {
        let got = page(&e, "v8", &query);
        if got.status == 200 {
            query = format!("fields=id&per_page=10&page_token={}", got.json()["info"]["next_page_token"].as_str().unwrap());
        }
        got.verdict().1
    };
    assert_eq!((walk(), walk(), walk()), (String::new(), String::new(), "PAGINATION_LIMIT_EXCEEDED".into()));
}

#[test]
fn tokens_came_with_v3_and_fields_must_be_named_from_then_on() {
    let e = start();
    filled(&e, 2);
    assert!(page(&e, "v2", "per_page=1").json()["info"].get("next_page_token").is_none());
    assert!(page(&e, "v3", "fields=id&per_page=1").json()["info"]["next_page_token"].is_string());
    assert_eq!(page(&e, "v3", "per_page=1").verdict(), (400, "REQUIRED_PARAM_MISSING".into()));
    let fields: Vec<String> = (0..51).map(|n| format!("F{n}")).collect();
    assert_eq!(page(&e, "v8", &format!("fields={}", fields.join(","))).verdict(), (400, "LIMIT_EXCEEDED".into()));
}

#[test]
fn a_token_is_bound_to_its_parameters_and_its_day_and_takes_no_page() {
    let e = start();
    filled(&e, 3);
    let token = page(&e, "v8", "fields=id&per_page=1").json()["info"]["next_page_token"].as_str().unwrap().to_owned();
    let with = |query: &str| page(&e, "v8", &format!("{query}&page_token={token}")).verdict().1;
    assert_eq!(with("fields=id,Name&per_page=1"), "TOKEN_BOUND_DATA_MISMATCH");
    assert_eq!(with("fields=id&per_page=2"), "TOKEN_BOUND_DATA_MISMATCH");
    assert_eq!(with("fields=id&per_page=1&page=2"), "AMBIGUITY_DURING_PROCESSING");
    assert_eq!(page(&e, "v8", "fields=id&per_page=201").verdict(), (400, "INVALID_DATA".into()));
    assert_eq!(page(&e, "v8", "fields=id&sort_by=Name").verdict(), (400, "INVALID_DATA".into()));
    e.advance(Duration::from_secs(24 * 3600 + 1));
    e.settings(|s| s.token_lifetime_s = 1_000_000);
    assert_eq!(with("fields=id&per_page=1"), "EXPIRED_VALUE");
}

#[test]
fn an_empty_module_is_204_and_an_unknown_one_is_refused() {
    let e = start();
    let made = filled(&e, 2);
    assert_eq!(ids(&page(&e, "v8", &format!("ids={},1", made[0])).json()), [made[0].clone()]);
    for id in &made {
        e.delete_record("Widgets", id);
    }
    assert_eq!(page(&e, "v8", "fields=id").status, 204);
    e.settings(|s| s.empty_list = EmptyList::Ok200);
    assert_eq!(page(&e, "v8", "fields=id").json()["info"]["count"], 0);
    assert_eq!(call(&e, "GET", "/crm/v8/Nothing?fields=id").verdict(), (400, "INVALID_MODULE".into()));
    assert_eq!(call(&e, "GET", "/crm/v8/Documents?fields=id").message(), "The given module is not supported in API");
}

#[test]
fn a_list_costs_a_credit_and_wants_the_scope_of_its_module() {
    let e = start();
    filled(&e, 1);
    let with = |scope: &str| {
        let authorization = format!("Zoho-oauthtoken {}", e.access_token_with_scope(scope));
        send(&e, "GET", "/crm/v8/Widgets?fields=id", &[("Authorization", &authorization)], b"").status
    };
    assert_eq!((with("ZohoCRM.modules.custom.READ"), with("ZohoCRM.modules.widgets.READ"), with("ZohoCRM.modules.READ")), (200, 200, 200));
    assert_eq!((with("ZohoCRM.modules.contacts.READ"), with("ZohoCRM.modules.attachments.ALL")), (401, 401));
    e.settings(|s| s.credits = 3);
    assert_eq!(page(&e, "v8", "fields=id").status, 429);
    assert_eq!(e.ledger().requests.last().unwrap().operation, "record.list");
}

#[test]
fn records_without_privilege_are_left_out_and_a_module_without_is_refused() {
    let e = start();
    let hidden = e.record_in_state(RecordState::Restricted);
    assert!(!ids(&call(&e, "GET", "/crm/v8/Contacts?fields=id").json()).contains(&hidden));
    e.settings(|s| s.denied = vec!["record.list".into()]);
    assert_eq!(call(&e, "GET", "/crm/v8/Contacts?fields=id").verdict(), (403, "NO_PERMISSION".into()));
}

#[test]
fn nothing_newer_is_304() {
    let e = start();
    filled(&e, 1);
    let since = |date: &str| {
        let authorization = bearer(&e);
        send(&e, "GET", "/crm/v8/Widgets?fields=id", &[("Authorization", &authorization), ("If-Modified-Since", date)], b"").status
    };
    assert_eq!((since("2019-07-25T15:26:49+05:30"), since("2219-07-25T15:26:49+05:30")), (200, 304));
}

#[test]
fn a_thousand_pages_can_be_made_up() {
    let e = start();
    filled(&e, 1);
    e.always("record.list", Fault::endless_pages());
    let got = page(&e, "v8", "fields=id").json();
    assert_eq!((ids(&got).len(), &got["info"]["more_records"]), (200, &json!(true)));
}
