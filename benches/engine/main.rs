//! Speed of the engine on one core, and what it keeps in memory: `cargo bench --bench engine`, or only the parts named behind `--`.
//! What is printed without criterion is one run each: the figures are so long that the clock's grain does not matter.

#[cfg(not(target_arch = "wasm32"))]
mod exactly_once;
#[cfg(not(target_arch = "wasm32"))]
mod group;
#[cfg(not(target_arch = "wasm32"))]
mod heap;
#[cfg(not(target_arch = "wasm32"))]
mod replication;
#[cfg(not(target_arch = "wasm32"))]
mod scene;
#[cfg(not(target_arch = "wasm32"))]
mod storage;

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    type Part = (&'static str, fn());
    const PARTS: [Part; 6] = [
        ("storage", storage::run),
        ("group", group::run),
        ("replication", replication::run),
        ("exactly-once", exactly_once::run),
        ("memory", heap::run),
        ("scene", scene::run),
    ];
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    for (name, run) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            run();
        }
    }
}

#[cfg(target_arch = "wasm32")]
fn main() {}
