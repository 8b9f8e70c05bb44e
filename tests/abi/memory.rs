//! That the memory of a transfer doesn't grow with the file: the peak of a process that moves 100 MB less that of one that moves 1 KB, for each
//! kind of source and sink.

use std::path::Path;
use std::process::Command;

use super::support::{compile, library, root, scratch, succeed, text};
use zcrm_emulator::{Emulator, Options};

const LARGE: usize = 100_000_000;
const SMALL: usize = 1000;
const ALLOWED_KIB: i64 = 8 * 1024;

#[test]
fn a_large_transfer_needs_no_more_memory_than_a_small_one() {
    let dir = scratch("memory");
    let program = compile(&root().join("tests/c/memory.c"), &library(), &dir);
    let files = tempfile::tempdir_in(&dir).unwrap();
    let emulator = Emulator::start(Options::default()).unwrap();
    let record = emulator.add_record("Contacts");
    let mut over = Vec::new();
    for kind in ["from-file", "from-memory", "from-reader", "from-unknown", "to-file", "to-writer"] {
        let peak = |size: usize| {
            let path = files.path().join(size.to_string());
            std::fs::write(&path, vec![0; size]).unwrap();
            let id = if kind.starts_with("to") { emulator.attach("Contacts", &record, "memory.bin", &vec![0; size]) } else { String::new() };
            let mut command = Command::new(&program);
            command.arg(kind).arg(size.to_string()).arg(&path).arg(id);
            measure(command, &emulator, &record, files.path())
        };
        let (large, small) = (peak(LARGE), peak(SMALL));
        println!("{kind:<13} {large:>7} KiB for 100 MB, {small:>6} KiB for 1 KB: {:>6} KiB more", large - small);
        if large - small > ALLOWED_KIB {
            over.push(kind);
        }
    }
    assert!(over.is_empty(), "more than {ALLOWED_KIB} KiB: {over:?}");
}

fn measure(mut command: Command, emulator: &Emulator, record: &str, dir: &Path) -> i64 {
    command.env("ZCRM_TEST_URL", emulator.url()).env("ZCRM_TEST_TOKEN", emulator.access_token());
    command.env("ZCRM_TEST_RECORD", record).env("TMPDIR", dir);
    text(&succeed(&mut command).stdout).trim().parse().unwrap()
}
