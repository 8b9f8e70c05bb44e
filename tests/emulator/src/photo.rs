//! `…/photo`: the one picture of a record.

use serde_json::json;

use crate::crm::{Call, locked};
use crate::download::file_reply;
use crate::ledger::Stored;
use crate::media;
use crate::multipart::Part;
use crate::name;
use crate::reply::{Answer, Reply, refuse, success};
use crate::settings::{DownloadType, SeveralFiles};
use crate::upload::{file_parts, invalid_data, unparsable};
use crate::version::Module;
use crate::world::{Photo, Record, RecordState};

/// Stores a photo in place of the present one.
pub fn upload(call: &mut Call<'_>, module: &str, record_id: &str) -> Answer {
    call.supported(call.module(module)?.photo)?;
    let record = call.record(module, record_id)?;
    call.permitted(record, "upload photo")?;
    check_state(record, None)?;
    let (id, request) = (record.id, call.request);
    check_triggers(call)?;
    if request.oversize {
        return Err(too_big());
    }
    let parts = only_file(call)?;
    let photo = checked(call, parts)?;
    let (name, sha256) = (photo.name.clone(), parts.sha256.clone());
    let size = (parts.range.1 - parts.range.0) as u64;
    if let Some(record) = call.state.organisations[call.organisation].records.get_mut(&id) {
        record.photo = Some(photo);
    }
    let organisation = call.organisation + 1;
    let (module, record, seq) = (module.to_owned(), record_id.to_owned(), request.seq);
    call.state.note_stored(Stored { organisation, kind: "photo", id: id.to_string(), module, record, name, size, sha256, seq });
    Ok(Reply::json(200, &success("photo uploaded successfully", json!({}))).storing(record_id))
}

/// `restrict_triggers` may only be `workflow`. UNCONFIRMED what else does.
fn check_triggers(call: &Call<'_>) -> Result<(), Box<Reply>> {
    match call.request.head.parameter("restrict_triggers").as_deref() {
        None | Some("workflow") => Ok(()),
        Some(_) => Err(refuse(400, "INVALID_DATA", "invalid data", call.parameter("restrict_triggers"))),
    }
}

fn only_file<'a>(call: &Call<'a>) -> Result<&'a Part, Box<Reply>> {
    if let Some(Err(_)) = call.request.parts {
        return Err(unparsable());
    }
    match file_parts(call.request).as_slice() {
        [] => Err(invalid_data("the request does not contain any file")),
        [_, _, ..] if call.state.settings.several_files == SeveralFiles::Refuse => Err(invalid_data("The request contains more than one file")),
        [first, ..] => Ok(first),
    }
}

fn checked(call: &Call<'_>, part: &Part) -> Result<Photo, Box<Reply>> {
    let settings = &call.state.settings;
    let content = part.content(&call.request.body);
    if content.len() as u64 > settings.photo_limit {
        return Err(too_big());
    }
    let picture = media::picture(content).ok_or_else(|| invalid_data("invalid file type"))?;
    if picture.pixels > settings.photo_pixels {
        return Err(too_big());
    }
    call.has_room(content.len() as u64)?;
    let content = settings.keep_bodies.then(|| call.request.blob(part));
    Ok(Photo { name: name::sent(settings, part)?, kind: picture.kind, sha256: part.sha256.clone(), content })
}

/// Too many bytes and too many pixels are one error, of status 415.
fn too_big() -> Box<Reply> {
    let message = "please check if the file size is in the correct range";
    refuse(415, "FILE_SIZE_MORE_THAN_ALLOWED_SIZE", message, json!({}))
}

/// Serves the photo.
pub fn download(call: &mut Call<'_>, module: &str, record_id: &str) -> Answer {
    readable(call, call.module(module)?, module)?;
    let record = call.record(module, record_id)?;
    call.permitted(record, "download images")?;
    check_state(record, Some("cannot get the record image that is not approved yet"))?;
    let Some(photo) = &record.photo else { return Ok(Reply::empty(204)) };
    let settings = &call.state.settings;
    let kind = match settings.photo_type {
        DownloadType::ByType => photo.kind,
        DownloadType::OctetStream => "application/octet-stream",
        DownloadType::XDownload => "application/x-download;charset=UTF-8",
    };
    file_reply(settings, &photo.name, kind, photo.content.as_ref())
}

/// Deletes the photo. Without one it is a success too (UNCONFIRMED; no error is documented).
pub fn delete(call: &mut Call<'_>, module: &str, record_id: &str) -> Answer {
    readable(call, call.module(module)?, module)?;
    let Ok(record) = call.record(module, record_id) else {
        return Err(refuse(400, "INVALID_DATA", "the id given seems to be invalid", call.index(1)));
    };
    call.permitted(record, "delete images")?;
    check_state(record, None)?;
    let id = record.id;
    if let Some(record) = call.state.organisations[call.organisation].records.get_mut(&id) {
        record.photo = None;
    }
    Ok(Reply::json(200, &success("Photo deleted", json!({}))))
}

/// Photos of Deals can be set from v3 on; whether they can be read and deleted is UNCONFIRMED and a setting.
fn readable(call: &Call<'_>, module: &'static Module, name: &str) -> Result<(), Box<Reply>> {
    let refused = name == "Deals" && !call.state.settings.deals_photo_read;
    call.supported(module.photo.filter(|_| !refused))
}

/// Refuses records that are locked or wait for approval or review; `message` replaces the usual texts.
fn check_state(record: &Record, message: Option<&str>) -> Result<(), Box<Reply>> {
    let usual = "You cannot perform this operation as the record is not approved yet";
    let code = match record.state {
        RecordState::Normal | RecordState::Restricted => return Ok(()),
        RecordState::Locked if message.is_none() => return Err(locked()),
        RecordState::Locked => "RECORD_LOCKED",
        RecordState::NotApproved => "NOT_APPROVED",
        RecordState::NotReviewed if message.is_some() => return Ok(()),
        RecordState::NotReviewed => "NOT_REVIEWED",
    };
    Err(refuse(400, code, message.unwrap_or(usual), json!({})))
}
