//! What every command needs: the options that all of them take, output, and what ends it.

use std::path::PathBuf;

use zcrm::{Call, Cancel, Client, Config};

use crate::exit::{Exit, Stop};
use crate::output::Output;
use crate::settings::{self, Pair, Settings};
use crate::signals::{self, Signalled};

/// Options of every command.
#[derive(clap::Args)]
pub struct Common {
    /// Profile to use, in place of "default" [environment: ZCRM_PROFILE]
    #[arg(long, global = true, value_name = "NAME", help_heading = "Options of every command")]
    pub profile: Option<String>,
    /// File of profiles, in place of ~/.config/zcrm/profiles.toml [environment: ZCRM_PROFILES]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Options of every command")]
    pub profiles: Option<PathBuf>,
    /// A setting of the library, such as data_center=eu; may be given several times
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", help_heading = "Options of every command")]
    pub settings: Vec<Pair>,
    /// One JSON object a line, on standard output, failures too
    #[arg(long, global = true, help_heading = "Options of every command")]
    pub json: bool,
    /// No progress bars, and no lines but failures
    #[arg(long, short, global = true, help_heading = "Options of every command")]
    pub quiet: bool,
    /// Log lines on standard error: each call, with -vv each exchange
    #[arg(long, short, global = true, action = clap::ArgAction::Count, help_heading = "Options of every command")]
    pub verbose: u8,
}

/// A command under way.
pub struct App {
    pub common: Common,
    pub out: Output,
    /// Fired by Ctrl-C, and where nobody takes the output.
    pub cancel: Cancel,
    signalled: Signalled,
}

impl App {
    pub fn start(common: Common) -> Result<App, Stop> {
        let (cancel, signalled) = signals::catch().map_err(|e| Stop::new(format_args!("signals can't be handled: {e}")))?;
        let out = Output::new(common.json, common.quiet);
        Ok(App { common, out, cancel, signalled })
    }

    /// A client with the settings of the options, the environment and the profile.
    pub fn client(&self) -> Result<Client, Stop> {
        let settings = Settings::read(&self.common)?;
        Client::new(self.heard(settings.config()?)).map_err(|error| settings.without_client(error))
    }

    /// The same settings, with log lines where they are wanted.
    pub fn heard(&self, mut config: Config) -> Config {
        settings::listen(&mut config, self.common.verbose, self.out.bars());
        config
    }

    /// A call that Ctrl-C ends.
    pub fn call<'a>(&self) -> Call<'a> {
        Call { cancel: Some(self.cancel.clone()), ..Call::default() }
    }

    /// How the command has ended, which ran so.
    pub fn end(&self, ran: Result<(), Stop>) -> Result<Exit, Stop> {
        self.out.bars().clear();
        match ran {
            _ if self.signalled.yet() => Ok(Exit::Signal),
            ran => ran.map(|()| self.out.exit()),
        }
    }
}
