//! Records: just enough to look at them, and notes with their `$attachments`.

use serde_json::{Value, json};

use crate::clock;
use crate::crm::Call;
use crate::fault::Fault;
use crate::list::{comma_list, fields, person};
use crate::paging::{Page, bad_parameter};
use crate::reply::{Answer, Reply, error_object, refuse, success};
use crate::settings::EmptyList;
use crate::upload::unparsable;
use crate::world::{NewFile, Organisation, Record, RecordState, StoredFile};

/// Files a note may have.
const NOTE_FILES: usize = 5;
/// Bytes they may have together.
const NOTE_BYTES: u64 = 20 * 1024 * 1024;

/// One record.
pub fn get(call: &mut Call<'_>, module: &str, id: &str) -> Answer {
    call.module(module)?;
    let Ok(record) = call.record(module, id) else {
        return Err(refuse(400, "INVALID_DATA", "the id given seems to be invalid", call.index(1)));
    };
    call.permitted(record, "read record")?;
    let organisation = &call.state.organisations[call.organisation];
    Ok(Reply::json(200, &json!({"data": [row(organisation, record)]})))
}

/// Most fields that a list of records is asked for.
const MOST_FIELDS: usize = 50;

/// The records of a module, page by page (Get Records). Page tokens came with v3, earlier than those of attachments.
pub fn all(call: &mut Call<'_>, module: &str) -> Answer {
    call.supported(call.module(module)?.attachments)?;
    call.allowed(module, "read records")?;
    let ids = comma_list(call, "ids");
    // Records that are named need no fields (UNCONFIRMED): the page asks for them "when fetching all records".
    let fields = if ids.is_some() { comma_list(call, "fields") } else { fields(call)? };
    if fields.as_ref().is_some_and(|f| f.len() > MOST_FIELDS) {
        // The code is UNCONFIRMED.
        let mut details = call.parameter("fields");
        details["limit"] = json!(MOST_FIELDS);
        return Err(refuse(400, "LIMIT_EXCEEDED", "the number of fields is over the limit", details));
    }
    let ascending = ascending(call)?;
    let page = Page::read(call, &format!("{module}/{fields:?}/{ids:?}/{ascending}"), call.version.rank >= 3)?;
    if page.has_token() && call.request.head.parameter("page").is_some() {
        // Not both, says the page; the code is UNCONFIRMED.
        let details = json!({"ambiguity_due_to": [call.parameter("page"), call.parameter("page_token")]});
        return Err(refuse(400, "AMBIGUITY_DURING_PROCESSING", "page and page_token can't be used together", details));
    }
    if let Fault::EndlessPages { rows, same_token } = call.request.fault {
        return Ok(made_up(call, &page, rows, same_token));
    }
    let start = page.start(call)?;
    let since = call.request.head.header("If-Modified-Since").and_then(clock::parse_date);
    let organisation = &call.state.organisations[call.organisation];
    let wanted = |r: &&Record| {
        r.state != RecordState::Restricted
            && since.is_none_or(|since| r.created / 1000 > since / 1000)
            && ids.as_ref().is_none_or(|ids| ids.contains(&r.id.to_string()))
            && start.after.is_none_or(|after| if ascending { r.id > after } else { r.id < after })
    };
    let records = organisation.records_of(module);
    let mut records: Vec<&Record> = if ascending { records.collect() } else { records.rev().collect() };
    records = records.into_iter().filter(wanted).skip(start.skip).take(page.per_page as usize + 1).collect();
    let more = records.len() as u64 > page.per_page;
    records.truncate(page.per_page as usize);
    let last = records.last().map(|r| r.id).filter(|_| more);
    let rows: Vec<Value> = records.into_iter().map(|r| narrowed(row(organisation, r), fields.as_deref())).collect();
    if rows.is_empty() && since.is_some() {
        return Ok(Reply::empty(304));
    }
    if rows.is_empty() && call.state.settings.empty_list == EmptyList::NoContent204 {
        return Ok(Reply::empty(204));
    }
    let info = page.info(call, &start, rows.len() as u64, last);
    Ok(Reply::json(200, &json!({"data": rows, "info": info})))
}

/// The order of a list: by id, newest first, if nothing else is asked for. `Created_Time` and `Modified_Time` are in the order of ids here.
fn ascending(call: &Call<'_>) -> Result<bool, Box<Reply>> {
    let parameter = |name: &str| call.request.head.parameter(name);
    if parameter("sort_by").is_some_and(|by| !["id", "Created_Time", "Modified_Time"].contains(&by.as_str())) {
        return Err(bad_parameter(call, "sort_by"));
    }
    match parameter("sort_order").as_deref() {
        None | Some("desc") => Ok(false),
        Some("asc") => Ok(true),
        Some(_) => Err(bad_parameter(call, "sort_order")),
    }
}

