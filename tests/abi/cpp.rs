//! `include/zcrm.hpp`: the cases of `tests/cpp` under AddressSanitizer, LeakSanitizer and UBSan, each against an emulator of its own; and
//! that the header compiles wherever it says it does. With clang beside the compiler that is found, where it is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use super::support::{compiler, library, root, scratch, succeed, text};
use zcrm_emulator::{Emulator, Fault, Options};

const STRICT: &[&str] = &["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror"];
/// Every error and result of a case passes `tests/cpp/canary.cpp` before it is freed.
const WATCHED: &[&str] = &["-Wl,--wrap=zcrm_error_free", "-Wl,--wrap=zcrm_result_free"];
const PROXY_PASSWORD: &str = "canary-of-the-proxy";
const SANITIZED: &[&str] = &["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-pthread"];

/// A compiler with its language: one program of all cases is made with it.
struct Build {
    name: &'static str,
    compiler: fn() -> Command,
    flags: Vec<&'static str>,
}

#[test]
fn the_cases_hold_with_the_compiler_that_is_found() {
    Build::found(&["-std=c++17"]).run_all();
}

#[test]
fn the_cases_hold_with_clang() {
    match compiler::every_cpp().get(1) {
        Some((name, compiler)) => Build { name, compiler: *compiler, flags: vec!["-std=c++17"] }.run_all(),
        None => println!("left out: there is no clang++ beside the compiler that is found"),
    }
}

#[test]
fn the_cases_hold_in_cpp20_without_exceptions() {
    Build::found(&["-std=c++20", "-fno-exceptions"]).run_all();
}

/// Each compiler with these flags.
fn builds(flags: &[&'static str]) -> Vec<Build> {
    compiler::every_cpp().into_iter().map(|(name, compiler)| Build { name, compiler, flags: flags.to_vec() }).collect()
}

impl Build {
    fn found(flags: &[&'static str]) -> Build {
        Build { name: "found", compiler: compiler::cpp, flags: flags.to_vec() }
    }

    fn command(&self) -> Command {
        let mut command = (self.compiler)();
        command.args(&self.flags).args(STRICT).arg("-I").arg(root().join("include"));
        command
    }

    fn run_all(&self) {
        let dir = scratch(&format!("cpp-{}{}", self.name, self.flags.concat()));
        let program = self.link(&dir);
        let waiting: Mutex<Vec<(String, String)>> = Mutex::new(cases(&program));
        assert!(waiting.lock().unwrap().len() > 50, "cases are missing");
        let (failed, looks) = (Mutex::new(Vec::new()), Mutex::new([0; 3]));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    loop {
                        let Some((name, faults)) = waiting.lock().unwrap().pop() else { break };
                        match run(&program, &dir, &name, &faults) {
                            Ok(more) => looks.lock().unwrap().iter_mut().zip(more).for_each(|(sum, n)| *sum += n),
                            Err(report) => failed.lock().unwrap().push(format!("{name}:\n{report}")),
                        }
                    }
                });
            }
        });
        let (failed, looks) = (failed.into_inner().unwrap(), looks.into_inner().unwrap());
        assert!(failed.is_empty(), "{} {:?}\n{}", self.name, self.flags, failed.join("\n"));
        println!("{} {:?}: looked for secrets in {} log lines, {} errors, {} results", self.name, self.flags, looks[0], looks[1], looks[2]);
        assert!(looks.iter().all(|n| *n > 50), "{looks:?}");
    }

    /// Compiles every file of `tests/cpp` side by side, and links them to the library that cargo built with this test.
    fn link(&self, dir: &Path) -> PathBuf {
        let sources: Vec<PathBuf> = files("tests/cpp", "cpp");
        let objects: Vec<PathBuf> = std::thread::scope(|scope| {
            let compiling: Vec<_> = sources.iter().map(|source| scope.spawn(|| self.object(source, dir))).collect();
            compiling.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        self.program(&objects, WATCHED, &dir.join("cases"))
    }

    /// Makes a program of sources or objects.
    fn program(&self, parts: &[PathBuf], flags: &[&str], program: &Path) -> PathBuf {
        let dir = program.parent().unwrap();
        let link = dir.join("libzcrm.so.0");
        let _ = std::fs::remove_file(&link); // it may not be there
        std::os::unix::fs::symlink(library(), &link).unwrap();
        let mut command = self.command();
        command.args(SANITIZED).args(flags).args(parts).arg(&link).arg(format!("-Wl,-rpath,{}", dir.display())).arg("-o").arg(program);
        succeed(&mut command);
        program.to_owned()
    }

    fn object(&self, source: &Path, dir: &Path) -> PathBuf {
        let object = dir.join(source.file_stem().unwrap()).with_extension("o");
        succeed(self.command().args(SANITIZED).arg("-c").arg(source).arg("-o").arg(&object));
        object
    }
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|e| e == extension)).collect()
}

