//! `GET …/Attachments/{id}`, and the headers that every download shares.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use crate::crm::Call;
use crate::media;
use crate::reply::{Answer, Blob, Framing, Reply, half, refuse};
use crate::settings::{DownloadLength, DownloadName, DownloadType, Settings, UnknownAttachment};

/// What stays raw in a file name: letters, digits, `.-*_` as Java's URL encoding leaves them, and the space, as the
/// documented `image %282%29.png` shows. UNCONFIRMED for `.-*_`.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'*').remove(b'_').remove(b' ');

/// Answers a download. A Range is not documented and ignored (UNCONFIRMED).
pub fn download(call: &mut Call<'_>, module: &str, record_id: &str, attachment: &str) -> Answer {
    let record = call.attachment_parent(module, record_id, "download attachment")?;
    let record = &call.state.organisations[call.organisation].records[&record];
    let found = attachment.parse().ok().and_then(|id| record.attachment(id));
    let settings = &call.state.settings;
    let Some(attachment) = found else {
        return match settings.unknown_attachment {
            UnknownAttachment::NoContent204 => Ok(Reply::empty(204)),
            UnknownAttachment::NotFound404 => Err(refuse(404, "INVALID_DATA", "the id given seems to be invalid", call.index(3))),
        };
    };
    if attachment.link.is_some() {
        // The code before v8 is UNCONFIRMED.
        let message = "As it is a linked attachment, you can not download it";
        return Err(refuse(400, "DOWNLOAD_NOT_ALLOWED", message, json!({})));
    }
    let kind = match settings.download_type {
        DownloadType::ByType => media::content_type(&attachment.name),
        DownloadType::OctetStream => "application/octet-stream",
        DownloadType::XDownload => "application/x-download;charset=UTF-8",
    };
    file_reply(settings, &attachment.name, kind, attachment.content.as_ref())
}

/// A file as a reply. Fails loudly when the bytes were not kept.
pub fn file_reply(settings: &Settings, name: &str, kind: &str, content: Option<&Blob>) -> Answer {
    let Some(content) = content else {
        let message = "emulator: keep_bodies is off, so the bytes of this file were not kept";
        return Err(refuse(500, "INTERNAL_ERROR", message, json!({})));
    };
    // Java writes half of a surrogate pair as a question mark.
    let name = name.replace(|c| half(c).is_some(), "?");
    let mut reply = Reply::bytes(200, kind, content.clone());
    match settings.download_name {
        DownloadName::Extended => {
            let value = format!("attachment;filename*=UTF-8''{}", utf8_percent_encode(&name, NAME));
            reply = reply.header("Content-Disposition", value);
        }
        DownloadName::Quoted => {
            let safe = name.replace(['\r', '\n', '"'], "_");
            reply = reply.header("Content-Disposition", format!("attachment; filename=\"{safe}\""));
        }
        DownloadName::Absent => {}
    }
    reply.framing = match settings.download_length {
        DownloadLength::ContentLength => Framing::Length,
        DownloadLength::Chunked => Framing::Chunked,
        DownloadLength::Close => Framing::Close,
    };
    Ok(reply)
}
