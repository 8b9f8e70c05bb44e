//! Uploads of files and links.
#![allow(missing_docs)]

mod common;
use common::*;
use zcrm_emulator::*;

#[test]
fn a_file_upload_answers_200_and_stores_the_bytes() {
    let e = start();
    let got = upload(&e, &attachments(&e, "Accounts"), "a.txt", b"hello");
    assert_eq!(got.verdict(), (200, "SUCCESS".into()));
    assert_eq!(got.message(), "attachment uploaded successfully");
    let details = &got.json()["data"][0]["details"];
    assert!(details["Created_Time"].as_str().unwrap().ends_with("+01:00"));
    assert_eq!(details["Created_By"]["name"], "Marta Keller");
    let stored = e.attachments("Accounts", &e.record("Accounts"));
    assert_eq!((stored[0].name.as_str(), stored[0].bytes.as_slice()), ("a.txt", b"hello".as_slice()));
    assert_eq!(stored[0].id, details["id"].as_str().unwrap());
}

#[test]
fn answers_carry_the_headers_of_recorded_ones() {
    let e = start();
    let got = upload(&e, &attachments(&e, "Accounts"), "a.txt", b"hello");
    for (name, value) in [
        ("Content-Disposition", "attachment; filename=response.json"),
        ("Content-Type", "application/json;charset=UTF-8"),
        ("Server", "ZGS"),
        ("Pragma", "no-cache"),
        ("X-XSS-Protection", "1; mode=block"),
        ("Strict-Transport-Security", "max-age=63072000"),
    ] {
        assert_eq!(got.header(name), Some(value));
    }
    for name in ["X-ACCESSTOKEN-RESET", "Content-Security-Policy", "clientVersion", "clientsubVersion", "Date"] {
        assert!(got.header(name).is_some(), "{name}");
    }
    let cookies: Vec<&str> = got.headers.iter().filter(|(n, _)| n == "Set-Cookie").filter_map(|(_, v)| v.split('=').next()).collect();
    assert_eq!(cookies, ["6e4e3f5e9a", "JSESSIONID", "_zcsr_tmp", "crmcsr"]);
    assert!(got.body.ends_with(b"}\n"));
}

