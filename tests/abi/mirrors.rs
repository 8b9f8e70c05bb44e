//! That no field falls through a mirror: what the library serialises is held against the comments and structs of `zcrm.h`, against
//! `zcrm.hpp` and against the Go package. The fields are those of the description, which is made from the types themselves.

use std::collections::BTreeSet;

use serde_json::Value;

use super::header::structs;
use super::support::read;

/// Names without underscores and case, as each language has its own.
fn plain(name: &str) -> String {
    name.replace('_', "").to_lowercase()
}

fn description() -> Value {
    serde_json::from_str(&read("src/step/description.json")).unwrap()
}

fn keys(schema: &Value) -> BTreeSet<String> {
    schema["properties"].as_object().expect("an object's schema").keys().cloned().collect()
}

fn result(operation: &str) -> Value {
    let all = description();
    let found = all["operations"].as_array().unwrap().iter().find(|o| o["id"] == operation);
    found.unwrap_or_else(|| panic!("there is no {operation}"))["output"]["properties"]["result"].clone()
}

/// What the library says of an attachment: in a list, and after an upload.
fn attachment() -> BTreeSet<String> {
    keys(&result("attachment.list")["properties"]["attachments"]["items"]).union(&keys(&result("attachment.upload")["anyOf"][0])).cloned().collect()
}

fn transfer() -> BTreeSet<String> {
    ["attachment.download", "photo.upload"].iter().flat_map(|operation| keys(&result(operation))).collect()
}

fn page() -> BTreeSet<String> {
    keys(&result("attachment.list"))
}

fn record_page() -> BTreeSet<String> {
    keys(&result("record.list"))
}

fn summary() -> BTreeSet<String> {
    keys(&result("batch"))
}

fn failure() -> BTreeSet<String> {
    keys(&description()["error"])
}

/// The fields of a struct of the C header.
fn in_c(name: &str) -> BTreeSet<String> {
    structs(&read("include/zcrm.h")).into_iter().find(|(owner, _)| owner == name).unwrap_or_else(|| panic!("{name}")).1.into_iter().collect()
}

/// The words of a piece of code, which begins at a line and ends before another.
fn words(file: &str, begin: &str, end: &str) -> BTreeSet<String> {
    let text = read(file);
    let body = text.split_once(begin).unwrap_or_else(|| panic!("{file} has no {begin}")).1.split_once(end).unwrap().0;
    let code: String = body
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .filter(|line| !line.trim_start().starts_with(['/', '*']))
        .collect::<Vec<_>>()
        .join(" ");
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).map(plain).collect()
}

/// Fields that a mirror lacks, but for those that it has in another form.
fn lacks(fields: &BTreeSet<String>, mirror: &BTreeSet<String>, otherwise: &[&str]) -> Vec<String> {
    let mirror: BTreeSet<String> = mirror.iter().map(|name| plain(name)).collect();
    for name in otherwise {
        assert!(fields.contains(*name), "{name} is in another form, but the library has no such field");
        assert!(!mirror.contains(&plain(name)), "{name} is in another form, but stands in the mirror under its name");
    }
    fields.iter().filter(|name| !mirror.contains(&plain(name)) && !otherwise.contains(&name.as_str())).cloned().collect()
}

/// Those of an upload that are bits of zcrm_attachment.flags, those of zcrm_transfer, and `twins`, which the JSON alone has.
const FLAGS: [&str; 3] = ["name_changed", "settled", "skipped"];

#[test]
fn the_structs_of_the_c_header_have_what_the_json_has() {
    let attachment_in_c = in_c("zcrm_attachment");
    assert_eq!(lacks(&attachment(), &attachment_in_c, &[&FLAGS[..], &["sha256", "twins"]].concat()), [""; 0], "zcrm_attachment");
    assert_eq!(lacks(&transfer(), &in_c("zcrm_transfer"), &["base64", "content_disposition"]), [""; 0], "zcrm_transfer");
    assert_eq!(lacks(&page(), &in_c("zcrm_page"), &["attachments"]), [""; 0], "zcrm_page");
    assert_eq!(lacks(&record_page(), &in_c("zcrm_page"), &["record_ids"]), [""; 0], "zcrm_page");
    assert_eq!(lacks(&summary(), &in_c("zcrm_batch_summary"), &["items"]), [""; 0], "zcrm_batch_summary");
    for flag in FLAGS {
        assert!(read("include/zcrm.h").contains(&format!("#define ZCRM_UPLOAD_{}", flag.to_uppercase())), "{flag}");
    }
}

