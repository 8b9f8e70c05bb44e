//! Content types of files and formats of pictures.

use imagesize::ImageType;

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

/// Reads the head of a picture in one of the formats CRM takes (PNG, JPEG, GIF, BMP).
pub fn picture(bytes: &[u8]) -> Option<Picture> {
    let kind = match imagesize::image_type(bytes).ok()? {
        ImageType::Png => "image/png",
        ImageType::Jpeg => "image/jpeg",
        ImageType::Gif => "image/gif",
        ImageType::Bmp => "image/bmp",
        _ => return None,
    };
    let size = imagesize::blob_size(bytes).ok()?;
    Some(Picture { kind, pixels: size.width as u64 * size.height as u64 })
}
