//! The rules of `zcrm.h`, each by C programs of `tests/c`, against the shared library and an emulator: plain, under valgrind, and (by
//! `make asan` and `make tsan`) under AddressSanitizer and ThreadSanitizer.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::support::{compile_with, has_valgrind, library, root, scratch, succeed, text};
use zcrm_emulator::{Emulator, Fault, Options, Requests};

/// Further variables of a program's environment.
type Variables = Vec<(&'static str, String)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Plain,
    Valgrind,
    /// Program and library are made with AddressSanitizer: `tests/c/asan.sh`.
    Asan,
    /// The same with ThreadSanitizer: `tests/c/tsan.sh`.
    Tsan,
}

/// One program in one way of running it.
struct Run<'a> {
    name: &'a str,
    library: PathBuf,
    way: Way,
}

impl Run<'_> {
    /// Starts an emulator of its own, runs the program and checks that all its checks held.
    /// What is prepared is told to the program in its environment.
    fn go(&self, prepare: impl FnOnce(&Emulator) -> Variables) {
        let way = self.way;
        let dir = scratch(&format!("{}-{way:?}", self.name));
        let runtime = std::env::var("ZCRM_TSAN_RUNTIME").map(|dir| format!("-L{dir}")).unwrap_or_default();
        let flags: &[&str] = match way {
            Way::Asan => &["-fsanitize=address", "-fno-omit-frame-pointer"],
            Way::Tsan => &["-fsanitize=thread", "-static-libtsan", "-rdynamic", "-lm", &runtime],
            _ => &[],
        };
        let program = compile_with(flags, &root().join(format!("tests/c/{}.c", self.name)), &self.library, &dir);
        let files = tempfile::tempdir_in(&dir).unwrap();
        let emulator = Emulator::start(Options::default()).unwrap();
        let more = prepare(&emulator);
        let mut command = if way == Way::Valgrind { valgrind(&program) } else { Command::new(&program) };
        environment(&mut command, &emulator, files.path());
        command.env("ZCRM_TEST_LIBRARY", &self.library).envs(more);
        if way != Way::Plain {
            command.env("ZCRM_TEST_SLOW", "1");
        }
        if matches!(way, Way::Asan | Way::Tsan) {
            command.env("ZCRM_TEST_SANITIZED", "1").env("TSAN_OPTIONS", "die_after_fork=0");
        }
        let output = command.output().unwrap();
        let printed = text(&output.stdout) + &text(&output.stderr);
        println!("{} ({way:?}):\n{printed}", self.name);
        assert!(output.status.success(), "{} ({way:?}): {}\n{printed}", self.name, output.status);
        let strange = text(&output.stderr);
        assert!(way == Way::Valgrind || strange.is_empty(), "the library printed: {strange}");
    }
}

fn valgrind(program: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--error-exitcode=1", "--leak-check=full", "--fair-sched=yes", "--child-silent-after-fork=yes"]);
    command.arg(format!("--suppressions={}", root().join("tests/c/valgrind.supp").display())).arg(program);
    command
}

fn environment(command: &mut Command, emulator: &Emulator, files: &Path) {
    let credentials = emulator.credentials();
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("ZCRM_TEST_URL", emulator.url())
        .env("ZCRM_TEST_TOKEN", emulator.access_token())
        .env("ZCRM_TEST_RECORD", emulator.add_record("Contacts"))
        .env("ZCRM_TEST_DIR", files)
        .env("ZCRM_TEST_PNG", root().join("tests/emulator/fixtures/portrait.png"))
        .env("ZCRM_TEST_CLIENT_ID", credentials.client_id)
        .env("ZCRM_TEST_CLIENT_SECRET", credentials.client_secret)
        .env("ZCRM_TEST_REFRESH_TOKEN", credentials.refresh_token)
        .env("ZCRM_TEST_GRANT_CODE", emulator.grant_code());
}

