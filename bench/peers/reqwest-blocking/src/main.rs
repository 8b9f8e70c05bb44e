//! The bench's work through `reqwest::blocking`, written as its documentation shows it: one shared client, `Form::file`, typed JSON.

use std::collections::HashMap;
use std::io::{self, Write};
use std::thread;
use std::time::Instant;

use reqwest::blocking::multipart::Form;
use reqwest::blocking::{Client, Response};
use reqwest::{Certificate, header};
use serde::Deserialize;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const FIELDS: &str = "id,File_Name,Size,Created_Time,Modified_Time,Owner,Created_By,Parent_Id,$file_id,$type,$link_url";

struct Job {
    options: HashMap<String, String>,
    client: Client,
}

#[derive(Default)]
struct Count {
    calls: u64,
    bytes: u64,
    entries: u64,
}

/// Counts the bytes of a download and drops them.
struct Taken(u64);

impl Write for Taken {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0 += buf.len() as u64;
        Ok(buf.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Deserialize)]
struct Uploaded {
    data: Vec<UploadedObject>,
}
#[derive(Deserialize)]
struct UploadedObject {
    details: Details,
}
#[derive(Deserialize)]
struct Details {
    id: String,
}
#[derive(Deserialize)]
struct Page {
    data: Vec<Row>,
    info: Info,
}
#[derive(Deserialize)]
struct Info {
    more_records: bool,
}
#[derive(Deserialize)]
struct Row {
    id: String,
    #[serde(rename = "File_Name")]
    file_name: String,
    #[serde(rename = "Size")]
    size: String,
    #[serde(rename = "Created_Time")]
    created_time: String,
    #[serde(rename = "Modified_Time")]
    modified_time: String,
    #[serde(rename = "Parent_Id")]
    parent: Details,
    #[serde(rename = "Owner")]
    owner: Owner,
}
#[derive(Deserialize)]
struct Owner {
    name: String,
}

impl Job {
    fn option(&self, name: &str) -> &str {
        self.options.get(name).map(String::as_str).unwrap_or_default()
    }

    fn number(&self, name: &str) -> u64 {
        self.option(name).parse().unwrap_or(0)
    }

    fn call(&self, thread: u64, count: &mut Count) -> Result<()> {
        count.calls += 1;
        match self.option("--work") {
            "list" => self.list(count),
            work if work.starts_with("download") => self.download(work, thread, count),
            _ => self.upload(count),
        }
    }

    fn upload(&self, count: &mut Count) -> Result<()> {
        let form = Form::new().file("file", self.option("--file"))?;
        let reply = self.client.post(format!("{}/crm/v8/Contacts/1/Attachments", self.option("--base"))).multipart(form).send()?;
        let uploaded: Uploaded = reply.error_for_status()?.json()?;
        if uploaded.data[0].details.id != "2876819000002738705" {
            return Err("another id than the server's".into());
        }
        count.bytes += self.number("--size");
        Ok(())
    }

    fn list(&self, count: &mut Count) -> Result<()> {
        for page in 1.. {
            let url = format!("{}/crm/v8/Contacts/{}/Attachments", self.option("--base"), self.option("--entries"));
            let query = format!("?fields={FIELDS}&per_page=200&page={page}");
            let page: Page = self.client.get(url + &query).send()?.error_for_status()?.json()?;
            for row in page.data {
                let texts = [row.id, row.file_name, row.created_time, row.modified_time, row.parent.id, row.owner.name];
                count.entries += u64::from(texts.iter().all(|text| !text.is_empty()) && row.size == "1048576");
            }
            if !page.info.more_records {
                break;
            }
        }
        Ok(())
    }

    fn download(&self, work: &str, thread: u64, count: &mut Count) -> Result<()> {
        let url = format!("{}/crm/v8/Contacts/1/Attachments/{}", self.option("--base"), self.option("--size"));
        let mut reply: Response = self.client.get(url).send()?.error_for_status()?;
        count.bytes += match work {
            "download-file" => reply.copy_to(&mut std::fs::File::create(format!("{}/reqwest-{thread}", self.option("--dir")))?)?,
            _ => {
                let mut taken = Taken(0);
                reply.copy_to(&mut taken)?;
                taken.0
            }
        };
        Ok(())
    }
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let options: HashMap<String, String> = words.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    let began = Instant::now();
    let mut headers = header::HeaderMap::new();
    headers.insert(header::AUTHORIZATION, header::HeaderValue::from_static("Zoho-oauthtoken 1000.bench.bench"));
    let mut builder = Client::builder().default_headers(headers).timeout(None);
    if let Some(path) = options.get("--ca") {
        builder = builder.tls_certs_only([Certificate::from_pem(&std::fs::read(path)?)?]);
    }
    let job = Job { options, client: builder.build()? };
    let (calls, threads) = (job.number("--calls"), job.number("--threads").max(1));
    let counts: Vec<Result<Count>> = thread::scope(|scope| {
        let share = |t: u64| {
            let job = &job;
            scope.spawn(move || {
                let mut count = Count::default();
                (0..calls / threads + u64::from(t < calls % threads)).try_for_each(|_| job.call(t, &mut count)).map(|()| count)
            })
        };
        let running: Vec<_> = (0..threads).map(share).collect();
        running.into_iter().map(|t| t.join().expect("no panic")).collect()
    });
    let mut all = Count::default();
    for count in counts {
        let count = count?;
        (all.calls, all.bytes, all.entries) = (all.calls + count.calls, all.bytes + count.bytes, all.entries + count.entries);
    }
    println!("{}", serde_json::json!({"calls": all.calls, "bytes": all.bytes, "entries": all.entries, "loop_wall": began.elapsed().as_secs_f64()}));
    Ok(())
}
