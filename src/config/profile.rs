//! Profiles: named logins of a person on this machine, in one file for every program that uses the library.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use super::Config;
use crate::error::{Error, Result, Status, one_line};

/// The profile that is meant when none is named.
pub const DEFAULT_PROFILE: &str = "default";

/// Most bytes of the file: far above what some hundred logins need.
const LONGEST: u64 = 1 << 20;

/// The settings that a file has under a profile's name:
///
/// ```toml
/// [default]
/// data_center = "eu"
/// client_id = "1000.…"
/// client_secret = "…"
/// refresh_token = "1000.…"
/// ```
pub struct Profile {
    path: PathBuf,
    name: String,
    settings: Vec<(String, Zeroizing<String>)>,
}

impl Profile {
    /// The file of the user's own profiles: `zcrm/profiles.toml` in `XDG_CONFIG_HOME`, or else in `.config` of `HOME`.
    pub fn own_path() -> Result<PathBuf> {
        let directory = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let config = directory("XDG_CONFIG_HOME").or_else(|| directory("HOME").map(|home| home.join(".config")));
        let message = "nobody knows where the user's profiles are: neither XDG_CONFIG_HOME nor HOME is a path; name the file";
        config.map(|config| config.join("zcrm").join("profiles.toml")).ok_or_else(|| Error::new(Status::Config, "profile_path", message))
    }

    /// Reads the profile `name`, or [`DEFAULT_PROFILE`], from the file at `path`, or at [`Profile::own_path`].
    ///
    /// As it holds secrets, the file must be the user's own (or root's) and nobody else may have any right to it. A file or profile that isn't
    /// there is the reason `profile_absent`.
    pub fn read(path: Option<&Path>, name: Option<&str>) -> Result<Profile> {
        let path = path.map_or_else(Profile::own_path, |path| Ok(path.to_owned()))?;
        let name = name.unwrap_or(DEFAULT_PROFILE);
        let text = read(&path)?;
        let file = DeTable::parse(&text).map_err(|error| {
            // The parser's own text shows the line, in which a secret may stand.
            let line = error.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count()) + 1;
            refused(
                &path,
                "profile",
                format_args!("line {line} is not TOML; a profile is a line [{DEFAULT_PROFILE}] and below it lines key = \"value\""),
            )
        })?;
        let file = file.get_ref();
        match file.get(name).map(|value| value.get_ref()) {
            Some(DeValue::Table(table)) => {
                let table = table.iter().map(|(key, value)| (key.get_ref(), value.get_ref()));
                let settings = table.map(|(key, value)| Ok((key.to_string(), setting(&path, name, key, value)?))).collect::<Result<_>>()?;
                Ok(Profile { path, name: name.to_owned(), settings })
            }
            Some(_) => Err(refused(&path, "profile", format_args!("{name:?} is no profile: settings stand below a line [{name}]"))),
            None => {
                let others = file.iter().filter(|(_, value)| value.get_ref().is_table()).map(|(name, _)| format!("{:?}", one_line(name.get_ref())));
                let others = others.collect::<Vec<_>>().join(", ");
                let others = if others.is_empty() { "none".to_owned() } else { others };
                Err(refused(
                    &path,
                    "profile_absent",
                    format_args!("there is no profile {:?}; there is {others}; `zcrm login` writes one", one_line(name)),
                ))
            }
        }
    }

    /// The file it is from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its settings, in the order of their keys.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

impl Config {
    /// Sets what the profile says: all of it, or nothing when a setting is wrong. What is set afterwards takes its place.
    pub fn set_profile(&mut self, profile: &Profile) -> Result<()> {
        let mut config = self.clone();
        for (key, value) in profile.settings() {
            config.set(key, value).map_err(|error| {
                let message = format!("{} [{}]: {error}", one_line(&profile.path.display().to_string()), one_line(&profile.name));
                error.with(|d| d.message = message)
            })?;
        }
        *self = config;
        Ok(())
    }
}

