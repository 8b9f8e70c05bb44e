//! The multipart writer, read back by two parsers: multer, and a plain one that takes headers apart as RFC 7578 does.

use zcrm::fuzzing;

use super::{line, sound};

/// Lines for a field's value, the file name and the MIME type, then the file.
pub fn form(data: &[u8]) {
    let (value, rest) = line(data);
    let (name, rest) = line(rest);
    let (kind, file) = line(rest);
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).map(|text| text.replace("\\n", "\n").replace("\\r", "\r")).ok();
    let (Some(value), Some(name), Some(kind)) = (text(value), text(name), text(kind)) else { return };
    let (header, body) = match fuzzing::form(&[("title", &value)], &name, &kind, file) {
        Ok(form) => form,
        Err(error) => {
            sound(&error);
            return assert!(["file_name", "content_type"].contains(&error.reason()), "{error}");
        }
    };
    let boundary = multer::parse_boundary(&header).expect("a boundary");
    let expected = name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
    plainly(&boundary, &body, &value, &expected, &kind, file);
    by_multer(&boundary, &body, &value, &expected, &kind, file);
}

fn plainly(boundary: &str, body: &[u8], value: &str, name: &str, kind: &str, file: &[u8]) {
    let kind = if kind.is_empty() { "application/octet-stream" } else { kind };
    let first = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\n{value}\r\n--{boundary}\r\n");
    let body = body.strip_prefix(first.as_bytes()).expect("the field first");
    let end = body.windows(4).position(|four| four == b"\r\n\r\n").expect("headers end");
    let headers = std::str::from_utf8(&body[..end]).expect("headers are text");
    let lines: Vec<&str> = headers.split(['\r', '\n']).filter(|line| !line.is_empty()).collect();
    assert_eq!(lines, [format!("Content-Disposition: form-data; name=\"file\"; filename=\"{name}\""), format!("Content-Type: {kind}")]);
    let rest = &body[end + 4..];
    assert_eq!(rest, [file, format!("\r\n--{boundary}--\r\n").as_bytes()].concat());
    assert!(!file.windows(boundary.len()).any(|window| window == boundary.as_bytes()));
}

fn by_multer(boundary: &str, body: &[u8], value: &str, name: &str, kind: &str, file: &[u8]) {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    }
    let body = body.to_vec();
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let mut form = multer::Multipart::with_reader(body.as_slice(), boundary);
            let field = form.next_field().await.expect("parts").expect("a field");
            assert_eq!(field.name(), Some("title"));
            assert_eq!(field.bytes().await.expect("its value"), value.as_bytes());
            let part = form.next_field().await.expect("parts").expect("a file");
            assert_eq!(part.name(), Some("file"));
            // A backslash is plain for browsers and RFC 7578, and an escape for multer.
            if !name.contains('\\') {
                assert_eq!(part.file_name(), Some(name));
            }
            assert!(kind.is_empty() || part.headers()["content-type"] == kind.trim());
            assert_eq!(part.bytes().await.expect("its bytes"), file);
            assert!(form.next_field().await.expect("an end").is_none());
        });
    });
}
