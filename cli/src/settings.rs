//! Where settings come from: options, then the environment, then the profile.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::str::FromStr;

use zcrm::Config;
use zcrm::config::{KEYS, LogLevel, Profile};

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

/// The settings of a command, and where they come from.
pub struct Settings {
    pub profile: Option<Profile>,
    /// Why there is no profile, where none was named.
    pub absent: Option<zcrm::Error>,
    /// Those of the environment and of options, which come before the profile's: the later one of a key holds.
    pub given: Vec<Given>,
}

/// A setting and what gave it.
pub struct Given {
    pub from: String,
    pub key: String,
    pub value: String,
}

/// What gives a setting on the command line.
pub const OPTION: &str = "--set";
/// Variables that are no settings: this command's own, and those of the examples.
const OTHERS: &[&str] = &["ZCRM_PROFILE", "ZCRM_PROFILES", "ZCRM_LIBRARY", "ZCRM_MODULE", "ZCRM_RECORD_ID"];
/// The file in which all processes that use the user's profiles share access tokens.
const TOKENS: &str = "tokens.json";

impl Settings {
    pub fn read(common: &Common) -> Result<Settings, Stop> {
        let (profile, absent) = profile(common)?;
        Ok(Settings { profile, absent, given: given(common)? })
    }

    /// Why there is no client: where credentials are missing, which logins there are.
    pub fn without_client(&self, error: zcrm::Error) -> Stop {
        match &self.absent {
            Some(absent) if error.reason() == "credentials" => Stop::of(format!("{error}; or name a login with --profile ({absent})"), error),
            _ => error.into(),
        }
    }

    /// What the library is configured with. Credentials are those of one place: where the environment or an option gives a token, none of
    /// the profile's is mixed in.
    pub fn config(&self) -> Result<Config, Stop> {
        let mut config = Config::new();
        if let Some(profile) = &self.profile {
            config.set_profile(profile)?;
        }
        if self.given.iter().any(|given| is_token(&given.key)) {
            for key in KEYS.iter().filter(|key| key.group == "credentials" && key.name != "token_file") {
                config.set(key.name, "")?;
            }
        }
        for Given { from, key, value } in &self.given {
            config.set(key, value).map_err(|e| Stop::new(format_args!("{from}: {e}")))?;
        }
        if let Some(path) = self.token_file() {
            config.set("token_file", &path)?;
        }
        Ok(config)
    }

    /// Whether this setting has a value of the user's.
    pub fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// The value of a setting, if it is not the default.
    pub fn value(&self, key: &str) -> Option<&str> {
        let given = self.given.iter().rev().find(|given| given.key == key).map(|given| given.value.as_str());
        let profiles = || self.profile.iter().flat_map(Profile::settings).find(|(known, _)| *known == key).map(|(_, value)| value);
        given.or_else(profiles)
    }

    /// Whether access tokens come from Zoho's accounts server, and not from the user.
    pub fn asks_for_tokens(&self) -> bool {
        let given = self.given.iter().any(|given| is_token(&given.key));
        let value = |key: &str| if given { self.given.iter().any(|given| given.key == key && !given.value.is_empty()) } else { self.has(key) };
        value("refresh_token") || value("soid")
    }

    /// Each command is a process, and Zoho gives ten access tokens in ten minutes: one is shared, unless the user has another wish.
    fn token_file(&self) -> Option<String> {
        if self.has("token_file") || !self.asks_for_tokens() {
            return None;
        }
        token_file(&Profile::own_path().ok()?)
    }
}

/// Where access tokens are kept beside this file of profiles; none where no folder for it can be made.
pub fn token_file(profiles: &std::path::Path) -> Option<String> {
    use std::os::unix::fs::DirBuilderExt;
    let folder = profiles.parent()?;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).ok()?;
    folder.join(TOKENS).into_os_string().into_string().ok()
}

/// Whether the setting stands for a right to call the API.
fn is_token(key: &str) -> bool {
    matches!(key, "access_token" | "refresh_token" | "soid")
}

/// The profile that is named, or the default one, or why there is none.
fn profile(common: &Common) -> Result<(Option<Profile>, Option<zcrm::Error>), Stop> {
    let (path, name) = (profiles_named(common), profile_named(common)?);
    match Profile::read(path.as_deref(), name.as_deref()) {
        Ok(profile) => Ok((Some(profile), None)),
        Err(error) if path.is_none() && name.is_none() && matches!(error.reason(), "profile_absent" | "profile_path") => Ok((None, Some(error))),
        Err(error) => Err(error.into()),
    }
}

/// The file of profiles that an option or the environment names.
pub fn profiles_named(common: &Common) -> Option<PathBuf> {
    common.profiles.clone().or_else(|| variable("ZCRM_PROFILES").map(PathBuf::from))
}

/// The profile that an option or the environment names.
pub fn profile_named(common: &Common) -> Result<Option<String>, Stop> {
    let text = |name: OsString| name.into_string().map_err(|_| Stop::new("environment: ZCRM_PROFILE: is not UTF-8"));
    common.profile.clone().map(Ok).or_else(|| variable("ZCRM_PROFILE").map(text)).transpose()
}

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Those of the environment and, after them, of options.
pub fn given(common: &Common) -> Result<Vec<Given>, Stop> {
    let mut all = environment()?;
    all.extend(common.settings.iter().cloned().map(|Pair { key, value }| Given { from: OPTION.to_owned(), key, value }));
    Ok(all)
}

/// The variables that are settings, by name.
fn environment() -> Result<Vec<Given>, Stop> {
    let ours = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let mut ours: Vec<_> = ours.filter(|(name, _)| name.starts_with("ZCRM_") && !OTHERS.contains(&name.as_str())).collect();
    ours.sort();
    let setting = |(name, value): (String, OsString)| {
        let from = format!("environment: {name}");
        match value.into_string() {
            Ok(value) => Ok(Given { key: name["ZCRM_".len()..].to_ascii_lowercase(), from, value }),
            Err(_) => Err(Stop::new(format_args!("{from}: is not UTF-8"))),
        }
    };
    ours.into_iter().map(setting).collect()
}

/// Log lines go to standard error, above the bars.
pub fn listen(config: &mut Config, verbose: u8, bars: &Bars) {
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
