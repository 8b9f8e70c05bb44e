//! Whether an access token can be had, and if not, which of the causes it is.

use std::time::Duration;

use zcrm::auth::{self, Granted, Hosts};
use zcrm::{Call, Client, Config, Error, Record, Status, attachment};

use super::Finding;
use crate::app::App;
use crate::pool;
use crate::settings::Settings;

/// A record that no organisation has: what is refused about it tells of the token, and nothing is read.
pub const NO_RECORD: &str = "1";
/// Data centres, to find one that knows a client.
const DATA_CENTERS: &[&str] = &["us", "eu", "in", "au", "jp", "cn", "ca", "sa"];
/// For each of them.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the token endpoint says. A fixed access token isn't asked about here.
pub fn look(app: &App, settings: &Settings, config: &Config, hosts: &Hosts) -> (Finding, Option<Granted>) {
    if !settings.asks_for_tokens() {
        return match settings.value("access_token").filter(|token| !is_formed(token)) {
            Some(_) => (not_formed("access_token"), None),
            None => (Finding::ok("token", "an access token is given, which lasts an hour from when it was made"), None),
        };
    }
    // Where the reply leads to, and not where a setting pins it.
    let mut free = config.clone();
    let asked = free.set("api_domain", "").and_then(|()| auth::ask(&free, app.call())).or_else(|error| match error.reason() {
        "api_domain_refused" => auth::ask(config, app.call()), // an emulator's, which only a setting names
        _ => Err(error),
    });
    match asked {
        Ok(outcome) => (Finding::ok("token", format!("{} gives one", hosts.accounts)), Some(outcome.result)),
        Err(error) => (why_none(app, settings, config, hosts, &error), None),
    }
}

fn why_none(app: &App, settings: &Settings, config: &Config, hosts: &Hosts, error: &Error) -> Finding {
    let (found, accounts) = (error.to_string(), &hosts.accounts);
    match error.reason() {
        "invalid_client" => match elsewhere(app, settings) {
            Some(center) => Finding::bad(
                "token",
                format!("invalid_client: the client id is unknown at {accounts}, and known in the data centre {center}"),
                format!("set data_center to {center} (zcrm login --data-center {center})"),
            ),
            None => Finding::bad(
                "token",
                format!("invalid_client: the client id is unknown at {accounts}"),
                "compare client_id with the API console of the organisation's own data centre: it is mistyped, deleted, or of another data centre",
            ),
        },
        "invalid_client_secret" => Finding::bad(
            "token",
            format!("invalid_client_secret: {accounts} knows the client id, and the secret is another"),
            "copy the client secret from the API console again; a client that is used in several data centres has a secret for each",
        ),
        "invalid_code" => no_refresh_token(app, settings, config),
        "missing_org_info" => Finding::bad("token", found, "soid is ZohoCRM. and the organisation's id, as Setup > Company Details shows it"),
        "token_throttled" => {
            Finding::bad("token", found, "wait ten minutes; then let processes share one token: set token_file, which zcrm login does")
        }
        _ => Finding::bad("token", found, "see what the accounts server says"),
    }
}

/// The client is right, and its refresh token isn't.
fn no_refresh_token(app: &App, settings: &Settings, config: &Config) -> Finding {
    let token = settings.value("refresh_token").unwrap_or_default();
    if !is_formed(token) {
        return not_formed("refresh_token");
    }
    let mut as_access = config.clone();
    let cleared = ["refresh_token", "client_id", "client_secret"].iter().try_for_each(|key| as_access.set(key, ""));
    let is_access = cleared.and_then(|()| as_access.set("access_token", token)).is_ok_and(|()| is_taken(app, as_access));
    if is_access {
        let found = "invalid_code: refresh_token holds an access token, which lasts an hour and gives no other";
        return Finding::bad("token", found, "zcrm login, with a new code of the API console, gives a refresh token");
    }
    Finding::bad(
        "token",
        "invalid_code: client id and secret are right, and the refresh token isn't one of theirs: it was revoked, belongs to another client, is a \
         code that was not exchanged, or was the oldest of over 20",
        "zcrm login, with a new code of the API console",
    )
}

