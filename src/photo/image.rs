//! What a picture is and how large, read from its bytes and not from its name.

use crate::config::{Check, Config};
use crate::error::{Error, Result, Status};
use crate::transfer::Input;

/// Bytes that are looked at first. The size of nearly every picture stands in them.
const FIRST: usize = 16 * 1024;

/// Most bytes that are looked at: a JPEG's size may stand behind profiles and previews of any length.
const MOST: usize = 32 << 20;

#[derive(Clone, Copy)]
enum Format {
    Png,
    Jpeg,
    Gif,
    Bmp,
}

#[derive(Debug, PartialEq, Eq)]
enum Size {
    Pixels(u64, u64),
    /// It stands behind the bytes that were given.
    Behind,
    /// The picture doesn't say it where it should.
    Nowhere,
    /// The picture ends before it.
    CutOff,
}

/// Refuses what Zoho doesn't take as a photo. If the picture doesn't show its size where it should, Zoho decides.
pub(crate) fn check(config: &Config, input: &mut Input<'_>) -> Result<()> {
    let mut looked = FIRST;
    let size = loop {
        let bytes = input.peek(looked)?;
        let Some(format) = format(bytes) else {
            return if config.checks(Check::PhotoFormat) { Err(no_picture()) } else { Ok(()) };
        };
        let is_whole = bytes.len() < looked && bytes.len() as u64 <= config.photo_max_bytes;
        match size(format, bytes, is_whole) {
            Size::Behind if bytes.len() == looked && looked < MOST => looked *= 4,
            size => break size,
        }
    };
    match size {
        Size::Pixels(width, height) if width.saturating_mul(height) > config.photo_max_pixels => {
            let pixels = width.saturating_mul(height);
            let message = format!("the picture has {width}×{height} = {pixels} pixels; at most {} are taken", config.photo_max_pixels);
            Err(Error::new(Status::TooLarge, "photo_pixels", message))
        }
        Size::CutOff if config.checks(Check::PhotoFormat) => {
            Err(Error::new(Status::FileType, "photo_format", "the picture ends before its size, which stands near its beginning: it is cut off"))
        }
        _ => Ok(()),
    }
}

/// Whether a picture begins so. Zoho may give another kind than it took (UNCONFIRMED): WebP, TIFF, AVIF, HEIF.
pub(crate) fn begins(bytes: &[u8]) -> bool {
    let behind = |at: usize, magics: &[&[u8]]| bytes.get(at..).is_some_and(|rest| magics.iter().any(|magic| rest.starts_with(magic)));
    let is_webp = behind(0, &[b"RIFF"]) && behind(8, &[b"WEBP"]);
    let is_tiff = behind(0, &[b"II*\0", b"MM\0*"]);
    let is_heif = behind(4, &[b"ftypavif", b"ftypavis", b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypmsf1"]);
    format(bytes).is_some() || is_webp || is_tiff || is_heif
}

fn no_picture() -> Error {
    Error::new(Status::FileType, "photo_format", "the file's first bytes are not those of a PNG, JPEG, GIF or BMP picture")
}

fn format(bytes: &[u8]) -> Option<Format> {
    let magics =
        [(b"\x89PNG\r\n\x1a\n".as_slice(), Format::Png), (b"\xff\xd8\xff", Format::Jpeg), (b"GIF87a", Format::Gif), (b"GIF89a", Format::Gif)];
    let known = magics.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, format)| *format);
    // Two letters are no proof: the length of the header behind them has to be one that exists.
    known.or_else(|| (bytes.starts_with(b"BM") && matches!(bmp(bytes), Some(Size::Pixels(..)))).then_some(Format::Bmp))
}

fn size(format: Format, bytes: &[u8], is_whole: bool) -> Size {
    let read = match format {
        Format::Png => png(bytes),
        Format::Jpeg => jpeg(bytes),
        Format::Gif => gif(bytes),
        Format::Bmp => bmp(bytes),
    };
    read.unwrap_or_else(|| if is_whole { size_at_the_end(format, bytes) } else { Size::Behind })
}

/// What a picture says that ends before it is read: a GIF its screen.
fn size_at_the_end(format: Format, bytes: &[u8]) -> Size {
    match (format, le16(bytes, 6), le16(bytes, 8)) {
        (Format::Gif, Some(width), Some(height)) => Size::Pixels(width, height),
        _ => Size::CutOff,
    }
}

// Each reader gives `None` where the bytes end before it is done.

