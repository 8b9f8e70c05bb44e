//! Settlement: what became of an upload whose reply was lost.
//!
//! Zoho has no key that makes an upload repeatable, so the record's list is what can be asked. An entry is this upload if it is none that
//! was there before, none that another call of this process has got, of the same size, made since the sending began, by the same user and
//! (unless switched off) with the same bytes. The name is a hint alone: Zoho may have changed it.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::time::{Duration, Instant, SystemTime};

use icu_normalizer::ComposingNormalizer;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::list::{Attachment, ListArgs};
use super::pages;
use super::{Deletion, Uploaded};
use crate::call::{Claimed, IfExists};
use crate::client::{Ask, Client};
use crate::config::{LogLevel, OnTwin, OnUnknown, Settle};
use crate::error::{Error, Result, Sent, Status};
use crate::http::{Session, retry};
use crate::organisation::{Mark, UnderWay};
use crate::record::Record;
use crate::transfer::{Hash, Incoming, Outgoing};

/// Clocks of Zoho's machines may differ, and times in the list are whole seconds (UNCONFIRMED by how much).
const SKEW: Duration = Duration::from_secs(10);
/// Without the server's own time the local clock is all there is, and it may be wrong.
const SKEW_OF_LOCAL_CLOCK: Duration = Duration::from_secs(300);
/// More candidates than this are not downloaded to be compared.
const MOST_COMPARED: usize = 8;
const FIELDS: &str = "id,File_Name,Size,Created_Time,Created_By,$link_url";

/// One upload from before its first sending until its outcome is known.
pub(super) struct Settlement<'c, 's> {
    client: &'c Client,
    session: &'c Session<'s>,
    record: &'c Record,
    under_way: UnderWay<'c>,
    link_url: Option<&'c str>,
    /// Attachments that other jobs have got.
    claimed: Option<Claimed>,
    began: Instant,
    /// Ids that were there before: known in strict mode.
    before: Option<HashSet<String>>,
    resent: u32,
    hash: OnceCell<Option<Hash>>,
}

/// What a look at the list showed.
enum Look {
    Nothing,
    /// This upload, with further copies that it made.
    Found(Box<Attachment>, Vec<String>),
    /// It could be one of these.
    Undecided(Vec<String>),
}

impl<'c, 's> Settlement<'c, 's> {
    pub(super) fn new(client: &'c Client, session: &'c Session<'s>, record: &'c Record, name: &str, bytes: u64, link_url: Option<&'c str>) -> Self {
        let mark = Mark { module: record.module.clone(), record_id: record.id.clone(), name: name.to_owned(), bytes };
        let under_way = client.claims().begin(mark);
        Settlement {
            client,
            session,
            record,
            under_way,
            link_url,
            claimed: None,
            began: Instant::now(),
            before: None,
            resent: 0,
            hash: OnceCell::new(),
        }
    }

    /// None of these is what is looked for.
    pub(super) fn but_not(mut self, claimed: Option<Claimed>) -> Self {
        self.claimed = claimed;
        self
    }

    /// What is asked before the first sending: whether it is there already, and in strict mode what else is.
    pub(super) async fn prepare(&mut self, if_exists: IfExists, body: Option<&mut Outgoing<'_>>) -> Result<Option<Uploaded>> {
        let strict = self.client.config().settle == Settle::Strict;
        if if_exists == IfExists::Upload && !strict {
            return Ok(None);
        }
        let listed = self.list().await?;
        if if_exists != IfExists::Upload {
            let hash = if if_exists == IfExists::SkipSameBytes { self.source_hash(body).await? } else { None };
            if let Some(same) = self.same(&listed, hash).await? {
                self.client.claims().claim(&same.id);
                return Ok(Some(Uploaded { skipped: true, ..Uploaded::listed(&same) }));
            }
        }
        self.before = strict.then(|| listed.into_iter().map(|a| a.id).collect());
        self.began = Instant::now();
        Ok(None)
    }

    /// The entry of the same name and size, or link; with `hash`, of the same bytes too.
    async fn same(&self, listed: &[Attachment], hash: Option<Hash>) -> Result<Option<Attachment>> {
        let claimed = |entry: &Attachment| self.claimed.as_ref().is_some_and(|claimed| claimed.contains(&entry.id));
        let like_mine = |entry: &&Attachment| self.has_my_size(entry) && (self.link_url.is_some() || self.has_my_name(entry)) && !claimed(entry);
        for entry in listed.iter().filter(like_mine) {
            match &hash {
                Some(hash) if !self.has_hash(entry, hash).await? => {}
                _ => return Ok(Some(entry.clone())),
            }
        }
        Ok(None)
    }

    /// The upload is stored under this id.
    pub(super) async fn stored(&self, stored: Uploaded, body: Option<&mut Outgoing<'_>>) -> Result<Uploaded> {
        self.client.claims().claim(&stored.id);
        if self.resent == 0 || self.link_url.is_some() {
            return Ok(stored);
        }
        // A first copy may have shown meanwhile. That the list can't be had now doesn't undo the success.
        let twins = match self.look(body).await {
            Ok(Look::Found(twin, more)) => std::iter::once(twin.id).chain(more).collect(),
            Ok(Look::Undecided(ids)) => ids,
            Ok(Look::Nothing) | Err(_) => Vec::new(),
        };
        self.handle_twins(&twins).await;
        Ok(Uploaded { twins, ..stored })
    }

