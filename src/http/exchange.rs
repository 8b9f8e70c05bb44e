//! One HTTP request and the head of its reply.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode, Url};
use tokio::time::timeout;

use super::body::{Pipe, pipe};
use super::failure::Target;
use super::lane::Lane;
use super::secrets::Secrets;
use super::{Session, failure, framing};
use crate::error::{Error, Result, Sent, Status, one_line};
use crate::fallible;
use crate::text::mark_length;
use crate::transfer::{CHUNK, Outgoing};

/// One request, without its body.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    /// Secrets of the request, which are blanked out of its reply.
    pub(crate) secrets: Arc<Secrets>,
}

impl Request {
    /// Not by reqwest's builder, which copies the headers one by one.
    fn with(self, body: Option<reqwest::Body>) -> reqwest::Request {
        let mut request = reqwest::Request::new(self.method, self.url);
        *request.headers_mut() = self.headers;
        *request.body_mut() = body;
        request
    }
}

/// A reply whose head has come. Secrets of the request are blanked out of everything but file bytes.
pub(crate) struct Response {
    reply: reqwest::Response,
    secrets: Arc<Secrets>,
    /// The next bytes of the body, if somebody has looked at them before taking them.
    ahead: Bytes,
    target: Target,
    pace: Pace,
    whole: Duration,
    /// Held while an early reply is read: letting go of an unfinished body closes the connection under the reply.
    _unfinished: Option<Pipe>,
}

/// How fast a file comes, over each `window` that is spent in waiting for it. The time that the caller's writer takes doesn't count.
struct Pace {
    window: Duration,
    least: u64,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    fn new(window: Duration, least: u64) -> Pace {
        Pace { window, least, waited: Duration::ZERO, bytes: 0 }
    }

    /// So many bytes came after so long a wait.
    fn came(&mut self, wait: Duration, bytes: usize, target: &Target) -> Result<()> {
        (self.waited, self.bytes) = (self.waited + wait, self.bytes + bytes as u64);
        if self.waited < self.window {
            return Ok(());
        }
        if (self.bytes as f64) < self.least as f64 * self.waited.as_secs_f64() {
            let what = format!("sent {} bytes in {} ms, and least_speed is {} a second", self.bytes, self.waited.as_millis(), self.least);
            return Err(failure::slow(target, what));
        }
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        Ok(())
    }
}

/// A reply and, if it came before the whole body was sent, the rest of the body.
type Answer = (reqwest::Response, Option<Pipe>);