/// The first `IHDR`, which Apple's tools put behind a chunk of their own.
fn png(bytes: &[u8]) -> Option<Size> {
    let mut at = 8;
    loop {
        let (length, kind) = (be32(bytes, at)?, bytes.get(at + 4..at + 8)?);
        match kind {
            b"IHDR" => return Some(Size::Pixels(be32(bytes, at + 8)?, be32(bytes, at + 12)?)),
            b"IDAT" | b"IEND" => return Some(Size::Nowhere),
            _ => at = at.checked_add(usize::try_from(length).ok()?)?.checked_add(12)?,
        }
    }
}

/// The screen, or the first frame where that is larger.
fn gif(bytes: &[u8]) -> Option<Size> {
    let (width, height, flags) = (le16(bytes, 6)?, le16(bytes, 8)?, *bytes.get(10)?);
    let mut at = 13 + if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    loop {
        match bytes.get(at)? {
            b'!' => {
                at += 2;
                loop {
                    match usize::from(*bytes.get(at)?) {
                        0 => break,
                        block => at += 1 + block,
                    }
                }
                at += 1;
            }
            b',' => {
                let (left, top, w, h) = (le16(bytes, at + 1)?, le16(bytes, at + 3)?, le16(bytes, at + 5)?, le16(bytes, at + 7)?);
                return Some(Size::Pixels(width.max(left + w), height.max(top + h)));
            }
            _ => return Some(Size::Pixels(width, height)),
        }
    }
}

/// A height below zero says that the rows go from the top down; OS/2 wrote 16 bits.
fn bmp(bytes: &[u8]) -> Option<Size> {
    let signed = |at| Some(u64::from(bytes.get(at..at + 4)?.try_into().map(i32::from_le_bytes).ok()?.unsigned_abs()));
    let (width, height) = match le32(bytes, 14)? {
        12 => (le16(bytes, 18)?, le16(bytes, 20)?),
        16 | 40 | 52 | 56 | 64 | 108 | 124 => (signed(18)?, signed(22)?),
        _ => return Some(Size::Nowhere),
    };
    Some(Size::Pixels(width, height))
}

/// The first frame header. What stands between the segments is skipped, as viewers do.
fn jpeg(bytes: &[u8]) -> Option<Size> {
    let mut at = 2;
    loop {
        if *bytes.get(at)? != 0xff {
            at += 1;
            continue;
        }
        let marker = *bytes.get(at + 1)?;
        match marker {
            // Filling, and bytes that stand for themselves.
            0xff => at += 1,
            0x00 | 0x01 | 0xd0..=0xd8 => at += 2,
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => return Some(Size::Pixels(be16(bytes, at + 7)?, be16(bytes, at + 5)?)),
            0xd9 | 0xda => return Some(Size::Nowhere),
            _ => at += 2 + usize::try_from(be16(bytes, at + 2)?).ok()?,
        }
    }
}

fn be16(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u16::from_be_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?).into())
}

fn be32(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?).into())
}

fn le16(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?).into())
}

