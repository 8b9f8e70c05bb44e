//! Settlement: what became of an upload whose reply was lost.
//!
//! Zoho has no key that makes an upload repeatable, so the settlement reads the record's list. An entry counts as this upload if it is new,
//! unclaimed, of the same size, by the same user and (unless switched off) has the same bytes. In strict mode, a list made before the upload says
//! what is new. In cheap mode only clocks do, and they prove nothing: an entry that seems old is never taken for this upload, but if its bytes are
//! the same, the outcome is unknown.

mod look;

use std::cell::OnceCell;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::list::{self, Attachment};
use super::sought::{Likeness, are_alike};
use super::{Deletion, Uploaded};
use crate::call::{Call, IfExists};
use crate::claimed::Claimed;
use crate::client::Client;
use crate::config::{LogLevel, OnTwin, OnUnknown, Settle};
use crate::error::{Error, Result, Sent, Status};
use crate::http::doubt::{Deed, not_listed, outcome_unknown};
use crate::http::{Session, retry};
use crate::organisation::{Mark, UnderWay};
use crate::pages::{self, ListArgs};
use crate::record::Record;
use crate::text::joined;
use crate::transfer::{Hash, Outgoing};
use look::Finding;

/// How often an upload that waits for another looks whether its turn has come.
const TURN: Duration = Duration::from_millis(20);
const FIELDS: &str = "id,File_Name,Size,Created_Time,Created_By,$link_url";

/// One upload from before its first sending until its outcome is known.
pub(super) struct Settlement<'c, 's> {
    client: &'c Client,
    session: &'c Session<'s>,
    record: &'c Record,
    under_way: UnderWay<'c>,
    name: &'c str,
    /// Its size, once it is known.
    bytes: Option<u64>,
    link_url: Option<&'c str>,
    earlier: Earlier,
    began: Instant,
    /// Ids that were there before: known in strict mode.
    before: Option<HashSet<String>>,
    resent: u32,
    /// Whether each sending so far had an answer.
    answered: bool,
    hash: OnceCell<Option<Hash>>,
}

/// What may be on the record already, and whether that makes the upload unnecessary.
pub(super) struct Earlier {
    if_exists: IfExists,
    /// The very upload may have been made before.
    again: bool,
    /// Attachments that other jobs own.
    claimed: Option<Claimed>,
}

impl Earlier {
    pub(super) fn of(call: &Call<'_>) -> Earlier {
        Earlier { if_exists: call.if_exists, again: call.again, claimed: call.claimed.clone() }
    }

    /// The record is looked at, and bytes may have to be compared, before anything is sent.
    pub(super) fn is_asked(&self) -> bool {
        self.again || self.if_exists != IfExists::Upload
    }
}

impl<'c, 's> Settlement<'c, 's> {
    /// Waits while another upload of that name and size to that record, which looks first, is under way in this process.
    pub(super) async fn begin(
        client: &'c Client,
        session: &'c Session<'s>,
        record: &'c Record,
        name: &'c str,
        bytes: Option<u64>,
        link_url: Option<&'c str>,
        earlier: Earlier,
    ) -> Self {
        // A link's title isn't what makes it the same.
        let (module, record_id) = (record.module.clone(), record.id.clone());
        let what = joined(link_url.unwrap_or(name)).into_owned();
        let mark = Arc::new(Mark { module, record_id, name: what, bytes: bytes.unwrap_or_default() });
        let under_way = loop {
            match client.claims().begin(&mark, earlier.is_asked(), are_alike) {
                Some(under_way) => break under_way,
                None => session.rest("same_upload", TURN).await, // the other one may need its place
            }
        };
        Settlement {
            client,
            session,
            record,
            under_way,
            name,
            bytes,
            link_url,
            earlier,
            began: Instant::now(),
            before: None,
            resent: 0,
            answered: true,
            hash: OnceCell::new(),
        }
    }

    /// What is asked before the first sending: whether it is there already, and in strict mode what else is.
    pub(super) async fn prepare(&mut self, mut body: Option<&mut Outgoing<'_>>) -> Result<Option<Uploaded>> {
        let strict = self.client.config().settle == Settle::Strict;
        let Earlier { if_exists, again, .. } = self.earlier;
        if !self.earlier.is_asked() && !strict {
            return Ok(None);
        }
        let listed = self.list().await?;
        let own = if again { self.own(&listed, body.as_deref_mut()).await? } else { None };
        let there = match own {
            None if if_exists != IfExists::Upload => self.same(&listed, if_exists, body).await?,
            own => own,
        };
        if let Some(there) = there {
            return Ok(Some(Uploaded { skipped: true, name_changed: !self.sought().has_name(&there), ..Uploaded::listed(&there) }));
        }
        self.before = strict.then(|| listed.into_iter().map(|a| a.id).collect());
        self.began = Instant::now();
        Ok(None)
    }

