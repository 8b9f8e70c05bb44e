//! The operations as steps: each is one translation to the function that the typed callers use.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use super::input::Attach;
use super::output::{Attached, LinkAttached, LinksAttached, StepDownloaded, StepResult};
use super::source_sink::{Bytes, File, Link, Sink, Source};
use super::{input, parse, paths};
use crate::attachment::{self, Deleted, Downloaded, ListArgs, Page, Uploaded};
use crate::call::{Call, IfExists, Outcome};
use crate::client::Client;
use crate::error::{Error, Result, Status};
use crate::photo::{self, PhotoDeleted, PhotoUploaded};
use crate::record::{Record, check_id};
use crate::records;
use crate::transfer;

/// An operation as a step. The type is its input.
pub(super) trait Operation: DeserializeOwned + Send + 'static {
    const ID: &'static str;
    /// What an earlier run of it has stored may show late: a run that looks for it waits first.
    const SHOWS_LATE: bool = false;
    /// What it gives.
    type Output: Into<StepResult>;

    /// The path of the file that it sends.
    fn source(&self) -> Option<&str> {
        None
    }

    /// The record to which it attaches a file, and the file's name.
    fn attaches(&self) -> Option<(Record, String)> {
        None
    }

    /// Where the bytes go that it gets.
    fn sink(&self) -> Option<&Sink> {
        None
    }

    /// What is wrong beyond the JSON, as far as it shows without a request.
    fn check(&self, client: &Client) -> Result<()> {
        check_files(client, self.source(), self.sink())
    }

    fn run(self, client: &Client, call: Call<'_>) -> Result<Outcome<Self::Output>>;
}

impl Operation for input::AttachmentUpload {
    const ID: &'static str = "attachment.upload";
    const SHOWS_LATE: bool = true;
    type Output = Attached;

    fn source(&self) -> Option<&str> {
        match self.source.as_ref()? {
            Source::File(file) => file.path(),
            Source::Link(_) => None,
        }
    }

    fn attaches(&self) -> Option<(Record, String)> {
        let Source::File(file) = self.source.as_ref()? else { return None };
        Some((Record::new(&self.module, &self.record_id.0), file.sent_name().into_owned()))
    }

    fn check(&self, client: &Client) -> Result<()> {
        input::AttachmentUpload::check(self)?;
        check_files(client, self.source(), None)
    }

    fn run(self, client: &Client, call: Call<'_>) -> Result<Outcome<Attached>> {
        let what = Attach::of(self.source, self.links)?;
        let record = Record::new(self.module, self.record_id.0);
        let asked = CallFields::new(self.timeout_ms, self.again, self.trace_id).with_checks(self.sha256, self.expected_sha256, None);
        let asked = CallFields { if_exists: self.if_exists, ..asked };
        match what {
            Attach::One(Source::File(file)) => {
                let outcome = attachment::upload(client, &record, allowed(client, &file)?, asked.over(call)).map_err(|e| parse::at_field(e, FILE))?;
                Ok(outcome.map(Attached::One))
            }
            Attach::One(Source::Link(link)) => {
                let outcome = attachment::upload(client, &record, linked(&link), asked.over(call)).map_err(|e| parse::at_field(e, LINK))?;
                Ok(outcome.map(Attached::One))
            }
            Attach::Links(links) => {
                record.check(client.config()).map_err(|e| parse::at_field(e, &[]))?;
                Links::new(client, &record, asked.over(call)).attach(links)
            }
        }
    }
}

impl Operation for input::AttachmentList {
    const ID: &'static str = "attachment.list";
    type Output = Page;

    fn run(self, client: &Client, call: Call<'_>) -> Result<Outcome<Page>> {
        let record = Record::new(self.module, self.record_id.0);
        let args = ListArgs {
            fields: self.fields.unwrap_or_default(),
            page: self.page.unwrap_or_default(),
            per_page: self.per_page.unwrap_or_default(),
            page_token: self.page_token.unwrap_or_default(),
        };
        let asked = CallFields::new(self.timeout_ms, self.again, self.trace_id);
        attachment::list(client, &record, &args, asked.over(call)).map_err(|e| parse::at_field(e, &[]))
    }
}

impl Operation for input::AttachmentDownload {
    const ID: &'static str = "attachment.download";
    type Output = StepDownloaded;

