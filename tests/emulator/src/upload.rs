//! `POST …/Attachments`: a file or a link.

use serde_json::{Value, json};

use crate::clock;
use crate::crm::Call;
use crate::fault::Fault;
use crate::ledger::Stored;
use crate::multipart::Part;
use crate::name;
use crate::reply::{Answer, Reply, error_object, refuse, success};
use crate::request::Request;
use crate::settings::{DuplicateLink, EmptyFile, NothingSent, Settings, SeveralFiles};
use crate::world::NewFile;

/// The harmless test string that every virus scanner reports.
const EICAR: &[u8] = b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!";

/// Answers an upload.
pub fn upload(call: &mut Call<'_>, module: &str, record_id: &str) -> Answer {
    let record = call.attachment_parent(module, record_id, "upload attachment")?;
    let request = call.request;
    if request.oversize {
        return Err(call.too_large());
    }
    check_body(request)?;
    let files = file_parts(request);
    let parameters = request.all_parameters();
    let field = |name: &str| parameters.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
    match (files.as_slice(), field("attachmentUrl").filter(|u| !u.is_empty())) {
        ([], Some(url)) => {
            let title = field("title").filter(|_| call.version.link_title);
            attach_link(call, record, &url, title)
        }
        // The text of this error is UNCONFIRMED.
        ([_, ..], Some(_)) => Err(invalid_data("either file or attachmentUrl is allowed, not both")),
        ([], None) => Err(nothing_sent(&call.state.settings)),
        ([file, rest @ ..], None) => {
            if !rest.is_empty() && call.state.settings.several_files == SeveralFiles::Refuse {
                return Err(invalid_data("The request contains more than one file"));
            }
            attach_file(call, record, file)
        }
    }
}

/// Refuses bodies that are none of the documented carriers.
fn check_body(request: &Request) -> Result<(), Box<Reply>> {
    if let Some(Err(_)) = &request.parts {
        return Err(unparsable());
    }
    let form = request.content_type() == "application/x-www-form-urlencoded";
    if request.parts.is_none() && !form && !request.body.is_empty() {
        return Err(invalid_request());
    }
    Ok(())
}

/// The file parts that carry a file; an empty unnamed one stands beside a link in an old SDK and is none.
pub fn file_parts(request: &Request) -> Vec<&Part> {
    let parts = request.good_parts().iter();
    parts.filter(|p| p.name == "file" && file_name_given(p) && !is_blank(p)).collect()
}

fn file_name_given(part: &Part) -> bool {
    part.filename.is_some() || part.filename_star.is_some()
}

fn is_blank(part: &Part) -> bool {
    part.filename.as_ref().is_some_and(Vec::is_empty) && part.range.0 == part.range.1
}

fn attach_file(call: &mut Call<'_>, record: u64, part: &Part) -> Answer {
    let request = call.request;
    let settings = &call.state.settings;
    let name = match &request.fault {
        Fault::Rename { name, .. } => name.clone(),
        _ => name::checked(settings, part)?,
    };
    let content = part.content(&request.body);
    let size = content.len() as u64;
    if size > settings.file_limit {
        return Err(call.too_large());
    }
    if size == 0 && settings.empty_file == EmptyFile::Refuse {
        return Err(handling_failure());
    }
    check_virus(settings, content)?;
    call.has_room(size)?;
    let file = new_file(call, part);
    let (sha256, now) = (file.sha256.clone(), call.state.now());
    let id = call.state.organisations[call.organisation].attach_file(record, &name, file, now);
    stored(call, record, id, "attachment", name, size, sha256)
}

/// The bytes of a part, ready to be stored.
pub fn new_file(call: &Call<'_>, part: &Part) -> NewFile {
    NewFile {
        content: call.state.settings.keep_bodies.then(|| call.request.blob(part)),
        size: (part.range.1 - part.range.0) as u64,
        sha256: part.sha256.clone(),
    }
}

/// Refuses the virus test string.
pub fn check_virus(settings: &Settings, content: &[u8]) -> Result<(), Box<Reply>> {
    // The test file is 68 bytes; scanners accept some white space after it, and no more is looked through here.
    if settings.virus_check && content.len() < 256 && memchr::memmem::find(content, EICAR).is_some() {
        let message = "Unable to process your request. Virus has been detected.";
        return Err(refuse(400, "VIRUS_DETECTED", message, json!({})));
    }
    Ok(())
}