#[test]
fn the_comment_of_the_errors_json_names_every_key_and_no_other() {
    let header = read("include/zcrm.h");
    let comment = header.split_once("ZCRM_API const char *zcrm_error_json").unwrap().0.rsplit_once("/**").unwrap().1;
    let listed = comment.split_once("as it sent them:").unwrap().1;
    let named: BTreeSet<String> = listed.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    assert_eq!(named, failure());
}

#[test]
fn the_classes_of_the_cpp_header_have_what_the_json_has() {
    let cpp = |class: &str| words("include/zcrm.hpp", class, "\n};");
    assert_eq!(lacks(&attachment(), &cpp("struct Attachment {"), &[&FLAGS[..], &["sha256", "twins"]].concat()), [""; 0], "Attachment");
    assert_eq!(lacks(&transfer(), &cpp("struct Transfer {"), &["base64", "content_disposition"]), [""; 0], "Transfer");
    assert_eq!(lacks(&page(), &cpp("class AttachmentList "), &[]), [""; 0], "AttachmentList");
    assert_eq!(lacks(&record_page(), &cpp("class RecordList "), &[]), [""; 0], "RecordList");
    assert_eq!(lacks(&summary(), &cpp("class BatchSummary "), &["items"]), [""; 0], "BatchSummary");
    let json_alone = ["api_message", "attempts", "details", "field", "os_error", "waited_ms"];
    let renamed = ["retry_after_ms", "status"]; // retry_after(), code()
    assert_eq!(lacks(&failure(), &errors_methods(), &[&json_alone[..], &renamed].concat()), [""; 0], "Error");
}

/// The names of the methods of `zcrm::Error`.
fn errors_methods() -> BTreeSet<String> {
    let text = read("include/zcrm.hpp");
    let class = text.split_once("class Error {").unwrap().1.split_once("\n};").unwrap().0;
    class.lines().filter(|line| line.contains(" const")).filter_map(|line| line.split_once('(')?.0.rsplit(' ').next().map(str::to_owned)).collect()
}

#[test]
fn the_structs_of_the_go_package_have_what_the_json_has() {
    let go = |file: &str, name: &str| words(&format!("bindings/go/{file}"), &format!("type {name} struct {{"), "\n}");
    assert_eq!(lacks(&attachment(), &go("attachment.go", "Attachment"), &[]), [""; 0], "Attachment");
    assert_eq!(lacks(&transfer(), &go("attachment.go", "Transfer"), &["base64", "content_disposition"]), [""; 0], "Transfer");
    assert_eq!(lacks(&page(), &go("attachment.go", "Page"), &[]), [""; 0], "Page");
    assert_eq!(lacks(&record_page(), &go("record.go", "RecordPage"), &[]), [""; 0], "RecordPage");
    assert_eq!(lacks(&summary(), &go("batch.go", "BatchSummary"), &["items"]), [""; 0], "BatchSummary");
    // In *zcrm.Error the name is that of the Code, the callback's status and the system's number are the error behind it; the rest is
    // renamed, which error_fields_test.go knows.
    assert_eq!(lacks(&failure(), &go("internal/cabi/result.go", "Failure"), &["name"]), [""; 0], "Failure");
}

#[test]
fn every_flag_of_a_call_can_be_set_from_cpp_and_go() {
    let header = read("include/zcrm.h");
    let flags: BTreeSet<&str> =
        header.lines().filter_map(|line| line.strip_prefix("#define ")?.split(' ').next()).filter(|name| name.starts_with("ZCRM_CALL_")).collect();
    assert!(flags.len() > 4, "{flags:?}");
    for mirror in ["include/zcrm.hpp", "bindings/go/internal/cabi/call.go"] {
        let text = read(mirror);
        let code = text.lines().filter(|line| !line.trim_start().starts_with(['/', '*']));
        let words: BTreeSet<&str> = code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_')).collect();
        assert!(flags.is_subset(&words), "{mirror} lacks {:?}", flags.difference(&words));
    }
}
