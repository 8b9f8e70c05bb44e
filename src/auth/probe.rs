//! What answers at a host: asked without any credential, as a person looks who can't connect.

use std::sync::Arc;
use std::time::SystemTime;

use reqwest::header::{DATE, HeaderMap};
use reqwest::{Method, Url};

use super::Hosts;
use crate::call::Call;
use crate::cancel::Limits;
use crate::config::Config;
use crate::error::{Error, Result, Status};
use crate::http::{self, Lanes, Meter, Request, Secrets};
use crate::organisation::Gate;

/// What a host has answered, whatever it was.
#[derive(Debug, Clone)]
pub struct Answered {
    /// Its HTTP status.
    pub http_status: u16,
    /// Its clock, to the second.
    pub clock: Option<SystemTime>,
}

/// Asks `url` once, by the settings' proxy and certificates, and follows no redirect.
pub fn probe(config: &Config, url: &str, call: Call<'_>) -> Result<Answered> {
    let url = Url::parse(url).map_err(|_| Error::argument("url", "is not a URL"))?;
    let limits = Limits::new(call.cancel, call.timeout.or(config.call_timeout));
    let lanes = Lanes::new(config, url.scheme() == "https" || Hosts::of(config)?.secure(true))?;
    http::run(&lanes, &Gate::default(), config, &limits, &Meter::default(), async |session| {
        let request = Request { method: Method::GET, url, headers: HeaderMap::new(), secrets: Arc::new(Secrets::of([])) };
        let response = session.exchange(request, None).await?;
        let clock = response.headers().get(DATE).and_then(|date| date.to_str().ok()).and_then(|date| httpdate::parse_http_date(date).ok());
        match response.status().as_u16() {
            407 => Err(Error::new(Status::Network, "proxy_auth", "the proxy wants a user name and password")),
            http_status => Ok(Answered { http_status, clock }),
        }
    })
}
