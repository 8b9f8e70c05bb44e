//! Lists of attachments.
#![allow(missing_docs)]

mod common;
use common::*;
use serde_json::json;
use std::time::Duration;
use zcrm_emulator::*;

fn list(e: &Emulator, module: &str, version: &str, query: &str) -> Got {
    let path = attachments(e, module).replace("v8", version);
    call(e, "GET", &format!("{path}?{query}"))
}

#[test]
fn fields_is_needed_from_v3_on() {
    let e = start();
    for version in ["v3", "v4", "v5", "v6", "v7", "v8"] {
        let got = list(&e, "Leads", version, "");
        assert_eq!(got.verdict(), (400, "REQUIRED_PARAM_MISSING".into()), "{version}");
        assert_eq!(got.json()["details"]["param_name"], "fields");
    }
    for version in ["v2", "v2.1"] {
        let got = list(&e, "Leads", version, "");
        let row = &got.json()["data"][0];
        for key in ["id", "File_Name", "Owner", "Parent_Id", "$type", "$se_module", "Created_By"] {
            assert!(row.get(key).is_some(), "{version} {key}");
        }
    }
    e.settings(|s| s.fields_required_in_v8 = false);
    assert_eq!(list(&e, "Leads", "v8", "").status, 200);
}

#[test]
fn size_is_a_number_in_old_versions_and_a_string_in_new_ones() {
    let e = start();
    let size = |version: &str| list(&e, "Contacts", version, "fields=Size").json()["data"][0]["Size"].clone();
    assert!(size("v2").is_u64() && size("v2.1").is_u64());
    assert_eq!(size("v7"), "15");
    assert_eq!(list(&e, "Leads", "v8", "fields=Size,$link_url,$type").json()["data"][0]["Size"], "0");
}

#[test]
fn narrow_fields_give_just_those_and_id() {
    let e = start();
    let keys = |got: Got| got.json()["data"][0].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(list(&e, "Contacts", "v8", "fields=File_Name")), ["File_Name", "id"]);
    e.settings(|s| s.narrow_fields = NarrowFields::WithDollarKeys);
    assert!(keys(list(&e, "Contacts", "v8", "fields=File_Name")).contains(&"$type".to_owned()));
}

#[test]
fn parent_id_is_null_in_v7_and_an_object_in_v8() {
    let e = start();
    let parent = |version: &str| list(&e, "Contacts", version, "fields=Parent_Id").json()["data"][0]["Parent_Id"].clone();
    assert!(parent("v7").is_null());
    assert_eq!(parent("v8")["name"], "Luca Moretti");
    e.settings(|s| s.parent_id = ParentId::Null);
    assert!(parent("v8").is_null());
}

#[test]
fn info_has_page_tokens_from_v7_on() {
    let e = start();
    assert!(list(&e, "Contacts", "v6", "fields=id").json()["info"].get("next_page_token").is_none());
    let info = list(&e, "Contacts", "v7", "fields=id").json()["info"].clone();
    assert!(info["next_page_token"].is_null() && info.get("page_token_expiry").is_some());
    assert_eq!((info["per_page"].as_u64(), info["count"].as_u64(), info["more_records"].as_bool()), (Some(200), Some(2), Some(false)));
}

#[test]
fn an_empty_list_is_204_or_200() {
    let e = start();
    let got = list(&e, "Products", "v8", "fields=id");
    assert_eq!((got.status, got.body.len(), got.header("Content-Length")), (204, 0, None));
    e.settings(|s| s.empty_list = EmptyList::Ok200);
    let got = list(&e, "Products", "v8", "fields=id");
    assert_eq!((got.status, got.json()["info"]["count"].as_u64()), (200, Some(0)));
}

#[test]
fn pages_and_page_tokens_give_each_row_once() {
    let e = start();
    let id = e.record("Products");
    let made: Vec<String> = (0..7).map(|n| e.attach("Products", &id, &format!("{n}.txt"), b"x")).collect();
    let mut seen = Vec::new();
    let mut query = "fields=id&per_page=3".to_owned();
    let mut previous = Vec::new();
    loop {
        let page = list(&e, "Products", "v8", &query).json();
        seen.extend(page["data"].as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap().to_owned()));
        previous.push(page["info"]["previous_page_token"].clone());
        // A row that goes between two pages must not make another one vanish.
        if seen.len() == 3 {
            call(&e, "DELETE", &format!("{}/{}", attachments(&e, "Products"), made[6]));
        }
        match page["info"]["next_page_token"].as_str() {
            Some(token) => query = format!("fields=id&per_page=3&page_token={token}"),
            None => break,
        }
    }
    seen.reverse();
    assert_eq!(seen, made);
    assert!(previous[0].is_null() && previous[1].is_string() && previous[2].is_string());
    let second = list(&e, "Products", "v6", "fields=id&per_page=3&page=2").json();
    assert_eq!((second["info"]["count"].as_u64(), second["info"]["more_records"].as_bool()), (Some(3), Some(false)));
}

