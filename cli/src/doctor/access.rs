//! Whether the API takes the token, module by module, and how many calls at once.

use zcrm::attachment::{self, ListArgs};
use zcrm::auth::{Granted, Hosts};
use zcrm::{Client, Config, Error, Record, Result, Status};

use super::Finding;
use super::token::NO_RECORD;
use crate::app::App;
use crate::pool;
use crate::settings::Settings;

/// Lists what a record has that doesn't exist: the refusal tells whether token, scope, profile and module would let it through.
fn tried(app: &App, client: &Client, module: &str) -> Result<()> {
    match attachment::list(client, &Record::new(module, NO_RECORD), &ListArgs::default(), app.call()) {
        Err(error) if matches!(error.status(), Status::InvalidRecord | Status::NotFound) => Ok(()),
        listed => listed.map(drop),
    }
}

pub fn module(app: &App, settings: &Settings, client: &Client, hosts: &Hosts, granted: Option<&Granted>, module: &str) -> Finding {
    let Err(error) = tried(app, client, module) else { return Finding::ok("access", format!("attachments of {module} can be read")) };
    let found = format!("{module}: {error}");
    match error.status() {
        Status::Auth => refused(settings, hosts, granted, &error),
        Status::Scope => Finding::bad(
            "access",
            found,
            format!(
                "make a code with the scopes ZohoCRM.modules.{},ZohoCRM.modules.attachments.ALL, and zcrm login",
                module.to_ascii_lowercase() + ".ALL"
            ),
        ),
        Status::Forbidden => {
            Finding::bad("access", found, "let an administrator give the user's profile access to the module, and to the API (Setup > Profiles)")
        }
        Status::InvalidModule | Status::Argument => {
            Finding::bad("access", found, "give the module's API name (Setup > Developer Hub > APIs and SDKs > API Names)")
        }
        Status::RateLimited => Finding::bad("access", found, "wait; the organisation's calls of the day, or at once, are used"),
        _ => Finding::bad("access", found, "see what the API says; -vv shows each exchange"),
    }
}

/// The causes of INVALID_TOKEN.
fn refused(settings: &Settings, hosts: &Hosts, granted: Option<&Granted>, error: &Error) -> Finding {
    if let Some(granted) = granted {
        let environment = settings.value("environment").unwrap_or("production");
        return match (granted.api_domain != hosts.api, environment) {
            (true, _) => Finding::bad(
                "access",
                format!("INVALID_TOKEN: the token is good at {}, and calls go to {}", granted.api_domain, hosts.api),
                "take api_domain out of the settings, or set data_center and environment to those of the token",
            ),
            (false, "production") => Finding::bad("access", error.to_string(), "zcrm login again: the token was revoked, or is a sandbox's"),
            (false, other) => Finding::bad("access", error.to_string(), format!("make the code in the API console for the {other} environment")),
        };
    }
    Finding::bad(
        "access",
        format!(
            "INVALID_TOKEN: {} doesn't take the access token: it is over an hour old, was revoked, is a refresh token, \
             or is of another data centre or environment",
            hosts.api
        ),
        "zcrm login once gives a refresh token, from which new ones come; else look at data_center and environment",
    )
}

/// So many calls at once, none of them repeated.
pub fn concurrency(app: &App, config: &Config, module: &str, parallel: u16) -> Finding {
    let wanted = parallel.to_string();
    let mut config = config.clone();
    let set = [("max_in_flight", wanted.as_str()), ("max_retries", "0")].iter().try_for_each(|(key, value)| config.set(key, value));
    let client = match set.and_then(|()| Client::new(config)) {
        Ok(client) => client,
        Err(error) => return Finding::bad("concurrency", error.to_string(), "look at the settings"),
    };
    let (calls, mut refused) = (vec![(); parallel.into()], 0);
    let told = pool::in_order(
        &calls,
        parallel.into(),
        &app.cancel,
        |()| tried(app, &client, module),
        |(), tried| {
            refused += usize::from(tried.is_some_and(|tried| tried.is_err_and(|error| error.status() == Status::RateLimited)));
            Ok(())
        },
    );
    match (told, refused) {
        (Err(_), _) => Finding::bad("concurrency", "it was not tried to the end", "try again"),
        (Ok(()), 0) => Finding::ok("concurrency", format!("{parallel} calls at once are taken")),
        (Ok(()), n) => Finding::bad(
            "concurrency",
            format!("{n} of {parallel} calls at once are refused: the edition allows fewer, or other programs use them"),
            format!("set max_in_flight below {parallel}"),
        ),
    }
}