    /// What an earlier call of this upload has stored, recognised by its bytes or its link. It counts for one job only.
    async fn own(&self, listed: &[Attachment], mut body: Option<&mut Outgoing<'_>>) -> Result<Option<Attachment>> {
        let is_free = |entry: &Attachment| self.earlier.claimed.as_ref().is_none_or(|claimed| !claimed.contains(&entry.id));
        for (likeness, entry) in self.alike(listed).into_iter().filter(|(_, entry)| is_free(entry)) {
            if !self.has_anothers_name(entry, likeness) && self.is_it(entry, likeness, true, body.as_deref_mut()).await? && self.take(&entry.id) {
                return Ok(Some(entry.clone()));
            }
        }
        Ok(None)
    }

    /// An attachment that makes the upload unnecessary, whoever has stored it.
    async fn same(&self, listed: &[Attachment], if_exists: IfExists, mut body: Option<&mut Outgoing<'_>>) -> Result<Option<Attachment>> {
        for (likeness, entry) in self.alike(listed) {
            if self.is_it(entry, likeness, if_exists == IfExists::SkipSameBytes, body.as_deref_mut()).await? {
                self.client.claims().claim(&entry.id);
                return Ok(Some(entry.clone()));
            }
        }
        Ok(None)
    }

    /// What could be this upload by name and size, the likeliest first.
    fn alike<'l>(&self, listed: &'l [Attachment]) -> Vec<(Likeness, &'l Attachment)> {
        let known = listed.iter().filter_map(|entry| Some((self.sought().likeness(entry)?, entry)));
        let mut alike: Vec<_> = known.filter(|(likeness, _)| *likeness != Likeness::Other).collect();
        alike.sort_by_key(|(likeness, _)| *likeness);
        alike
    }

    /// Whether the entry is this upload. Its bytes are compared where that is asked for, or where the name leaves it open.
    async fn is_it(&self, entry: &Attachment, likeness: Likeness, by_bytes: bool, body: Option<&mut Outgoing<'_>>) -> Result<bool> {
        let is_same = likeness == Likeness::Same;
        if is_same && (!by_bytes || self.link_url.is_some()) {
            return Ok(true);
        }
        match self.source_hash(body).await? {
            Some(hash) => self.has_hash(entry, &hash).await,
            None => Ok(is_same),
        }
    }

    /// Whether an entry with a changed name has the very name of another upload: then it is that one's.
    fn has_anothers_name(&self, entry: &Attachment, likeness: Likeness) -> bool {
        if likeness == Likeness::Same {
            return false;
        }
        let name = joined(&entry.file_name);
        self.under_way.is_anothers(&name) || self.earlier.claimed.as_ref().is_some_and(|claimed| claimed.awaits(self.record, &name))
    }

    /// Takes an attachment for this call; `false` when another job has it.
    fn take(&self, id: &str) -> bool {
        self.client.claims().claim(id);
        self.earlier.claimed.as_ref().is_none_or(|claimed| claimed.claim(id))
    }

    /// The upload is stored under this id.
    pub(super) async fn stored(&self, stored: Uploaded, body: Option<&mut Outgoing<'_>>) -> Result<Uploaded> {
        self.take(&stored.id);
        if self.resent == 0 || self.link_url.is_some() {
            return Ok(stored);
        }
        // A first copy may have shown up meanwhile. If the list fails now, the upload is still a success.
        let twins = match self.look(body).await {
            Ok(Finding::Found(twin, more)) => {
                let twins: Vec<_> = std::iter::once(twin.id).chain(more).collect();
                self.handle_twins(&twins).await;
                twins
            }
            Ok(Finding::Undecided(ids)) => ids, // reported, and not deleted: they may be another's
            Ok(Finding::Nothing) => Vec::new(),
            Err(error) => {
                let line = || format!("{} is stored, and whether its first sending is stored, too, is not known: {error}", stored.id);
                self.client.config().log(LogLevel::Warn, line);
                Vec::new()
            }
        };
        Ok(Uploaded { twins, ..stored })
    }

    /// Whether an attempt that failed like this may have stored it, or leaves open whether an earlier one did.
    pub(super) fn is_in_doubt(&self, error: &Error) -> bool {
        error.detail().outcome_open || (self.resent > 0 && error.detail().request_sent == Sent::Answered)
    }

    /// Finds out what became of the upload: stored, or (as `None`) to be sent again. Else the answer stands, or the outcome is unknown.
    pub(super) async fn settle(&mut self, error: Error, mut body: Option<&mut Outgoing<'_>>) -> Result<Option<Uploaded>> {
        let config = self.client.config();
        if config.settle == Settle::Off {
            return Err(outcome_unknown(error, Vec::new()));
        }
        config.log(LogLevel::Warn, || format!("looking for an upload whose outcome is not known: {error}"));
        if let Some(body) = body.as_deref_mut().filter(|body| body.is_torn()) {
            self.session.meter.doubt.ends(Deed::Upload); // no server has all of it
            body.rewind()?; // which says that it can't be
        }
        self.bytes = self.bytes.or(body.as_deref().map(Outgoing::sent)); // what has left whole is counted
        self.answered &= error.detail().request_sent == Sent::Answered;
        let waits = self.waits(&error);
        // The list is read with a token that works, so what was wrong with the first one will have passed.
        let renewed = error.status() == Status::Auth && self.resent == 0;
        let may_pass = error.detail().retryable || error.status() == Status::DuplicateLink || renewed;
        let may_be_copied = may_pass && error.detail().request_sent >= Sent::Fully;
        let mut undecided = Vec::new();
        for wait in std::iter::once(Duration::ZERO).chain(waits.iter().copied()) {
            if !wait.is_zero() {
                self.session.rest("settling", wait).await;
            }
            match self.look(body.as_deref_mut()).await {
                Ok(Finding::Found(entry, twins)) => return self.adopt(&entry, twins).await.map(Some),
                Ok(Finding::Undecided(ids)) => undecided = ids,
                Ok(Finding::Nothing) => undecided.clear(),
                // A record that isn't there has no attachments. It would be there all the same if a second sending were taken, and have a copy.
                Err(cause) if matches!(cause.status(), Status::InvalidRecord | Status::InvalidModule) && !may_be_copied => break,
                Err(cause) => {
                    return Err(outcome_unknown(error, Vec::new()).with(|d| d.message = format!("{}; the list can't be read: {cause}", d.message)));
                }
            }
        }
        let refused = !error.detail().outcome_open && error.status() != Status::DuplicateLink;
        if refused || !undecided.is_empty() {
            return Err(outcome_unknown(error, undecided));
        }
        if !may_pass || config.on_unknown == OnUnknown::NeverResend || self.resent >= config.max_retries {
            return Err(self.not_found(error));
        }
        self.pause_before_resending(&error, waits.is_empty()).await.map_err(|error| self.not_found(error))?;
        if let Some(body) = body {
            body.rewind().map_err(|_| self.not_found(error))?;
        }
        self.resent += 1;
        self.session.reconnect().await; // a server that drops uploads on used connections would drop this one, too
        Ok(None)
    }

    /// The error of an upload that isn't found: its answer, if each sending had one; else nobody knows.
    fn not_found(&self, error: Error) -> Error {
        if !self.answered || error.detail().request_sent != Sent::Answered {
            return outcome_unknown(error, Vec::new());
        }
        self.session.meter.doubt.ends(Deed::Upload);
        not_listed(error)
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

    /// An upload that was sent whole may show late. There is nothing to wait for if it wasn't, if the server has answered (unless it gave up
    /// waiting for another server), or if it is a link, where the second attempt tells.
    fn waits(&self, error: &Error) -> &'c [Duration] {
        let all = self.client.config().settle_waits.as_slice();
        let detail = error.detail();
        match (detail.request_sent, detail.http_status) {
            _ if self.link_url.is_some() => &[],
            (Sent::Partly | Sent::No, _) => &[],
            (Sent::Answered, 408) => all,
            (Sent::Answered, 400..=501 | 503) => &all[..all.len().min(1)],
            _ => all,
        }
    }

    async fn adopt(&self, entry: &Attachment, twins: Vec<String>) -> Result<Uploaded> {
        self.client.config().log(LogLevel::Warn, || format!("the lost upload is stored: {}", entry.id));
        self.take(&entry.id);
        self.handle_twins(&twins).await;
        Ok(Uploaded { settled: true, twins, name_changed: !self.sought().has_name(entry), ..Uploaded::listed(entry) })
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
        let list = list::of(self.client, self.record, &args)?;
        list::Listed::copied(&pages::all(self.client, self.session, list, &args).await?.rows)
    }
}
