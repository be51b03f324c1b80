//! The default scene: events per second and what kinds they are, seeks, snapshots, view and picture.

use brokerlab::session::{Session, default_scene};
use brokerlab::sim::Trace;
use brokerlab::view;
use criterion::Criterion;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

const HOUR_MS: f64 = 3_600_000.0;

fn scene() -> Session {
    Session::load(&default_scene()).expect("the default scene loads")
}

pub fn run() {
    print_hour();
    print_snapshots();
    let mut criterion = Criterion::default().sample_size(10);
    criterion.bench_function("one virtual minute of the default scene", |bencher| {
        bencher.iter_batched(
            scene,
            |mut session| {
                session.advance(60_000.0).expect("time advances");
                session
            },
            criterion::BatchSize::LargeInput,
        );
    });
    let mut long = scene();
    long.advance(HOUR_MS).expect("time advances");
    print_seeks(&mut long);
    criterion.bench_function("view and picture", |bencher| bencher.iter(|| black_box((view::view(&long), view::picture(&long, 16)))));
    criterion.final_summary();
}

/// One virtual hour: wall time, events per second, and events by kind.
fn print_hour() {
    let mut session = scene();
    let (events, from) = (session.world().events(), Instant::now());
    session.advance(HOUR_MS).expect("time advances");
    let (elapsed, events) = (from.elapsed().as_secs_f64(), session.world().events() - events);
    println!("one virtual hour: {elapsed:.2} s, {events} events, {:.0} events/s", events as f64 / elapsed);
    let mut kinds: BTreeMap<&str, u32> = BTreeMap::new();
    for event in view::events(&session, 0, usize::MAX) {
        *kinds.entry(event.kind).or_default() += 1;
    }
    println!("newest notes by kind: {kinds:?}");
}

/// Seeks all over the hour, never to the same place twice in a row.
fn print_seeks(session: &mut Session) {
    const SEEKS: u32 = 200;
    let times: Vec<f64> = (1..=SEEKS)
        .map(|turn| {
            let place = turn * 37 % 100;
            let from = Instant::now();
            session.seek(f64::from(place) * HOUR_MS / 100.0).expect("within the session");
            1_000.0 * from.elapsed().as_secs_f64()
        })
        .collect();
    let (mean, slowest) = (times.iter().sum::<f64>() / times.len() as f64, times.iter().copied().fold(0.0, f64::max));
    println!("seek within an hour: {mean:.0} ms, the slowest of {SEEKS} {slowest:.0} ms");
}

/// What snapshots add to a run: the same hour with and without them, the quickest of a few runs each.
fn print_snapshots() {
    const RUNS: u32 = 5;
    let mut quickest = [f64::MAX; 2];
    for _ in 0..RUNS {
        let mut session = scene();
        let (mut world, mut trace) = (session.world().clone(), Trace::default());
        let from = Instant::now();
        session.advance(HOUR_MS).expect("time advances");
        quickest[0] = quickest[0].min(from.elapsed().as_secs_f64());
        let end = session.world().now();
        let from = Instant::now();
        while world.next_event_time().is_some_and(|next| next <= end) {
            world.step(&mut trace);
        }
        quickest[1] = quickest[1].min(from.elapsed().as_secs_f64());
    }
    let [with, without] = quickest;
    println!("snapshots: {:.1}% of run time ({with:.3} s with, {without:.3} s without)", 100.0 * (with - without) / without);
}
