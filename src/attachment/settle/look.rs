//! One look at a record's list for an upload whose reply was lost: which entries could be it.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Settlement;
use crate::attachment::FILE;
use crate::attachment::list::Attachment;
use crate::attachment::sought::{Likeness, Sought};
use crate::client::Ask;
use crate::error::{Result, Status};
use crate::transfer::{Hash, Incoming, Outgoing};

/// By how much the clock of the list may differ from that of `Date`, or from the local one. In a recorded reply it is 15 seconds (UNCONFIRMED).
const SKEW: Duration = Duration::from_secs(300);
/// The first rank of entries that were there before, if clocks tell right. Within each half they are ranked by their [`Likeness`].
const OLD: usize = 3;
/// More candidates than this are not downloaded to be compared.
const MOST_COMPARED: usize = 8;

/// What a look at the list showed.
pub(super) enum Finding {
    Nothing,
    /// This upload, with further copies that it made.
    Found(Box<Attachment>, Vec<String>),
    /// It could be one of these.
    Undecided(Vec<String>),
}

impl Settlement<'_, '_> {
    pub(super) async fn look(&self, mut body: Option<&mut Outgoing<'_>>) -> Result<Finding> {
        let listed = self.list().await?;
        let since = self.server_time_when_begun();
        let mut likely: [Vec<Attachment>; 2 * OLD] = Default::default();
        for entry in listed {
            if let Some(rank) = self.rank(&entry, since) {
                likely[rank].push(entry);
            }
        }
        // The likeliest first. Zoho may have changed the name, and another file may have this one; clocks may differ, and another file may be new.
        for (rank, entries) in likely.into_iter().enumerate() {
            let found = self.look_among(entries, rank, body.as_deref_mut()).await?;
            if !matches!(found, Finding::Nothing) {
                return Ok(found);
            }
        }
        Ok(Finding::Nothing)
    }

    /// How unlikely an entry is: another name counts against it, and (from [`OLD`] on) an earlier time. `None` when it can't be this upload.
    fn rank(&self, entry: &Attachment, since: OffsetDateTime) -> Option<usize> {
        let by_me = self.client.own_user().is_none_or(|me| entry.created_by_id.is_empty() || entry.created_by_id == me);
        let before = self.before.as_ref().is_some_and(|before| before.contains(&entry.id));
        let created = OffsetDateTime::parse(&entry.created_time, &Rfc3339);
        // A link is known by its URL, which no other entry of the record has.
        let new = self.before.is_some() || self.link_url.is_some() || created.is_ok_and(|created| created >= since);
        let of_other_size = || (new && self.is_of_other_size(entry)).then_some(Likeness::Perhaps);
        let likeness = self.sought().likeness(entry).or_else(of_other_size)?;
        if before || !by_me || self.is_anothers(&entry.id) || self.has_anothers_name(entry, likeness) {
            return None;
        }
        Some(likeness as usize + if new { 0 } else { OLD })
    }

    /// The name is this upload's, and the size isn't. Whether a list's sizes are exact is UNCONFIRMED, so the bytes of a new one decide.
    fn is_of_other_size(&self, entry: &Attachment) -> bool {
        self.link_url.is_none() && !entry.is_link && self.sought().has_name(entry) && self.client.config().settle_hash
    }

    fn is_anothers(&self, id: &str) -> bool {
        self.client.claims().is_claimed(id) || self.earlier.claimed.as_ref().is_some_and(|claimed| claimed.contains(id))
    }

    /// Only what is new, and has this upload's name or its bytes, is taken for it.
    async fn look_among(&self, mine: Vec<Attachment>, rank: usize, body: Option<&mut Outgoing<'_>>) -> Result<Finding> {
        if mine.is_empty() {
            return Ok(Finding::Nothing);
        }
        let ids = |entries: &[Attachment]| entries.iter().map(|entry| entry.id.clone()).collect::<Vec<_>>();
        if mine.len() > MOST_COMPARED || self.under_way.has_double() {
            return Ok(Finding::Undecided(ids(&mine)));
        }
        let hash = if self.link_url.is_none() && self.client.config().settle_hash { self.source_hash(body).await? } else { None };
        let mut mine = self.with_hash(mine, hash.as_ref()).await?;
        // Oldest first: ids grow. Several are this upload's own copies only if it was sent several times.
        mine.sort_by(|a, b| (a.id.len(), &a.id).cmp(&(b.id.len(), &b.id)));
        mine.retain(|entry| !self.client.claims().is_claimed(&entry.id));
        let is_known = rank == Likeness::Same as usize || (rank < OLD && hash.is_some());
        if !mine.is_empty() && (!is_known || (mine.len() > 1 && self.resent == 0)) {
            return Ok(Finding::Undecided(ids(&mine)));
        }
        let mut mine = mine.into_iter();
        match mine.find(|entry| self.client.claims().claim(&entry.id)) {
            Some(first) => Ok(Finding::Found(Box::new(first), mine.map(|entry| entry.id).collect())),
            None => Ok(Finding::Nothing),
        }
    }

    pub(super) fn sought(&self) -> Sought<'_> {
        Sought { name: self.name, bytes: self.bytes, link_url: self.link_url }
    }

    /// The earliest time that the list may give for what was sent: the clock of the last reply's `Date`, less the time since and the skew.
    fn server_time_when_begun(&self) -> OffsetDateTime {
        let date = self.session.meter.date.take();
        let server = date.as_ref().and_then(|d| d.to_str().ok()).and_then(|d| httpdate::parse_http_date(d).ok());
        OffsetDateTime::from(server.unwrap_or_else(SystemTime::now)) - self.began.elapsed() - SKEW
    }

    /// Those with this hash; all of them where there is none to compare.
    async fn with_hash(&self, entries: Vec<Attachment>, hash: Option<&Hash>) -> Result<Vec<Attachment>> {
        let Some(hash) = hash else { return Ok(entries) };
        let mut mine = Vec::with_capacity(entries.len());
        for entry in entries {
            if self.has_hash(&entry, hash).await? {
                mine.push(entry);
            }
        }
        Ok(mine)
    }

    /// The hash of what is uploaded, read once more from a source that can be; `None` for one that can't.
    pub(super) async fn source_hash(&self, body: Option<&mut Outgoing<'_>>) -> Result<Option<Hash>> {
        if let (None, Some(body)) = (self.hash.get(), body) {
            let hash = body.source_hash().await?;
            let _ = self.hash.set(hash);
        }
        Ok(self.hash.get().cloned().flatten())
    }

    /// Downloads a stored attachment and says whether it has this hash; `false` when it is gone.
    pub(super) async fn has_hash(&self, entry: &Attachment, hash: &Hash) -> Result<bool> {
        let mut incoming = Incoming::hashing(hash.kind());
        let mut ask = Ask::get(self.record, "Attachments");
        ask.path.push(&entry.id);
        ask.redirect = true;
        match crate::download::fetch(self.client, self.session, &ask, &mut incoming, &FILE).await {
            Ok(_) => Ok(incoming.hash().as_ref() == Some(hash)),
            Err(error) if error.status() == Status::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}
