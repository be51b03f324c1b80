#![cfg(not(target_arch = "wasm32"))]
//! The house's invariants that can be read off the source: which room may know which, and what may stand nowhere.

use std::fs;
use std::path::{Path, PathBuf};

/// In reading order: each knows only those before it.
const ROOMS: &[&str] = &[
    "mutant",
    "ordered",
    "protocol",
    "node",
    "cost",
    "storage",
    "controller",
    "replica",
    "coordinator",
    "broker",
    "client",
    "sim",
    "check",
    "session",
    "view",
    "lesson",
    "web",
];

/// What a sans-IO engine does not name: clocks, threads, browsers, sockets, and maps without an order.
const FORBIDDEN: &[&str] =
    &["yew", "web_sys", "js_sys", "wasm_bindgen", "tokio", "std::time", "std::thread", "HashMap", "HashSet", "SystemTime", "Instant::"];

/// A file that is longer has something in it that deserves a name of its own.
const LINES_MAX: usize = 700;

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// A file's room: its folder below src, or its own name.
fn room(path: &Path) -> String {
    let first = path.strip_prefix(src()).expect("below src").components().next().expect("a name");
    first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// The code of a file without its comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a source file");
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn engine_files() -> Vec<PathBuf> {
    sources(&src()).into_iter().filter(|path| !["web", "bin", "lib"].contains(&room(path).as_str())).collect()
}

#[test]
fn every_room_is_in_the_reading_order_and_the_map() {
    let map = fs::read_to_string(src().join("lib.rs")).expect("lib.rs");
    for path in sources(&src()) {
        let room = room(&path);
        assert!(["lib", "bin"].contains(&room.as_str()) || ROOMS.contains(&room.as_str()), "{} is in no room", path.display());
    }
    let declared: Vec<usize> =
        ROOMS.iter().map(|room| map.find(&format!("pub mod {room};")).unwrap_or_else(|| panic!("lib.rs lacks {room}"))).collect();
    assert!(declared.is_sorted(), "lib.rs declares the rooms in reading order");
    for room in ROOMS {
        assert!(map.contains(&format!("`{room}`")), "the map in lib.rs says nothing of {room}");
    }
}

#[test]
fn no_room_names_a_later_one() {
    for path in engine_files() {
        let own = ROOMS.iter().position(|room| *room == self::room(&path)).expect("a known room");
        let text = code(&path);
        for later in &ROOMS[own + 1..] {
            assert!(!text.contains(&format!("crate::{later}")), "{} names the later room {later}", path.display());
        }
    }
}

#[test]
fn the_engine_names_no_clock_no_thread_no_browser_and_no_unordered_map() {
    for path in engine_files() {
        let text = code(&path);
        for word in FORBIDDEN {
            assert!(!text.contains(word), "{} names {word}", path.display());
        }
    }
}

#[test]
fn files_are_short_and_say_what_they_own() {
    for path in sources(&src()) {
        let text = fs::read_to_string(&path).expect("a source file");
        assert!(text.starts_with("//! "), "{} does not begin with what it is", path.display());
        assert!(text.lines().count() <= LINES_MAX, "{} has more than {LINES_MAX} lines", path.display());
        for word in ["TODO", "FIXME", "todo!(", "unimplemented!(", "dbg!("] {
            assert!(!text.contains(word), "{} has a {word}", path.display());
        }
    }
}

#[test]
fn a_world_can_be_copied_and_sent() {
    fn check<T: Clone + Send>() {}
    check::<brokerlab::sim::World>();
}

#[test]
fn the_top_level_holds_what_belongs_there_and_nothing_else() {
    let known = [
        "Cargo.toml",
        "Cargo.lock",
        "Trunk.toml",
        "README.md",
        "CHANGELOG.md",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "src",
        "www",
        "tests",
        "benches",
        "scripts",
        // Made by builds, and not tracked.
        "target",
        "dist",
    ];
    for entry in fs::read_dir(env!("CARGO_MANIFEST_DIR")).expect("the package") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        assert!(name.starts_with('.') || known.contains(&name.as_str()), "{name} does not belong at the top level");
    }
}