    fn sink(&self) -> Option<&Sink> {
        Some(&self.sink)
    }

    fn run(self, client: &Client, call: Call<'_>) -> Result<Outcome<StepDownloaded>> {
        let record = Record::new(self.module, self.record_id.0);
        let asked = CallFields::new(self.timeout_ms, self.again, self.trace_id).with_checks(self.sha256, self.expected_sha256, self.expected_bytes);
        let sink = opened(client, self.sink)?;
        downloaded(attachment::download(client, &record, &self.attachment_id.0, sink, asked.over(call)))
    }
}

impl Operation for input::PhotoUpload {
    const ID: &'static str = "photo.upload";
    type Output = PhotoUploaded;

    fn source(&self) -> Option<&str> {
        self.source.0.path()
    }

    fn run(self, client: &Client, call: Call<'_>) -> Result<Outcome<PhotoUploaded>> {
        let record = Record::new(self.module, self.record_id.0);
        let asked = CallFields::new(self.timeout_ms, self.again, self.trace_id).with_checks(self.sha256, self.expected_sha256, None);
        let asked = CallFields { restrict_triggers: self.restrict_triggers, ..asked };
        photo::upload(client, &record, allowed(client, &self.source.0)?, asked.over(call)).map_err(|e| parse::at_field(e, FILE))
    }
}

impl Operation for input::PhotoDownload {
    const ID: &'static str = "photo.download";
    type Output = StepDownloaded;

    fn sink(&self) -> Option<&Sink> {
        Some(&self.sink)
    }

    fn run(self, client: &Client, call: Call<'_>) -> Result<Outcome<StepDownloaded>> {
        let record = Record::new(self.module, self.record_id.0);
        let asked = CallFields::new(self.timeout_ms, self.again, self.trace_id).with_checks(self.sha256, self.expected_sha256, self.expected_bytes);
        let sink = opened(client, self.sink)?;
        downloaded(photo::download(client, &record, sink, asked.over(call)))
    }
}

impl Operation for input::PhotoDelete {
    const ID: &'static str = "photo.delete";
    type Output = PhotoDeleted;

    fn run(self, client: &Client, call: Call<'_>) -> Result<Outcome<PhotoDeleted>> {
        let record = Record::new(self.module, self.record_id.0);
        photo::delete(client, &record, CallFields::new(self.timeout_ms, self.again, self.trace_id).over(call)).map_err(|e| parse::at_field(e, &[]))
    }
}

impl Operation for input::AttachmentDelete {
    const ID: &'static str = "attachment.delete";
    type Output = Deleted;

    fn run(self, client: &Client, call: Call<'_>) -> Result<Outcome<Deleted>> {
        let record = Record::new(self.module, self.record_id.0);
        let ids: Vec<&str> = self.attachment_ids.iter().map(|id| id.0.as_str()).collect();
        for (i, id) in ids.iter().enumerate() {
            let place = format!("attachment_ids[{i}]");
            check_id(client.config(), "attachment_id", id).map_err(|e| parse::at_field(e, &[("attachment_id", &place)]))?;
        }
        let call = CallFields::new(self.timeout_ms, self.again, self.trace_id).over(call);
        attachment::delete(client, &record, &ids, call).map_err(|e| parse::at_field(e, &[("attachment_id", "attachment_ids")]))
    }
}

impl Operation for input::RecordList {
    const ID: &'static str = "record.list";
    type Output = records::Page;

    fn run(self, client: &Client, call: Call<'_>) -> Result<Outcome<records::Page>> {
        let args = ListArgs {
            fields: String::new(),
            page: self.page.unwrap_or_default(),
            per_page: self.per_page.unwrap_or_default(),
            page_token: self.page_token.unwrap_or_default(),
        };
        let asked = CallFields::new(self.timeout_ms, self.again, self.trace_id);
        records::list(client, &self.module, &args, asked.over(call)).map_err(|e| parse::at_field(e, &[]))
    }
}

/// Where the parameters of the typed functions stand in a step, unless under their own name.
const FILE: &[(&str, &str)] = &[("name", "source.name"), ("content_type", "source.content_type")];
const LINK: &[(&str, &str)] = &[("link_url", "source.url"), ("name", "source.title")];
const FILE_PATH: &[(&str, &str)] = &[("path", "source.path")];
const SINK: &[(&str, &str)] = &[("path", "sink.path")];

