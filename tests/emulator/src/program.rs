//! The emulator as a program: for `zcrm-emulator`, and for commands that start it as their own.

use std::ffi::OsString;
use std::io::{self, Error, Read, Write};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::emulator::{Emulator, Options};
use serde_json::Value;
use signal_hook::consts::{SIGINT, SIGTERM};

/// What `--help` prints.
pub const HELP: &str = "\
zcrm-emulator: a strict local Zoho CRM for attachments, photos and OAuth tokens

  --port N               port (default: any free one)
  --host ADDRESS         address to listen on (default: 127.0.0.1)
  --public-name NAME     the name, or name:port, by which others reach it: that of its
                         container, say; it stands in the first line and in api_domain
  --tls                  serve HTTPS with a certificate made at the start
  --ca-out FILE          write the certificate authority to trust there (with --tls)
  --seed, --no-seed      with records (default), or without
  --data-center NAME     another name gives other tokens (default: us)
  --json                 print one line of JSON, of url and world, in place of all others
  --until-stdin-closes   end when standard input closes
  --parent-pid N         end when that process ends
  --help, --version

The first line printed is the address. The program runs until SIGTERM or SIGINT.
Exit status: 0 ended as asked, 2 a wrong option or it couldn't start.";

struct Arguments {
    options: Options,
    ca_out: Option<PathBuf>,
    json: bool,
    until_stdin_closes: bool,
    parent: Option<u32>,
}

enum Asked {
    Run(Arguments),
    Help,
    Version,
}

fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Asked, lexopt::Error> {
    use lexopt::prelude::*;
    let mut all = Arguments { options: Options::default(), ca_out: None, json: false, until_stdin_closes: false, parent: None };
    let mut parser = lexopt::Parser::from_args(arguments.into_iter().collect::<Vec<_>>());
    while let Some(argument) = parser.next()? {
        match argument {
            Long("port") => all.options.port = value(&mut parser, "--port: a port is 0 to 65535")?,
            Long("host") => all.options.host = value(&mut parser, "--host: an IP address is wanted")?,
            Long("public-name") => all.options.public_name = Some(parser.value()?.string()?),
            Long("tls") => all.options.tls = true,
            Long("ca-out") => all.ca_out = Some(parser.value()?.into()),
            Long("seed") => all.options.seed = true,
            Long("no-seed") => all.options.seed = false,
            Long("json") => all.json = true,
            Long("data-center" | "data-centre") => all.options.data_centre = parser.value()?.string()?,
            Long("until-stdin-closes") => all.until_stdin_closes = true,
            Long("parent-pid") => all.parent = Some(value(&mut parser, "--parent-pid: the number of a process is wanted")?),
            Long("help") | Short('h') => return Ok(Asked::Help),
            Long("version") | Short('V') => return Ok(Asked::Version),
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Asked::Run(all))
}

fn value<T: FromStr>(parser: &mut lexopt::Parser, wanted: &str) -> Result<T, lexopt::Error> {
    let text = parser.value()?;
    let text = text.to_string_lossy();
    text.parse().map_err(|_| lexopt::Error::from(format!("{wanted}, not {text:?}")))
}

/// Runs it with these options, until a signal or what they name ends it. `started` is told of it when it listens, before anything is printed.
///
/// # Errors
/// A wrong option, or what keeps it from starting, as a line for a person.
pub fn run(arguments: impl IntoIterator<Item = OsString>, started: impl FnOnce(&Emulator) -> io::Result<()>) -> Result<(), String> {
    let ended = match read(arguments) {
        Ok(Asked::Run(arguments)) => serve(arguments, started),
        Ok(Asked::Help) => writeln!(io::stdout(), "{HELP}"),
        Ok(Asked::Version) => writeln!(io::stdout(), "zcrm-emulator {}", env!("CARGO_PKG_VERSION")),
        Err(error) => return Err(format!("{error}; --help tells the options")),
    };
    ended.map_err(|error| error.to_string().split(" (os error").next().unwrap_or_default().to_owned())
}

fn serve(arguments: Arguments, started: impl FnOnce(&Emulator) -> io::Result<()>) -> io::Result<()> {
    let end = Arc::new(AtomicBool::new(false));
    // As the first process of a container it would get no signal that it doesn't handle.
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, end.clone())?;
    }
    let seeded = arguments.options.seed;
    let emulator = Emulator::start(arguments.options)?;
    if let Some(path) = &arguments.ca_out {
        let pem = emulator.ca_pem().ok_or_else(|| Error::other("--ca-out goes with --tls"))?;
        std::fs::write(path, pem).map_err(|e| Error::new(e.kind(), format!("{}: {e}", path.display())))?;
    }
    started(&emulator)?;
    let mut out = io::stdout().lock();
    match arguments.json {
        true => writeln!(out, "{}", serde_json::json!({"url": emulator.url(), "world": emulator.world()}))?,
        false => writeln!(out, "{}", emulator.url())?,
    }
    out.flush()?;
    if seeded && !arguments.json {
        write!(out, "{}", summary(&emulator.world()))?;
        out.flush()?;
    }
    drop(out);
    wait(end, arguments.until_stdin_closes, arguments.parent);
    Ok(())
}

/// Waits for what ends the program: a signal, its standard input, its parent.
fn wait(end: Arc<AtomicBool>, until_stdin_closes: bool, parent: Option<u32>) {
    if until_stdin_closes {
        let end = end.clone();
        std::thread::spawn(move || {
            let mut waste = [0; 256];
            while matches!(io::stdin().read(&mut waste), Ok(n) if n > 0) {}
            end.store(true, Ordering::Relaxed);
        });
    }
    let parent = parent.map(|pid| PathBuf::from(format!("/proc/{pid}")));
    while !end.load(Ordering::Relaxed) && parent.as_ref().is_none_or(|p| p.exists()) {
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The seeded world for human eyes.
fn summary(world: &Value) -> String {
    let mut text = String::new();
    for organisation in list(&world["organisations"]) {
        let credentials = &organisation["credentials"];
        let lines = [
            format!("\n{}", word(&organisation["name"])),
            format!("  api domain     {}", word(&organisation["api_domain"])),
            format!("  org id         {}", word(&credentials["org_id"])),
            format!("  client id      {}", word(&credentials["client_id"])),
            format!("  client secret  {}", word(&credentials["client_secret"])),
            format!("  refresh token  {}", word(&credentials["refresh_token"])),
            format!("  access token   {}", word(&organisation["access_token"])),
        ];
        text.push_str(&lines.join("\n"));
        text.push('\n');
        for record in list(&organisation["records"]) {
            text.push_str(&record_lines(record));
        }
    }
    text
}

fn record_lines(record: &Value) -> String {
    let mut text = format!("  {:<14} {}  {}\n", word(&record["module"]), word(&record["id"]), word(&record["name"]));
    if let Some(photo) = record["photo"].as_str() {
        text.push_str(&format!("      photo       {photo}\n"));
    }
    for attachment in list(&record["attachments"]) {
        let id = word(&attachment["id"]);
        let name = word(&attachment["name"]);
        text.push_str(&match attachment["link_url"].as_str() {
            Some(url) => format!("      link        {id}  {name}  {url}\n"),
            None => format!("      attachment  {id}  {name}  {} bytes\n", attachment["size"]),
        });
    }
    text
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
