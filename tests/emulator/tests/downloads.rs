//! Downloads, deletions, photos, the file store and notes.
#![allow(missing_docs)]

mod common;
use common::*;
use zcrm_emulator::*;

#[test]
fn a_download_gives_bytes_type_and_the_extended_name() {
    let e = start();
    let id = e.attach("Accounts", &e.record("Accounts"), "Größe (2) it's.png", PNG);
    let got = call(&e, "GET", &format!("{}/{id}", attachments(&e, "Accounts")));
    assert_eq!((got.status, got.body.as_slice(), got.header("Content-Type")), (200, PNG, Some("image/png")));
    assert_eq!(got.header("Content-Disposition"), Some("attachment;filename*=UTF-8''Gr%C3%B6%C3%9Fe %282%29 it%27s.png"));
    e.settings(|s| {
        s.download_name = DownloadName::Quoted;
        s.download_type = DownloadType::XDownload;
        s.download_length = DownloadLength::Chunked;
    });
    let got = call(&e, "GET", &format!("{}/{id}", attachments(&e, "Accounts")));
    assert_eq!(got.body, PNG);
    assert_eq!(got.header("Content-Type"), Some("application/x-download;charset=UTF-8"));
    assert!(got.header("Content-Length").is_none());
    e.settings(|s| {
        s.download_name = DownloadName::Absent;
        s.download_length = DownloadLength::Close;
    });
    let got = call(&e, "GET", &format!("{}/{id}", attachments(&e, "Accounts")));
    assert_eq!((got.body.as_slice(), got.header("Content-Disposition"), got.header("Content-Length")), (PNG, None, None));
}

#[test]
fn a_range_is_ignored() {
    let e = start();
    let id = e.attach("Accounts", &e.record("Accounts"), "a.bin", b"0123456789");
    let headers = [("Authorization", &*bearer(&e)), ("Range", "bytes=5-")];
    let got = send(&e, "GET", &format!("{}/{id}", attachments(&e, "Accounts")), &headers, b"");
    assert_eq!((got.status, got.body.as_slice()), (200, b"0123456789".as_slice()));
}

#[test]
fn a_json_file_is_served_as_it_is() {
    let e = start();
    let id = e.attachments("Deals", &e.record("Deals"))[0].id.clone();
    let got = call(&e, "GET", &format!("{}/{id}", attachments(&e, "Deals")));
    assert_eq!(got.header("Content-Type"), Some("application/json;charset=UTF-8"));
    assert_eq!(got.json()["currency"], "CHF");
}

#[test]
fn downloading_a_link_is_not_allowed() {
    let e = start();
    let link = e.attachments("Leads", &e.record("Leads")).into_iter().find(|a| a.link_url.is_some()).unwrap();
    let got = call(&e, "GET", &format!("{}/{}", attachments(&e, "Leads"), link.id));
    assert_eq!(got.verdict(), (400, "DOWNLOAD_NOT_ALLOWED".into()));
    assert_eq!(got.message(), "As it is a linked attachment, you can not download it");
}

#[test]
fn an_unknown_attachment_is_204_or_404() {
    let e = start();
    let path = attachments(&e, "Leads") + "/2876819000009999999";
    assert_eq!(call(&e, "GET", &path).status, 204);
    e.settings(|s| s.unknown_attachment = UnknownAttachment::NotFound404);
    assert_eq!(call(&e, "GET", &path).verdict(), (404, "INVALID_DATA".into()));
}

#[test]
fn a_second_delete_is_an_error() {
    let e = start();
    let id = e.attachments("Deals", &e.record("Deals"))[0].id.clone();
    let path = format!("{}/{id}", attachments(&e, "Deals"));
    let got = call(&e, "DELETE", &path);
    assert_eq!((got.status, got.message().as_str()), (200, "record deleted"));
    assert_eq!(got.json()["data"][0]["details"]["id"], id.as_str());
    let again = call(&e, "DELETE", &path);
    assert_eq!((again.status, again.message().as_str()), (400, "record not deleted"));
    assert_eq!(again.json()["details"]["resource_path_index"], 3);
}

#[test]
fn a_link_can_be_deleted() {
    let e = start();
    let link = e.attachments("Leads", &e.record("Leads")).into_iter().find(|a| a.link_url.is_some()).unwrap();
    assert_eq!(call(&e, "DELETE", &format!("{}/{}", attachments(&e, "Leads"), link.id)).status, 200);
}

