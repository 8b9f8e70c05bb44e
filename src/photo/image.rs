//! What a picture is, read from its first bytes and not from its name.

use crate::config::{Check, Config};
use crate::error::{Error, Result, Status};

/// Bytes that are looked at: a JPEG's size may stand behind a profile and a preview of 64 KiB each.
pub(super) const HEADER: usize = 256 * 1024;

/// Refuses what Zoho takes for no photo. A size that the first bytes don't show is left to Zoho.
pub(crate) fn check(config: &Config, header: &[u8]) -> Result<()> {
    if !is_picture(header) && config.checks(Check::PhotoFormat) {
        return Err(Error::new(Status::FileType, "photo_format", "the file's first bytes are not those of a PNG, JPEG, GIF or BMP picture"));
    }
    let Ok(size) = imagesize::blob_size(header) else { return Ok(()) };
    let pixels = size.width as u64 * size.height as u64;
    if pixels > config.photo_max_pixels {
        let message = format!("the picture has {}×{} = {pixels} pixels; at most {} are taken", size.width, size.height, config.photo_max_pixels);
        return Err(Error::new(Status::TooLarge, "photo_pixels", message));
    }
    Ok(())
}

fn is_picture(header: &[u8]) -> bool {
    [b"\x89PNG\r\n\x1a\n".as_slice(), b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM"].iter().any(|magic| header.starts_with(magic))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first bytes of a PNG of this size.
    fn png(width: u32, height: u32) -> Vec<u8> {
        [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(), &width.to_be_bytes(), &height.to_be_bytes(), b"\x08\x06\0\0\0"].concat()
    }

    #[test]
    fn ten_megapixels_pass_and_more_do_not() {
        assert!(check(&Config::new(), &png(4000, 2500)).is_ok());
        assert_eq!(check(&Config::new(), &png(4000, 2501)).unwrap_err().reason(), "photo_pixels");
        assert_eq!(check(&Config::new(), &png(u32::MAX, u32::MAX)).unwrap_err().reason(), "photo_pixels");
    }

    #[test]
    fn the_bytes_decide_what_a_picture_is() {
        assert_eq!(check(&Config::new(), b"%PDF-1.7").unwrap_err().reason(), "photo_format");
        assert_eq!(check(&Config::new(), b"").unwrap_err().reason(), "photo_format");
        for start in [b"\xff\xd8\xff\xe0".as_slice(), b"GIF89a\x01\0\x01\0", b"BM"] {
            assert!(check(&Config::new(), start).is_ok());
        }
    }
}