#[test]
fn the_same_file_twice_makes_two_attachments() {
    let e = start();
    let path = attachments(&e, "Accounts");
    let ids = [(); 2].map(|()| upload(&e, &path, "a.txt", b"x").json()["data"][0]["details"]["id"].clone());
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn a_raw_utf8_name_with_quotes_is_stored_as_meant() {
    let e = start();
    upload(&e, &attachments(&e, "Accounts"), "Grüße \\\"5 %22\\\" 見.txt", b"x");
    assert_eq!(e.attachments("Accounts", &e.record("Accounts"))[0].name, "Grüße \"5 %22\" 見.txt");
    assert_eq!(e.ledger().requests[0].parts[0].filename.as_deref(), Some("Grüße \\\"5 %22\\\" 見.txt"));
}

#[test]
fn filename_star_is_refused_or_as_set() {
    let e = start();
    let head = "Content-Disposition: form-data; name=\"file\"; filename=\"a.txt\"; filename*=UTF-8''b%20c.txt";
    let path = attachments(&e, "Accounts");
    assert_eq!(post(&e, &path, &[(head, b"x")]).verdict(), (400, "INVALID_DATA".into()));
    e.settings(|s| s.filename_star = FilenameStar::Ignore);
    post(&e, &path, &[(head, b"x")]);
    e.settings(|s| s.filename_star = FilenameStar::Honour);
    post(&e, &path, &[(head, b"x")]);
    let names: Vec<String> = e.attachments("Accounts", &e.record("Accounts")).into_iter().map(|a| a.name).collect();
    assert_eq!(names, ["a.txt", "b c.txt"]);
}

#[test]
fn a_part_of_another_name_is_no_file() {
    let e = start();
    let head = "Content-Disposition: form-data; name=\"attachment\"; filename=\"a.txt\"";
    assert_eq!(post(&e, &attachments(&e, "Accounts"), &[(head, b"x")]).verdict(), (400, "MANDATORY_NOT_FOUND".into()));
    e.settings(|s| s.nothing_sent = NothingSent::InvalidRequest);
    assert_eq!(post(&e, &attachments(&e, "Accounts"), &[(head, b"x")]).verdict(), (400, "INVALID_REQUEST".into()));
}

#[test]
fn several_files_are_refused_or_the_first_is_taken() {
    let e = start();
    let path = attachments(&e, "Accounts");
    let (one, two) = (file_part("1.txt"), file_part("2.txt"));
    let parts: [(&str, &[u8]); 2] = [(&one, b"1"), (&two, b"2")];
    assert_eq!(post(&e, &path, &parts).message(), "The request contains more than one file");
    e.settings(|s| s.several_files = SeveralFiles::First);
    assert_eq!(post(&e, &path, &parts).status, 200);
    assert_eq!(e.attachments("Accounts", &e.record("Accounts")).len(), 1);
}

#[test]
fn a_broken_multipart_body_is_refused() {
    let e = start();
    let mut body = form(&[(&file_part("a"), b"x")]);
    body.truncate(body.len() - 6);
    let authorization = bearer(&e);
    let headers = [("Authorization", authorization.as_str()), FORM];
    let got = send(&e, "POST", &attachments(&e, "Accounts"), &headers, &body);
    assert_eq!(got.verdict(), (400, "UNABLE_TO_PARSE_DATA_TYPE".into()));
    let headers = [("Authorization", authorization.as_str()), ("Content-Type", "text/plain")];
    assert_eq!(send(&e, "POST", &attachments(&e, "Accounts"), &headers, b"x").verdict(), (400, "INVALID_REQUEST".into()));
}

#[test]
fn exe_virus_and_long_names_are_refused() {
    let e = start();
    let path = attachments(&e, "Accounts");
    assert_eq!(upload(&e, &path, "setup.EXE", b"x").verdict(), (400, "INVALID_DATA".into()));
    let eicar = br"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*";
    assert_eq!(upload(&e, &path, "e.txt", eicar).verdict(), (400, "VIRUS_DETECTED".into()));
    assert_eq!(upload(&e, &path, &"n".repeat(251), b"x").verdict(), (400, "INVALID_DATA".into()));
    assert_eq!(upload(&e, &path, &"ü".repeat(250), b"x").status, 200);
    e.settings(|s| {
        s.exe_file = ExeFile::Unsupported415;
        s.long_name = OverLimit::Cut;
    });
    assert_eq!(upload(&e, &path, "setup.exe", b"x").status, 415);
    assert_eq!(upload(&e, &path, &"n".repeat(300), b"x").status, 200);
    assert_eq!(e.attachments("Accounts", &e.record("Accounts"))[1].name.len(), 250);
}

#[test]
fn an_empty_file_is_stored() {
    let e = start();
    assert_eq!(upload(&e, &attachments(&e, "Accounts"), "empty.txt", b"").status, 200);
    e.settings(|s| s.empty_file = EmptyFile::Refuse);
    assert_eq!(upload(&e, &attachments(&e, "Accounts"), "empty.txt", b"").verdict(), (400, "failure_in_attachment_handling".into()));
}

#[test]
fn a_file_over_the_limit_is_413() {
    let e = start();
    e.settings(|s| s.file_limit = 1000);
    let path = attachments(&e, "Accounts");
    assert_eq!(upload(&e, &path, "a", &[7; 1000]).status, 200);
    assert_eq!(upload(&e, &path, "a", &[7; 1001]).verdict(), (413, "FILE_SIZE_MORE_THAN_ALLOWED_SIZE".into()));
    e.settings(|s| s.too_large = TooLarge::Html);
    assert_eq!(upload(&e, &path, "a", &[7; 1001]).header("Content-Type"), Some("text/html;charset=UTF-8"));
    e.settings(|s| s.too_large = TooLarge::Reset);
    let parts = form(&[(&file_part("a"), &[7; 1001])]);
    assert!(try_send(&e, "POST", &path, &[("Authorization", &bearer(&e)), FORM], &parts).is_none());
}

#[test]
fn a_body_over_the_limit_is_413_late_or_early() {
    let e = start();
    e.settings(|s| {
        s.body_limit = 2000;
        s.too_large_code = "BODY_SIZE_REACHED".into();
    });
    let path = attachments(&e, "Accounts");
    assert_eq!(upload(&e, &path, "a", &[7; 3000]).verdict(), (413, "BODY_SIZE_REACHED".into()));
    assert!(e.ledger().requests[0].body_bytes > 3000 && e.ledger().stored.is_empty());
    e.settings(|s| s.too_large = TooLarge::EarlyJson);
    assert_eq!(upload(&e, &path, "a", &[7; 3000]).verdict(), (413, "BODY_SIZE_REACHED".into()));
}

#[test]
fn storage_full_is_told() {
    let e = start();
    e.settings(|s| s.storage_limit = Some(500));
    assert_eq!(upload(&e, &attachments(&e, "Accounts"), "a", &[7; 400]).verdict(), (400, "STORAGE_SPACE_EXCEEDED".into()));
}

#[test]
fn bodies_not_kept_fail_loudly_on_download() {
    let e = start();
    e.settings(|s| s.keep_bodies = false);
    let path = attachments(&e, "Accounts");
    let id = upload(&e, &path, "a", b"abc").json()["data"][0]["details"]["id"].as_str().unwrap().to_owned();
    assert_eq!(call(&e, "GET", &format!("{path}/{id}")).verdict(), (500, "INTERNAL_ERROR".into()));
    assert_eq!(e.attachments("Accounts", &e.record("Accounts"))[0].size, 3);
}

#[test]
fn a_link_is_taken_from_each_of_the_four_carriers() {
    let e = start();
    let path = attachments(&e, "Accounts");
    let (url, title) = (field("attachmentUrl"), field("title"));
    assert_eq!(post(&e, &path, &[(&url, b"https://example.org/1"), (&title, b"One & 1")]).status, 200);
    let blank = "Content-Disposition: form-data; name=\"file\"; filename=\"\"";
    assert_eq!(post(&e, &path, &[(blank, b""), (&url, b"https://example.org/2")]).status, 200);
    let query = format!("{path}?attachmentUrl=https%3A%2F%2Fexample.org%2F3%3Fa%3D1&title=Three+%26");
    assert_eq!(call(&e, "POST", &query).status, 200);
    let headers = [("Authorization", &*bearer(&e)), ("Content-Type", "application/x-www-form-urlencoded")];
    assert_eq!(send(&e, "POST", &path, &headers, b"attachmentUrl=https://example.org/4&title=Four").status, 200);
    let links: Vec<(String, String)> = e.attachments("Accounts", &e.record("Accounts")).into_iter().map(|a| (a.name, a.link_url.unwrap())).collect();
    let told: Vec<(&str, &str)> = links.iter().map(|(n, u)| (n.as_str(), u.as_str())).collect();
    assert_eq!(
        told,
        [
            ("One & 1", "https://example.org/1"),
            ("https://example.org/2", "https://example.org/2"),
            ("Three &", "https://example.org/3?a=1"),
            ("Four", "https://example.org/4"),
        ]
    );
}

#[test]
fn v2_has_no_link_title() {
    let e = start();
    let path = attachments(&e, "Accounts").replace("v8", "v2");
    post(&e, &path, &[(&field("attachmentUrl"), b"https://example.org/1"), (&field("title"), b"T")]);
    assert_eq!(e.attachments("Accounts", &e.record("Accounts"))[0].name, "https://example.org/1");
}

#[test]
fn a_duplicate_link_is_refused_in_each_form() {
    let e = start();
    let path = attachments(&e, "Accounts");
    let url = field("attachmentUrl");
    let parts: [(&str, &[u8]); 1] = [(&url, b"https://example.org/1")];
    assert_eq!(post(&e, &path, &parts).status, 200);
    let got = post(&e, &path, &parts);
    assert_eq!((got.status, got.message().as_str()), (400, "Attachment link already exists"));
    assert!(got.json().get("data").is_none());
    for (how, status) in [(DuplicateLink::Data200, 200), (DuplicateLink::Data202, 202)] {
        e.settings(|s| s.duplicate_link = how);
        let got = post(&e, &path, &parts);
        assert_eq!((got.status, got.json()["data"][0]["status"].as_str()), (status, Some("error")));
    }
}

#[test]
fn bad_links_and_lengths_are_refused() {
    let e = start();
    let path = attachments(&e, "Accounts");
    let link = |url: &str| post(&e, &path, &[(&field("attachmentUrl"), url.as_bytes())]).verdict();
    for url in ["www.example.org", "javascript:alert(1)", "https://", "https://a b"] {
        assert_eq!(link(url), (400, "INVALID_URL_PATTERN".into()), "{url}");
    }
    let long = |n: usize| format!("https://example.org/{}", "a".repeat(n - 20));
    assert_eq!(link(&long(3000)).0, 200);
    assert_eq!(link(&long(3001)), (400, "INVALID_DATA".into()));
    let title = vec![b't'; 256];
    let parts: [(&str, &[u8]); 2] = [(&field("attachmentUrl"), b"https://example.org/t"), (&field("title"), &title)];
    assert_eq!(post(&e, &path, &parts).verdict(), (400, "INVALID_DATA".into()));
}

#[test]
fn a_file_and_a_link_in_one_call_are_refused() {
    let e = start();
    let parts: [(&str, &[u8]); 2] = [(&file_part("a"), b"x"), (&field("attachmentUrl"), b"https://example.org/1")];
    assert_eq!(post(&e, &attachments(&e, "Accounts"), &parts).verdict(), (400, "INVALID_DATA".into()));
    assert!(e.ledger().stored.is_empty());
}

#[test]
fn a_chunked_body_is_accepted_or_411() {
    let e = start();
    let body = form(&[(&file_part("a.txt"), b"hello")]);
    let mut chunked = Vec::new();
    for piece in body.chunks(7) {
        chunked.extend_from_slice(format!("{:x};x=y\r\n", piece.len()).as_bytes());
        chunked.extend_from_slice(piece);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\nTrailer: x\r\n\r\n");
    let authorization = bearer(&e);
    let headers = [("Authorization", authorization.as_str()), FORM, ("Transfer-Encoding", "chunked")];
    assert_eq!(send(&e, "POST", &attachments(&e, "Accounts"), &headers, &chunked).status, 200);
    assert_eq!(e.attachments("Accounts", &e.record("Accounts"))[0].bytes, b"hello");
    e.settings(|s| s.chunked_request = ChunkedRequest::LengthRequired);
    assert_eq!(send(&e, "POST", &attachments(&e, "Accounts"), &headers, &chunked).status, 411);
}

#[test]
fn expect_100_continue_is_answered_before_the_body() {
    use std::io::Write;
    let e = start();
    let body = form(&[(&file_part("a.txt"), b"hello")]);
    let authorization = bearer(&e);
    let headers = [("Authorization", authorization.as_str()), FORM, ("Expect", "100-continue")];
    let whole = request(&e, "POST", &attachments(&e, "Accounts"), &headers, &body);
    let mut tcp = connect(&e);
    tcp.write_all(&whole[..whole.len() - body.len()]).unwrap();
    assert_eq!(read_reply(&mut tcp).unwrap().status, 100);
    tcp.write_all(&body).unwrap();
    assert_eq!(read_reply(&mut tcp).unwrap().status, 200);
}
