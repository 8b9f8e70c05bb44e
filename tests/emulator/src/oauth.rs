//! The accounts server: token endpoint, consent, revocation, server list.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use crate::accounts::{ALL_SCOPES, Client, Code, Grant};
use crate::control::without_port;
use crate::ledger::TokenIssued;
use crate::reply::{Answer, Reply};
use crate::request::Request;
use crate::settings::ExpiresIn;
use crate::state::State;
use crate::world::Environment;

/// Answers a request to the accounts server.
pub fn answer(state: &mut State, request: &Request) -> Reply {
    let method = request.head.method.as_str();
    let reply = match (method, request.head.path.as_str()) {
        ("POST", "/oauth/v2/token") => Form::read(request).token(state),
        // Another method than POST on the token endpoint is UNCONFIRMED.
        (_, "/oauth/v2/token") => Err(failure("general_error")),
        ("GET", "/oauth/v2/auth") => Form::read(request).consent(state),
        ("POST", "/oauth/v2/token/revoke") => Form::read(request).revoke(state),
        ("GET", "/oauth/serverinfo") => Ok(server_info(state, request.head.header("Host"))),
        _ => Ok(Reply::html(404)),
    };
    reply.unwrap_or_else(|refusal| *refusal).header("Server", "ZGS")
}

/// A failure of the accounts server. It comes with status 200: only `access_token` tells success.
fn failure(error: &str) -> Box<Reply> {
    Box::new(Reply::plain_json(200, &json!({"error": error})))
}

/// The parameters of a request, from query, urlencoded or multipart body.
struct Form {
    seq: u64,
    pairs: Vec<(String, String)>,
    environment: Environment,
    /// The name that the request was sent to.
    host: Option<String>,
}

impl Form {
    fn read(request: &Request) -> Form {
        let environment = request.head.environment();
        let host = request.head.header("Host").map(str::to_owned);
        Form { seq: request.seq, pairs: request.all_parameters(), environment, host }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    }

    fn token(&self, state: &mut State) -> Answer {
        match self.get("grant_type") {
            Some("refresh_token") => self.refresh(state),
            Some("authorization_code") => self.exchange(state),
            Some("client_credentials") => self.client_credentials(state),
            // UNCONFIRMED which of the reported words comes.
            _ => Err(failure("unsupported_grant_type")),
        }
    }

    fn client(&self, state: &State) -> Result<Client, Box<Reply>> {
        let client = self.get("client_id").and_then(|id| state.accounts.client(id));
        let client = client.ok_or_else(|| failure("invalid_client"))?;
        if self.get("client_secret") != Some(client.secret.as_str()) {
            return Err(failure("invalid_client_secret"));
        }
        Ok(client.clone())
    }

    fn refresh(&self, state: &mut State) -> Answer {
        let client = self.client(state)?;
        let value = self.get("refresh_token").ok_or_else(|| failure("invalid_code"))?;
        let grant = state.accounts.refresh.get(value).map(|r| r.grant.clone());
        let grant = grant.filter(|g| g.client_id == client.id).ok_or_else(|| failure("invalid_code"))?;
        throttle(state, &format!("refresh {value}"))?;
        Ok(self.issue(state, grant, Some(value), None))
    }

    fn exchange(&self, state: &mut State) -> Answer {
        let client = self.client(state)?;
        // A self client needs no redirect_uri; any other must repeat its own. UNCONFIRMED status.
        if client.redirect_uri.is_some() && self.get("redirect_uri") != client.redirect_uri.as_deref() {
            return Err(failure("invalid_redirect_uri"));
        }
        let now = state.now();
        let code = self.get("code").and_then(|code| state.accounts.take_code(code, &client.id, now));
        let code = code.ok_or_else(|| failure("invalid_code"))?;
        if code.redirect_uri.is_some() && code.redirect_uri.as_deref() != self.get("redirect_uri") {
            return Err(failure("invalid_redirect_uri"));
        }
        let refresh = code.offline.then(|| state.accounts.new_refresh(code.grant.clone()));
        if let Some(refresh) = &refresh {
            throttle(state, &format!("refresh {refresh}"))?;
        }
        Ok(self.issue(state, code.grant, refresh.as_deref(), refresh.as_deref()))
    }

    fn client_credentials(&self, state: &mut State) -> Answer {
        let client = self.client(state)?;
        let organisation = &state.organisations[client.organisation];
        let soid = self.get("soid").ok_or_else(|| failure("missing_org_info"))?;
        if soid.strip_prefix("ZohoCRM.") != Some(organisation.zsoid.as_str()) {
            return Err(failure("missing_org_info"));
        }
        let scope = self.get("scope").ok_or_else(|| failure("invalid_scope"))?;
        let grant = Grant {
            client_id: client.id.clone(),
            organisation: client.organisation,
            environment: organisation.environment,
            scope: checked_scope(scope)?,
        };
        // That the limit of refresh tokens holds here too is UNCONFIRMED.
        throttle(state, &format!("client {}", client.id))?;
        Ok(self.issue(state, grant, None, None))
    }