fn attach_link(call: &mut Call<'_>, record: u64, url: &str, title: Option<String>) -> Answer {
    check_length("attachmentUrl", url, 1, 3000)?;
    if !is_url(url) {
        return Err(refuse(400, "INVALID_URL_PATTERN", "the given attachment URL is incorrect", json!({})));
    }
    if let Some(title) = &title {
        check_length("title", title, 1, 255)?;
    }
    let now = call.state.now();
    let duplicate_link = call.state.settings.duplicate_link;
    let organisation = &mut call.state.organisations[call.organisation];
    let attached = &organisation.records[&record].attachments;
    if attached.iter().any(|a| a.link.as_deref() == Some(url)) {
        return Err(duplicate(duplicate_link));
    }
    // Without a title the linked page's own title is the name; the emulator visits no page and takes the URL.
    let title = title.unwrap_or_else(|| url.to_owned());
    let id = organisation.attach_link(record, &title, url, now);
    let sha256 = crate::world::sha256(url.as_bytes());
    stored(call, record, id, "link", title, 0, sha256)
}

/// A web address with a host. Other schemes are UNCONFIRMED and refused.
fn is_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let host = rest.map(|r| r.split(['/', '?', '#']).next().unwrap_or_default());
    host.is_some_and(|h| !h.is_empty()) && !url.chars().any(|c| c.is_whitespace() || c.is_control())
}

fn check_length(name: &str, value: &str, least: usize, most: usize) -> Result<(), Box<Reply>> {
    let length = value.chars().count();
    if (least..=most).contains(&length) {
        return Ok(());
    }
    let details = json!({"param_name": name, "minimum_length": least, "maximum_length": most});
    Err(refuse(400, "INVALID_DATA", "invalid data", details))
}

fn duplicate(how: DuplicateLink) -> Box<Reply> {
    let error = error_object("INVALID_DATA", "Attachment link already exists", json!({}));
    let wrapped = json!({"data": [error]});
    Box::new(match how {
        DuplicateLink::Bare400 => Reply::json(400, &error),
        DuplicateLink::Data200 => Reply::json(200, &wrapped),
        DuplicateLink::Data202 => Reply::json(202, &wrapped),
    })
}

/// Notes what was stored and answers success. The status is 200, not 201.
fn stored(call: &mut Call<'_>, record: u64, id: u64, kind: &'static str, name: String, size: u64, sha256: String) -> Answer {
    let seq = call.request.seq;
    let organisation = &mut call.state.organisations[call.organisation];
    let by = json!({"name": organisation.users[0].name, "id": organisation.users[0].id});
    let Some(parent) = organisation.records.get_mut(&record) else {
        return Err(invalid_data("the related id given seems to be invalid"));
    };
    let module = parent.module.clone();
    let mut time = String::new();
    if let Some(attachment) = parent.attachments.last_mut() {
        if let Fault::HideAttachment { ms, .. } = call.request.fault {
            attachment.visible = attachment.visible.saturating_add(ms);
        }
        time = clock::iso(attachment.created, organisation.offset_minutes);
    }
    let (id, record, organisation) = (id.to_string(), record.to_string(), call.organisation + 1);
    call.state.note_stored(Stored { organisation, kind, id: id.clone(), module, record, name, size, sha256, seq });
    let details = json!({"Modified_Time": time, "Modified_By": by, "Created_Time": time, "id": id, "Created_By": by});
    let object: Value = success("attachment uploaded successfully", details);
    Ok(Reply::json(200, &json!({"data": [object]})).storing(&id))
}

fn nothing_sent(settings: &Settings) -> Box<Reply> {
    match settings.nothing_sent {
        NothingSent::MandatoryNotFound => refuse(400, "MANDATORY_NOT_FOUND", "required field not found", json!({})),
        NothingSent::InvalidRequest => invalid_request(),
    }
}

/// The refusal of a file that cannot be taken, as `/files` documents it.
pub fn handling_failure() -> Box<Reply> {
    let message = "Problem in uploading attachment. kindly upload the file properly";
    refuse(400, "failure_in_attachment_handling", message, json!({}))
}

/// 400 `INVALID_DATA`.
pub fn invalid_data(message: &str) -> Box<Reply> {
    refuse(400, "INVALID_DATA", message, json!({}))
}

/// 400 for a body that cannot be read.
pub fn unparsable() -> Box<Reply> {
    let message = "either the request body or parameters is in wrong format";
    refuse(400, "UNABLE_TO_PARSE_DATA_TYPE", message, json!({}))
}

/// 400 `INVALID_REQUEST` in its documented wording.
pub fn invalid_request() -> Box<Reply> {
    let message = "unable to process your request. please verify whether you have entered proper method name, \
                   parameter and parameter values.";
    refuse(400, "INVALID_REQUEST", message, json!({}))
}
