//! login, profiles, whoami: one login for every program.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use support::world::{World, canary, world};
use support::{Ran, bare, contact, ran};
use zcrm_emulator::Credentials;

fn own_profiles(w: &World) -> std::path::PathBuf {
    w.path(".config/zcrm/profiles.toml")
}

/// The command without any setting but where the emulator is.
fn login(w: &World, arguments: &[&str]) -> Ran {
    let url = w.emulator.url();
    ran(bare(w, &[&["login"], arguments].concat()).env("ZCRM_API_DOMAIN", url).env("ZCRM_ACCOUNTS_URL", url))
}

fn with_code(w: &World, more: &[&str]) -> Ran {
    let Credentials { client_id, client_secret, .. } = w.emulator.credentials();
    let code = w.emulator.grant_code();
    login(w, &[&["--client-id", &client_id, "--client-secret", &client_secret, "--code", &code], more].concat())
}

#[test]
fn a_code_becomes_a_login_that_every_later_command_uses() {
    let w = world();
    let ran = with_code(&w, &[]);
    assert!(ran.code == Some(0) && ran.out.contains("profile default is in ") && ran.out.contains("ZohoCRM.modules.ALL"), "{ran:?}");
    w.attach("a.txt", b"x");
    for _ in 0..3 {
        let listed = support::ran(&mut bare(&w, &["ls", &contact(&w)]));
        assert!(listed.code == Some(0) && listed.out.contains("a.txt"), "{listed:?}");
    }
    let tokens = w.requests("token").len();
    assert_eq!(tokens, 2, "one for the code, and one that the commands share");
}

#[test]
fn the_profile_is_for_its_owner_alone() {
    let w = world();
    with_code(&w, &[]);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&own_profiles(&w)), mode(&w.path(".config/zcrm"))), (0o600, 0o700));
    fs::set_permissions(own_profiles(&w), fs::Permissions::from_mode(0o644)).unwrap();
    for arguments in [&["ls", "Contacts/1"][..], &["whoami"], &["login", "--access-token", "x"]] {
        let ran = ran(&mut bare(&w, arguments));
        assert!(ran.code == Some(2) && ran.err.contains("chmod 600"), "{arguments:?}: {ran:?}");
    }
}

