//! `zcrm-emulator`.

use zcrm_emulator::program;

fn main() {
    if let Err(error) = program::run(std::env::args_os().skip(1), |_| Ok(())) {
        eprintln!("zcrm-emulator: {error}");
        std::process::exit(2);
    }
}
