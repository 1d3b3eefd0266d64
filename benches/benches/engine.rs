//! The engine in process: one thread, no network, no journal. Events are encoded and hashed as they are live.
#![forbid(unsafe_code)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use joulebook_benches::{plain_mix, prepared, run};
use joulebook_engine::Events;

fn mix(criterion: &mut Criterion) {
    const COMMANDS: usize = 50_000;
    let mut group = criterion.benchmark_group("engine");
    group.throughput(Throughput::Elements(COMMANDS as u64)).sample_size(20);
    for resting in [1_000, 10_000] {
        let stream = plain_mix(resting, COMMANDS, 1);
        let measured = &stream.measured[..COMMANDS];
        let mut events = Events::default();
        group.bench_function(format!("plain mix, {resting} resting"), |bench| {
            bench.iter_batched(
                || prepared(&stream),
                |mut engine| {
                    let hash = run(&mut engine, measured, &mut events);
                    (engine, hash)
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, mix);
criterion_main!(benches);
