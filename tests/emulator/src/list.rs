//! `GET …/Attachments`: the list, page by page.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use crate::clock;
use crate::crm::{Call, too_many};
use crate::fault::Fault;
use crate::paging::Page;
use crate::reply::{Answer, Reply, refuse};
use crate::settings::{EmptyList, FileLinkUrl, LinkFileId, NarrowFields, ParentId};
use crate::world::{Attachment, NewFile, Organisation, Record, User, sha256};

/// Answers a list request.
pub fn list(call: &mut Call<'_>, module: &str, record_id: &str) -> Answer {
    let record = call.attachment_parent(module, record_id, "read attachment details")?;
    let fields = fields(call)?;
    let ids = comma_list(call, "ids").filter(|_| call.version.ids_filter);
    let page = Page::read(call, &format!("{record}/{fields:?}/{ids:?}"), call.version.page_token)?;
    if !call.state.may_list(record) {
        return Err(too_many(call.state));
    }
    if not_modified(call, record) {
        return Ok(Reply::empty(304));
    }
    if let Fault::EndlessPages { rows, same_token } = call.request.fault {
        return Ok(made_up(call, record, fields.as_deref(), &page, rows, same_token));
    }
    let start = page.start(call)?;
    let organisation = &call.state.organisations[call.organisation];
    let record = &organisation.records[&record];
    let now = call.state.now();
    let ids: Option<HashSet<u64>> = ids.map(|ids| ids.iter().filter_map(|id| id.parse().ok()).collect());
    let wanted =
        |a: &&Attachment| a.visible <= now && ids.as_ref().is_none_or(|ids| ids.contains(&a.id)) && start.after.is_none_or(|after| a.id < after);
    // Newest first. UNCONFIRMED; the examples read so.
    let rows = record.attachments.iter().rev().filter(wanted).skip(start.skip);
    let mut rows: Vec<&Attachment> = rows.take(page.per_page as usize + 1).collect();
    let more = rows.len() as u64 > page.per_page;
    rows.truncate(page.per_page as usize);
    let data: Vec<Value> = rows.iter().map(|a| row(call, organisation, record, a, fields.as_deref())).collect();
    let last = rows.last().map(|a| a.id);
    if data.is_empty() && call.state.settings.empty_list == EmptyList::NoContent204 {
        return Ok(Reply::empty(204));
    }
    let info = page.info(call, &start, data.len() as u64, last.filter(|_| more));
    Ok(Reply::json(200, &json!({"data": data, "info": info})))
}

/// A page of rows that nothing is behind, with one more page to come.
fn made_up(call: &mut Call<'_>, record: u64, fields: Option<&[String]>, page: &Page, rows: Option<u64>, same_token: bool) -> Reply {
    let now = call.state.now();
    let count = rows.unwrap_or(page.per_page);
    let organisation = &mut call.state.organisations[call.organisation];
    let ids: Vec<u64> = (0..count).map(|_| organisation.new_id()).collect();
    let organisation = &call.state.organisations[call.organisation];
    let record = &organisation.records[&record];
    let file = |id| Attachment::file(id, &format!("made up {id}.txt"), NewFile::new(b"made up"), now);
    let data: Vec<Value> = ids.into_iter().map(|id| row(call, organisation, record, &file(id), fields)).collect();
    let info = page.endless_info(call, count, same_token);
    Reply::json(200, &json!({"data": data, "info": info}))
}

fn not_modified(call: &Call<'_>, record: u64) -> bool {
    // The list's reaction to If-Modified-Since is UNCONFIRMED; 304 is in the general list of statuses.
    let since = call.request.head.header("If-Modified-Since").and_then(clock::parse_date);
    let changed = call.state.organisations[call.organisation].records[&record].attachments_changed;
    since.is_some_and(|since| changed / 1000 <= since / 1000)
}