#[test]
fn other_profiles_and_other_settings_of_the_file_stay() {
    let w = world();
    fs::create_dir_all(w.path(".config/zcrm")).unwrap();
    let before = "# ours\n[work]\nmax_retries = 1 # few\ndata_center = \"eu\"\nclient_secret = \"old\"\n\n[other]\naccess_token = \"1\"\n";
    fs::write(own_profiles(&w), before).unwrap();
    fs::set_permissions(own_profiles(&w), fs::Permissions::from_mode(0o600)).unwrap();
    let ran = with_code(&w, &["--profile", "work"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let after = fs::read_to_string(own_profiles(&w)).unwrap();
    for stays in ["# ours\n", "max_retries = 1 # few\n", "[other]\naccess_token = \"1\"\n"] {
        assert!(after.contains(stays), "{stays}");
    }
    assert!(!after.contains("\"old\"") && !after.contains("data_center"), "of the old login nothing stays");
}

#[test]
fn a_code_that_is_refused_changes_nothing() {
    let w = world();
    with_code(&w, &[]);
    let before = fs::read(own_profiles(&w)).unwrap();
    let Credentials { client_id, client_secret, .. } = w.emulator.credentials();
    let refused = login(&w, &["--client-id", &client_id, "--client-secret", &client_secret, "--code", "1000.used"]);
    assert!(refused.code == Some(1) && refused.err.starts_with("zcrm: http") && refused.err.contains("invalid_code"), "{refused:?}");
    assert!(fs::read(own_profiles(&w)).unwrap() == before);
    assert_eq!(fs::read_dir(w.path(".config/zcrm")).unwrap().count(), 1, "nothing half written lies beside it");
}

#[test]
fn what_keeps_the_file_from_being_written_is_found_before_the_code_is_spent() {
    let w = world();
    fs::write(w.path(".config"), b"a file in the folder's place").unwrap();
    let ran = with_code(&w, &[]);
    assert!(ran.code == Some(2) && w.requests("token").is_empty(), "{ran:?}");
}

#[test]
fn what_is_missing_is_named_where_nobody_can_be_asked() {
    let w = world();
    let ran = login(&w, &["--client-id", "1000.X"]);
    assert!(ran.code == Some(2) && ran.err.contains("--client-secret, --code") && !ran.err.contains("--client-id"), "{ran:?}");
}

#[test]
fn without_a_login_the_command_that_makes_one_is_named() {
    let w = world();
    let ran = ran(&mut bare(&w, &["ls", &contact(&w)]));
    assert!(ran.code == Some(2) && ran.err.contains("no credentials") && ran.err.contains("`zcrm login`"), "{ran:?}");
}

#[test]
fn options_come_before_the_environment_and_that_before_the_profile() {
    let w = world();
    let file = w.file("profiles.toml", format!("[default]\napi_domain = \"{}\"\naccess_token = \"1000.profile\"\n", w.emulator.url()).as_bytes());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let good = w.emulator.access_token();
    let list = |variables: &[(&str, &str)], options: &[&str]| {
        let mut command = bare(&w, &[&["ls", &contact(&w)], options].concat());
        ran(command.env("ZCRM_PROFILES", &file).envs(variables.iter().copied())).code
    };
    assert_eq!(list(&[], &[]), Some(1), "the profile's token is refused");
    assert_eq!(list(&[("ZCRM_ACCESS_TOKEN", &good)], &[]), Some(0));
    assert_eq!(list(&[("ZCRM_ACCESS_TOKEN", "1000.wrong")], &["--set", &format!("access_token={good}")]), Some(0));
}

#[test]
fn a_token_of_the_environment_is_not_mixed_with_the_login_of_the_profile() {
    let w = world();
    with_code(&w, &[]);
    let asked = w.requests("token").len();
    let ran = ran(bare(&w, &["ls", &contact(&w)]).env("ZCRM_ACCESS_TOKEN", "1000.another"));
    assert_eq!((ran.code, w.requests("token").len()), (Some(1), asked), "{ran:?}");
}

#[test]
fn a_profile_that_is_named_must_be_there() {
    let w = world();
    with_code(&w, &[]);
    let absent = ran(&mut bare(&w, &["ls", &contact(&w), "--profile", "work"]));
    assert!(absent.code == Some(2) && absent.err.contains("\"work\"") && absent.err.contains("\"default\""), "{absent:?}");
    let absent = ran(bare(&w, &["ls", &contact(&w)]).env("ZCRM_PROFILES", "/nowhere/p.toml"));
    assert!(absent.code == Some(2) && absent.err.contains("/nowhere/p.toml"), "{absent:?}");
}

#[test]
fn without_a_login_it_is_told_which_there_are() {
    let w = world();
    with_code(&w, &["--profile", "work"]);
    for command in [&["ls", "Contacts/1"][..], &["whoami"], &["doctor"]] {
        let ran = ran(&mut bare(&w, command));
        let told = ran.out + &ran.err;
        assert!(ran.code != Some(0) && ["--profile", "\"work\"", "zcrm login"].iter().all(|word| told.contains(word)), "{command:?}: {told}");
    }
}

#[test]
fn whoami_tells_the_login_and_no_secret() {
    let w = world();
    with_code(&w, &[]);
    let ran = ran(&mut bare(&w, &["whoami", "--json"]));
    let who = &ran.json()[0];
    assert_eq!((&who["profile"], &who["accounts"], &who["credentials"]), (&json!("default"), &json!(w.emulator.url()), &json!("refresh token")));
    assert_eq!(who["client_id"], json!(w.emulator.credentials().client_id));
    let ran = support::ran(&mut bare(&w, &["whoami"]));
    assert!(ran.code == Some(0) && ran.out.contains("scopes       ZohoCRM.modules.ALL"), "{ran:?}");
    canary::check(&ran.out);
}

#[test]
fn a_dry_run_of_a_login_asks_nobody_and_writes_nothing() {
    let w = world();
    let ran = login(&w, &["--client-id", "1000.X", "--client-secret", "s3cret", "--dry-run"]);
    assert!(ran.code == Some(0) && !ran.out.contains("s3cret"), "{ran:?}");
    assert!(ran.out.contains("profile default into ") && ran.out.contains("client_id") && ran.out.contains("asked for: grant_code"), "{ran:?}");
    assert!(!w.path(".config").exists() && w.requests("token").is_empty());
}
