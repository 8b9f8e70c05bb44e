//! Exit codes: the table of every host of the library.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is done.
    Done = 0,
    /// Some of it failed.
    Failed = 1,
    /// A wrong argument or setting: nothing could start. Or the output can't be written.
    Stopped = 2,
    /// A signal ended it.
    Signal = 3,
    /// None failed, and of some nobody knows whether it was done.
    Unknown = 4,
}

pub const HELP: &str = "\
Exit codes:
  0  all done
  1  some failed
  2  nothing could start (an argument, a setting), or the output couldn't be written
  3  ended by a signal
  4  none failed, and of some it is not known whether they were done

Settings come from options, then from the environment (ZCRM_DATA_CENTER is data_center, and so on), then from the profile.";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Why nothing could start, or nothing more could be told.
#[derive(Debug)]
pub struct Stop {
    why: String,
    /// Where the library says so.
    error: Option<zcrm::Error>,
}

impl Stop {
    pub fn new(why: impl fmt::Display) -> Stop {
        Stop { why: zcrm::systems_words(&why.to_string()).to_owned(), error: None }
    }

    /// What the library says, in words of the command.
    pub fn of(why: String, error: zcrm::Error) -> Stop {
        Stop { why, error: Some(error) }
    }

    /// Says so on standard error or, as JSON, on standard output.
    pub fn tell(self, as_json: bool) -> ExitCode {
        let told = as_json && writeln!(std::io::stdout(), "{}", self.json()).is_ok();
        if !told {
            let _ = writeln!(std::io::stderr(), "zcrm: {}", self.why); // the exit code says it too
        }
        Exit::Stopped.into()
    }

    fn json(&self) -> serde_json::Value {
        match &self.error {
            Some(error) => serde_json::json!({"error": error.detail()}),
            None => serde_json::json!({"error": {"message": self.why}}),
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl From<zcrm::Error> for Stop {
    fn from(error: zcrm::Error) -> Stop {
        Stop::of(error.to_string(), error)
    }
}