#[test]
fn a_bulk_delete_has_a_verdict_for_each_id() {
    let e = start();
    let ids: Vec<String> = e.attachments("Leads", &e.record("Leads")).into_iter().map(|a| a.id).collect();
    let path = attachments(&e, "Leads");
    let got = call(&e, "DELETE", &format!("{path}?ids={},1", ids[0]));
    let data = got.json()["data"].clone();
    assert_eq!((got.status, data[0]["status"].as_str(), data[1]["status"].as_str()), (200, Some("success"), Some("error")));
    e.settings(|s| s.bulk_delete_partial_status = 207);
    assert_eq!(call(&e, "DELETE", &format!("{path}?ids={}&ids=1", ids[1])).status, 207);
    assert_eq!(call(&e, "DELETE", &path).verdict(), (400, "REQUIRED_PARAM_MISSING".into()));
    let many = vec!["1"; 101].join(",");
    assert_eq!(call(&e, "DELETE", &format!("{path}?ids={many}")).verdict(), (400, "INVALID_DATA".into()));
    e.settings(|s| s.bulk_delete_in_v8 = false);
    assert_eq!(call(&e, "DELETE", &format!("{path}?ids={}", ids[2])).verdict(), (400, "INVALID_REQUEST_METHOD".into()));
}

fn photo(e: &Emulator, module: &str) -> String {
    record(e, module) + "/photo"
}

#[test]
fn a_photo_is_replaced_read_and_deleted_with_bare_answers() {
    let e = start();
    let path = photo(&e, "Contacts");
    let got = upload(&e, &path, "new.jpg", JPEG);
    assert_eq!((got.json()["code"].as_str(), got.message().as_str()), (Some("SUCCESS"), "photo uploaded successfully"));
    let got = call(&e, "GET", &path);
    assert_eq!((got.body.as_slice(), got.header("Content-Type")), (JPEG, Some("image/jpeg")));
    assert_eq!(got.header("Content-Disposition"), Some("attachment;filename*=UTF-8''new.jpg"));
    let got = call(&e, "DELETE", &path);
    assert_eq!((got.json()["code"].as_str(), got.message().as_str()), (Some("SUCCESS"), "Photo deleted"));
    assert_eq!(call(&e, "GET", &path).status, 204);
    assert_eq!(call(&e, "DELETE", &path).status, 200);
    assert_eq!(e.photo("Contacts", &e.record("Contacts")), None);
}

/// A PNG head that claims some size.
fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = PNG.to_vec();
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    bytes
}

#[test]
fn a_photo_over_10_mb_or_10_megapixels_is_415() {
    let e = start();
    let path = photo(&e, "Contacts");
    let refused = (415, "FILE_SIZE_MORE_THAN_ALLOWED_SIZE".to_owned());
    assert_eq!(upload(&e, &path, "a.png", &png(4000, 2501)).verdict(), refused);
    assert_eq!(upload(&e, &path, "a.png", &png(4000, 2500)).status, 200);
    e.settings(|s| s.photo_limit = 3000);
    assert_eq!(upload(&e, &path, "a.png", &[PNG, &[0; 1000]].concat()).verdict(), refused);
}

#[test]
fn a_photo_must_be_a_picture() {
    let e = start();
    let path = photo(&e, "Contacts");
    assert_eq!(upload(&e, &path, "a.png", b"not a picture").message(), "invalid file type");
    assert_eq!(post(&e, &path, &[(&field("file"), PNG)]).message(), "the request does not contain any file");
    assert_eq!(e.photo("Contacts", &e.record("Contacts")).unwrap(), PNG);
    assert_eq!(upload(&e, &format!("{path}?restrict_triggers=approval"), "a.png", PNG).verdict(), (400, "INVALID_DATA".into()));
    assert_eq!(upload(&e, &format!("{path}?restrict_triggers=workflow"), "a.png", PNG).status, 200);
}

#[test]
fn a_locked_record_keeps_its_photo() {
    let e = start();
    let path = format!("/crm/v8/Contacts/{}/photo", e.record_in_state(RecordState::Locked));
    assert_eq!(upload(&e, &path, "a.png", PNG).verdict(), (400, "RECORD_LOCKED".into()));
    assert_eq!(call(&e, "DELETE", &path).verdict(), (400, "RECORD_LOCKED".into()));
    assert_eq!(call(&e, "GET", &path).message(), "cannot get the record image that is not approved yet");
}

