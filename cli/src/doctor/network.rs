//! The way to Zoho's hosts: names, proxy, TLS, and whether the clocks agree.

use std::net::ToSocketAddrs;
use std::time::{Duration, SystemTime};

use zcrm::auth::{self, Answered, Hosts};
use zcrm::{Call, Config};

use super::Finding;
use crate::app::App;
use crate::settings::Settings;

/// Certificates and tokens of a file go wrong beyond this.
const SKEW: Duration = Duration::from_secs(120);
/// A person waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn look(app: &App, settings: &Settings, config: &Config, hosts: &Hosts) -> Vec<Finding> {
    let Hosts { accounts, api, .. } = hosts;
    let mut findings =
        vec![Finding::ok("data centre", format!("{} ({accounts}, {api})", settings.value("data_center").unwrap_or("us"))), proxy(settings)];
    // What both answer without a credential, with their time.
    let (for_tokens, for_calls) = ((accounts, "/oauth/serverinfo"), (api, "/crm/"));
    let mut all = if settings.asks_for_tokens() { vec![for_tokens, for_calls] } else { vec![for_calls] };
    all.dedup_by_key(|(host, _)| *host);
    let mut clock = None;
    for (host, path) in all {
        if !settings.has("proxy") {
            let name = name(host);
            let found = name.ok;
            findings.push(name);
            if !found {
                continue;
            }
        }
        let call = Call { timeout: Some(PATIENCE), ..app.call() };
        let how = if host.starts_with("https") { "TLS" } else { "http" };
        match auth::probe(config, &format!("{host}{path}"), call) {
            Ok(Answered { http_status, clock: theirs }) => {
                clock = clock.or(theirs);
                findings.push(Finding::ok(how, format!("{host} answers ({http_status})")));
            }
            Err(error) => findings.push(Finding::bad(how, error.to_string(), "see proxy, ca_file and what stands between; -vv shows each exchange")),
        }
    }
    findings.extend(clock.map(agrees));
    findings
}

fn proxy(settings: &Settings) -> Finding {
    let unused =
        ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"].into_iter().find(|name| std::env::var_os(name).is_some_and(|v| !v.is_empty()));
    match (settings.value("proxy"), unused) {
        (Some("env"), _) => Finding::ok("proxy", "that of the environment"),
        (Some(_), _) => Finding::ok("proxy", "one is set"), // its URL may hold a password
        (None, Some(name)) => Finding::ok("proxy", format!("none; {name} isn't heeded: --set proxy=env would use it")),
        (None, None) => Finding::ok("proxy", "none"),
    }
}

/// Looks a host's name up as the system does.
fn name(url: &str) -> Finding {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split('/').next().unwrap_or_default();
    let with_port =
        if host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())) { host.to_owned() } else { format!("{host}:443") };
    match with_port.to_socket_addrs().map(|mut addresses| addresses.next()) {
        Ok(Some(address)) => Finding::ok("DNS", format!("{host} is {}", address.ip())),
        Ok(None) => Finding::bad("DNS", format!("{host} has no address"), "look at data_center, api_domain and accounts_url"),
        Err(error) => Finding::bad("DNS", format!("{host}: {error}"), "look at data_center, api_domain and accounts_url, and at this machine's DNS"),
    }
}

fn agrees(theirs: SystemTime) -> Finding {
    let own = SystemTime::now();
    let apart = own.duration_since(theirs).unwrap_or_else(|e| e.duration());
    let way = if own > theirs { "ahead of" } else { "behind" };
    if apart <= SKEW {
        return Finding::ok("clock", "agrees with Zoho's");
    }
    let found = format!("this machine is {} s {way} Zoho", apart.as_secs());
    Finding::bad("clock", found, "set the clock (NTP): certificates and the times of tokens go by it")
}