fn refused(path: &Path, reason: &'static str, problem: impl fmt::Display) -> Error {
    Error::new(Status::Config, reason, format!("{}: {problem}", one_line(&path.display().to_string())))
}

/// The file, if it is one and nobody but its owner may read or change it.
fn read(path: &Path) -> Result<Zeroizing<String>> {
    let broken = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => refused(path, "profile_absent", "there is no such file; `zcrm login` writes one"),
        _ => Error::io("profile", one_line(&path.display().to_string()), &e),
    };
    let file = open_without_waiting(path).map_err(broken)?;
    let meta = file.metadata().map_err(broken)?;
    if !meta.is_file() {
        return Err(refused(path, "profile", "is not a regular file"));
    }
    #[cfg(unix)]
    check_owner(path, &meta)?;
    let mut text = Zeroizing::new(String::with_capacity(4096)); // so that it rarely moves, and leaves no copy that isn't wiped
    file.take(LONGEST + 1).read_to_string(&mut text).map_err(|e| match e.kind() {
        std::io::ErrorKind::InvalidData => refused(path, "profile", "is not UTF-8"),
        _ => broken(e),
    })?;
    if text.len() as u64 > LONGEST { Err(refused(path, "profile", format_args!("has over {LONGEST} bytes"))) } else { Ok(text) }
}

/// A fifo would be waited for.
#[cfg(unix)]
fn open_without_waiting(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)
}

#[cfg(not(unix))]
fn open_without_waiting(path: &Path) -> std::io::Result<File> {
    File::open(path)
}

/// It holds secrets, and decides whose they are.
#[cfg(unix)]
fn check_owner(path: &Path, meta: &std::fs::Metadata) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let (owner, user) = (meta.uid(), rustix::process::geteuid());
    if owner != user.as_raw() && owner != 0 {
        return Err(refused(
            path,
            "profile_mode",
            format_args!("belongs to user {owner}, who could put other credentials there; it must be your own"),
        ));
    }
    if meta.mode() & 0o077 != 0 {
        let shown = one_line(&path.display().to_string());
        let message = format_args!("holds secrets, and others have rights to it (mode {:04o}): chmod 600 {shown}", meta.mode() & 0o7777);
        return Err(refused(path, "profile_mode", message));
    }
    Ok(())
}

