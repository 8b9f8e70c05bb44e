//! Tokens: where they come from, how long they are good, and which hosts may see them.

mod hosts;
pub(crate) mod oauth;
mod probe;
pub(crate) mod store;
mod tokens;

use serde::Serialize;

use crate::call::{Call, Outcome};
use crate::cancel::Limits;
use crate::config::{Config, Secret};
use crate::error::{Error, Result, Status};
use crate::http::{self, Lanes, Meter};
use crate::organisation::Gate;
pub use hosts::Hosts;
pub use probe::{Answered, probe};
pub(crate) use store::FileStore;
pub(crate) use tokens::{Access, Tokens};

/// What a grant code gives. Keep the refresh token in a safe place: Zoho doesn't give it a second time.
#[derive(Debug, Clone, Serialize)]
pub struct Granted {
    /// For the setting `refresh_token`; absent when the code was made without offline access.
    pub refresh_token: Option<Secret>,
    /// A first access token.
    pub access_token: Secret,
    /// Seconds that the access token lives.
    pub expires_in: u64,
    /// The API host of the user's data centre.
    pub api_domain: String,
    /// Scopes, if the reply names them.
    pub scope: Option<String>,
}

/// Exchanges the setting `grant_code`, once, for a refresh token. Needs `client_id` and `client_secret`, and `redirect_uri` unless
/// the code is a self client's. <https://www.zoho.com/crm/developer/docs/api/v8/access-refresh.html>
pub fn exchange(config: &Config, call: Call<'_>) -> Result<Outcome<Granted>> {
    granted(config, &oauth::Grant::code(config)?, "auth.exchange", call)
}

/// Asks for an access token with the OAuth credentials of the settings, past every token that is kept, and says what the reply tells. It is
/// one of the ten that Zoho gives in ten minutes: for a person who looks whether credentials are right.
pub fn ask(config: &Config, call: Call<'_>) -> Result<Outcome<Granted>> {
    let none = || Error::new(Status::Config, "credentials", "no OAuth credentials are set: client_id, client_secret and refresh_token (or soid)");
    granted(config, &oauth::Grant::of(config)?.ok_or_else(none)?, "auth.ask", call)
}

fn granted(config: &Config, grant: &oauth::Grant, operation: &'static str, call: Call<'_>) -> Result<Outcome<Granted>> {
    let hosts = Hosts::of(config)?;
    let (limits, meter) = (Limits::new(call.cancel, call.timeout.or(config.call_timeout)), Meter::default());
    let result = http::run(&Lanes::new(config, hosts.secure(true))?, &Gate::default(), config, &limits, &meter, async |session| {
        meter.attempts.set(1); // here the token request is the operation itself
        let granted = grant.exchange(session, &hosts).await?;
        Ok(Granted {
            api_domain: granted.api(&hosts)?,
            refresh_token: granted.refresh_token,
            access_token: granted.access_token,
            expires_in: granted.lives.as_secs(),
            scope: granted.scope,
        })
    });
    let result = result.map_err(|error| http::scrub(error, config.secrets()))?;
    Ok(meter.outcome(operation, result))
}