/// Whether the files that a step names may be named and can be opened.
fn check_files(client: &Client, source: Option<&str>, sink: Option<&Sink>) -> Result<()> {
    if let Some(path) = source {
        paths::source(client.config(), path).map_err(|e| parse::at_field(e, FILE_PATH))?;
    }
    if let Some(Sink::File { path, overwrite, .. }) = sink {
        paths::target(client.config(), path, *overwrite).map_err(|e| parse::at_field(e, SINK))?;
    }
    Ok(())
}

/// A sink whose path is allowed.
fn opened<'a>(client: &Client, sink: Sink) -> Result<transfer::Sink<'a>> {
    match sink {
        Sink::Base64 { max_bytes } => Ok(transfer::Sink::memory().at_most(max_bytes.min(client.config().memory_max_bytes))),
        Sink::File { path, overwrite, max_bytes } => {
            let to = paths::target(client.config(), &path, overwrite).map_err(|e| parse::at_field(e, SINK))?;
            Ok(transfer::Sink { to, max_bytes })
        }
    }
}

fn downloaded(outcome: Result<Outcome<Downloaded>>) -> Result<Outcome<StepDownloaded>> {
    outcome.map(|outcome| outcome.map(StepDownloaded::from)).map_err(|e| parse::at_field(e, SINK))
}

/// What a step says of its call, to be laid over what the host says.
#[derive(Default)]
pub(super) struct CallFields {
    timeout_ms: Option<u64>,
    again: Option<bool>,
    trace_id: Option<String>,
    sha256: Option<bool>,
    expected_sha256: Option<input::Sha256>,
    expected_bytes: Option<u64>,
    if_exists: Option<input::IfExists>,
    restrict_triggers: Option<input::Triggers>,
}

impl CallFields {
    pub(super) fn new(timeout_ms: Option<u64>, again: Option<bool>, trace_id: Option<String>) -> CallFields {
        CallFields { timeout_ms, again, trace_id, ..CallFields::default() }
    }

    /// What is wished of bytes that move, beside.
    fn with_checks(self, sha256: Option<bool>, expected_sha256: Option<input::Sha256>, expected_bytes: Option<u64>) -> CallFields {
        CallFields { sha256, expected_sha256, expected_bytes, ..self }
    }

    /// The host's call with the step's fields. A step, which is untrusted, can't outlast the host's bound.
    pub(super) fn over<'b, 'a: 'b>(self, call: Call<'a>) -> Call<'b> {
        let timeout = self.timeout_ms.map(Duration::from_millis);
        let triggers = self.restrict_triggers.map(|input::Triggers::Workflow| "workflow".to_owned());
        Call {
            cancel: call.cancel,
            timeout: timeout.into_iter().chain(call.timeout).min(),
            progress: call.progress.map(|progress| progress as _),
            sha256: call.sha256 || self.sha256.unwrap_or_default(),
            expected_sha256: self.expected_sha256.map(|sum| sum.0).or(call.expected_sha256),
            expected_bytes: self.expected_bytes.or(call.expected_bytes),
            if_exists: self.if_exists.map(Into::into).filter(|wish| *wish != IfExists::Upload).unwrap_or(call.if_exists),
            again: call.again || self.again.unwrap_or_default(),
            claimed: call.claimed,
            restrict_triggers: triggers.or(call.restrict_triggers),
            trace_id: self.trace_id.or(call.trace_id),
        }
    }
}

/// A file to upload whose path is allowed.
fn allowed<'a>(client: &Client, file: &'a File) -> Result<transfer::File<'a>> {
    let given = match &file.bytes {
        Bytes::Content(content) => transfer::File::memory("", content),
        Bytes::Path(path) => paths::source(client.config(), path).map_err(|e| parse::at_field(e, FILE_PATH))?,
    };
    let given = transfer::File { content_type: file.content_type.clone(), ..given };
    Ok(if file.name.is_empty() { given } else { given.named(&file.name) })
}

fn linked<'a>(link: &Link) -> transfer::Source<'a> {
    transfer::Source::link(&link.url, link.title.clone().unwrap_or_default())
}