#[test]
fn approval_and_review_hold_a_photo_back() {
    let e = start();
    let id = e.record("Contacts");
    e.set_record_state("Contacts", &id, RecordState::NotApproved);
    assert_eq!(call(&e, "GET", &photo(&e, "Contacts")).verdict(), (400, "NOT_APPROVED".into()));
    e.set_record_state("Contacts", &id, RecordState::NotReviewed);
    assert_eq!(upload(&e, &photo(&e, "Contacts"), "a.png", PNG).verdict(), (400, "NOT_REVIEWED".into()));
}

#[test]
fn photos_exist_only_where_documented() {
    let e = start();
    assert_eq!(call(&e, "GET", &photo(&e, "Cases")).message(), "The given module is not supported in API");
    assert_eq!(call(&e, "GET", &photo(&e, "CustomModule1")).status, 204);
    let deal = photo(&e, "Deals");
    assert_eq!(upload(&e, &deal, "a.png", PNG).status, 200);
    assert_eq!(call(&e, "GET", &deal).status, 200);
    let got = upload(&e, &deal.replace("v8", "v2"), "a.png", PNG);
    assert_eq!(got.verdict(), (400, "API_NOT_SUPPORTED".into()));
    assert_eq!(got.json()["details"]["supported_version"], 3);
    e.settings(|s| s.deals_photo_read = false);
    assert_eq!(call(&e, "GET", &deal).verdict(), (400, "INVALID_MODULE".into()));
}

#[test]
fn the_file_store_takes_up_to_ten_files() {
    let e = start();
    let heads: Vec<String> = (0..11).map(|n| file_part(&format!("{n}.png"))).collect();
    let parts: Vec<(&str, &[u8])> = heads.iter().map(|h| (h.as_str(), PNG)).collect();
    assert_eq!(post(&e, "/crm/v8/files", &parts).verdict(), (400, "INVALID_REQUEST".into()));
    let got = post(&e, "/crm/v8/files", &parts[..2]);
    assert_eq!(got.json()["data"][1]["message"], "1.png uploaded Succeessfully");
    let id = got.json()["data"][1]["details"]["id"].as_str().unwrap().to_owned();
    let file = call(&e, "GET", &format!("/crm/v8/files?id={id}"));
    assert_eq!((file.body.as_slice(), file.header("Content-Type")), (PNG, Some("image/png;charset=UTF-8")));
    assert_eq!(call(&e, "GET", "/crm/v8/files?id=0").status, 204);
    assert_eq!(call(&e, "GET", "/crm/v8/files").verdict(), (400, "REQUIRED_PARAM_MISSING".into()));
    assert_eq!(post(&e, "/crm/v8/files", &[]).verdict(), (400, "failure_in_attachment_handling".into()));
    e.settings(|s| s.zfs_file_limit = 100);
    assert_eq!(post(&e, "/crm/v8/files", &parts[..1]).verdict(), (415, "FILE_SIZE_MORE_THAN_ALLOWED_SIZE".into()));
}

#[test]
fn a_note_has_attachments_and_shows_them() {
    let e = start();
    let path = attachments(&e, "Notes");
    assert_eq!(upload(&e, &path, "more.txt", b"x").status, 200);
    assert_eq!(call(&e, "GET", &format!("{path}?fields=id")).json()["info"]["count"], 2);
    let note = call(&e, "GET", &record(&e, "Notes")).json()["data"][0].clone();
    let shown = note["$attachments"].as_array().unwrap();
    assert_eq!((shown.len(), shown[1]["File_Name"].as_str()), (2, Some("more.txt")));
}

#[test]
fn a_note_takes_five_files_of_the_store() {
    let e = start();
    let stored = upload(&e, "/crm/v8/files", "a.txt", b"abc").json()["data"][0]["details"]["id"].clone();
    let note = |count: usize| {
        let files = vec![serde_json::json!({"$file_id": stored}); count];
        let body = serde_json::json!({"data": [{"Note_Title": "T", "$attachments": files}]}).to_string();
        let headers = [("Authorization", &*bearer(&e)), ("Content-Type", "application/json")];
        send(&e, "POST", "/crm/v8/Notes", &headers, body.as_bytes())
    };
    assert_eq!(note(5).verdict(), (201, "SUCCESS".into()));
    let got = note(6);
    assert_eq!((got.verdict(), got.message().as_str()), ((400, "FILE_SIZE_EXCEEDS".into()), "Total file size should not exceed - 20 mb."));
}
