//! Where settings come from: options, then the environment, then the profile.

use std::io::Write;
use std::str::FromStr;

use zcrm::Config;
use zcrm::config::LogLevel;

use crate::app::Common;
use crate::bars::Bars;
use crate::exit::Stop;

/// `KEY=VALUE` of an option.
#[derive(Debug, Clone)]
pub struct Pair {
    pub key: String,
    pub value: String,
}

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Pair, String> {
        let (key, value) = text.split_once('=').ok_or("give KEY=VALUE, such as data_center=eu")?;
        Ok(Pair { key: key.to_owned(), value: value.to_owned() })
    }
}

/// Variables that are no settings: this command's own, and those of the examples.
const OTHERS: &[&str] = &["ZCRM_PROFILE", "ZCRM_PROFILES", "ZCRM_LIBRARY", "ZCRM_MODULE", "ZCRM_RECORD_ID"];

/// The settings of a command.
pub fn config(common: &Common, bars: &Bars) -> Result<Config, Stop> {
    let mut config = Config::new();
    for (name, value) in environment()? {
        let key = name["ZCRM_".len()..].to_ascii_lowercase();
        config.set(&key, &value).map_err(|e| Stop::new(format_args!("environment: {name}: {e}")))?;
    }
    for Pair { key, value } in &common.settings {
        config.set(key, value).map_err(|e| Stop::new(format_args!("--set: {e}")))?;
    }
    listen(&mut config, common.verbose, bars);
    Ok(config)
}

/// The variables that are settings, by name.
fn environment() -> Result<Vec<(String, String)>, Stop> {
    let ours = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let mut ours: Vec<_> = ours.filter(|(name, _)| name.starts_with("ZCRM_") && !OTHERS.contains(&name.as_str())).collect();
    ours.sort();
    let text = |(name, value): (String, std::ffi::OsString)| match value.into_string() {
        Ok(value) => Ok((name, value)),
        Err(_) => Err(Stop::new(format_args!("environment: {name}: is not UTF-8"))),
    };
    ours.into_iter().map(text).collect()
}

/// Log lines go to standard error, above the bars.
fn listen(config: &mut Config, verbose: u8, bars: &Bars) {
    let level = match verbose {
        0 => return,
        1 => LogLevel::Info,
        2 => LogLevel::Debug,
        _ => LogLevel::Trace,
    };
    let bars = bars.clone();
    config.set_log_fn(level, move |_, line| {
        bars.above(|| drop(writeln!(std::io::stderr(), "{line}"))); // where nobody reads, there is nobody to tell
    });
}
