//! `packaging/licences/crates.txt`, which lies beside every binary that is shipped, against Cargo.lock.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Name and version of each crate that is linked into what we ship, on the targets that we ship for. Ours have a path behind them.
fn linked() -> BTreeSet<String> {
    let config = fs::read_to_string(root().join("packaging/licences/about.toml")).unwrap();
    let targets = config.lines().find_map(|line| line.strip_prefix("targets = ")).unwrap();
    let targets = targets.split('"').skip(1).step_by(2).flat_map(|target| ["--target", target]);
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--workspace", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .args(targets)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let lines = String::from_utf8(tree.stdout).unwrap();
    lines
        .lines()
        .filter(|line| !line.is_empty() && !line.contains("(/"))
        .filter_map(|line| Some(line.split(" (").next()?.replace(" v", " ")))
        .collect()
}

#[test]
fn the_licence_of_every_crate_that_is_linked_in_is_shipped() {
    let notices = fs::read_to_string(root().join("packaging/licences/crates.txt")).unwrap();
    let named: BTreeSet<String> = notices.lines().filter_map(|line| Some(line.strip_prefix("- ")?.to_owned())).filter(|n| is_crate(n)).collect();
    let linked = linked();
    assert!(linked.iter().any(|name| name.starts_with("ring ")), "{linked:?}");
    let missing: Vec<_> = linked.difference(&named).collect();
    let surplus: Vec<_> = named.difference(&linked).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "run `make notices`: without a licence {missing:?}, no longer linked in {surplus:?}");
}

/// Other lists stand in licences.
fn is_crate(line: &str) -> bool {
    let mut words = line.split(' ');
    words.next().is_some() && words.next().is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit())) && words.next().is_none()
}