/// Several links, one request each, within one bound on time.
struct Links<'c> {
    client: &'c Client,
    record: &'c Record,
    call: Call<'c>,
    until: Option<Instant>,
    /// What all of them took.
    cost: Cost,
}

#[derive(Default)]
struct Cost {
    attempts: u32,
    waited_ms: u64,
    wait_reason: Option<&'static str>,
    credits_remaining: Option<u64>,
}

impl<'c> Links<'c> {
    fn new(client: &'c Client, record: &'c Record, call: Call<'c>) -> Links<'c> {
        let bound = call.timeout.or(client.config().call_timeout);
        Links { client, record, call, until: bound.and_then(|bound| Instant::now().checked_add(bound)), cost: Cost::default() }
    }

    fn attach(mut self, links: Vec<Link>) -> Result<Outcome<Attached>> {
        let (mut done, mut first) = (LinksAttached { attached: 0, failed: 0, links: Vec::with_capacity(links.len()) }, None);
        for (i, link) in links.into_iter().enumerate() {
            let outcome = self.one(i, &link);
            let (attachment, error) = match outcome {
                Ok(attachment) => (Some(attachment), None),
                Err(error) => {
                    // A cancelled call says so, whatever was done before: by the link that it interrupted, and not by those that weren't begun.
                    let is_cancelled = |error: &Error| error.status() == Status::Cancelled;
                    if first.as_ref().is_none_or(|first| is_cancelled(&error) && !is_cancelled(first)) {
                        first = Some(error.clone());
                    }
                    (None, Some(error.detail().clone()))
                }
            };
            done.attached += usize::from(error.is_none());
            done.failed += usize::from(error.is_some());
            done.links.push(LinkAttached { url: link.url, attachment, error });
        }
        match first {
            Some(error) if done.attached == 0 || error.status() == Status::Cancelled => Err(self.failed(error, &done)),
            _ => Ok(Outcome {
                operation: <input::AttachmentUpload as Operation>::ID,
                result: Attached::Links(done),
                attempts: self.cost.attempts,
                waited_ms: self.cost.waited_ms,
                wait_reason: self.cost.wait_reason,
                credits_remaining: self.cost.credits_remaining,
            }),
        }
    }

    fn one(&mut self, i: usize, link: &Link) -> Result<Uploaded> {
        let call = Call {
            cancel: self.call.cancel.clone(),
            timeout: self.until.map(|until| until.saturating_duration_since(Instant::now())),
            if_exists: self.call.if_exists,
            again: self.call.again,
            claimed: self.call.claimed.clone(),
            trace_id: self.call.trace_id.clone(),
            ..Call::default()
        };
        match attachment::upload(self.client, self.record, linked(link), call) {
            Ok(outcome) => {
                self.cost.attempts += outcome.attempts;
                self.cost.waited_ms += outcome.waited_ms;
                self.cost.wait_reason = outcome.wait_reason.or(self.cost.wait_reason);
                self.cost.credits_remaining = outcome.credits_remaining.or(self.cost.credits_remaining);
                Ok(outcome.result)
            }
            Err(error) => {
                self.cost.attempts += error.detail().attempts;
                self.cost.waited_ms += error.detail().waited_ms;
                let (url, title) = (format!("links[{i}].url"), format!("links[{i}].title"));
                Err(parse::at_field(error, &[("link_url", &url), ("name", &title)]))
            }
        }
    }

    /// The error of a step that attached none of its links, or was cancelled: its details say what became of each.
    fn failed(&self, error: Error, done: &LinksAttached) -> Error {
        let message = format!("{} of {} links attached: {error}", done.attached, done.links.len());
        let open = done.links.iter().find_map(|link| Some((&link.url, link.error.as_ref().filter(|detail| detail.outcome_open)?)));
        error.with(|d| {
            d.message = message;
            if let Some((url, open)) = open.filter(|_| !d.outcome_open) {
                (d.outcome_open, d.request_sent) = (true, open.request_sent);
                d.message += &format!("; of {url} it is not known whether it is attached: list the record's attachments to see");
            }
            d.details = serde_json::value::to_raw_value(done).ok();
            (d.attempts, d.waited_ms) = (self.cost.attempts, self.cost.waited_ms);
        })
    }
}
