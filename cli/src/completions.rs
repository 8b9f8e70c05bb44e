//! What shells and `man` know of the command, made from its arguments.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::exit::{Exit, Stop};

/// Print what a shell needs to complete arguments, as in: source <(zcrm completions bash)
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
    clap_mangen::generate_to(crate::Arguments::command(), &args.folder).map_err(|e| Stop::new(format_args!("{}: {e}", args.folder.display())))?;
    Ok(Exit::Done)
}