impl Session<'_> {
    /// Sends the request with its body and waits for the head of the reply. The body must be at its start.
    pub(crate) async fn exchange(&self, request: Request, body: Option<&mut Outgoing<'_>>) -> Result<Response> {
        // Nobody polls an idle lane: this lets it see that the server closed the connection, before it is used.
        tokio::task::yield_now().await;
        self.meter.doubt.has_sent(Sent::No);
        let (secrets, target) = (request.secrets.clone(), Target::of(&request.url, self.config));
        let outcome = match body {
            None => self.whole(request, Bytes::new(), &target).await,
            Some(body) if body.length().is_some_and(|n| n <= CHUNK as u64) => {
                let bytes = body.read_all()?;
                self.whole(request, bytes, &target).await
            }
            Some(body) => self.streamed(request, body, &target).await,
        };
        let (mut reply, unfinished) = outcome.inspect_err(|_| self.meter.broken.set(true))?;
        self.meter.doubt.has_sent(Sent::Answered);
        self.keep(reply.headers());
        if framing::check(reply.headers()).is_err() {
            self.meter.broken.set(true); // what follows on this connection may be the rest of this reply
        }
        secrets.blank_headers(reply.headers_mut());
        let pace = Pace::new(self.config.stall_timeout, self.config.least_speed);
        Ok(Response { reply, secrets, target, pace, whole: self.config.reply_timeout, ahead: Bytes::new(), _unfinished: unfinished })
    }

    fn execute(&self, request: reqwest::Request) -> impl Future<Output = reqwest::Result<reqwest::Response>> + use<> {
        let lane = self.lane.borrow();
        lane.as_ref().expect("work is done on a lane").http.execute(request)
    }

    /// Keeps an idle connection no longer than the server says, less a margin: a request that is under way when the server closes it is lost.
    fn keep(&self, headers: &HeaderMap) {
        let lane = self.lane.borrow();
        let lane = lane.as_ref().expect("work is done on a lane");
        let served = lane.has_served();
        if let Some(seconds) = framing::kept(headers, "timeout") {
            let time = Duration::from_secs(seconds.into());
            lane.keep_at_most(time.saturating_sub(Duration::from_secs(1)).max(time / 2));
        }
        if framing::kept(headers, "max").is_some_and(|most| most <= served) {
            lane.keep_at_most(Duration::ZERO);
        }
    }

    /// Whether the connection could check a certificate.
    pub(crate) fn is_secure(&self) -> bool {
        self.lane.borrow().as_ref().is_some_and(|lane| lane.secure)
    }

    /// Goes on with a new connection where the server said that this one has served its last request.
    pub(crate) async fn leave_what_is_used_up(&self) {
        let is_used_up = self.lane.borrow().as_ref().is_some_and(Lane::is_used_up);
        if is_used_up {
            self.reconnect().await;
        }
    }

    /// A body that fits one write together with the head.
    async fn whole(&self, request: Request, body: Bytes, target: &Target) -> Result<Answer> {
        let body = (!body.is_empty()).then(|| body.into());
        self.meter.doubt.has_sent(Sent::Fully); // a failure to connect takes this back
        let reply = self.bounded(self.execute(request.with(body)), target).await?;
        self.answered(reply, None, target)
    }

    /// A body that is read while it is sent. The server may answer before it has all of it, and that answer counts.
    async fn streamed(&self, request: Request, body: &mut Outgoing<'_>, target: &Target) -> Result<Answer> {
        let (mut pipe, pipe_body) = pipe(body.length());
        let send = self.execute(request.with(Some(reqwest::Body::wrap(pipe_body))));
        tokio::pin!(send);
        let fed = tokio::select! {
            biased;
            reply = &mut send => {
                self.meter.broken.set(true);
                return self.answered(reply, Some(pipe), target);
            }
            fed = self.feed(body, &mut pipe, target) => fed,
        };
        fed?;
        let reply = self.bounded(send, target).await?;
        self.answered(reply, None, target)
    }

    async fn feed(&self, body: &mut Outgoing<'_>, pipe: &mut Pipe, target: &Target) -> Result<()> {
        let mut fed = 0;
        loop {
            let mut buffer = match timeout(self.config.stall_timeout, pipe.buffer()).await {
                Err(_) => return Err(failure::stalled(self.config.stall_timeout, target, "takes no more of the body")),
                // The reply, or the failure, is about to come from the other side of the select.
                Ok(None) => return std::future::pending().await,
                Ok(Some(buffer)) => buffer?,
            };
            let mut filled = 0;
            while filled < buffer.len() {
                match body.read_some(&mut buffer[filled..])? {
                    0 => break,
                    n => filled += n,
                }
                tokio::task::yield_now().await; // lets a cancel in, where a reader gives little at a time
            }
            if filled == 0 {
                pipe.finish();
                self.meter.doubt.has_sent(Sent::Fully);
                return Ok(());
            }
            let at_end = filled < buffer.len();
            pipe.send(buffer, filled);
            fed += filled as u64;
            // Once the server has all bytes, it may store them and answer, or break the connection, before it is told that they end.
            self.meter.doubt.has_sent(if at_end || body.length() == Some(fed) { Sent::Fully } else { Sent::Partly });
        }
    }

    /// The head of a reply, in bounded time after the body has left.
    async fn bounded(
        &self,
        send: impl Future<Output = reqwest::Result<reqwest::Response>>,
        target: &Target,
    ) -> Result<reqwest::Result<reqwest::Response>> {
        // Connecting has its own bound inside; both together are the longest silence.
        let bound = self.config.stall_timeout + self.config.connect_timeout;
        timeout(bound, send).await.map_err(|_| failure::unanswered(bound, target))
    }

    fn answered(&self, reply: reqwest::Result<reqwest::Response>, unfinished: Option<Pipe>, target: &Target) -> Result<Answer> {
        match reply {
            Ok(reply) => Ok((reply, unfinished)),
            Err(e) => {
                if e.is_connect() {
                    self.meter.doubt.has_sent(Sent::No);
                }
                Err(failure::of(&e, target))
            }
        }
    }
}

/// What the work gives within this time. The clock is looked at only if it isn't done at once, as it is where the bytes are there already.
/// The timer is in a block of its own, so that a reply's future is small enough for the allocator's fast way.
async fn within<T>(bound: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    match poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await {
        Poll::Ready(done) => Some(done),
        Poll::Pending => Box::pin(timeout(bound, work)).await.ok(),
    }
}

