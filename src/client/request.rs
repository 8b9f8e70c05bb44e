//! One request to the API with its attempts: the token, a place at the gate, the exchange, the wait before the next try.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, DATE, HOST, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode, Url};

use super::Client;
use crate::auth::Access;
use crate::config::LogLevel;
use crate::error::{Error, Result, Sent, Status};
use crate::http::doubt::{self, Deed};
use crate::http::{Request, Response, Session, reply, retry};
use crate::organisation::Answer;
use crate::record::{Record, is_segment};
use crate::transfer::Outgoing;

/// One request to the API, as far as it is the same for each attempt.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    /// Segments after the version: module, record id, `Attachments` or `photo`, attachment id.
    pub(crate) path: Vec<&'a str>,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) content_type: Option<HeaderValue>,
    /// What it changes; `None` = it only reads.
    pub(crate) deed: Option<Deed>,
    /// Whether one redirect may be followed, without the token.
    pub(crate) redirect: bool,
}

type Boxed<'f> = Pin<Box<dyn Future<Output = Result<()>> + 'f>>;

/// What becomes of a successful reply.
trait ReplyReader {
    fn read<'r>(&'r mut self, response: &'r mut Response) -> Boxed<'r>;
}

struct Reading<T, F> {
    read: F,
    given: Option<T>,
}

impl<T, F: AsyncFnMut(&mut Response) -> Result<T>> ReplyReader for Reading<T, F> {
    fn read<'r>(&'r mut self, response: &'r mut Response) -> Boxed<'r> {
        Box::pin(async {
            self.given = Some((self.read)(response).await?);
            Ok(())
        })
    }
}

/// What may stand in a path segment as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

impl<'a> Ask<'a> {
    /// A request about a record: `GET …/{module}/{id}/{what}`.
    pub(crate) fn get(record: &'a Record, what: &'a str) -> Ask<'a> {
        let path = vec![record.module.as_str(), &record.id, what];
        Ask { method: Method::GET, path, query: Vec::new(), content_type: None, deed: None, redirect: false }
    }
}

impl Client {
    /// Sends a request until it is answered with success, fails for good, or has used up its attempts. `read` reads the reply.
    pub(crate) async fn ask<T>(
        &self,
        session: &Session<'_>,
        ask: &Ask<'_>,
        body: Option<&mut Outgoing<'_>>,
        read: impl AsyncFnMut(&mut Response) -> Result<T>,
    ) -> Result<T> {
        let mut reading = Reading { read, given: None };
        {
            // As a trait object: attempts, waits and the exchange are compiled once, and not into each operation. Half a megabyte less.
            let attempts: Pin<&mut dyn Future<Output = Result<()>>> = std::pin::pin!(self.attempts(session, ask, body, &mut reading));
            attempts.await?;
        }
        Ok(reading.given.expect("a reply was read"))
    }

    async fn attempts(&self, session: &Session<'_>, ask: &Ask<'_>, mut body: Option<&mut Outgoing<'_>>, reader: &mut dyn ReplyReader) -> Result<()> {
        let (mut renewed, mut lost, mut retries, mut refusals) = (false, false, 0, Refusals::default());
        let doubt = &session.meter.doubt;
        ask.deed.into_iter().for_each(|deed| doubt.begins(deed));
        session.gate.call_begins();
        loop {
            session.leave_what_is_used_up().await;
            let mut access = None;
            let error = match self.attempt(session, ask, body.as_deref_mut(), &mut access, reader).await {
                Ok(()) => {
                    doubt.ends(Deed::Change);
                    return Ok(());
                }
                Err(error) => {
                    access.iter().for_each(|access| session.meter.has_tried(&access.secrets));
                    doubt.attempt_failed(ask.deed, self.without_secrets(error, session.meter))
                }
            };
            lost |= error.detail().outcome_open;
            // If a front server refused an upload, nobody knows; everything else can be repeated all the same.
            let may_follow = ask.deed != Some(Deed::Upload) || !error.detail().outcome_open;
            let refused = access.filter(|_| error.status() == Status::Auth && !renewed && may_follow);
            if let Some(access) = refused
                && self.0.tokens.refuse(&access)
            {
                renewed = true;
            } else if may_follow && is_refusal(&error) {
                self.wait_out(session, error, &mut refusals).await?;
            } else {
                self.wait_for_retry(session, ask.deed, error, retries).await.map_err(|error| match ask.deed {
                    Some(Deed::Change) => {
                        doubt.ends(Deed::Change);
                        doubt::given_up(error, lost)
                    }
                    _ => error,
                })?;
                retries += 1;
            }
            if let Some(body) = body.as_deref_mut() {
                body.rewind()?;
            }
        }
    }

    /// Waits before another attempt; gives the error back when there is to be none.
    async fn wait_for_retry(&self, session: &Session<'_>, deed: Option<Deed>, error: Error, retries: u32) -> Result<()> {
        let may = retry::may_repeat(&error, deed) && retries < self.config().max_retries && !session.meter.spent.get();
        let Some(wait) = retry::wait(self.config(), &error, retries).filter(|_| may) else { return Err(error) };
        if !session.gate.may_retry() {
            self.config().log(LogLevel::Warn, || format!("no further attempt, as too many calls fail: {error}"));
            return Err(error);
        }
        self.config().log(LogLevel::Warn, || format!("waiting {} ms before another attempt: {error}", wait.as_millis()));
        session.rest(error.reason(), wait).await;
        Ok(())
    }