/// Whether the API takes the access token of these settings.
fn is_taken(app: &App, config: Config) -> bool {
    let Ok(client) = Client::new(config) else { return false };
    let listed = attachment::list(&client, &Record::new("Contacts", NO_RECORD), &Default::default(), app.call());
    !matches!(listed.map_err(|error| error.status()), Err(Status::Auth | Status::Network | Status::Timeout | Status::Tls | Status::Cancelled))
}

/// The data centre that knows the client. No secret is sent: with a made-up one the answer is another where the id is known.
fn elsewhere(app: &App, settings: &Settings) -> Option<&'static str> {
    if settings.has("accounts_url") {
        return None; // an accounts server of the user's own has no others beside it
    }
    let knows = |center: &&str| {
        let made_up = [("data_center", *center), ("client_secret", "made-up"), ("refresh_token", "1000.made-up")];
        let mut config = Config::new();
        let client = settings.value("client_id").unwrap_or_default();
        let network = ["proxy", "ca_file", "os_roots"].into_iter().filter_map(|key| Some((key, settings.value(key)?)));
        let set = made_up.into_iter().chain([("client_id", client)]).chain(network).try_for_each(|(key, value)| config.set(key, value));
        let call = Call { timeout: Some(PATIENCE), ..app.call() };
        set.is_ok() && auth::ask(&config, call).is_err_and(|error| matches!(error.reason(), "invalid_client_secret" | "invalid_code"))
    };
    let mut found = None;
    let told = pool::in_order(DATA_CENTERS.iter().copied(), DATA_CENTERS.len(), &app.cancel, knows, |center, known| {
        found = found.or((known == Some(true)).then_some(*center));
        Ok(())
    });
    told.ok().and(found)
}

/// Zoho's tokens and codes are `1000.`, 32 hexadecimal digits, a point and 32 more.
pub fn is_formed(token: &str) -> bool {
    let hex = |part: &str| part.len() == 32 && part.bytes().all(|b| b.is_ascii_hexdigit());
    matches!(token.split('.').collect::<Vec<_>>()[..], ["1000", first, second] if hex(first) && hex(second))
}

pub fn not_formed(key: &str) -> Finding {
    Finding::bad("token", format!("{key} hasn't the form of a token, 1000.… with two groups of 32 digits"), "copy it again, whole and alone")
}

/// Whether the scopes reach the attachments and photos of the modules.
pub fn scopes(granted: &Granted, modules: &[String]) -> Option<Finding> {
    let scope = granted.scope.as_deref()?.to_ascii_lowercase();
    let has = |group: &str, verbs: &[&str]| scope.split([' ', ',']).any(|one| verbs.iter().any(|verb| one == format!("zohocrm.{group}.{verb}")));
    let all = has("modules", &["all"]);
    let read = |module: &String| all || has("modules", &["read"]) || has(&format!("modules.{}", module.to_ascii_lowercase()), &["all", "read"]);
    let missing: Vec<String> = (!all && !has("modules.attachments", &["all", "read"]))
        .then(|| "ZohoCRM.modules.attachments.ALL".to_owned())
        .into_iter()
        .chain(modules.iter().filter(|module| !read(module)).map(|module| format!("ZohoCRM.modules.{}.ALL", module.to_ascii_lowercase())))
        .collect();
    let shown = granted.scope.clone().unwrap_or_default();
    Some(if missing.is_empty() {
        Finding::ok("scopes", shown)
    } else {
        Finding::bad(
            "scopes",
            format!("the token lacks {}; it has {shown}", missing.join(",")),
            format!("make a code with {} too, and zcrm login", missing.join(",")),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_form() {
        let group = "0123456789abcdef".repeat(2);
        assert!(is_formed(&format!("1000.{group}.{group}")));
        for wrong in [
            String::new(),
            format!("1000.{group}"),
            format!("1000.{group}.{group}."),
            format!("1000.{group}.{}", &group[1..]),
            format!("{group}.{group}.{group}"),
        ] {
            assert!(!is_formed(&wrong), "{wrong}");
        }
    }
}