/// A value as the table of settings takes it.
fn setting(path: &Path, name: &str, key: &str, value: &DeValue<'_>) -> Result<Zeroizing<String>> {
    match value {
        DeValue::String(text) => Ok(Zeroizing::new(text.to_string())),
        DeValue::Integer(number) => {
            let number = i64::from_str_radix(number.as_str(), number.radix());
            let problem = |_| refused(path, "profile", format_args!("[{}]: {} is too large a number", one_line(name), one_line(key)));
            number.map(|number| Zeroizing::new(number.to_string())).map_err(problem)
        }
        DeValue::Boolean(on) => Ok(Zeroizing::new(if *on { "on" } else { "off" }.to_owned())),
        _ => {
            let problem = format_args!("[{}]: {} is neither text in quotes, nor a whole number, nor true or false", one_line(name), one_line(key));
            Err(refused(path, "profile", problem))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap(); // mode 0600
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn load(text: &str, name: Option<&str>) -> Result<Config> {
        let mut config = Config::new();
        config.set_profile(&Profile::read(Some(file(text).path()), name)?)?;
        Ok(config)
    }

    const TWO: &str = "[default]\ndata_center = \"eu\"\nmax_retries = 7\nallow_http = true\n\n[\"other one\"]\ndata_center = 'in'\nunknown = 1.5\n";

    #[test]
    fn a_profile_sets_what_stands_below_its_name() {
        let config = load(TWO, None).unwrap();
        assert_eq!((config.data_center.name, config.max_retries, config.allow_http), ("eu", 7, true));
    }

    #[test]
    fn what_is_set_afterwards_takes_the_place_of_the_profile() {
        let file = file(TWO);
        let mut config = Config::new();
        config.set("max_retries", "1").unwrap();
        config.set_profile(&Profile::read(Some(file.path()), None).unwrap()).unwrap();
        config.set("data_center", "jp").unwrap();
        assert_eq!((config.data_center.name, config.max_retries), ("jp", 7));
    }

    #[test]
    fn a_wrong_profile_sets_nothing_and_names_file_profile_and_key() {
        let file = file("[a]\ndata_center = \"eu\"\nmax_retrys = 3\n");
        let mut config = Config::new();
        let error = config.set_profile(&Profile::read(Some(file.path()), Some("a")).unwrap()).unwrap_err();
        for word in [file.path().to_str().unwrap(), "[a]", "max_retrys", "max_retries"] {
            assert!(error.to_string().contains(word), "{word}: {error}");
        }
        assert_eq!(config.data_center.name, "us");
    }

    #[test]
    fn a_profile_that_is_not_there_is_an_error_that_names_those_that_are() {
        let error = load(TWO, Some("prod")).err().unwrap();
        assert_eq!(error.reason(), "profile_absent");
        assert!(error.to_string().contains("\"default\", \"other one\""), "{error}");
        assert_eq!(load("", None).err().unwrap().reason(), "profile_absent");
        assert_eq!(Profile::read(Some(Path::new("/nowhere/profiles.toml")), None).err().unwrap().reason(), "profile_absent");
    }

    #[test]
    fn what_is_no_profile_is_refused_and_no_secret_is_shown() {
        for (text, name) in [
            ("refresh_token = \"canary\"\n[x]\n", "refresh_token"),
            ("[default]\nrefresh_token = canary\n", "default"),
            ("[default]\nrefresh_token = \"canary\n", "default"),
            ("[default]\nrefresh_token = [\"canary\"]\n", "default"),
            ("[default]\nrefresh_token = {canary = 1}\n", "default"),
            ("[default]\nclient_secret = \"canary\"\nclient_secret = \"canary\"\n", "default"),
            ("[default]\nclient_secret = \"canary\\u0000\"\n", "default"),
        ] {
            let error = load(text, Some(name)).err().unwrap();
            assert!(error.status() == Status::Config && !error.to_json().contains("canary"), "{text}: {error}");
        }
        assert!(load("[default]\n\nx = = 1\n", None).err().unwrap().to_string().contains("line 3"));
    }

    #[test]
    fn a_file_to_which_others_have_rights_is_refused_with_the_way_out() {
        for mode in [0o640, 0o604, 0o620, 0o644, 0o660, 0o601] {
            let file = file(TWO);
            std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            let error = Profile::read(Some(file.path()), None).err().unwrap();
            assert!(error.reason() == "profile_mode" && error.to_string().contains("chmod 600"), "{mode:o}: {error}");
        }
        for mode in [0o600, 0o400] {
            let file = file(TWO);
            std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            Profile::read(Some(file.path()), None).unwrap();
        }
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        if rustix::process::geteuid().is_root() {
            let file = file(TWO);
            std::os::unix::fs::chown(file.path(), Some(1234), None).unwrap();
            assert_eq!(Profile::read(Some(file.path()), None).err().unwrap().reason(), "profile_mode");
        }
    }

    #[test]
    fn what_is_no_file_or_too_long_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0).unwrap();
        for path in [fifo.as_path(), dir.path(), Path::new("/dev/zero"), Path::new("/dev/tty")] {
            assert!(Profile::read(Some(path), None).is_err(), "{}", path.display());
        }
        let long = file(&format!("[default]\n#{}", "x".repeat(LONGEST as usize)));
        assert!(Profile::read(Some(long.path()), None).err().unwrap().to_string().contains("over"));
    }
}
