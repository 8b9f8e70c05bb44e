//! Requests to Zoho's token endpoint. <https://www.zoho.com/crm/developer/docs/api/v8/oauth-overview.html>

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::hosts::Hosts;
use crate::config::{Config, Secret};
use crate::error::{Error, Result, Status, one_line};
use crate::http::{self, Request, Response, Secrets, Session, reply};
use crate::object::Object;
use crate::transfer::{Outgoing, sha256};

/// No token is taken to live longer: Zoho's live an hour, and a reply in milliseconds would otherwise mean 41 days.
const LONGEST: Duration = Duration::from_secs(3600);
/// How long Zoho refuses after too many token requests.
pub(super) const THROTTLED: Duration = Duration::from_secs(600);

/// The way out of too many token requests.
pub(super) const SHARE: &str = "share one client between threads, and one token between processes (setting token_file)";

/// What is exchanged for an access token.
#[derive(Clone)]
pub(crate) enum Grant {
    Refresh { client_id: String, client_secret: Secret, refresh_token: Secret },
    Code { client_id: String, client_secret: Secret, code: Secret, redirect_uri: Option<String> },
    ClientCredentials { client_id: String, client_secret: Secret, scope: Option<String>, soid: String },
}

/// A token reply that gives a token.
pub(crate) struct Issued {
    pub(crate) access_token: Secret,
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) api_domain: Option<String>,
    pub(crate) scope: Option<String>,
    pub(crate) lives: Duration,
}

impl Issued {
    /// The API host that the reply leads to. Where it leads to none, the error shows no token of the reply.
    pub(super) fn api(&self, hosts: &Hosts) -> Result<String> {
        let tokens = [Some(&self.access_token), self.refresh_token.as_ref()].into_iter().flatten();
        hosts.follow(self.api_domain.as_deref()).map_err(|error| http::scrub(error, tokens.map(Secret::expose)))
    }
}

#[derive(Deserialize)]
struct Reply {
    access_token: Option<Secret>,
    refresh_token: Option<Secret>,
    api_domain: Option<String>,
    scope: Option<String>,
    expires_in: Option<serde_json::Value>,
    expires_in_sec: Option<serde_json::Value>,
    error: Option<String>,
    error_description: Option<String>,
    status: Option<String>,
}

impl Reply {
    /// Whether it gives a token or says why not. A gateway's JSON does neither.
    fn is_zohos(&self) -> bool {
        let has_token = self.access_token.as_ref().is_some_and(|token| !token.expose().is_empty());
        has_token || self.error.is_some() || self.is_throttle()
    }

    /// The throttle's words are in the user's language, where any other `error` is a code, with or without a description.
    fn is_throttle(&self) -> bool {
        let is_code = |word: &str| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let is_told = self.error_description.is_some() && !self.error.as_deref().is_some_and(is_code);
        is_told || self.status.as_deref() == Some("failure") || self.error.as_deref() == Some("access_denied")
    }
}

impl Grant {
    /// The grant that the settings describe, if they describe one.
    pub(crate) fn of(config: &Config) -> Result<Option<Grant>> {
        let (Some(client_id), Some(client_secret)) = (config.client_id.clone(), config.client_secret.clone()) else {
            return match &config.refresh_token {
                Some(_) => Err(missing("client_id and client_secret", "refresh_token")),
                None => Ok(None),
            };
        };
        if let Some(refresh_token) = config.refresh_token.clone() {
            return Ok(Some(Grant::Refresh { client_id, client_secret, refresh_token }));
        }
        match config.soid.clone() {
            Some(soid) => Ok(Some(Grant::ClientCredentials { client_id, client_secret, scope: config.scope.clone(), soid })),
            None => Err(missing("refresh_token (or soid, for client credentials)", "client_id and client_secret")),
        }
    }

    /// The exchange of the setting `grant_code`.
    pub(crate) fn code(config: &Config) -> Result<Grant> {
        match (config.client_id.clone(), config.client_secret.clone(), config.grant_code.clone()) {
            (Some(client_id), Some(client_secret), Some(code)) => {
                Ok(Grant::Code { client_id, client_secret, code, redirect_uri: config.redirect_uri.clone() })
            }
            _ => Err(missing("client_id, client_secret and grant_code", "the exchange of a grant code")),
        }
    }

