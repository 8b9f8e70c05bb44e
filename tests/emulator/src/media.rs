//! Content types of files and formats of pictures.

/// The Content-Type a file name suggests.
pub fn content_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase());
    match extension.as_deref() {
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("gif") => "image/gif",
        Some("bmp") => "image/bmp",
        Some("pdf") => "application/pdf",
        Some("txt" | "log" | "md") => "text/plain;charset=UTF-8",
        Some("html" | "htm") => "text/html;charset=UTF-8",
        Some("csv") => "text/csv;charset=UTF-8",
        Some("json") => "application/json;charset=UTF-8",
        Some("zip") => "application/zip",
        Some("docx") => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        Some("xlsx") => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        Some("mp4") => "video/mp4",
        Some("mp3") => "audio/mpeg",
        _ => "application/octet-stream",
    }
}

/// A picture: its Content-Type and its pixels.
pub struct Picture {
    /// Content-Type.
    pub kind: &'static str,
    /// Width times height.
    pub pixels: u64,
}

/// Reads the head of a picture in one of the formats CRM takes (PNG, JPEG, GIF, BMP), as leniently as viewers do.
pub fn picture(bytes: &[u8]) -> Option<Picture> {
    let (kind, (width, height)) = if let Some(size) = png(bytes) {
        ("image/png", size)
    } else if let Some(size) = jpeg(bytes) {
        ("image/jpeg", size)
    } else if let Some(size) = gif(bytes) {
        ("image/gif", size)
    } else {
        ("image/bmp", bmp(bytes)?)
    };
    Some(Picture { kind, pixels: u64::from(width) * u64::from(height) })
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// Width and height stand in IHDR, which comes first, or behind Apple's CgBI.
fn png(bytes: &[u8]) -> Option<(u32, u32)> {
    if !bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return None;
    }
    let mut at = 8;
    loop {
        let length = u32::from_be_bytes(array(bytes, at)?) as usize;
        match &array::<4>(bytes, at + 4)? {
            b"IHDR" => return Some((u32::from_be_bytes(array(bytes, at + 8)?), u32::from_be_bytes(array(bytes, at + 12)?))),
            b"CgBI" => at = at.checked_add(length)?.checked_add(12)?,
            _ => return None,
        }
    }
}

/// Width and height stand in the frame's head. What lies between two segments is passed over, as all readers do.
fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    if !bytes.starts_with(&[0xff, 0xd8]) {
        return None;
    }
    loop {
        at += memchr::memchr(0xff, bytes.get(at..)?)?;
        at += bytes[at..].iter().position(|b| *b != 0xff)?;
        let marker = bytes[at];
        at += 1;
        match marker {
            // Markers without a segment.
            0x00 | 0x01 | 0xd0..=0xd8 => {}
            // Tables and others whose codes lie among those of frames.
            0xc4 | 0xc8 | 0xcc => at += usize::from(u16::from_be_bytes(array(bytes, at)?)),
            0xc0..=0xcf => {
                let height = u16::from_be_bytes(array(bytes, at + 3)?);
                return Some((u16::from_be_bytes(array(bytes, at + 5)?).into(), height.into()));
            }
            // The picture's data, or its end, and no frame before.
            0xd9 | 0xda => return None,
            _ => at += usize::from(u16::from_be_bytes(array(bytes, at)?)),
        }
    }
}

fn gif(bytes: &[u8]) -> Option<(u32, u32)> {
    let signed = bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a");
    let side = |at| Some(u16::from_le_bytes(array(bytes, at)?).into());
    if signed { Some((side(6)?, side(8)?)) } else { None }
}

/// The head has 12 bytes and short sides (OS/2), or more and long ones; a negative height means that the rows go down.
fn bmp(bytes: &[u8]) -> Option<(u32, u32)> {
    if !bytes.starts_with(b"BM") {
        return None;
    }
    match u32::from_le_bytes(array(bytes, 14)?) {
        12 => Some((u16::from_le_bytes(array(bytes, 18)?).into(), u16::from_le_bytes(array(bytes, 20)?).into())),
        16 | 40 | 52 | 56 | 64 | 108 | 124 => Some((u32::from_le_bytes(array(bytes, 18)?), i32::from_le_bytes(array(bytes, 22)?).unsigned_abs())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(bytes: &[u8]) -> Option<(&'static str, u64)> {
        picture(bytes).map(|p| (p.kind, p.pixels))
    }

    /// A frame of 3 by 5.
    const FRAME: &[u8] = &[0xff, 0xc0, 0, 11, 8, 0, 5, 0, 3, 1, 1, 0x11, 0];

    #[test]
    fn a_jpeg_is_read_past_junk_fill_bytes_and_a_segment_that_is_cut() {
        let of = |before: &[u8]| size(&[&[0xff, 0xd8], before, FRAME].concat());
        let read = Some(("image/jpeg", 15));
        assert_eq!(of(b""), read);
        assert_eq!(of(b"\xff\xfe\0\x04abhello"), read);
        assert_eq!(of(b"\xff\xff\xff"), read);
        assert_eq!(of(b"\xff\xee\0\x02"), read);
        assert_eq!(of(b"\xff\xda"), None);
    }

    #[test]
    fn a_bmp_may_go_down_or_have_short_sides() {
        let head = |size: u32, sides: &[u8]| [b"BM", [0; 12].as_slice(), &size.to_le_bytes(), sides].concat();
        assert_eq!(size(&head(40, &[3, 0, 0, 0, 0xfb, 0xff, 0xff, 0xff])), Some(("image/bmp", 15)));
        assert_eq!(size(&head(12, &[3, 0, 5, 0])), Some(("image/bmp", 15)));
        assert_eq!(size(&head(41, &[3, 0, 0, 0, 5, 0, 0, 0])), None);
        assert_eq!(size(b"BM"), None);
    }

    #[test]
    fn a_png_may_begin_with_apples_chunk() {
        let ihdr = b"\0\0\0\x0dIHDR\0\0\0\x03\0\0\0\x05";
        let signature = b"\x89PNG\r\n\x1a\n".as_slice();
        assert_eq!(size(&[signature, ihdr].concat()), Some(("image/png", 15)));
        assert_eq!(size(&[signature, b"\0\0\0\x04CgBIabcdcrc_", ihdr].concat()), Some(("image/png", 15)));
        assert_eq!(size(&[signature, b"\0\0\0\x04CgBI"].concat()), None);
    }
}