impl Response {
    /// A reply that didn't come over a connection.
    #[cfg(any(fuzzing, test))]
    pub(crate) fn foreign(reply: reqwest::Response) -> Response {
        let (target, long) = (Target::of(reply.url(), &crate::Config::new()), Duration::from_secs(60));
        Response { reply, secrets: Arc::default(), target, pace: Pace::new(long, 0), whole: long, ahead: Bytes::new(), _unfinished: None }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.reply.status()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.reply.headers()
    }

    /// Refuses a body that isn't the bytes themselves.
    pub(crate) fn check_coding(&self) -> Result<()> {
        let Some(coding) = framing::coding(self.headers()) else { return Ok(()) };
        let (target, coding) = (&self.target, one_line(&coding));
        let message =
            format!("{target} answered in an encoding ({coding:?}) that wasn't asked for, so nothing is taken: does a proxy change replies?");
        Err(Error::new(Status::Protocol, "content_encoding", message))
    }

    /// Bytes of the body that are still to be taken, if the reply says how many it has.
    pub(crate) fn length(&self) -> Option<u64> {
        self.reply.content_length().map(|behind| behind + self.ahead.len() as u64)
    }

    /// The next bytes of the body; `None` at its end.
    ///
    /// Over plain http on loopback the call sleeps after each 280 KB until the server has filled the socket again, which takes up to half as
    /// much wall time again as libcurl's many small reads. Looking again before going to sleep: once or five times makes no difference, thirty
    /// times it is faster than libcurl; but on a network, where nearly every look finds nothing, it would cost more CPU than the download.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>> {
        if !self.ahead.is_empty() {
            return self.next().await; // they were counted when they came
        }
        let began = Instant::now();
        let chunk = self.next().await?;
        self.pace.came(began.elapsed(), chunk.as_ref().map_or(0, Bytes::len), &self.target)?;
        Ok(chunk)
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        if !self.ahead.is_empty() {
            return Ok(Some(std::mem::take(&mut self.ahead)));
        }
        match within(self.pace.window, self.reply.chunk()).await {
            Some(chunk) => chunk.map_err(|e| failure::of(&e, &self.target)),
            None => Err(failure::stalled(self.pace.window, &self.target, "sends no more of the reply")),
        }
    }

    /// The first bytes of the body, at least `least` of them or all that there are, which stay to be taken.
    pub(crate) async fn peek(&mut self, least: usize) -> Result<&[u8]> {
        let mut first = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if first.is_empty() && chunk.len() >= least {
                self.ahead = chunk; // as it nearly always is: nothing is copied
                return Ok(&self.ahead);
            }
            fallible::append(&mut first, &chunk)?;
            if first.len() >= least {
                break;
            }
        }
        self.ahead = first.into();
        Ok(&self.ahead)
    }

    /// The whole body, which is JSON or a page of an intermediary: at most `most` bytes.
    pub(crate) async fn bytes(&mut self, most: usize) -> Result<Bytes> {
        let http_status = self.status().as_u16();
        let mut all = self.within_bounds(most).await.map_err(|error| error.with(|d| d.http_status = http_status))?;
        all.advance(mark_length(&all));
        Ok(self.secrets.blanked(all))
    }

    async fn within_bounds(&mut self, most: usize) -> Result<Bytes> {
        self.check_coding()?;
        let bound = self.whole;
        let collected = within(bound, self.collect(most)).await;
        collected.unwrap_or_else(|| {
            let what = format!("hasn't ended its reply within {} ms (reply_timeout_ms)", bound.as_millis());
            Err(failure::slow(&self.target, what))
        })
    }

    /// A body that comes as one piece, as a short one nearly always does, isn't copied.
    async fn collect(&mut self, most: usize) -> Result<Bytes> {
        let (mut first, mut all) = (Bytes::new(), Vec::new());
        while self.length() != Some(0)
            && let Some(chunk) = self.next().await?
        {
            if first.len() + all.len() + chunk.len() > most {
                return Err(Error::new(Status::TooLarge, "reply_too_large", format!("the reply is over {most} bytes")));
            }
            if first.is_empty() && all.is_empty() {
                first = chunk;
                continue;
            }
            let first = std::mem::take(&mut first);
            fallible::reserve(&mut all, first.len() + chunk.len() + self.length().map_or(0, |n| n.min(most as u64) as usize))?;
            all.extend_from_slice(&first);
            all.extend_from_slice(&chunk);
        }
        Ok(if all.is_empty() { first } else { all.into() })
    }
}