/// A page of records that don't exist, with one more page to come.
fn made_up(call: &mut Call<'_>, page: &Page, rows: Option<u64>, same_token: bool) -> Reply {
    let count = rows.unwrap_or(page.per_page);
    let organisation = &mut call.state.organisations[call.organisation];
    let data: Vec<Value> = (0..count).map(|_| json!({"id": organisation.new_id().to_string()})).collect();
    let info = page.endless_info(call, count, same_token);
    Reply::json(200, &json!({"data": data, "info": info}))
}

/// A row with only the fields that were asked for; `id` is always there.
fn narrowed(mut row: Value, fields: Option<&[String]>) -> Value {
    if let (Some(keys), Some(fields)) = (row.as_object_mut(), fields) {
        keys.retain(|key, _| key == "id" || fields.iter().any(|f| f == key));
    }
    row
}

fn row(organisation: &Organisation, record: &Record) -> Value {
    let time = clock::iso(record.created, organisation.offset_minutes);
    let mut row = json!({
        "id": record.id.to_string(),
        "Owner": person(&organisation.users[0]),
        "Created_Time": time,
        "Modified_Time": time,
    });
    let name = match record.module.as_str() {
        "Leads" | "Contacts" => "Full_Name",
        "Accounts" => "Account_Name",
        "Deals" => "Deal_Name",
        "Products" => "Product_Name",
        "Vendors" => "Vendor_Name",
        "Notes" => "Note_Title",
        "Cases" | "Invoices" => "Subject",
        _ => "Name",
    };
    row[name] = json!(record.name);
    if record.module == "Notes" {
        row["Parent_Id"] = json!(record.parent.map(|id| json!({"id": id.to_string()})));
        row["$attachments"] = note_files(record);
    }
    row
}

/// `$attachments` of a note: null or a list.
fn note_files(note: &Record) -> Value {
    let files: Vec<Value> = note
        .attachments
        .iter()
        .map(|a| {
            let size = a.size.to_string();
            json!({"$file_id": a.file_id, "File_Name": a.name, "Size": size, "id": a.id.to_string()})
        })
        .collect();
    if files.is_empty() { Value::Null } else { Value::Array(files) }
}

/// Makes a note, or adds to one, with `$attachments` that name files of the file store.
pub fn write_note(call: &mut Call<'_>, id: Option<&str>) -> Answer {
    let body: Value = serde_json::from_slice(&call.request.body).map_err(|_| unparsable())?;
    let object = body["data"].get(0).filter(|o| o.is_object()).ok_or_else(unparsable)?;
    let present = match id {
        Some(id) => Some(call.record("Notes", id)?),
        None => None,
    };
    let mut count = present.map_or(0, |n| n.attachments.len());
    let mut bytes: u64 = present.map_or(0, |n| n.attachments.iter().map(|a| a.size).sum());
    let note = present.map(|n| n.id);
    let new = named_files(call, object)?;
    count += new.len();
    bytes += new.iter().filter_map(|f| f.content.as_ref()).map(|c| c.bytes().len() as u64).sum::<u64>();
    if count > NOTE_FILES || bytes > NOTE_BYTES {
        return Err(too_much());
    }
    let now = call.state.now();
    let organisation = &mut call.state.organisations[call.organisation];
    let title = object["Note_Title"].as_str().unwrap_or_default();
    let parent = object["Parent_Id"]["id"].as_str().or(object["Parent_Id"].as_str());
    let note_id = note.unwrap_or_else(|| organisation.add_record("Notes", title, now));
    if let Some(note) = organisation.records.get_mut(&note_id) {
        note.parent = parent.and_then(|p| p.parse().ok()).or(note.parent);
    }
    for file in new {
        let bytes = file.content.as_ref().map(|c| NewFile::new(c.bytes())).unwrap_or_else(|| NewFile::new(b""));
        organisation.attach_file(note_id, &file.name, bytes, now);
    }
    let details = json!({"id": note_id.to_string(), "Created_Time": clock::iso(now, organisation.offset_minutes)});
    let (status, message) = if note.is_some() { (200, "record updated") } else { (201, "record added") };
    Ok(Reply::json(status, &json!({"data": [success(message, details)]})))
}

fn named_files(call: &Call<'_>, object: &Value) -> Result<Vec<StoredFile>, Box<Reply>> {
    let files = &call.state.organisations[call.organisation].files;
    let named = object["$attachments"].as_array().map(Vec::as_slice).unwrap_or_default();
    named
        .iter()
        .map(|item| {
            let id = item["$file_id"].as_str().unwrap_or_default();
            files.get(id).cloned().ok_or_else(|| {
                let details = json!({"api_name": "$attachments", "json_path": "$.data[0].$attachments"});
                let error = error_object("INVALID_DATA", "invalid data", details);
                Box::new(Reply::json(400, &json!({"data": [error]})))
            })
        })
        .collect()
}

/// One error for too many files and for too many bytes (UNCONFIRMED for the number).
fn too_much() -> Box<Reply> {
    let details = json!({"api_name": "$attachments", "json_path": "$.data[0].$attachments"});
    let error = error_object("FILE_SIZE_EXCEEDS", "Total file size should not exceed - 20 mb.", details);
    Box::new(Reply::json(400, &json!({"data": [error]})))
}
