//! Doubt: whether a call may have taken effect although Zoho hasn't said so. This file decides it and words the error.
//!
//! A request that only reads leaves no doubt. Among the others, the upload of an attachment can't be repeated without the risk of a second copy;
//! the settlement finds out what became of it.

use std::cell::Cell;

use super::reply;
use crate::error::{Error, Sent, Status};

/// A request that changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Stores an attachment: repeating it may make a second copy.
    Upload,
    /// Replaces or deletes: repeating it changes nothing more.
    Change,
}

/// What a call knows of its deed; read after it ended, however it ended.
#[derive(Default)]
pub(crate) struct Doubt {
    /// The deed, until it is known what became of it.
    deed: Cell<Option<Deed>>,
    /// Whether the last request does the deed, or only leads up to it (a token, a list).
    does: Cell<bool>,
    /// How much of the last request has left.
    sent: Cell<Sent>,
    /// Whether its body has left whole. A server may answer before it has.
    whole: Cell<bool>,
    /// Whether an earlier request that does the deed has ended without a word of Zoho.
    lost: Cell<bool>,
}

impl Doubt {
    /// The call is about to do this. A deletion within an upload leaves the upload's doubt as it is.
    pub(crate) fn begins(&self, deed: Deed) {
        if self.deed.get().is_none() {
            self.deed.set(Some(deed));
            self.lost.set(false);
            self.does.set(false);
        }
    }

    /// It is known what became of the deed.
    pub(crate) fn ends(&self, deed: Deed) {
        if self.deed.get() == Some(deed) {
            self.deed.set(None);
        }
    }

    /// A request is made; `does` says whether it does the deed.
    pub(crate) fn asks(&self, does: bool) {
        self.does.set(does);
        self.has_sent(Sent::No);
    }

    /// So much of the last request has left.
    pub(crate) fn has_sent(&self, sent: Sent) {
        self.whole.set(sent == Sent::Fully || (sent == Sent::Answered && self.whole.get()));
        self.sent.set(sent);
    }

    /// How much of the last request has left.
    pub(crate) fn sent(&self) -> Sent {
        self.sent.get()
    }

    /// Whether an attempt at the last deed has ended without a word of Zoho.
    pub(crate) fn was_lost(&self) -> bool {
        self.lost.get()
    }

    /// Whether the deed may be done.
    fn is_open(&self) -> bool {
        self.deed.get().is_some() && (self.lost.get() || (self.does.get() && self.sent.get() != Sent::No))
    }

    /// The error of one attempt, with what is known of it. One whose outcome is open counts as lost from now on.
    pub(crate) fn attempt_failed(&self, deed: Option<Deed>, error: Error) -> Error {
        let error = error.with(|d| d.request_sent = self.sent.get());
        let open = deed.is_some_and(|deed| self.leaves_open(&error, deed));
        self.lost.set(self.lost.get() || open);
        self.does.set(false);
        error.with(|d| d.outcome_open = open)
    }

    /// Whether the deed may be done although its request has failed so: once all of it has left, only Zoho's own word says that it isn't. Where a
    /// change is repeated to get the rest of a refusal, that tells.
    fn leaves_open(&self, error: &Error, deed: Deed) -> bool {
        let detail = error.detail();
        let foreign = detail.http_status != 0 && detail.api_code.is_empty();
        match error.status() {
            Status::Network | Status::Tls | Status::Timeout | Status::Server => detail.request_sent != Sent::No,
            _ if deed == Deed::Change && error.reason() == reply::CUT_OFF => false,
            _ => foreign && detail.request_sent == Sent::Answered && self.whole.get(),
        }
    }

    /// The error that ends a call, with what may be done all the same. `interrupted`: from outside, by a deadline.
    pub(super) fn worded(&self, error: Error, interrupted: bool) -> Error {
        let open = self.is_open();
        let error = error.with(|d| {
            // Report the last upload attempt, not the list calls that came after it.
            d.request_sent = match d.request_sent {
                Sent::No if open && self.lost.get() => Sent::Fully,
                Sent::No => self.sent.get(),
                known => known,
            };
        });
        match self.deed.get().filter(|_| open && !error.detail().outcome_open) {
            None => error,
            Some(deed) => error.with(|d| {
                d.outcome_open = true;
                d.message += words(deed);
                if deed == Deed::Upload {
                    d.retryable = false;
                    d.status = if interrupted { Status::OutcomeUnknown } else { d.status };
                }
            }),
        }
    }
}

/// The last error of a change. If an earlier attempt was `lost`, a final refusal doesn't say that nothing was done. (For a deletion, not found is
/// success; and an operation that doesn't exist never did.)
pub(crate) fn given_up(error: Error, lost: bool) -> Error {
    if !lost || error.status() == Status::Unsupported {
        return error;
    }
    let wordless = error.detail().retryable || error.detail().outcome_open;
    error.with(|d| {
        d.outcome_open = true;
        if wordless {
            d.message += words(Deed::Change);
        } else if d.status != Status::NotFound {
            let refusal = std::mem::take(&mut d.message);
            d.message = format!("the reply to an earlier attempt was lost, so that it may have been done; the last one was refused: {refusal}");
            d.status = Status::OutcomeUnknown;
        }
    })
}

/// An upload that somebody else than Zoho answered, and that the record doesn't show: that answer is the error. If it says that the failure may
/// pass, the server may still be working on the upload.
pub(crate) fn not_listed(error: Error) -> Error {
    error.with(|d| {
        d.outcome_open = d.retryable;
        d.message += "; the record's list doesn't show the upload";
        if d.outcome_open {
            d.message += " yet: look again before it is sent again";
            d.retryable = false;
        }
    })
}

/// Most candidates that an error names: a record may have as many attachments alike as its list has rows.
const MOST_CANDIDATES: usize = 100;

/// The honest answer about an upload: what is not known, what was found, and what the caller can do.
pub(crate) fn outcome_unknown(error: Error, mut candidates: Vec<String>) -> Error {
    let found = match candidates.len() {
        0 => String::new(),
        1 => " (1 attachment could be it)".to_owned(),
        n => format!(" ({n} attachments could be it)"),
    };
    let message = format!("the upload was sent, and whether it is stored is not known{found}: {error}; list the record's attachments to see");
    error.with(|d| {
        d.status = Status::OutcomeUnknown;
        d.message = message;
        d.retryable = false;
        d.outcome_open = true;
        candidates.truncate(MOST_CANDIDATES);
        d.candidates = candidates;
    })
}

fn words(deed: Deed) -> &'static str {
    match deed {
        Deed::Upload => "; the upload was sent, and whether it is stored is not known: list the record's attachments to see",
        Deed::Change => "; the request was sent, and whether it was done is not known",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_how_many_candidates_there_are_and_names_a_hundred() {
        let all = (1..=100_000).map(|i| i.to_string()).collect();
        let error = outcome_unknown(Error::new(Status::Network, "connection_lost", ""), all);
        assert!(error.to_string().contains("(100000 attachments could be it)"), "{error}");
        assert_eq!((error.detail().candidates.len(), error.detail().candidates[99].as_str()), (100, "100"));
    }
}
