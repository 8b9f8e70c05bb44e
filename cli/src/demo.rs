//! `zcrm demo`: each command once, against an emulator of its own.

use std::fs;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use zcrm_emulator::{Emulator, Options, PNG};

use crate::app::App;
use crate::exit::Stop;

/// Show each command once, against a Zoho CRM that is made up for it
#[derive(clap::Args)]
pub struct Args {}

pub fn run(_: &Args, app: &App) -> Result<(), Stop> {
    let failed = |e: std::io::Error| Stop::new(format_args!("demo: {e}"));
    let folder = tempfile::tempdir().map_err(failed)?;
    fs::write(folder.path().join("contract.txt"), "This is the contract.\n".repeat(6000)).map_err(failed)?;
    fs::write(folder.path().join("portrait.png"), PNG).map_err(failed)?;
    let emulator = Emulator::start(Options::default()).map_err(failed)?;
    let contact = format!("Contacts/{}", emulator.add_record("Contacts"));
    let step = format!("{{\"operation\":\"photo.delete\",\"module\":\"Contacts\",\"record_id\":\"{}\"}}\n", &contact["Contacts/".len()..]);
    fs::write(folder.path().join("steps.ndjson"), step).map_err(failed)?;
    let commands: [(&[&str], Option<&str>); 7] = [
        (&["upload", &contact, "contract.txt", "--link", "https://www.zoho.com/crm/"], None),
        (&["ls", &contact], None),
        (&["get", &contact, "-o", "files"], None),
        (&["photo", "set", &contact, "portrait.png"], None),
        (&["photo", "get", &contact, "-o", "files/portrait.png"], None),
        (&["run"], Some("steps.ndjson")),
        (&["rm", "--all", &contact], None),
    ];
    for (arguments, input) in commands {
        if app.cancel.is_fired() {
            return Ok(());
        }
        let own: &[&str] = if app.common.json { &["--json"] } else { &[] };
        if own.is_empty() {
            show(arguments, input)?;
        }
        let done = start(&emulator, folder.path(), &[own, arguments].concat(), input).map_err(failed)?;
        if !done {
            return Err(Stop::new(format_args!("demo: zcrm {} failed", arguments.join(" "))));
        }
    }
    Ok(())
}

fn show(arguments: &[&str], input: Option<&str>) -> Result<(), Stop> {
    let mut out = std::io::stdout().lock();
    let (bold, plain) = if out.is_terminal() { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    let from = input.map(|file| format!(" < {file}")).unwrap_or_default();
    let shown = writeln!(out, "{bold}$ zcrm {}{from}{plain}", arguments.join(" ")).and_then(|()| out.flush());
    shown.map_err(|e| Stop::new(format_args!("the output can't be written: {e}")))
}

/// Runs this very program on the emulator, with no other setting.
fn start(emulator: &Emulator, folder: &Path, arguments: &[&str], input: Option<&str>) -> std::io::Result<bool> {
    let mut command = Command::new(std::env::current_exe()?);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ZCRM_")) {
        command.env_remove(name);
    }
    // A folder without profiles: those of the user have no part in this.
    command.env("XDG_CONFIG_HOME", folder).env("ZCRM_API_DOMAIN", emulator.url()).env("ZCRM_ACCESS_TOKEN", emulator.access_token());
    let stdin = match input {
        Some(file) => fs::File::open(folder.join(file))?.into(),
        None => Stdio::null(),
    };
    Ok(command.args(arguments).current_dir(folder).stdin(stdin).status()?.success())
}
