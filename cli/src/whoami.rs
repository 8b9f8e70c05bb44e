//! `zcrm whoami`: which login is used, where it leads, and what it may do.

use serde::Serialize;
use zcrm::auth::{self, Hosts};

use crate::app::App;
use crate::exit::Stop;
use crate::output::About;
use crate::settings::Settings;

/// Tell which login is used, where it leads and what it may do
///
/// It asks Zoho for an access token, of which there are ten in ten minutes.
#[derive(clap::Args)]
pub struct Args {}

#[derive(Serialize)]
struct Who {
    /// The profile's name and file, if one is used.
    profile: Option<String>,
    profiles: Option<String>,
    accounts: String,
    api: String,
    client_id: Option<String>,
    /// What the API is called with.
    credentials: &'static str,
    /// What a new access token may do; unknown where none was asked for.
    scope: Option<String>,
}

pub fn run(_: &Args, app: &App) -> Result<(), Stop> {
    let settings = Settings::read(&app.common)?;
    let config = app.heard(settings.config()?);
    app.client()?; // the settings fit together
    let Hosts { accounts, api, .. } = Hosts::of(&config)?;
    let asks = settings.asks_for_tokens();
    let granted = if asks { auth::ask(&config, app.call()).map(Some) } else { Ok(None) };
    let granted = match granted {
        Ok(granted) => granted.map(|outcome| outcome.result),
        Err(error) => return app.out.failed(&About::default(), &error),
    };
    let who = Who {
        profile: settings.profile.as_ref().map(|profile| profile.name().to_owned()),
        profiles: settings.profile.as_ref().map(|profile| profile.path().display().to_string()),
        accounts,
        api: granted.as_ref().map_or(api, |granted| granted.api_domain.clone()),
        client_id: settings.value("client_id").map(str::to_owned),
        credentials: if asks { "refresh token" } else { "access token" },
        scope: granted.and_then(|granted| granted.scope),
    };
    app.out.row(&About::default(), &who, || lines(&who))
}

fn lines(who: &Who) -> String {
    let Who { profile, profiles, accounts, api, client_id, credentials, scope } = who;
    let named = |name: &str, value: Option<&str>| value.map(|value| format!("{name:<13}{}", zcrm::one_line(value)));
    let profile = profile.as_ref().map(|profile| format!("{profile} of {}", profiles.as_deref().unwrap_or_default()));
    let rows = [
        named("profile", profile.as_deref().or(Some("none"))),
        named("accounts", Some(accounts)),
        named("API", Some(api)),
        named("client id", client_id.as_deref()),
        named("credentials", Some(credentials)),
        named("scopes", scope.as_deref()),
    ];
    rows.into_iter().flatten().collect::<Vec<_>>().join("\n")
}
