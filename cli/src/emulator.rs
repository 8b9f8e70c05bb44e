//! `zcrm emulator`: a local Zoho CRM.

use std::ffi::OsString;
use std::io;

use zcrm_emulator::{Credentials, Emulator, program};

use crate::app::Common;
use crate::exit::{Exit, Stop};
use crate::profiles::Profiles;
use crate::settings;

/// The profile that leads to it.
const PROFILE: &str = "emulator";

/// Run a strict local Zoho CRM, to try zcrm and to test with; zcrm emulator --help-options tells the options
///
/// It prints its address, credentials and records, and runs until a signal. Its options: --port N, --no-seed, --tls and more.
#[derive(clap::Args)]
pub struct Args {
    /// --login writes the profile "emulator": zcrm --profile emulator ls Contacts/… then asks this one. Others are zcrm-emulator's own
    #[arg(value_name = "OPTION", trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<OsString>,
}

pub fn run(args: Args, common: &Common) -> Result<Exit, Stop> {
    let (own, mut options): (Vec<_>, Vec<_>) = args.options.into_iter().partition(|option| option == "--login");
    options.iter_mut().filter(|option| *option == "--help-options").for_each(|option| *option = "--help".into());
    options.extend(common.json.then(|| "--json".into()));
    let started = |emulator: &Emulator| if own.is_empty() { Ok(()) } else { log_in(emulator, common) };
    program::run(options, started).map_err(|error| Stop::new(format_args!("emulator: {error}")))?;
    Ok(Exit::Done)
}

fn log_in(emulator: &Emulator, common: &Common) -> io::Result<()> {
    let Credentials { client_id, client_secret, refresh_token, .. } = emulator.credentials();
    let url = emulator.url();
    let login =
        [("accounts_url", url), ("api_domain", url), ("client_id", &client_id), ("client_secret", &client_secret), ("refresh_token", &refresh_token)];
    let profiles = Profiles::open(settings::profiles_named(common).as_deref());
    profiles.and_then(|profiles| profiles.put(PROFILE, login)).map_err(|stop| io::Error::other(stop.to_string()))
}