/// A comma list given in one or several parameters of a name.
pub fn comma_list(call: &Call<'_>, name: &str) -> Option<Vec<String>> {
    let pairs = call.request.head.query_pairs();
    let values: Vec<&str> = pairs.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect();
    let items = values.iter().flat_map(|v| v.split(',')).map(|s| s.trim().to_owned()).filter(|s| !s.is_empty());
    let items: Vec<String> = items.collect();
    (!items.is_empty()).then_some(items)
}

/// The refusal of a call without a parameter it needs.
pub fn parameter_missing(call: &Call<'_>, name: &str) -> Box<Reply> {
    let message = "One of the expected parameter is missing";
    refuse(400, "REQUIRED_PARAM_MISSING", message, call.parameter(name))
}

/// The `fields` of a list; an error where the version needs them.
pub fn fields(call: &Call<'_>) -> Result<Option<Vec<String>>, Box<Reply>> {
    let fields = comma_list(call, "fields");
    let needed = call.version.fields_required && (call.version.name != "v8" || call.state.settings.fields_required_in_v8);
    if needed && fields.is_none() {
        return Err(parameter_missing(call, "fields"));
    }
    Ok(fields)
}

/// One row, cut down to the fields asked for.
fn row(call: &Call<'_>, organisation: &Organisation, record: &Record, a: &Attachment, fields: Option<&[String]>) -> Value {
    let mut all = all_keys(call, organisation, record, a);
    let Some(fields) = fields else { return Value::Object(all) };
    let settings = &call.state.settings;
    let dollars = settings.narrow_fields == NarrowFields::WithDollarKeys;
    all.retain(|key, _| key == "id" || (dollars && key.starts_with('$')) || fields.iter().any(|f| f == key));
    let null_parent = match settings.parent_id {
        ParentId::ByVersion => !call.version.v8_keys,
        ParentId::Object => false,
        ParentId::Null => true,
    };
    if let Some(parent) = all.get_mut("Parent_Id").filter(|_| null_parent) {
        *parent = Value::Null;
    }
    Value::Object(all)
}

fn all_keys(call: &Call<'_>, organisation: &Organisation, record: &Record, a: &Attachment) -> Map<String, Value> {
    let version = call.version;
    let time = clock::iso(a.created, organisation.offset_minutes);
    let owner = person(&organisation.users[a.user]);
    let size = if version.size_as_string { json!(a.size.to_string()) } else { json!(a.size) };
    let mut keys = Map::new();
    let mut add = |key: &str, value: Value| drop(keys.insert(key.to_owned(), value));
    add("Owner", owner.clone());
    add("Modified_Time", json!(time));
    add("File_Name", json!(a.name));
    add("Created_Time", json!(time));
    add("Size", size);
    add("Parent_Id", json!({"name": record.name, "id": record.id.to_string()}));
    add("$editable", json!(true));
    let settings = &call.state.settings;
    let file_id = match settings.link_file_id {
        LinkFileId::Text if a.link.is_some() => json!(sha256(format!("link {}", a.id).as_bytes())),
        _ => json!(a.file_id),
    };
    add("$file_id", file_id);
    // The two literals are those of the v8 examples; older ones are UNCONFIRMED.
    add("$type", json!(if a.link.is_some() { "Link URL" } else { "File" }));
    add("$se_module", json!(record.module));
    add("Modified_By", owner.clone());
    add("$state", json!("save"));
    add("id", json!(a.id.to_string()));
    add("Created_By", owner);
    if a.link.is_some() || settings.file_link_url == FileLinkUrl::Null {
        add("$link_url", json!(a.link));
    }
    if version.attachment_type {
        // The meaning of the numbers and of the sharing values is UNCONFIRMED.
        add("$attachment_type", json!(if a.link.is_some() { 1 } else { 0 }));
        add("$sharing_permission", json!(settings.sharing_permission));
    }
    if version.v8_keys {
        add("$field_states", Value::Null);
        add("$zia_visions", Value::Null);
        add("File_Id__s", json!(a.file_id));
        add("Attachment_Source__s", Value::Null);
        add("Record_Status__s", json!("Available"));
    }
    keys
}

/// A user as rows show one.
pub fn person(user: &User) -> Value {
    json!({"name": user.name, "id": user.id, "email": user.email})
}
