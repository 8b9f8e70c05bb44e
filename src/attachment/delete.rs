//! Deleting attachments: one, or several with one request where the server takes that.

use reqwest::{Method, StatusCode};
use serde::Serialize;

use super::no_such_attachment;
use crate::client::{Ask, Client};
use crate::config::BulkDelete;
use crate::error::{Error, Result, Status};
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
    deleted: Vec<String>,
    failed: Option<(String, Error)>,
}

impl<'c, 's> Deletion<'c, 's> {
    pub(super) fn new(client: &'c Client, session: &'c Session<'s>, record: &'c Record) -> Self {
        Deletion { client, session, record, deleted: Vec::new(), failed: None }
    }

    pub(super) async fn one(&mut self, id: &str) -> Result<()> {
        let mut ask = Ask { method: Method::DELETE, ..Ask::get(self.record, "Attachments") };
        ask.path.push(id);
        self.session.meter.lost.set(false);
        let outcome = self.client.ask(self.session, &ask, None, async |response| objects(response).await).await;
        let outcome = outcome.and_then(|(status, mut objects)| match objects.pop() {
            Some(object) if object.code == "SUCCESS" => Ok(()),
            Some(object) => Err(reply::of_object(status, object)),
            None => Err(no_such_attachment()),
        });
        self.note(id, outcome)
    }

    /// One request for up to 100, or one for each where the server doesn't know that request.
    pub(super) async fn several(&mut self, ids: &[&str]) -> Result<()> {
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
        let ask = Ask { method: Method::DELETE, query: vec![("ids", ids.join(","))], ..Ask::get(self.record, "Attachments") };
        self.session.meter.lost.set(false);
        let (status, objects) = match self.client.ask(self.session, &ask, None, async |response| objects(response).await).await {
            Ok(answer) => answer,
            Err(error) if error.status() == Status::Unsupported => return Ok(false),
            // What the lost attempt did is not known: each id is settled by itself.
            Err(error) if error.status() == Status::NotFound && self.session.meter.lost.get() => return Ok(false),
            Err(error) => return Err(error),
        };
        if objects.len() != ids.len() {
            return Err(Error::new(
                Status::Protocol,
                "unexpected_reply",
                format!("{} answers to the deletion of {} attachments", objects.len(), ids.len()),
            ));
        }
        for (id, object) in ids.iter().zip(objects) {
            let outcome = if object.code == "SUCCESS" { Ok(()) } else { Err(reply::of_object(status, object)) };
            self.note(id, outcome)?;
        }
        Ok(true)
    }

    /// Keeps the first refusal and goes on with the others; what isn't a refusal of this one id ends the call.
    fn note(&mut self, id: &str, outcome: Result<()>) -> Result<()> {
        match outcome {
            Err(error) if error.status() == Status::NotFound && self.session.meter.lost.get() => self.deleted.push(id.to_owned()),
            Err(error) if error.status() == Status::NotFound => {
                self.failed.get_or_insert((id.to_owned(), error));
            }
            Err(error) => return Err(self.with_deleted(error)),
            Ok(()) => self.deleted.push(id.to_owned()),
        }
        Ok(())
    }

    pub(super) fn outcome(self, asked: usize) -> Result<Deleted> {
        match &self.failed {
            None => Ok(Deleted { ids: self.deleted }),
            Some((_, error)) if asked == 1 => Err(error.clone()),
            Some((id, error)) => Err(self.with_deleted(error.clone().with(|d| d.message = format!("{id}: {}", d.message)))),
        }
    }

    /// The error with what was deleted before and beside it.
    fn with_deleted(&self, error: Error) -> Error {
        let deleted = match self.deleted.as_slice() {
            [] => return error,
            ids => ids.join(","),
        };
        error.with(|d| d.message = format!("{}; deleted all the same: {deleted}", d.message))
    }
}

async fn objects(mut response: Response) -> Result<(StatusCode, Vec<reply::ApiObject>)> {
    let status = response.status();
    let body = response.bytes(reply::MOST).await?;
    Ok((status, reply::objects(status, response.headers(), &body)?))
}
