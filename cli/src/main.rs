//! `zcrm`: files, links and photos of Zoho CRM records from the command line.
//!
//! A command is a module: its arguments, and a `run` that translates them to the library. What all of them share stands beside them: where
//! settings come from, what is printed and how it is counted, signals, exit codes.

mod app;
mod bars;
mod budget;
mod exit;
mod folder;
mod lines;
mod manifest;
mod output;
mod pool;
mod profiles;
mod prompt;
mod same;
mod settings;
mod signals;
mod streams;
mod target;

mod batch;
mod completions;
#[cfg(feature = "emulator")]
mod demo;
mod doctor;
#[cfg(feature = "emulator")]
mod emulator;
mod export;
mod get;
mod import;
mod login;
mod ls;
mod mcp;
mod photo;
mod rm;
mod run;
mod sync;
mod upload;
mod whoami;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use app::App;
use exit::{Exit, Stop};

/// Files, links and photos of Zoho CRM records.
#[derive(Parser)]
#[command(name = "zcrm", version, max_term_width = 100, after_help = exit::HELP, arg_required_else_help = true)]
struct Arguments {
    #[command(flatten)]
    common: app::Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Upload(upload::Args),
    Ls(ls::Args),
    Get(get::Args),
    Rm(rm::Args),
    #[command(subcommand)]
    Photo(photo::Command),
    Export(export::Args),
    Import(import::Args),
    Sync(sync::Args),
    Mcp(mcp::Args),
    Login(login::Args),
    Whoami(whoami::Args),
    Doctor(doctor::Args),
    Run(run::Args),
    Batch(batch::Args),
    #[cfg(feature = "emulator")]
    Emulator(emulator::Args),
    #[cfg(feature = "emulator")]
    Demo(demo::Args),
    Completions(completions::Args),
    #[command(hide = true)]
    Man(completions::Man),
}

fn main() -> ExitCode {
    let Arguments { common, command } = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(other) => return asked_or_wrong(&other),
    };
    let as_json = common.json;
    let reads = matches!(command, Command::Run(_) | Command::Batch(_) | Command::Mcp(_)) || std::env::args_os().any(|argument| argument == "-");
    if let Err(stop) = streams::check(reads) {
        return stop.tell(as_json);
    }
    let ended = match command {
        // These end on their own, and a signal ends them as it ends any program.
        #[cfg(feature = "emulator")]
        Command::Emulator(args) => emulator::run(args, &common),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => completions::man(&args),
        command => App::start(common).and_then(|app| {
            let ran = run(command, &app);
            app.end(ran)
        }),
    };
    match ended {
        Ok(code) => code.into(),
        Err(stop) => stop.tell(as_json),
    }
}

/// Help that was asked for, or arguments that are wrong.
fn asked_or_wrong(what: &clap::Error) -> ExitCode {
    if what.use_stderr() && std::env::args_os().any(|argument| argument == "--json") {
        return Stop::new(what.to_string().trim_start_matches("error: ").trim_end()).tell(true);
    }
    match what.print() {
        Ok(()) if !what.use_stderr() => Exit::Done.into(),
        Err(e) if !what.use_stderr() => Stop::new(format_args!("the output can't be written: {e}")).tell(false),
        _ => Exit::Stopped.into(),
    }
}

fn run(command: Command, app: &App) -> Result<(), Stop> {
    match command {
        Command::Upload(args) => upload::run(&args, app),
        Command::Ls(args) => ls::run(&args, app),
        Command::Get(args) => get::run(&args, app),
        Command::Rm(args) => rm::run(&args, app),
        Command::Photo(command) => photo::run(&command, app),
        Command::Export(args) => export::run(&args, app),
        Command::Import(args) => import::run(&args, app),
        Command::Sync(args) => sync::run(&args, app),
        Command::Mcp(args) => mcp::run(&args, app),
        Command::Login(args) => login::run(&args, app),
        Command::Whoami(args) => whoami::run(&args, app),
        Command::Doctor(args) => doctor::run(&args, app),
        Command::Run(args) => run::run(&args, app),
        Command::Batch(args) => batch::run(&args, app),
        #[cfg(feature = "emulator")]
        Command::Demo(args) => demo::run(&args, app),
        #[cfg(feature = "emulator")]
        Command::Emulator(_) => unreachable!("main runs it"),
        Command::Completions(_) | Command::Man(_) => unreachable!("main runs it"),
    }
}
