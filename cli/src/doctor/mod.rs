//! `zcrm doctor`: looks at everything between this machine and the organisation, one thing after the other, and says what to do.

mod access;
mod network;
mod token;

use serde::Serialize;
use zcrm::Client;
use zcrm::auth::Hosts;

use crate::app::App;
use crate::exit::Stop;
use crate::output::About;
use crate::settings::Settings;

/// Find out why calls fail: each thing is ok, or it is told what to do
///
/// It asks Zoho for one or two access tokens, of which there are ten in ten minutes, and makes some API calls, which cost a credit each.
#[derive(clap::Args)]
pub struct Args {
    /// Modules whose access is tried
    #[arg(value_name = "MODULE", default_value = "Contacts")]
    modules: Vec<String>,
    /// How many calls at once are tried
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=25))]
    parallel: u16,
}

/// What was found in looking at one thing.
#[derive(Serialize)]
struct Finding {
    check: &'static str,
    ok: bool,
    found: String,
    /// What to do about it; empty when it is ok.
    #[serde(rename = "do")]
    advice: String,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Finding {
        Finding { check, ok: true, found: found.into(), advice: String::new() }
    }

    fn bad(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { check, ok: false, found: found.into(), advice: advice.into() }
    }
}

/// Tells findings as they come, and counts those that are bad.
struct Report<'a>(&'a App);

impl Report<'_> {
    fn tell(&self, finding: &Finding) -> Result<bool, Stop> {
        let Finding { check, ok, found, advice } = finding;
        let line = || match ok {
            true => format!("ok   {check:<12} {}", zcrm::one_line(found)),
            false => format!("BAD  {check:<12} {}\n     {:<12} -> {}", zcrm::one_line(found), "", zcrm::one_line(advice)),
        };
        self.0.out.row(&About::default(), finding, line)?;
        if !ok {
            self.0.out.count_failed();
        }
        Ok(*ok)
    }

    fn tell_all(&self, findings: impl IntoIterator<Item = Finding>) -> Result<bool, Stop> {
        let mut all_ok = true;
        for finding in findings {
            all_ok &= self.tell(&finding)?;
        }
        Ok(all_ok)
    }
}

pub fn run(args: &Args, app: &App) -> Result<(), Stop> {
    let report = Report(app);
    let settings = Settings::read(&app.common)?;
    let config = app.heard(settings.config()?);
    let hosts = Hosts::of(&config)?;
    report.tell(&origin(&settings))?;
    let client = match Client::new(config.clone()) {
        Ok(client) => client,
        Err(error) => {
            return report
                .tell(&Finding::bad("settings", settings.without_client(error).to_string(), "see `zcrm login`, or set what is missing"))
                .map(drop);
        }
    };
    let way = network::look(app, &settings, &config, &hosts);
    if !report.tell_all(way)? {
        return Ok(()); // nothing behind can be told apart from this
    }
    let (finding, granted) = token::look(app, &settings, &config, &hosts);
    if !report.tell(&finding)? {
        return Ok(());
    }
    report.tell_all(granted.iter().flat_map(|granted| token::scopes(granted, &args.modules)))?;
    let mut reached = true;
    for module in &args.modules {
        reached &= report.tell(&access::module(app, &settings, &client, &hosts, granted.as_ref(), module))?;
    }
    if reached {
        report.tell(&access::concurrency(app, &config, &args.modules[0], args.parallel))?;
    }
    Ok(())
}

fn origin(settings: &Settings) -> Finding {
    let mut from: Vec<String> = settings.given.iter().map(|given| given.from.trim_start_matches("environment: ").to_owned()).collect();
    from.dedup();
    let profile = settings.profile.as_ref().map(|profile| format!("profile {} of {}", profile.name(), profile.path().display()));
    let all: Vec<String> = profile.into_iter().chain(from).collect();
    Finding::ok("settings", if all.is_empty() { "none are given".to_owned() } else { all.join(", ") })
}
