//! Deleting attachments: one, or several with one request where the server takes that.

use reqwest::Method;
use serde::Serialize;

use crate::client::{Ask, Client};
use crate::config::BulkDelete;
use crate::error::{Error, Result, Status};
use crate::http::doubt::Deed;
use crate::http::{Response, Session, reply};
use crate::record::Record;

/// Attachments that are deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Deleted {
    /// Their ids.
    pub ids: Vec<String>,
}

/// Zoho deletes at most this many in one request (UNCONFIRMED: the limit of deleting records).
const BULK: usize = 100;

/// One call's deletions.
pub(super) struct Deletion<'c, 's> {
    client: &'c Client,
    session: &'c Session<'s>,
    record: &'c Record,
    /// They may be gone already, by an earlier call.
    again: bool,
    deleted: Vec<String>,
    failed: Option<Error>,
    /// Errors then say which of them they are of.
    are_several: bool,
}

impl<'c, 's> Deletion<'c, 's> {
    pub(super) fn new(client: &'c Client, session: &'c Session<'s>, record: &'c Record) -> Self {
        Deletion { client, session, record, again: false, deleted: Vec::new(), failed: None, are_several: false }
    }

    pub(super) fn again(self, again: bool) -> Self {
        Deletion { again, ..self }
    }

    /// What isn't there may be this call's own work.
    fn may_be_done(&self) -> bool {
        self.again || self.session.meter.doubt.was_lost()
    }

    pub(super) async fn one(&mut self, id: &str) -> Result<()> {
        let mut ask = Ask { method: Method::DELETE, deed: Some(Deed::Change), ..Ask::get(self.record, "Attachments") };
        ask.path.push(id);
        let outcome = self.client.ask(self.session, &ask, None, async |response: &mut Response| verdicts(response, &[id]).await).await;
        self.note(id, outcome.and_then(|mut verdicts| verdicts.pop().expect("one for the one id")))
    }

    /// One request for up to 100, or one for each where the server doesn't know that request.
    pub(super) async fn several(&mut self, ids: &[&str]) -> Result<()> {
        self.are_several = true;
        for chunk in ids.chunks(BULK) {
            let listable = chunk.iter().all(|id| !id.contains(',')); // an id that the checks let through could be two
            let bulk = listable && self.client.config().bulk_delete == BulkDelete::Auto && self.bulk(chunk).await?;
            if !bulk {
                for id in chunk {
                    self.one(id).await?;
                }
            }
        }
        Ok(())
    }

    /// `false` when this version of the API has no such request: the newest specification doesn't list it (UNCONFIRMED).
    async fn bulk(&mut self, ids: &[&str]) -> Result<bool> {
        let query = vec![("ids", ids.join(","))];
        let ask = Ask { method: Method::DELETE, deed: Some(Deed::Change), query, ..Ask::get(self.record, "Attachments") };
        let verdicts = match self.client.ask(self.session, &ask, None, async |response: &mut Response| verdicts(response, ids).await).await {
            Ok(verdicts) => verdicts,
            Err(error) if error.status() == Status::Unsupported => return Ok(false),
            // What the lost attempt did is not known: each id is settled by itself.
            Err(error) if error.status() == Status::NotFound && self.may_be_done() => return Ok(false),
            Err(error) => return Err(self.with_deleted(error)),
        };
        let mut verdicts: Vec<_> = ids.iter().zip(verdicts).collect();
        // What ends the call comes last: what was deleted beside it is told, wherever it stands.
        verdicts.sort_by_key(|(_, verdict)| verdict.as_ref().is_err_and(|error| error.status() != Status::NotFound));
        for (id, verdict) in verdicts {
            self.note(id, verdict)?;
        }
        Ok(true)
    }

    /// Keeps the first refusal and goes on with the others; what isn't a refusal of this one id ends the call.
    fn note(&mut self, id: &str, outcome: Result<()>) -> Result<()> {
        match outcome.map_err(|error| if self.are_several { error.with(|d| d.message = format!("{id}: {}", d.message)) } else { error }) {
            Err(error) if error.status() == Status::NotFound && self.may_be_done() => self.deleted.push(id.to_owned()),
            Err(error) if error.status() == Status::NotFound => {
                self.failed.get_or_insert(error);
            }
            Err(error) => return Err(self.with_deleted(error)),
            Ok(()) => self.deleted.push(id.to_owned()),
        }
        Ok(())
    }

    pub(super) fn outcome(mut self) -> Result<Deleted> {
        match self.failed.take() {
            None => Ok(Deleted { ids: self.deleted }),
            Some(error) => Err(self.with_deleted(error)),
        }
    }

    /// The error, with the ids that were deleted all the same.
    fn with_deleted(&self, error: Error) -> Error {
        let deleted = match self.deleted.as_slice() {
            [] => return error,
            ids => ids.join(","),
        };
        error.with(|d| d.message = format!("{}; deleted all the same: {deleted}", d.message))
    }
}

/// What the reply says of each id, in their order. One that hasn't exactly one verdict for each, known by its id, isn't believed.
async fn verdicts(response: &mut Response, ids: &[&str]) -> Result<Vec<Result<()>>> {
    let status = response.status();
    let body = response.bytes(reply::MOST).await?;
    let not_believed = || reply::foreign(status, response.headers(), &body);
    let (mut told, mut unnamed) = (vec![None; ids.len()], Vec::new());
    for object in reply::objects(status, response.headers(), &body)? {
        let (id, verdict) = (object.id()?, if object.is_success() { Ok(()) } else { Err(reply::of_object(status, object)) });
        match (id, verdict) {
            // UNCONFIRMED whether the refusal of one id among several names it.
            (None, Err(refusal)) => unnamed.push(refusal),
            (id, verdict) => {
                let asked = ids.iter().position(|asked| id.as_deref() == Some(*asked)).filter(|at| told[*at].is_none());
                told[asked.ok_or_else(not_believed)?] = Some(verdict);
            }
        }
    }
    if told.iter().filter(|verdict| verdict.is_none()).count() != unnamed.len() {
        return Err(not_believed());
    }
    let mut unnamed = unnamed.into_iter();
    Ok(told.into_iter().map(|verdict| verdict.unwrap_or_else(|| unnamed.next().map_or(Ok(()), Err))).collect())
}
