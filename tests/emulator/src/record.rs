//! Records: just enough to look at them, and notes with their `$attachments`.

use serde_json::{Value, json};

use crate::clock;
use crate::crm::Call;
use crate::list::{fields, number, per_page, person};
use crate::reply::{Answer, Reply, error_object, refuse, success};
use crate::upload::unparsable;
use crate::world::{NewFile, Organisation, Record, StoredFile};

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

/// The records of a module, page by page.
pub fn all(call: &mut Call<'_>, module: &str) -> Answer {
    call.module(module)?;
    let fields = fields(call)?;
    let (page, per_page) = (number(call, "page", 1)?, per_page(call)?);
    let organisation = &call.state.organisations[call.organisation];
    let mut rows: Vec<Value> =
        organisation.records_of(module).skip(((page - 1) * per_page) as usize).take(per_page as usize + 1).map(|r| row(organisation, r)).collect();
    if rows.is_empty() {
        return Ok(Reply::empty(204));
    }
    let more = rows.len() as u64 > per_page;
    rows.truncate(per_page as usize);
    if let Some(fields) = fields {
        for object in rows.iter_mut().filter_map(Value::as_object_mut) {
            object.retain(|key, _| key == "id" || fields.iter().any(|f| f == key));
        }
    }
    let info = json!({"per_page": per_page, "count": rows.len(), "page": page, "more_records": more});
    Ok(Reply::json(200, &json!({"data": rows, "info": info})))
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