    /// Puts a call that Zoho refused, since there are too many, back among those that wait for a place. The call isn't to blame, so it uses none of
    /// its retries; it gives up at the end of its time, or after `retry_max_wait_ms` of such waits if it has no time limit.
    async fn wait_out(&self, session: &Session<'_>, error: Error, refusals: &mut Refusals) -> Result<()> {
        let wait = retry::wait_for_room(self.config(), &error, refusals.count).map(|wait| wait.max(session.gate.pause()));
        let wait = wait.filter(|_| self.config().max_retries > 0);
        let within = |wait: &Duration| session.is_bounded() || refusals.waited + *wait <= self.config().retry_max_wait;
        let Some(wait) = wait.filter(within) else { return Err(error) };
        self.config().log(LogLevel::Warn, || format!("waiting {} ms, as Zoho bears no more calls now: {error}", wait.as_millis()));
        *refusals = Refusals { count: refusals.count + 1, waited: refusals.waited + wait };
        session.rest(error.reason(), wait).await;
        session.meter.wait_reason.set(Some(error.reason())); // and not the wait for a place that followed from it
        Ok(())
    }

    async fn attempt(
        &self,
        session: &Session<'_>,
        ask: &Ask<'_>,
        body: Option<&mut Outgoing<'_>>,
        used: &mut Option<Arc<Access>>,
        reader: &mut dyn ReplyReader,
    ) -> Result<()> {
        let access = self.0.tokens.get(session, &self.0.hosts).await;
        session.meter.doubt.asks(false); // whatever became of the token request: nothing of this request has left
        let access = used.insert(access?);
        let request = self.request(ask, access)?;
        session.meter.attempts.set(session.meter.attempts.get() + 1);
        session.meter.doubt.asks(ask.deed.is_some());
        let flight = session.gate.sends();
        let mut response = session.exchange(request, body).await?;
        if ask.redirect && response.status().is_redirection() && response.status() != StatusCode::NOT_MODIFIED {
            response = self.redirected(session, response, access.api.as_str()).await?;
        }
        self.config().log(LogLevel::Debug, || format!("{} {} answered {}", ask.method, ask.path.join("/"), response.status().as_u16()));
        session.meter.date.set(response.headers().get(DATE).cloned());
        let pause = (!response.status().is_success()).then(|| reply::retry_after(response.headers())).flatten();
        let answer = Answer::of(response.status(), response.headers(), pause);
        session.meter.credits.set(answer.credits.or(session.meter.credits.get()));
        session.gate.answered(&answer, flight, self.config().max_in_flight, self.config().credits_reserve)?;
        if !response.status().is_success() {
            return Err(reply::refusal(&mut response).await);
        }
        reader.read(&mut response).await.inspect_err(|_| session.meter.broken.set(true))
    }

    fn request(&self, ask: &Ask<'_>, access: &Access) -> Result<Request> {
        let mut path = String::with_capacity(MOST_PATHS);
        path.extend(["/crm/", self.api_version().name]);
        ask.path.iter().try_for_each(|segment| push_segment(&mut path, segment))?;
        let mut url = access.api.clone();
        url.set_path(&path);
        if !ask.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&ask.query);
        }
        let mut headers = HeaderMap::with_capacity(MOST_HEADERS);
        headers.insert(HOST, access.host.clone());
        headers.insert(AUTHORIZATION, access.header.clone());
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity")); // a download is byte for byte, and nothing can swell
        if let Some(content_type) = &ask.content_type {
            headers.insert(CONTENT_TYPE, content_type.clone());
        }
        Ok(Request { method: ask.method.clone(), url, headers, secrets: access.secrets.clone() })
    }

    /// One hop of a download, to a host that could be Zoho's, without the token.
    async fn redirected(&self, session: &Session<'_>, response: Response, api: &str) -> Result<Response> {
        let location = response.headers().get(LOCATION).and_then(|l| l.to_str().ok()).and_then(|l| Url::parse(l).ok());
        let Some(url) = location.filter(|url| self.0.hosts.redirects_to(url, api)) else {
            let message = "the download is redirected to a host or port that is neither Zoho's (by https) nor named in allow_hosts";
            return Err(Error::new(Status::Protocol, "redirect_refused", message).with(|d| d.http_status = response.status().as_u16()));
        };
        drop(response); // it is of a lane that may be left
        if url.scheme() == "https" && !session.is_secure() {
            self.0.lanes.become_secure();
            session.reconnect().await;
        }
        let mut headers = HeaderMap::with_capacity(1);
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        session.exchange(Request { method: Method::GET, url, headers, secrets: Arc::default() }, None).await
    }
}

/// With the two that the HTTP library adds. A map for more is a block that the allocator has to look for.
const MOST_HEADERS: usize = 6;

/// Bytes that are enough for most paths.
const MOST_PATHS: usize = 128;

/// The one place where text becomes part of a path. What a caller gives has been checked before; this check is for ids from replies.
fn push_segment(path: &mut String, segment: &str) -> Result<()> {
    if !is_segment(segment) {
        return Err(Error::new(Status::Protocol, "path_segment", format!("the reply's id {segment:?} can't be asked for: it would be another URL")));
    }
    path.push('/');
    match segment.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        true => path.push_str(segment), // nearly all are such words
        false => path.extend(utf8_percent_encode(segment, SEGMENT)),
    }
    Ok(())
}

/// How often, and for how long, a call has waited since Zoho refused it for being one of too many.
#[derive(Default)]
struct Refusals {
    count: u32,
    waited: Duration,
}

/// Whether the API refused the call unseen, because there are too many. A refusal of the token endpoint doesn't count, nor one for good.
fn is_refusal(error: &Error) -> bool {
    error.status() == Status::RateLimited && error.detail().request_sent == Sent::Answered && error.reason() != "credits_exhausted"
}