    /// Finds out what became of the upload: stored, or (as `None`) to be sent again. Else the outcome is unknown.
    pub(super) async fn settle(&mut self, error: Error, mut body: Option<&mut Outgoing<'_>>) -> Result<Option<Uploaded>> {
        let config = self.client.config();
        if config.settle == Settle::Off {
            return Err(outcome_unknown(error, Vec::new()));
        }
        config.log(LogLevel::Warn, || format!("looking for an upload whose reply was lost: {error}"));
        if let Some(body) = body.as_deref_mut().filter(|body| body.is_torn()) {
            body.rewind()?; // which says that it can't be
        }
        let waits = self.waits(&error);
        let mut undecided = Vec::new();
        for wait in std::iter::once(Duration::ZERO).chain(waits.iter().copied()) {
            if !wait.is_zero() {
                self.session.rest("settling", wait).await;
            }
            match self.look(body.as_deref_mut()).await {
                Ok(Look::Found(entry, twins)) => return self.adopt(&entry, twins).await.map(Some),
                Ok(Look::Undecided(ids)) => undecided = ids,
                Ok(Look::Nothing) => undecided.clear(),
                Err(cause) => {
                    return Err(outcome_unknown(error, Vec::new()).with(|d| d.message = format!("{}; the list can't be had: {cause}", d.message)));
                }
            }
        }
        let refused = !error.is_ambiguous() && error.status() != Status::DuplicateLink;
        if refused || !undecided.is_empty() || config.on_unknown == OnUnknown::NeverResend || self.resent >= config.max_retries {
            return Err(outcome_unknown(error, undecided));
        }
        self.pause_before_resending(&error, waits.is_empty()).await.map_err(|error| outcome_unknown(error, Vec::new()))?;
        if let Some(body) = body {
            body.rewind().map_err(|_| outcome_unknown(error, Vec::new()))?;
        }
        self.resent += 1;
        self.session.connect_anew().await; // a server that drops uploads on used connections would drop this one, too
        Ok(None)
    }

    /// Whether a second sending of a link was refused. Of a link it is the second sending that tells what became of the first one: that it
    /// is stored, when it is a duplicate; any other refusal tells nothing of it.
    pub(super) fn is_resent_link(&self) -> bool {
        self.resent > 0 && self.link_url.is_some()
    }

    async fn pause_before_resending(&self, error: &Error, pause: bool) -> Result<()> {
        let wait = retry::wait(self.client.config(), error, self.resent);
        let Some(wait) = wait.filter(|_| self.session.gate.may_retry()) else { return Err(error.clone()) };
        // Looks that took their time are pause enough.
        if pause || error.retry_after().is_some() {
            self.session.rest(error.reason(), wait).await;
        }
        Ok(())
    }

