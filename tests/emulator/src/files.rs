//! `/files`: the file store of the organisation.

use serde_json::{Value, json};

use crate::crm::Call;
use crate::download::file_reply;
use crate::ledger::Stored;
use crate::list::parameter_missing;
use crate::media;
use crate::name;
use crate::reply::{Answer, Reply, refuse, success};
use crate::upload::{check_virus, file_parts, handling_failure, invalid_request, new_file, unparsable};
use crate::world::{StoredFile, sha256};

/// Stores up to ten files.
pub fn upload(call: &mut Call<'_>) -> Answer {
    let request = call.request;
    if request.oversize {
        return Err(too_big());
    }
    if let Some(Err(_)) = request.parts {
        return Err(unparsable());
    }
    let files = file_parts(request);
    if files.is_empty() || files.iter().any(|p| p.range.0 == p.range.1) {
        return Err(handling_failure());
    }
    if files.len() > 10 {
        return Err(invalid_request());
    }
    for part in &files {
        let content = part.content(&request.body);
        if content.len() as u64 > call.state.settings.zfs_file_limit {
            return Err(too_big());
        }
        check_virus(&call.state.settings, content)?;
    }
    let mut data = Vec::new();
    for part in files {
        let name = name::sent(&call.state.settings, part)?;
        data.push(store(call, &name, part));
    }
    let id = data[0]["details"]["id"].as_str().unwrap_or_default().to_owned();
    Ok(Reply::json(200, &json!({"data": data})).storing(&id))
}

fn store(call: &mut Call<'_>, name: &str, part: &crate::multipart::Part) -> Value {
    let file = new_file(call, part);
    let organisation = &mut call.state.organisations[call.organisation];
    let number = organisation.new_id();
    let id = sha256(format!("file {number}").as_bytes());
    organisation.files.insert(id.clone(), StoredFile { name: name.to_owned(), content: file.content });
    organisation.used += file.size;
    let organisation = call.organisation + 1;
    call.state.note_stored(Stored {
        organisation,
        kind: "file",
        id: id.clone(),
        module: String::new(),
        record: String::new(),
        name: name.to_owned(),
        size: file.size,
        sha256: file.sha256,
        seq: call.request.seq,
    });
    // The misspelling is the server's own.
    success(&format!("{name} uploaded Succeessfully"), json!({"name": name, "id": id}))
}

/// Serves a file by its id. Ids of attachments (`$file_id`) work too (UNCONFIRMED).
pub fn download(call: &mut Call<'_>) -> Answer {
    let id = call.request.head.parameter("id").filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| parameter_missing(call, "id"))?;
    let Some(file) = call.state.organisations[call.organisation].files.get(&id) else {
        return Ok(Reply::empty(204));
    };
    let kind = media::content_type(&file.name);
    let kind = if kind.starts_with("image/") { format!("{kind};charset=UTF-8") } else { kind.to_owned() };
    file_reply(&call.state.settings, &file.name, &kind, file.content.as_ref())
}

fn too_big() -> Box<Reply> {
    let message = "please check if the file size is in the correct range";
    refuse(415, "FILE_SIZE_MORE_THAN_ALLOWED_SIZE", message, json!({}))
}