    fn issue(&self, state: &mut State, grant: Grant, refresh: Option<&str>, told: Option<&str>) -> Reply {
        let (now, settings) = (state.now(), state.settings.clone());
        let access = state.accounts.new_access(grant.clone(), refresh, now, &settings);
        state.ledger.tokens_issued.push(TokenIssued {
            seq: self.seq,
            at_ms: now.saturating_sub(state.started),
            grant: self.get("grant_type").unwrap_or_default().to_owned(),
            client_id: grant.client_id.clone(),
            organisation: grant.organisation + 1,
            token: access.chars().take(12).collect(),
        });
        let life = settings.token_lifetime_s;
        let mut reply = json!({
            "access_token": access,
            "scope": grant.scope.replace(',', " "),
            "api_domain": settings.api_domain.unwrap_or_else(|| api_domain(&state.url(self.host.as_deref()), grant.environment)),
            "token_type": "Bearer",
            "expires_in": life,
        });
        if settings.expires_in == ExpiresIn::Legacy {
            reply["expires_in_sec"] = json!(life);
            reply["expires_in"] = json!(life * 1000);
        }
        if !settings.expires_in_value.is_null() {
            reply["expires_in"] = settings.expires_in_value;
        }
        if let Some(refresh) = told {
            reply["refresh_token"] = json!(refresh);
        }
        Reply::plain_json(200, &reply)
    }

    /// The consent page, where the user always agrees at once.
    fn consent(&self, state: &mut State) -> Answer {
        let client = self.get("client_id").and_then(|id| state.accounts.client(id)).cloned();
        let client = client.ok_or_else(|| failure("invalid_client"))?;
        let redirect = self.get("redirect_uri").map(str::to_owned);
        let Some(redirect) = redirect.filter(|r| Some(r) == client.redirect_uri.as_ref()) else {
            return Err(failure("invalid_redirect_uri"));
        };
        let scope = checked_scope(self.get("scope").unwrap_or(ALL_SCOPES))?;
        let now = state.now();
        if !state.accounts.admit(&format!("codes {}", client.id), 10, now) {
            return Err(failure("access_denied"));
        }
        let grant = Grant { client_id: client.id, organisation: client.organisation, environment: self.environment, scope };
        let offline = self.get("access_type") == Some("offline");
        let expires = now + state.settings.grant_code_lifetime_s * 1000;
        let code = state.accounts.new_code(Code { grant, redirect_uri: Some(redirect.clone()), offline, expires });
        let accounts = utf8_percent_encode(&state.url(self.host.as_deref()), NON_ALPHANUMERIC).to_string();
        let location = format!("{redirect}?code={code}&location=us&accounts-server={accounts}");
        Ok(Reply::empty(302).header("Location", location))
    }

    fn revoke(&self, state: &mut State) -> Answer {
        let known = self.get("token").is_some_and(|token| state.accounts.revoke(token));
        // What an unknown token answers is UNCONFIRMED.
        if known { Ok(Reply::plain_json(200, &json!({"status": "success"}))) } else { Err(failure("invalid_code")) }
    }
}

/// Ten tokens in ten minutes, then nothing for the rest of them.
fn throttle(state: &mut State, key: &str) -> Result<(), Box<Reply>> {
    let (now, most) = (state.now(), state.settings.tokens_per_window);
    if state.accounts.admit(key, most, now) {
        return Ok(());
    }
    let settings = &state.settings;
    let body = json!({
        "error_description": settings.token_throttle_description,
        "error": settings.token_throttle_error,
        "status": "failure",
    });
    Err(Box::new(Reply::plain_json(settings.token_throttle_status, &body)))
}

fn checked_scope(scope: &str) -> Result<String, Box<Reply>> {
    let words: Vec<&str> = scope.split([',', ' ']).filter(|s| !s.is_empty()).collect();
    if words.is_empty() || words.iter().any(|w| w.split('.').count() < 2) {
        return Err(failure("invalid_scope"));
    }
    Ok(words.join(","))
}

/// The address at which an environment is reached: the production's, behind a word; of an IP address, behind `localhost`.
pub fn api_domain(url: &str, environment: Environment) -> String {
    let word = match environment {
        Environment::Production => return url.to_owned(),
        Environment::Sandbox => "sandbox",
        Environment::Developer => "developer",
    };
    let (scheme, authority) = url.split_once("://").unwrap_or(("http", url));
    let host = without_port(authority);
    let port = &authority[host.len()..];
    let host = if host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok() { "localhost" } else { host };
    let host = ["sandbox.", "developer."].into_iter().find_map(|w| host.strip_prefix(w)).unwrap_or(host);
    format!("{scheme}://{word}.{host}{port}")
}

/// The data centres. The full shape is UNCONFIRMED.
fn server_info(state: &State, host: Option<&str>) -> Reply {
    let mut locations = json!({});
    for centre in ["us", "eu", "in", "au", "jp", "cn", "ca", "sa"] {
        locations[centre] = json!(state.url(host));
    }
    Reply::plain_json(200, &json!({"result": "success", "locations": locations}))
}
