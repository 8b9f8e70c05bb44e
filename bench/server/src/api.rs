//! The replies, in the shapes of the CRM's API, and the counts by which each client's work is held against the others'.
//!
//! A path says what is wanted: the list of record N has N entries, and attachment N has N bytes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

/// Bytes of every download, again and again.
pub static FILLER: [u8; 1 << 18] = filler();

const fn filler() -> [u8; 1 << 18] {
    let mut bytes = [0; 1 << 18];
    let mut i = 0;
    while i < bytes.len() {
        bytes[i] = (i * 31 % 251) as u8;
        i += 1;
    }
    bytes
}

/// A number that only grows.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What was done since the start.
#[derive(Default)]
pub struct Count {
    pub connections: Counter,
    uploads: Counter,
    upload_bytes: Counter,
    lists: Counter,
    entries: Counter,
    downloads: Counter,
    download_bytes: Counter,
    unauthorized: Counter,
}

/// A reply: prepared bytes, or a head and so many bytes of filler.
pub enum Answer {
    Whole(Arc<Vec<u8>>),
    Filler { head: Vec<u8>, length: u64 },
}

/// Number of entries, page and page size.
type ListKey = (u64, u64, u64);

/// The bytes of a list's page, and its entries.
type Page = (Arc<Vec<u8>>, u64);

/// The replies and the counts.
#[derive(Default)]
pub struct Api {
    pub count: Count,
    lists: Mutex<HashMap<ListKey, Page>>,
}

impl Api {
    /// The reply to a request whose body has been drained.
    pub fn answer(&self, method: &str, target: &str, authorized: bool, drained: u64) -> Answer {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        if !authorized && segments.first() == Some(&"crm") {
            self.count.unauthorized.add(1);
        }
        match (method, segments.as_slice()) {
            ("GET", ["_bench", "count"]) => Answer::Whole(json(200, &self.counts())),
            ("POST", ["oauth", "v2", "token"]) => Answer::Whole(json(200, &token())),
            ("POST", ["crm", _, _, record, "Attachments"]) => {
                let number = self.count.uploads.next();
                self.count.upload_bytes.add(drained);
                Answer::Whole(if *record == "1" { json(200, UPLOADED) } else { json(200, &UPLOADED.replace(ID, &(FIRST_ID + number).to_string())) })
            }
            ("GET", ["crm", _, _, entries, "Attachments"]) => self.list(entries.parse().unwrap_or(0), query),
            ("GET", ["crm", _, _, _, "Attachments", length]) => self.download(length.parse().unwrap_or(0)),
            _ => Answer::Whole(json(404, r#"{"code":"INVALID_URL_PATTERN","details":{},"message":"no such path","status":"error"}"#)),
        }
    }

    fn list(&self, entries: u64, query: &str) -> Answer {
        let number = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse::<u64>().ok());
        // The token of a page is its number.
        let wanted = number("page_token").or_else(|| number("page")).unwrap_or(1).max(1);
        let key = (entries, wanted, number("per_page").unwrap_or(200).clamp(1, 200));
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        let (bytes, rows) = lists.entry(key).or_insert_with(|| page(key));
        self.count.lists.add(1);
        self.count.entries.add(*rows);
        Answer::Whole(bytes.clone())
    }

    fn download(&self, length: u64) -> Answer {
        self.count.downloads.add(1);
        self.count.download_bytes.add(length);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment;filename*=UTF-8''file.bin\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        Answer::Filler { head: head.into_bytes(), length }
    }

    fn counts(&self) -> String {
        let c = &self.count;
        json!({
            "connections": c.connections.get(), "uploads": c.uploads.get(), "upload_bytes": c.upload_bytes.get(),
            "lists": c.lists.get(), "entries": c.entries.get(), "downloads": c.downloads.get(),
            "download_bytes": c.download_bytes.get(), "unauthorized": c.unauthorized.get(),
        })
        .to_string()
    }
}

/// Of every attachment of record 1. Those of the others have ids of their own.
const ID: &str = "2876819000002738705";
const FIRST_ID: u64 = 2_876_819_100_000_000_000;

const UPLOADED: &str = concat!(
    r#"{"data":[{"code":"SUCCESS","details":{"Modified_Time":"2025-12-22T13:14:47+05:30","#,
    r#""Modified_By":{"name":"John Doe","id":"2876819000000511001"},"Created_Time":"2025-12-22T13:14:47+05:30","#,
    r#""id":"2876819000002738705","Created_By":{"name":"John Doe","id":"2876819000000511001"}},"#,
    r#""message":"attachment uploaded successfully","status":"success"}]}"#,
);

fn token() -> String {
    json!({"access_token": "1000.bench.bench", "api_domain": "https://www.zohoapis.com", "token_type": "Bearer", "expires_in": 3600}).to_string()
}

/// One page of a list, with the keys that the API is documented to send.
fn page((entries, page, per_page): ListKey) -> Page {
    let first = (page - 1) * per_page;
    let rows = entries.saturating_sub(first).min(per_page);
    let user = json!({"name": "John CRM", "id": "2876819000000511001", "email": "test@zohocorp.com"});
    let row = |i: u64| {
        json!({
            "Owner": user, "Modified_Time": "2025-12-11T11:34:53+05:30", "File_Name": format!("Quarterly report {i:05}.pdf"),
            "$field_states": null, "Created_Time": "2025-12-11T11:34:53+05:30", "Size": "1048576",
            "Parent_Id": {"name": "John Doe", "id": "2876819000001234567"}, "$editable": true, "$file_id": format!("file{i:060}"),
            "$type": "File", "$se_module": "Leads", "Modified_By": user, "$state": "save",
            "id": (2_876_819_000_001_935_002 + i).to_string(), "Created_By": user, "$link_url": null,
        })
    };
    if rows == 0 {
        return (Arc::new(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()), 0);
    }
    let more = first + rows < entries;
    let info = json!({
        "per_page": per_page, "next_page_token": more.then(|| (page + 1).to_string()), "count": rows, "page": page,
        "previous_page_token": null, "page_token_expiry": null, "more_records": more,
    });
    let body = json!({"data": (first..first + rows).map(row).collect::<Vec<_>>(), "info": info}).to_string();
    (json(200, &body), rows)
}

fn json(status: u16, body: &str) -> Arc<Vec<u8>> {
    let reason = if status == 200 { "OK" } else { "Not Found" };
    let head = format!("HTTP/1.1 {status} {reason}\r\nContent-Type: application/json;charset=UTF-8\r\nContent-Length: {}\r\n\r\n", body.len());
    Arc::new((head + body).into_bytes())
}
