//! What the engine keeps on the heap for each byte of record batches: every byte is stored once, whatever the replication factor.

use super::replication::{add_producers, cluster, remove_producers};
use brokerlab::view;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts live bytes as asked for, of one thread: the engine has no other.
struct Counting;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
}

fn count(more: usize, less: usize) {
    LIVE.set(LIVE.get().wrapping_add(more).wrapping_sub(less));
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(0, layout.size());
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const PRODUCED: u64 = 1_000_000_000;

pub fn run() {
    let before = LIVE.get();
    let mut session = cluster(serde_json::json!({}));
    add_producers(&mut session);
    while stored(&session) < PRODUCED {
        session.advance(1_000.0).expect("time advances");
    }
    remove_producers(&mut session);
    session.advance(2_000.0).expect("time advances");
    let stored = stored(&session);
    let with_snapshots = LIVE.get() - before;
    let world = session.world().clone();
    drop(session);
    let live = LIVE.get() - before;
    println!(
        "memory: {:.3} bytes of heap per byte of record batch at replication factor 3 ({stored} bytes produced), {:.3} with the session's snapshots and trace",
        live as f64 / stored as f64,
        with_snapshots as f64 / stored as f64
    );
    drop(world);
}

/// Bytes of batches that a partition's leader has, of all partitions.
fn stored(session: &brokerlab::session::Session) -> u64 {
    let partitions = view::view(session).topics.into_iter().flat_map(|topic| topic.partitions);
    partitions.map(|partition| partition.replicas.iter().map(|replica| replica.bytes).max().unwrap_or_default()).sum()
}
