//! Names of files: how one is read from a form, and what becomes of it when it is stored.

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use serde_json::json;

use crate::multipart::Part;
use crate::reply::{HALF, Reply, refuse};
use crate::settings::{ExeFile, FilenameStar, NameForm, NameUnit, OverLimit, Settings};
use crate::upload::invalid_data;

/// The name a part's file is stored under.
pub fn checked(settings: &Settings, part: &Part) -> Result<String, Box<Reply>> {
    let name = changed(settings, sent(settings, part)?);
    let is_exe = name.to_ascii_lowercase().ends_with(".exe");
    match settings.exe_file {
        ExeFile::InvalidData if is_exe => return Err(invalid_data("invalid file type")),
        ExeFile::Unsupported415 if is_exe => return Err(refuse(415, "INVALID_DATA", "invalid file type", json!({}))),
        _ => {}
    }
    let short = cut(&name, settings.name_limit, settings.name_limit_unit);
    if short != name && settings.long_name == OverLimit::Refuse {
        let details = json!({"param_name": "File_Name", "maximum_length": settings.name_limit});
        return Err(refuse(400, "INVALID_DATA", "invalid data", details));
    }
    if short.is_empty() {
        return Err(invalid_data("the file has no name"));
    }
    Ok(short)
}

/// Reads a part's file name: raw UTF-8 between quotes, `\"` and `\\` undone. UNCONFIRMED for quotes; other bytes are replaced.
pub fn sent(settings: &Settings, part: &Part) -> Result<String, Box<Reply>> {
    match (&part.filename_star, settings.filename_star) {
        (Some(_), FilenameStar::Refuse) => {
            return Err(invalid_data("filename* is not allowed in a part of a form"));
        }
        (Some(star), FilenameStar::Honour) => {
            let star = star.splitn(3, |b| *b == b'\'').last().unwrap_or_default();
            return Ok(percent_encoding::percent_decode(star).decode_utf8_lossy().into_owned());
        }
        _ => {}
    }
    let mut name = unescape(part.filename.as_deref().unwrap_or_default());
    if settings.decode_percent_in_filename {
        name = name.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n");
    }
    Ok(name)
}

fn unescape(raw: &[u8]) -> String {
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let escaped = bytes.next_if(|next| byte == b'\\' && matches!(next, b'"' | b'\\'));
        out.push(escaped.unwrap_or(byte));
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// What a server may make of a name. What Zoho makes of it is UNCONFIRMED, so by default nothing is changed.
fn changed(settings: &Settings, name: String) -> String {
    let mut name = match settings.name_form {
        NameForm::AsSent => name,
        NameForm::Joined => ComposingNormalizerBorrowed::new_nfc().normalize(&name).into_owned(),
        NameForm::Apart => DecomposingNormalizerBorrowed::new_nfd().normalize(&name).into_owned(),
    };
    if !settings.name_signs_replaced.is_empty() {
        name = name.replace(|c| settings.name_signs_replaced.contains(c), &settings.name_sign_replacement);
    }
    if settings.name_trimmed { name.trim().to_owned() } else { name }
}

/// The first `most` units of a name. A cut through a pair of UTF-16 leaves half of it; one through the bytes of a sign leaves the sign out.
fn cut(name: &str, most: usize, unit: NameUnit) -> String {
    match unit {
        NameUnit::Characters => name.chars().take(most).collect(),
        NameUnit::Bytes => {
            let end = (0..=most.min(name.len())).rev().find(|at| name.is_char_boundary(*at));
            name[..end.unwrap_or(0)].to_owned()
        }
        NameUnit::Utf16 => {
            let units = name.encode_utf16().take(most);
            char::decode_utf16(units)
                .map(|c| c.unwrap_or_else(|half| char::from_u32(HALF + u32::from(half.unpaired_surrogate())).unwrap_or('\u{fffd}')))
                .collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_by_utf16_leaves_half_of_a_pair_and_one_by_bytes_leaves_the_sign_out() {
        let name = "a\u{1f600}.txt";
        assert_eq!(cut(name, 2, NameUnit::Utf16), format!("a{}", char::from_u32(HALF + 0xd83d).unwrap()));
        assert_eq!(cut(name, 3, NameUnit::Utf16), "a\u{1f600}");
        assert_eq!(cut(name, 3, NameUnit::Bytes), "a");
        assert_eq!(cut(name, 2, NameUnit::Characters), "a\u{1f600}");
        assert_eq!(cut(name, 250, NameUnit::Bytes), name);
    }
}