    /// An upload that was sent whole may show late. One that wasn't can't be complete, a server that answered has made up its mind,
    /// and of a link the second sending tells.
    fn waits(&self, error: &Error) -> &'c [Duration] {
        let all = self.client.config().settle_waits.as_slice();
        let detail = error.detail();
        match (detail.request_sent, detail.http_status) {
            _ if self.link_url.is_some() => &[],
            (Sent::Partly | Sent::No, _) => &[],
            (Sent::Answered, 500 | 501 | 503) => &all[..all.len().min(1)],
            _ => all,
        }
    }

    async fn adopt(&self, entry: &Attachment, twins: Vec<String>) -> Result<Uploaded> {
        self.client.config().log(LogLevel::Warn, || format!("the lost upload is stored: {}", entry.id));
        self.handle_twins(&twins).await;
        Ok(Uploaded { settled: true, twins, name_changed: self.link_url.is_none() && !self.has_my_name(entry), ..Uploaded::listed(entry) })
    }

    async fn handle_twins(&self, twins: &[String]) {
        if self.client.config().on_twin == OnTwin::Delete {
            for id in twins {
                // A twin that can't be deleted is still named in the result.
                let _ = Deletion::new(self.client, self.session, self.record).one(id).await;
            }
        }
    }

    async fn list(&self) -> Result<Vec<Attachment>> {
        let args = ListArgs { fields: FIELDS.to_owned(), ..ListArgs::default() };
        Ok(pages::all(self.client, self.session, self.record, &args).await?.attachments)
    }

    async fn look(&self, mut body: Option<&mut Outgoing<'_>>) -> Result<Look> {
        let listed = self.list().await?;
        let since = self.server_time_when_begun();
        let mine: Vec<Attachment> = listed.into_iter().filter(|entry| self.could_be_mine(entry, since)).collect();
        let (named, others): (Vec<_>, Vec<_>) = mine.into_iter().partition(|entry| self.link_url.is_some() || self.has_my_name(entry));
        // The name says which to compare first; Zoho may have changed it, and another file may bear it.
        let look = self.look_among(named, body.as_deref_mut()).await?;
        if matches!(look, Look::Nothing) { self.look_among(others, body).await } else { Ok(look) }
    }

    async fn look_among(&self, mine: Vec<Attachment>, body: Option<&mut Outgoing<'_>>) -> Result<Look> {
        if mine.is_empty() {
            return Ok(Look::Nothing);
        }
        let ids = || mine.iter().map(|entry| entry.id.clone()).collect::<Vec<_>>();
        if mine.len() > MOST_COMPARED || self.under_way.has_double() {
            return Ok(Look::Undecided(ids()));
        }
        let mut mine = self.with_my_bytes(mine, body).await?;
        // Oldest first: ids grow. Several are this upload's own copies only if it was sent several times.
        mine.sort_by(|a, b| (a.id.len(), &a.id).cmp(&(b.id.len(), &b.id)));
        mine.retain(|entry| !self.client.claims().is_claimed(&entry.id));
        if mine.len() > 1 && self.resent == 0 {
            return Ok(Look::Undecided(mine.into_iter().map(|entry| entry.id).collect()));
        }
        let mut mine = mine.into_iter();
        match mine.find(|entry| self.client.claims().claim(&entry.id)) {
            Some(first) => Ok(Look::Found(Box::new(first), mine.map(|entry| entry.id).collect())),
            None => Ok(Look::Nothing),
        }
    }

    fn could_be_mine(&self, entry: &Attachment, since: OffsetDateTime) -> bool {
        let new = match &self.before {
            Some(before) => !before.contains(&entry.id),
            // Without a time there is nothing against it; a link is known by its URL alone.
            None => self.link_url.is_some() || OffsetDateTime::parse(&entry.created_time, &Rfc3339).is_ok_and(|created| created >= since),
        };
        let by_me = self.client.own_user().is_none_or(|me| entry.created_by_id.is_empty() || entry.created_by_id == me);
        new && by_me && self.has_my_size(entry) && !self.client.claims().is_claimed(&entry.id)
    }

    fn has_my_size(&self, entry: &Attachment) -> bool {
        match self.link_url {
            Some(url) => entry.link_url == url,
            None => !entry.is_link && entry.bytes == Some(self.under_way.mark().bytes),
        }
    }

    fn has_my_name(&self, entry: &Attachment) -> bool {
        let nfc = ComposingNormalizer::new_nfc();
        nfc.normalize(&entry.file_name) == nfc.normalize(&self.under_way.mark().name)
    }

    /// The server's clock when the sending began, by the last reply's `Date` and the time since.
    fn server_time_when_begun(&self) -> OffsetDateTime {
        let date = self.session.meter.date.take();
        let server = date.as_ref().and_then(|d| d.to_str().ok()).and_then(|d| httpdate::parse_http_date(d).ok());
        let (now, skew) = server.map_or((SystemTime::now(), SKEW_OF_LOCAL_CLOCK), |now| (now, SKEW));
        OffsetDateTime::from(now) - self.began.elapsed() - skew
    }

    async fn with_my_bytes(&self, entries: Vec<Attachment>, body: Option<&mut Outgoing<'_>>) -> Result<Vec<Attachment>> {
        if self.link_url.is_some() || !self.client.config().settle_hash {
            return Ok(entries);
        }
        let Some(hash) = self.source_hash(body).await? else { return Ok(entries) };
        let mut mine = Vec::with_capacity(entries.len());
        for entry in entries {
            if self.has_hash(&entry, &hash).await? {
                mine.push(entry);
            }
        }
        Ok(mine)
    }

    /// The hash of what is uploaded, read once more from a source that can be; `None` for one that can't.
    async fn source_hash(&self, body: Option<&mut Outgoing<'_>>) -> Result<Option<Hash>> {
        if let (None, Some(body)) = (self.hash.get(), body) {
            let hash = body.source_hash().await?;
            let _ = self.hash.set(hash);
        }
        Ok(self.hash.get().cloned().flatten())
    }

    /// Whether a stored attachment, which is downloaded for it, has this hash; one that is gone hasn't.
    async fn has_hash(&self, entry: &Attachment, hash: &Hash) -> Result<bool> {
        let mut incoming = Incoming::hashing(hash.kind());
        let mut ask = Ask::get(self.record, "Attachments");
        ask.path.push(&entry.id);
        ask.redirect = true;
        match crate::download::fetch(self.client, self.session, &ask, &mut incoming, &super::FILE).await {
            Ok(_) => Ok(incoming.hash().as_ref() == Some(hash)),
            Err(error) if error.status() == Status::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The honest answer: what is not known, what was found, and what the caller can do.
fn outcome_unknown(error: Error, candidates: Vec<String>) -> Error {
    let found = match candidates.len() {
        0 => String::new(),
        n => format!(" ({n} attachments could be it)"),
    };
    let message = format!("the upload was sent, and whether it is stored is not known{found}: {error}; list the record's attachments to see");
    error.with(|d| {
        d.status = Status::OutcomeUnknown;
        d.message = message;
        d.retryable = false;
        d.candidates = candidates;
    })
}