    /// What the token store keeps this grant's token under: a hash, which tells nothing.
    pub(crate) fn store_key(&self, hosts: &Hosts) -> String {
        sha256(format!("{} {}", hosts.accounts, self.form().as_str()).as_bytes())
    }

    /// The form: secrets travel in the body, never in the URL.
    fn form(&self) -> Zeroizing<String> {
        let mut form = form_urlencoded::Serializer::new(String::with_capacity(512));
        match self {
            Grant::Refresh { client_id, client_secret, refresh_token } => {
                form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", refresh_token.expose());
                form.append_pair("client_id", client_id).append_pair("client_secret", client_secret.expose());
            }
            Grant::Code { client_id, client_secret, code, redirect_uri } => {
                form.append_pair("grant_type", "authorization_code").append_pair("code", code.expose());
                form.append_pair("client_id", client_id).append_pair("client_secret", client_secret.expose());
                form.extend_pairs(redirect_uri.iter().map(|uri| ("redirect_uri", uri)));
            }
            Grant::ClientCredentials { client_id, client_secret, scope, soid } => {
                form.append_pair("grant_type", "client_credentials").append_pair("soid", soid);
                form.append_pair("client_id", client_id).append_pair("client_secret", client_secret.expose());
                form.extend_pairs(scope.iter().map(|scope| ("scope", scope)));
            }
        }
        Zeroizing::new(form.finish())
    }

    fn secrets(&self) -> Secrets {
        match self {
            Grant::Refresh { client_secret, refresh_token: secret, .. } | Grant::Code { client_secret, code: secret, .. } => {
                Secrets::of([client_secret.expose(), secret.expose()])
            }
            Grant::ClientCredentials { client_secret, .. } => Secrets::of([client_secret.expose()]),
        }
    }

    /// Asks for a token, within `token_timeout_ms`.
    pub(crate) async fn exchange(&self, session: &Session<'_>, hosts: &Hosts) -> Result<Issued> {
        let bound = session.config.token_timeout;
        match timeout(bound, self.ask(session, hosts)).await {
            Ok(granted) => granted,
            Err(_) => {
                session.meter.broken.set(true);
                Err(Error::new(Status::Timeout, "token_timeout", format!("{} gave no token within {} ms", hosts.accounts, bound.as_millis())))
            }
        }
    }

    async fn ask(&self, session: &Session<'_>, hosts: &Hosts) -> Result<Issued> {
        let url = Url::parse(&format!("{}/oauth/v2/token", hosts.accounts));
        let url =
            url.map_err(|_| Error::new(Status::Config, "accounts_url", "accounts_url is not a URL").with(|d| d.field = Some("accounts_url")))?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let form = self.form();
        let mut body = Outgoing::small(form.as_bytes());
        let response = session.exchange(Request { method: Method::POST, url, headers, secrets: Arc::new(self.secrets()) }, Some(&mut body)).await;
        read(response?, hosts).await
    }
}

fn missing(what: &str, beside: &str) -> Error {
    Error::new(Status::Config, "credentials", format!("{beside} needs {what} beside it"))
}

pub(crate) async fn read(mut response: Response, hosts: &Hosts) -> Result<Issued> {
    let status = response.status();
    let body = Zeroizing::new(Vec::from(response.bytes(reply::MOST).await?));
    let error = match serde_json::from_slice::<Object<Reply>>(&body) {
        Ok(Object(reply)) if reply.is_zohos() => match &reply.access_token {
            Some(access_token) if status.is_success() && !access_token.expose().is_empty() => {
                return Ok(Issued {
                    access_token: sendable(access_token).map(|_| access_token.clone())?,
                    refresh_token: reply.refresh_token,
                    lives: lives(reply.expires_in.as_ref(), reply.expires_in_sec.as_ref()),
                    api_domain: reply.api_domain,
                    scope: reply.scope,
                });
            }
            _ => refusal(status, &reply, hosts),
        },
        // Not shown: a page that isn't JSON may still repeat what was sent.
        _ => reply::foreign_from(&hosts.accounts, "accounts_url", status, response.headers(), b"").with(|d| d.reason = "token_reply"),
    };
    let asked = reply::retry_after(response.headers()).filter(|_| error.detail().retryable && error.retry_after().is_none());
    Err(error.with_wait(asked))
}