fn le32(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::Bytes;

    fn checked(bytes: &[u8]) -> Result<()> {
        check(&Config::new(), &mut Input::new(Bytes::Memory(bytes)))
    }

    fn reason(bytes: &[u8]) -> &'static str {
        checked(bytes).err().map_or("", |error| error.reason())
    }

    /// The first bytes of a PNG of this size, with this before its header.
    fn png(width: u32, height: u32, before: &[u8]) -> Vec<u8> {
        [b"\x89PNG\r\n\x1a\n".as_slice(), before, b"\0\0\0\rIHDR", &width.to_be_bytes(), &height.to_be_bytes(), b"\x08\x06\0\0\0"].concat()
    }

    /// A JPEG of this size, with so many profiles of 64 KB before its header.
    fn jpeg(width: u16, height: u16, profiles: usize) -> Vec<u8> {
        let profile = [b"\xff\xe2\xff\xff".as_slice(), &[0xff; 65533]].concat();
        let frame = [b"\xff\xc2\0\x11\x08".as_slice(), &height.to_be_bytes(), &width.to_be_bytes(), b"\x03"].concat();
        [b"\xff\xd8".as_slice(), &profile.repeat(profiles), &frame].concat()
    }

    fn bmp(header: u32, size: &[u8]) -> Vec<u8> {
        [b"BM".as_slice(), &[0; 12], &header.to_le_bytes(), size, &[0; 100]].concat()
    }

    fn bmp_of(width: i32, height: i32) -> Vec<u8> {
        bmp(40, &[width.to_le_bytes(), height.to_le_bytes()].concat())
    }

    #[test]
    fn ten_megapixels_pass_and_more_do_not() {
        for (limit, over) in [
            (png(4000, 2500, b""), png(4000, 2501, b"")),
            (png(4000, 2500, b"\0\0\0\x04CgBI\x50\0\x20\x06\x2b\xd5\xb3\x3b"), png(4000, 2501, b"\0\0\0\x04CgBI\x50\0\x20\x06\x2b\xd5\xb3\x3b")),
            (jpeg(4000, 2500, 0), jpeg(4000, 2501, 0)),
            (jpeg(4000, 2500, 60), jpeg(4000, 2501, 60)),
            (b"GIF89a\xa0\x0f\xc4\x09\0\0\0;".to_vec(), b"GIF89a\xa0\x0f\xc5\x09\0\0\0;".to_vec()),
            (bmp_of(4000, -2500), bmp_of(4000, -2501)),
            (bmp_of(4000, 2500), bmp_of(4000, 2501)),
            (bmp(12, b"\xa0\x0f\xc4\x09"), bmp(12, b"\xa0\x0f\xc5\x09")),
        ] {
            assert_eq!((reason(&limit), reason(&over)), ("", "photo_pixels"), "{:x?}", &limit[..8]);
        }
        assert_eq!(reason(&png(u32::MAX, u32::MAX, b"")), "photo_pixels");
        assert_eq!(reason(b"GIF87a\xff\xff\xff\xff\0\0\0;"), "photo_pixels");
        assert_eq!(reason(&bmp_of(i32::MIN, i32::MIN)), "photo_pixels");
    }

    #[test]
    fn a_frame_larger_than_its_gif_counts() {
        let framed = |size: &[u8]| [b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\0\0\0\0\0,\0\0\0\0".as_slice(), size].concat();
        assert_eq!(reason(&framed(b"\xa0\x0f\xc4\x09\0")), "");
        assert_eq!(reason(&framed(b"\xa0\x0f\xc5\x09\0")), "photo_pixels");
    }

    #[test]
    fn the_bytes_decide_what_a_picture_is() {
        for none in [b"%PDF-1.7".as_slice(), b"", b"BM", b"BMW owners' manual, in its third edition", b"RIFF\0\0\0\0WEBP", b"\xff\xd8", b"GIF88a"] {
            assert_eq!(reason(none), "photo_format", "{none:?}");
        }
        for start in [b"\xff\xd8\xff\xe0".as_slice(), b"GIF89a", b"GIF89a\x01\0\x01", b"\x89PNG\r\n\x1a\n", &png(1, 1, b"")[..20]] {
            assert_eq!(reason(start), "photo_format", "it ends before its size: {start:?}");
        }
        for odd in [b"\x89PNG\r\n\x1a\n\0\0\0\0IEND".as_slice(), b"\xff\xd8\xff\xd9"] {
            assert_eq!(reason(odd), "", "a size that isn't there is Zoho's to refuse: {odd:?}");
        }
        assert_eq!(reason(b"GIF89a\xff\xff\xff\xff"), "photo_pixels", "a GIF that ends behind its screen");
    }

    #[test]
    fn what_comes_back_may_be_of_another_kind_than_what_is_taken() {
        for picture in
            [b"RIFF\x10\0\0\0WEBPVP8 ".as_slice(), b"II*\0", b"MM\0*", b"\0\0\0\x1cftypavif", b"\0\0\0\x18ftypheic", b"\xff\xd8\xff\xe0", b"GIF89a"]
        {
            assert!(begins(picture), "{picture:?}");
        }
        for none in [b"".as_slice(), b"text", b"<svg", b"RIFF\x10\0\0\0WAVEfmt ", b"\0\0\0\x1cftypisom", b"II", b"\x89PNG"] {
            assert!(!begins(none), "{none:?}");
        }
    }

    #[test]
    fn no_bytes_make_it_read_beyond_them_or_for_ever() {
        for begin in [png(1, 1, b""), jpeg(1, 1, 1), bmp_of(1, 1), b"GIF89a\x01\0\x01\0\x87\0\0!\xfe\xff".to_vec()] {
            for n in 0..begin.len().min(600) {
                let _ = (checked(&begin[..n]), checked(&[&begin[..n], &[0xff; 40]].concat()), checked(&[&begin[..n], &[0; 40]].concat()));
            }
        }
    }
}