/// The program's cases with the faults that each wants of its emulator.
fn cases(program: &Path) -> Vec<(String, String)> {
    let listed = text(&succeed(&mut Command::new(program)).stdout).replace("\n ", " ");
    listed.lines().filter_map(|line| line.split_once('\t')).map(|(name, faults)| (name.to_owned(), faults.to_owned())).collect()
}

/// Runs a case; gives in how many log lines, errors and results it looked for secrets.
fn run(program: &Path, dir: &Path, name: &str, faults: &str) -> Result<[usize; 3], String> {
    let emulator = Emulator::start(Options::default()).unwrap();
    let faults: BTreeMap<String, Vec<Fault>> = serde_json::from_str(faults).map_err(|e| format!("faults: {e}"))?;
    for (operation, faults) in faults {
        emulator.script(&operation, faults);
    }
    let files = tempfile::tempdir_in(dir).unwrap();
    let credentials = emulator.credentials();
    let grant_code = emulator.grant_code();
    let secrets = [&emulator.access_token(), &credentials.client_secret, &credentials.refresh_token, &grant_code, PROXY_PASSWORD].map(str::to_owned);
    let output = Command::new(program)
        .arg(name)
        .env_clear()
        .env("ASAN_OPTIONS", "detect_leaks=1")
        .env("UBSAN_OPTIONS", "print_stacktrace=1")
        .env("ZCRM_TEST_URL", emulator.url())
        .env("ZCRM_TEST_TOKEN", emulator.access_token())
        .env("ZCRM_TEST_RECORD", emulator.add_record("Contacts"))
        .env("ZCRM_TEST_DIR", files.path())
        .env("ZCRM_TEST_PNG", root().join("tests/emulator/fixtures/portrait.png"))
        .env("ZCRM_TEST_CLIENT_ID", credentials.client_id)
        .env("ZCRM_TEST_CLIENT_SECRET", credentials.client_secret)
        .env("ZCRM_TEST_REFRESH_TOKEN", credentials.refresh_token)
        .env("ZCRM_TEST_GRANT_CODE", grant_code)
        .env("ZCRM_TEST_PROXY_PASSWORD", PROXY_PASSWORD)
        .output()
        .unwrap();
    let printed = text(&output.stdout) + &text(&output.stderr);
    if !output.status.success() || secrets.iter().any(|secret| printed.contains(secret)) {
        return Err(format!("{}\n{printed}", output.status));
    }
    let numbers = printed.lines().find(|line| line.starts_with("looked for secrets")).ok_or("it never said where it looked for secrets")?;
    let mut numbers = numbers.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok());
    Ok(std::array::from_fn(|_| numbers.next().unwrap_or_default()))
}

/// Compiles a text without making anything of it.
fn compiles(build: &Build, name: &str, program: &str) -> Result<(), String> {
    let source = scratch("cpp-syntax").join(name).with_extension("cpp");
    std::fs::write(&source, program).unwrap();
    let output = build.command().arg("-fsyntax-only").arg(source).output().unwrap();
    if output.status.success() { Ok(()) } else { Err(text(&output.stderr)) }
}

#[test]
fn the_example_attaches_lists_and_fetches() {
    let dir = scratch("cpp-example");
    let build = Build::found(&["-std=c++17"]);
    let program = build.program(&[root().join("examples/cpp/attachments.cpp")], &[], &dir.join("attachments"));
    let files = tempfile::tempdir_in(&dir).unwrap();
    let emulator = Emulator::start(Options::default()).unwrap();
    let (record, credentials) = (emulator.add_record("Contacts"), emulator.credentials());
    std::fs::write(files.path().join("offer.txt"), "an offer").unwrap();
    let mut command = Command::new(program);
    command
        .current_dir(&files)
        .args(["Contacts", &record, "offer.txt", "downloads"])
        .env("ZCRM_API_DOMAIN", emulator.url())
        .env("ZCRM_ACCOUNTS_URL", emulator.url());
    command.env("ZCRM_CLIENT_ID", credentials.client_id).env("ZCRM_CLIENT_SECRET", credentials.client_secret);
    succeed(command.env("ZCRM_REFRESH_TOKEN", credentials.refresh_token));
    let stored = emulator.attachments("Contacts", &record);
    assert_eq!(stored.len(), 1);
    assert_eq!(std::fs::read(files.path().join("downloads").join(&stored[0].id)).unwrap(), b"an offer");
}