/// A test for each program, in each way, so that they run side by side.
macro_rules! programs {
    ($($name:ident: $prepare:expr;)+) => {
        mod plain { $(#[test] fn $name() { super::plain(stringify!($name), $prepare) })+ }
        mod under_asan { $(#[test] #[ignore = "make asan builds the library for it"] fn $name() { super::under_asan(stringify!($name), $prepare) })+ }
        mod under_tsan { $(#[test] #[ignore = "make tsan builds the library for it"] fn $name() { super::under_tsan(stringify!($name), $prepare) })+ }
        mod under_valgrind { $(#[test] fn $name() { super::under_valgrind(stringify!($name), $prepare) })+ }

        #[test]
        fn every_program_is_run() {
            let others = ["header", "memory", "rule7_memory", "rule7_panic"];
            for entry in std::fs::read_dir(root().join("tests/c")).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                let known = [$(stringify!($name)),+].contains(&name.as_str()) || others.contains(&name.as_str());
                assert!(known || path.extension().unwrap() != "c", "no test runs {name}.c");
            }
        }
    };
}

programs! {
    operations: super::nothing;
    rule1_outputs: super::nothing;
    rule2_handles: super::nothing;
    rule3_sizes: super::nothing;
    rule4_settings: super::nothing;
    rule5_text: super::nothing;
    rule6_callbacks: super::nothing;
    rule6_thread: super::nothing;
    rule6_rewind: super::every_other_upload_is_refused;
    rule7_arguments: super::nothing;
    rule8_cancel: super::nothing;
    rule8_lookup: super::nothing;
    batch: super::nothing;
    batch_source: super::nothing;
    batch_memory: super::nothing;
    clients: super::nothing;
    pages: super::nothing;
    outcomes: super::lost_replies_twins_and_a_path;
    store: super::nothing;
    rule9_versions: super::nothing;
    rule9_unload: super::nothing;
    fork: super::nothing;
    places: super::nothing;
    copy: super::nothing;
    environment: super::nothing;
    no_threads: super::nothing;
    stack: super::a_second_emulator_by_https;
    sigpipe: super::nothing;
    step: super::nothing;
    plugin: super::nothing;
    threads: super::any_number_of_calls;
}

fn plain(name: &str, prepare: impl FnOnce(&Emulator) -> Variables) {
    Run { name, library: library(), way: Way::Plain }.go(prepare);
}

fn under_asan(name: &str, prepare: impl FnOnce(&Emulator) -> Variables) {
    let library = std::env::var_os("ZCRM_ASAN_LIBRARY").expect("ZCRM_ASAN_LIBRARY: a library with AddressSanitizer");
    Run { name, library: library.into(), way: Way::Asan }.go(prepare);
}

fn under_tsan(name: &str, prepare: impl FnOnce(&Emulator) -> Variables) {
    if name == "no_threads" {
        return println!("{name}: left out, ThreadSanitizer's runtime ends when a thread can't be started");
    }
    let library = std::env::var_os("ZCRM_TSAN_LIBRARY").expect("ZCRM_TSAN_LIBRARY: a library with ThreadSanitizer");
    Run { name, library: library.into(), way: Way::Tsan }.go(prepare);
}

fn under_valgrind(name: &str, prepare: impl FnOnce(&Emulator) -> Variables) {
    if has_valgrind() {
        Run { name, library: library(), way: Way::Valgrind }.go(prepare);
    } else {
        println!("{name}: left out, there is no valgrind");
    }
}

fn nothing(_: &Emulator) -> Variables {
    Vec::new()
}

fn every_other_upload_is_refused(emulator: &Emulator) -> Variables {
    emulator.script("attachment.upload", [Fault::status(429), Fault::none(), Fault::status(429), Fault::status(429)]);
    Vec::new()
}

fn any_number_of_calls(emulator: &Emulator) -> Variables {
    emulator.settings(|s| s.concurrency = 1000);
    Vec::new()
}

fn a_second_emulator_by_https(emulator: &Emulator) -> Variables {
    let secure = Emulator::start(Options { tls: true, ..Options::default() }).unwrap();
    let ca = scratch("stack-ca").join(format!("{}.pem", emulator.url().rsplit(':').next().unwrap()));
    std::fs::write(&ca, secure.ca_pem().unwrap()).unwrap();
    let variables = vec![
        ("ZCRM_TEST_TLS_URL", secure.url().to_owned()),
        ("ZCRM_TEST_TLS_TOKEN", secure.access_token()),
        ("ZCRM_TEST_TLS_RECORD", secure.add_record("Contacts")),
        // What zcrm.h says; a build without optimisation takes several times that.
        ("ZCRM_TEST_STACK_KIB", if cfg!(debug_assertions) { "1024" } else { "128" }.to_owned()),
        ("ZCRM_TEST_CA", ca.to_str().unwrap().to_owned()),
    ];
    std::mem::forget(secure); // it lives as long as the program that is run after this
    variables
}

fn lost_replies_twins_and_a_path(emulator: &Emulator) -> Variables {
    emulator.script("attachment.upload", [Fault::reset_after_store(), Fault::reset_after_store(), Fault::reset_after_store()]);
    let twin = |id| format!(r#"{{"id":"{id}","File_Name":"twin.txt","Size":"6","Created_Time":"2099-01-01T00:00:00+00:00"}}"#);
    let twins = format!(r#"{{"data":[{},{}],"info":{{"more_records":false}}}}"#, twin("71"), twin("72"));
    emulator.script("attachment.list", [Fault::body(200, twins.as_bytes()).with_header("Content-Type", "application/json")]);
    let of = |name: &str| Requests::of("attachment.upload").file_name(name);
    let empty = || Fault::body(200, br#"{"data":[],"info":{"more_records":false}}"#).with_header("Content-Type", "application/json");
    for way in ["typed", "step"] {
        emulator.script(of(&format!("renamed {way}.txt")), [Fault::rename(&format!("another {way}.txt")).and_lost()]);
        emulator.script(of(&format!("waited {way}.txt")), [Fault::status(429)]);
        emulator.script(of(&format!("twice {way}.txt")), [Fault::reset_after_store()]);
    }
    let other = emulator.add_record("Contacts");
    // The looks for the two that are renamed; then for each that is sent twice the look for it, and the one for a twin.
    let looks = [Fault::none(), Fault::none(), empty(), Fault::none(), empty(), Fault::none()];
    emulator.script(Requests::of("attachment.list").record(&other), looks);
    let record = emulator.add_record("Contacts");
    emulator.attach("Contacts", &record, "../../etc/cron.d/x\n", b"hello\n");
    vec![("ZCRM_TEST_PATH_RECORD", record), ("ZCRM_TEST_OTHER_RECORD", other)]
}

/// The library with the feature `panic-probe`, in a target directory of its own: the ordinary one must not have it.
fn probed_library() -> PathBuf {
    let target = scratch("panic-probe");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).args(["build", "--lib", "--offline", "--features", "panic-probe", "--target-dir"]).arg(&target);
    succeed(&mut cargo);
    target.join("debug/libzcrm.so")
}

/// Not under valgrind or AddressSanitizer, which bring allocators of their own.
#[test]
fn memory_that_cannot_be_had_is_a_status() {
    Run { name: "rule7_memory", library: library(), way: Way::Plain }.go(|emulator| {
        let record = emulator.add_record("Contacts");
        let large = emulator.attach("Contacts", &record, "large.bin", &vec![7; 6 << 20]);
        (0..10_000).for_each(|i| drop(emulator.attach("Contacts", &record, &format!("a file with a name of some length, number {i}.txt"), b"x")));
        emulator.script("attachment.download", [Fault::no_length()]);
        vec![("ZCRM_TEST_MANY", record), ("ZCRM_TEST_LARGE", large)]
    });
}

#[test]
fn a_panic_poisons_its_client_alone() {
    let library = probed_library();
    Run { name: "rule7_panic", library: library.clone(), way: Way::Plain }.go(nothing);
    if has_valgrind() {
        Run { name: "rule7_panic", library, way: Way::Valgrind }.go(nothing);
    }
}