#[test]
fn a_page_token_is_bound_to_its_parameters_and_to_24_hours() {
    let e = start();
    let token = list(&e, "Contacts", "v8", "fields=id&per_page=1").json()["info"]["next_page_token"].as_str().unwrap().to_owned();
    let with = |rest: &str| list(&e, "Contacts", "v8", &format!("page_token={token}&{rest}")).verdict();
    assert_eq!(with("fields=id&per_page=2"), (400, "TOKEN_BOUND_DATA_MISMATCH".into()));
    assert_eq!(with("fields=id,Size&per_page=1"), (400, "TOKEN_BOUND_DATA_MISMATCH".into()));
    assert_eq!(with("fields=id&per_page=1").0, 200);
    e.advance(Duration::from_secs(24 * 3600 + 1));
    assert_eq!(with("fields=id&per_page=1"), (400, "EXPIRED_VALUE".into()));
    assert_eq!(list(&e, "Contacts", "v8", "fields=id&page_token=nonsense").verdict(), (400, "INVALID_DATA".into()));
}

#[test]
fn rows_beyond_2000_need_a_token_and_beyond_100000_there_are_none() {
    let e = start();
    assert_eq!(list(&e, "Contacts", "v8", "fields=id&page=10").status, 204);
    assert_eq!(list(&e, "Contacts", "v8", "fields=id&page=11").verdict(), (400, "DISCRETE_PAGINATION_LIMIT_EXCEEDED".into()));
    assert_eq!(list(&e, "Contacts", "v6", "fields=id&page=501").verdict(), (400, "PAGINATION_LIMIT_EXCEEDED".into()));
}

#[test]
fn per_page_over_200_and_page_0_are_refused() {
    let e = start();
    assert_eq!(list(&e, "Contacts", "v8", "fields=id&per_page=201").verdict(), (400, "INVALID_DATA".into()));
    assert_eq!(list(&e, "Contacts", "v8", "fields=id&page=0").verdict(), (400, "INVALID_DATA".into()));
    e.settings(|s| s.per_page_over = OverLimit::Cut);
    assert_eq!(list(&e, "Contacts", "v8", "fields=id&per_page=201").json()["info"]["per_page"], 200);
}

#[test]
fn ids_filters_from_v3_on() {
    let e = start();
    let id = e.attachments("Leads", &e.record("Leads"))[0].id.clone();
    assert_eq!(list(&e, "Leads", "v8", &format!("fields=id&ids={id},1")).json()["info"]["count"], 1);
    assert_eq!(list(&e, "Leads", "v2", &format!("ids={id}")).json()["info"]["count"], 3);
}

#[test]
fn if_modified_since_answers_304() {
    let e = start();
    let path = attachments(&e, "Leads") + "?fields=id";
    let since = |value: &str| send(&e, "GET", &path, &[("Authorization", &bearer(&e)), ("If-Modified-Since", value)], b"").status;
    assert_eq!(since("2099-01-01T00:00:00+05:30"), 304);
    assert_eq!(since("Tue, 01 Jan 2019 00:00:00 GMT"), 200);
}

#[test]
fn keys_new_in_v8_are_there_only_in_v8() {
    let e = start();
    let fields = "fields=id,$field_states,File_Id__s,$attachment_type";
    let row = |version: &str| list(&e, "Contacts", version, fields).json()["data"][0].clone();
    assert!(row("v8").get("File_Id__s").is_some() && row("v7").get("File_Id__s").is_none());
    assert!(row("v2.1").get("$attachment_type").is_some() && row("v2").get("$attachment_type").is_none());
}

#[test]
fn a_list_throttle_can_be_set() {
    let e = start();
    e.settings(|s| s.lists_per_minute = 2);
    let statuses = [(); 3].map(|()| list(&e, "Contacts", "v8", "fields=id").status);
    assert_eq!(statuses, [200, 200, 429]);
    e.advance(Duration::from_secs(61));
    assert_eq!(list(&e, "Contacts", "v8", "fields=id").status, 200);
}

#[test]
fn rows_and_refusals_are_as_the_openapi_file_has_them_or_as_the_examples() {
    let e = start();
    let id = e.add_record("Contacts");
    e.attach("Contacts", &id, "a.txt", b"x");
    e.attach_link("Contacts", &id, "L", "https://example.org");
    let path = format!("/crm/v8/Contacts/{id}/Attachments");
    let rows = || call(&e, "GET", &format!("{path}?fields=$link_url,$file_id,$sharing_permission")).json()["data"].clone();
    let refusals =
        || (call(&e, "GET", &path).json()["details"].clone(), call(&e, "GET", "/crm/v8/Nothing/1/Attachments?fields=id").json()["details"].clone());
    let (link, file) = (rows()[0].clone(), rows()[1].clone());
    assert_eq!((&file["$link_url"], file.get("$link_url").is_some(), &file["$sharing_permission"]), (&json!(null), true, &json!("full_access")));
    assert!(link["$file_id"].is_null() && file["$file_id"].is_string());
    assert_eq!(refusals().0, json!({"param_name": "fields", "param": "fields"}));
    assert_eq!(refusals().1, json!({"resource_path_index": 0, "related_status": "invalid"}));
    e.settings(|s| {
        (s.file_link_url, s.link_file_id, s.sharing_permission) = (FileLinkUrl::Absent, LinkFileId::Text, None);
        (s.param_beside_name, s.related_status) = (false, false);
    });
    let (link, file) = (rows()[0].clone(), rows()[1].clone());
    assert!(file.get("$link_url").is_none() && file["$sharing_permission"].is_null() && link["$file_id"].is_string());
    assert_eq!(refusals(), (json!({"param_name": "fields"}), json!({"resource_path_index": 0})));
}