#[test]
fn the_header_is_clean_in_cpp17_and_cpp20_with_and_without_exceptions() {
    let alone = "#include \"zcrm.hpp\"\n#include \"zcrm.hpp\"\nint main() { return zcrm::Client::make({}) ? 0 : 1; }\n";
    for flags in
        [["-std=c++17", "-fexceptions"], ["-std=c++17", "-fno-exceptions"], ["-std=c++20", "-fexceptions"], ["-std=c++20", "-fno-exceptions"]]
    {
        for build in builds(&flags) {
            compiles(&build, "alone", alone).unwrap_or_else(|e| panic!("{} {flags:?}: {e}", build.name));
        }
    }
}

#[test]
fn a_result_cannot_be_ignored() {
    let ignored = "#include \"zcrm.hpp\"\nvoid f(const zcrm::Client &c) { c.photo_delete({\"Contacts\", \"1\"}); }\n";
    for build in builds(&["-std=c++17"]) {
        let error = compiles(&build, "ignored", ignored).expect_err("an ignored Result compiles");
        assert!(error.contains("nodiscard"), "{}: {error}", build.name);
    }
}

/// What would refer to a temporary that is gone.
#[test]
fn what_dangles_does_not_compile() {
    let program = |body: &str| {
        format!(
            "#include \"zcrm.hpp\"\nusing namespace std::chrono_literals;\nvoid f(zcrm::Client &c, zcrm::Record &r) {{ (void)c; (void)r; {body} }}\n"
        )
    };
    let dangling = [
        "for (auto &a : c.attachment_list(r)->attachments) (void)a;",
        "zcrm::Error &&e = c.step_run(\"{}\").error(); const zcrm::Error &kept = e; zcrm::Error &wrong = c.step_run(\"{}\").error(); \
         (void)kept; (void)wrong;",
        "zcrm::Call &call = zcrm::Call{}.timeout(5s); (void)call;",
        "zcrm::Source &source = zcrm::from_file(\"a\").name(\"b\"); (void)source;",
        "auto v = *c.attachment_download(r, \"1\", zcrm::to_memory())->data(); (void)v;",
        "auto pages = zcrm::Client::make({})->attachment_pages(r);",
        "zcrm::Call call; call.cancel(zcrm::Cancel{});",
    ];
    let fine = "const auto list = c.attachment_list(r); if (list) for (auto &a : list->attachments) (void)a;\n\
        const auto &e = c.step_run(\"{}\").error(); (void)e.message();\n\
        const zcrm::Call &call = zcrm::Call{}.timeout(5s).sha256(); zcrm::Call named; named.timeout(5s).sha256(); (void)call;\n\
        (void)c.attachment_upload(r, zcrm::from_memory(\"n\", std::string(\"y\")).content_type(\"text/plain\"), zcrm::Call{}.timeout(5s));";
    for build in builds(&["-std=c++17"]) {
        compiles(&build, "fine", &program(fine)).unwrap_or_else(|e| panic!("{}: {e}", build.name));
        for body in dangling {
            assert!(compiles(&build, "dangling", &program(body)).is_err(), "{}: compiles: {body}", build.name);
        }
    }
}

#[test]
fn cpp20_spans_go_in_and_come_out() {
    let spans = "#include <span>\n#include \"zcrm.hpp\"\n\
        zcrm::Source in(std::span<const std::byte> bytes) { return zcrm::from_memory(\"a\", bytes); }\n\
        std::span<const std::uint8_t> out(const zcrm::BytesView &bytes) { return bytes; }\n";
    for build in builds(&["-std=c++20"]) {
        compiles(&build, "spans", spans).unwrap_or_else(|e| panic!("{}: {e}", build.name));
    }
}

#[test]
fn every_public_item_is_documented() {
    let doxygen = "QUIET=YES\nGENERATE_LATEX=NO\nGENERATE_HTML=NO\nGENERATE_XML=YES\nEXTRACT_ALL=NO\nWARN_IF_UNDOCUMENTED=YES\n\
        WARN_AS_ERROR=FAIL_ON_WARNINGS\nENABLE_PREPROCESSING=YES\nPREDEFINED=__cpp_exceptions \
        \"ZCRM_SETTER(Class,signature,...):=Class &signature;\" ZCRM_BORROWED:=\nMACRO_EXPANSION=YES\nEXPAND_ONLY_PREDEF=YES\n\
        EXCLUDE_SYMBOLS=zcrm::detail\n";
    let dir = scratch("doxygen");
    let settings = format!("{doxygen}INPUT={}\nOUTPUT_DIRECTORY={}\n", root().join("include/zcrm.hpp").display(), dir.display());
    std::fs::write(dir.join("Doxyfile"), settings).unwrap();
    succeed(Command::new("doxygen").arg(dir.join("Doxyfile")));
}
