//! What shells and `man` know of the command, made from its arguments.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::exit::{Exit, Stop};

/// Print what a shell needs to complete arguments, as in: source <(zcrm completions bash)
///
/// make install and the Debian package put it where bash, zsh and fish look for it.
#[derive(clap::Args)]
pub struct Args {
    shell: Shell,
}

/// Write the man pages into a folder
#[derive(clap::Args)]
pub struct Man {
    folder: PathBuf,
}

pub fn run(args: &Args) -> Result<Exit, Stop> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::Arguments::command(), "zcrm", &mut script);
    io::stdout().write_all(&script).map_err(|e| Stop::new(format_args!("the output can't be written: {e}")))?;
    Ok(Exit::Done)
}

pub fn man(args: &Man) -> Result<Exit, Stop> {
    let failed = |e: io::Error| Stop::new(format_args!("{}: {e}", args.folder.display()));
    clap_mangen::generate_to(crate::Arguments::command(), &args.folder).map_err(failed)?;
    // The page of the program that the emulator also is has this name, and says more.
    match std::fs::remove_file(args.folder.join("zcrm-emulator.1")) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed(e)),
        _ => Ok(Exit::Done),
    }
}