/// The `Authorization` header of a token, which may come out of a callback, a file or a reply.
pub(super) fn sendable(token: &Secret) -> Result<HeaderValue> {
    let malformed = |what| Error::new(Status::Auth, "token_malformed", format!("the access token {what}"));
    if token.expose().is_empty() {
        return Err(malformed("is empty"));
    }
    if token.expose().trim() != token.expose() {
        return Err(malformed("has a blank or a line end around it")); // nothing but blanks would go out as no token at all
    }
    let text = Zeroizing::new(format!("Zoho-oauthtoken {}", token.expose()));
    let header = HeaderValue::from_str(&text).ok().filter(|_| text.bytes().all(|b| (0x20..0x7f).contains(&b)));
    let mut header = header.ok_or_else(|| malformed("holds a line end or another character that a header can't"))?;
    header.set_sensitive(true);
    Ok(header)
}

/// Replies come in seconds, or (with `expires_in_sec` beside it) in milliseconds. A value that makes no sense counts as
/// an hour: Zoho refuses a token that has expired, while a life of 0 would cost a token request for each call.
fn lives(expires_in: Option<&serde_json::Value>, expires_in_sec: Option<&serde_json::Value>) -> Duration {
    let value = expires_in_sec.or(expires_in);
    let seconds = value.and_then(|v| v.as_f64().or_else(|| v.as_str()?.parse().ok()));
    match seconds {
        Some(s) if s >= 1.0 => Duration::try_from_secs_f64(s).unwrap_or(LONGEST).min(LONGEST),
        _ => LONGEST,
    }
}

/// Zoho's failures come as HTTP 200 with `error`.
fn refusal(http: StatusCode, reply: &Reply, hosts: &Hosts) -> Error {
    let word = reply.error.as_deref().unwrap_or("no access_token");
    let too_many = format!("more than ten token requests in ten minutes: {SHARE}");
    let (status, reason, advice) = match word {
        _ if http.is_server_error() => (Status::Server, "token_server_error", "try again later"),
        "invalid_code" => (
            Status::Auth,
            "invalid_code",
            "the refresh token or grant code is wrong, used, expired, revoked, of another client or of another data centre",
        ),
        "invalid_client" => {
            (Status::Auth, "invalid_client", "the client id is unknown in this data centre: is data_center (or accounts_url) the user's?")
        }
        "invalid_client_secret" => (Status::Auth, "invalid_client_secret", "the client secret is wrong"),
        "invalid_redirect_uri" => (Status::Auth, "invalid_redirect_uri", "redirect_uri must be the one that the grant code was made with"),
        "missing_org_info" => (Status::Auth, "missing_org_info", "soid is missing or wrong"),
        "invalid_scope" => (Status::Scope, "invalid_scope", "a scope is unknown"),
        _ if reply.is_throttle() => (Status::RateLimited, "token_throttled", too_many.as_str()),
        // Not how Zoho's own throttle answers, but perhaps a gateway's before it.
        _ if http == StatusCode::TOO_MANY_REQUESTS => (Status::RateLimited, "token_rate_limited", "try again later"),
        _ => (Status::Auth, "token_refused_by_accounts", "see the accounts host's word"),
    };
    let message = format!("{} answered {} to the token request: {advice}", hosts.accounts, one_line(word));
    Error::new(status, reason, message)
        .with(|d| {
            d.http_status = http.as_u16();
            d.api_code = one_line(word);
            d.api_message = one_line(reply.error_description.as_deref().unwrap_or_default());
            d.retryable = matches!(status, Status::RateLimited | Status::Server);
        })
        .with_wait((reason == "token_throttled").then_some(THROTTLED))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expires_in_is_read_in_both_units_and_never_believed_over_an_hour() {
        let hour = Duration::from_secs(3600);
        for (expires_in, sec, lives_for) in [
            (json!(3600), None, hour),
            (json!(120), None, Duration::from_secs(120)),
            (json!(3_600_000), Some(json!(3600)), hour),
            (json!(120_000), Some(json!(120)), Duration::from_secs(120)),
            (json!(3_600_000), None, hour),
            (json!("300"), None, Duration::from_secs(300)),
            (json!(0), None, hour),
            (json!(-1), None, hour),
            (json!(1e300), None, hour),
            (json!("soon"), None, hour),
            (json!(null), None, hour),
        ] {
            assert_eq!(lives(Some(&expires_in), sec.as_ref()), lives_for, "{expires_in} {sec:?}");
        }
    }
}
