//! The rooms of `src` and the arrows between them, held against the map at the head of CONTRIBUTING.md.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What the map doesn't show: the crate's root, and the doors of the fuzz targets, which look into every room.
const OUTSIDE: [&str; 2] = ["lib", "fuzzing"];

/// The floor of each room, the top one first, as the map has them: a line each, its rooms separated by commas.
fn map() -> BTreeMap<String, usize> {
    let page = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let block = page.split("```rooms\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the map is there");
    let floors = block.lines().map(|line| line.trim_start_matches(['→', ' ']).split("  ").next().unwrap_or_default());
    floors.enumerate().flat_map(|(floor, rooms)| rooms.split(',').map(move |room| (room.trim().to_owned(), floor))).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|e| e == "rs"))
        .collect()
}

/// The room that a file stands in: the first part of its path below `src`.
fn room(file: &Path) -> String {
    let first = file.strip_prefix(root().join("src")).unwrap().components().next().unwrap();
    first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// What stands behind each `crate::` in the code: names of rooms, and of what the crate exports.
fn imports(text: &str) -> BTreeSet<&str> {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let behind = code.flat_map(|line| line.split("crate::").skip(1));
    behind
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default().split(',').map(first_word).collect::<Vec<_>>(),
            None => vec![first_word(rest)],
        })
        .filter(|name| !name.is_empty())
        .collect()
}

fn first_word(text: &str) -> &str {
    text.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}

/// The room of each name that `lib.rs` exports.
fn exports() -> BTreeMap<String, String> {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let lines = lib.lines().filter_map(|line| line.strip_prefix("pub use ")?.trim_end_matches(';').split_once("::"));
    lines.flat_map(|(room, names)| names.trim_matches(['{', '}']).split(',').map(move |name| (name.trim().to_owned(), room.to_owned()))).collect()
}

/// The text with each path that leads out of the room by `super` written from the crate's root. `depth` is how deep its module is; what stands behind
/// an inner module is one deeper.
fn from_the_root(text: &str, depth: usize) -> String {
    let inner = text.lines().position(|line| line.starts_with("mod ") && line.ends_with('{')).unwrap_or(usize::MAX);
    let rooted = |(at, line): (usize, &str)| line.replace(&"super::".repeat(depth + usize::from(at > inner)), "crate::") + "\n";
    text.lines().enumerate().map(rooted).collect()
}

/// How deep the module of a file is: 1 for a room itself.
fn depth(file: &Path) -> usize {
    let parts = file.strip_prefix(root().join("src")).unwrap().components().count();
    parts - usize::from(file.ends_with("mod.rs"))
}

/// Every import of one room by another, with a file that has it.
fn arrows() -> BTreeMap<(String, String), PathBuf> {
    let exports = exports();
    let mut arrows = BTreeMap::new();
    for file in sources(&root().join("src")) {
        let (from, text) = (room(&file), from_the_root(&fs::read_to_string(&file).unwrap(), depth(&file)));
        for name in imports(&text) {
            let to = exports.get(name).map_or(name, String::as_str).to_owned();
            if to != from && !OUTSIDE.contains(&from.as_str()) {
                arrows.insert((from.clone(), to), file.clone());
            }
        }
    }
    arrows
}

#[test]
fn every_room_stands_on_the_map() {
    let map = map();
    for file in sources(&root().join("src")) {
        let room = room(&file);
        assert!(map.contains_key(&room) || OUTSIDE.contains(&room.as_str()), "CONTRIBUTING.md's map lacks the room {room} of {}", file.display());
    }
}

#[test]
fn arrows_go_down_and_never_between_rooms_of_one_floor() {
    let map = map();
    let leaves = map.values().max().copied().unwrap();
    for ((from, to), file) in arrows() {
        let floor = |room: &str| map.get(room).copied().unwrap_or_else(|| panic!("{}: crate::{room} is no room of the map", file.display()));
        let (above, below) = (floor(&from), floor(&to));
        assert!(above < below || (above == leaves && below == leaves), "{}: {from} imports {to}, against the map in CONTRIBUTING.md", file.display());
    }
}

#[test]
fn an_arrow_is_found_in_each_form_of_an_import() {
    let found = imports("use crate::http::{self, Lanes};\nlet x = crate::error::one_line(y); // crate::capi\nuse crate::{Client, Record as R};");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["Client", "Record", "error", "http"]);
    let text = "use super::super::client;\nuse super::lane;\nmod tests {\n    use super::super::meter;\n    use super::super::super::auth;\n}\n";
    assert_eq!(imports(&from_the_root(text, 2)).into_iter().collect::<Vec<_>>(), ["auth", "client"]);
}
