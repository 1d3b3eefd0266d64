//! The engine's state to bytes and back, without a file around it.
#![forbid(unsafe_code)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use joulebook_benches::grown;
use joulebook_engine::Engine;

fn state(criterion: &mut Criterion) {
    for resting in [10_000, 1_000_000] {
        let engine = grown(resting, 1);
        let mut bytes = Vec::new();
        engine.save(&mut |piece| bytes.extend_from_slice(piece));
        let mut group = criterion.benchmark_group(format!("state, {resting} open orders"));
        group.throughput(Throughput::Bytes(bytes.len() as u64)).sample_size(10);
        group.bench_function("save", |bench| {
            bench.iter(|| {
                let mut saved = 0;
                engine.save(&mut |piece| saved += piece.len());
                saved
            });
        });
        group.bench_function("load", |bench| {
            bench.iter_with_large_drop(|| Engine::load(&bytes).expect("an engine saved them"));
        });
        group.bench_function("hash", |bench| bench.iter(|| engine.state_hash()));
        group.finish();
    }
}

criterion_group!(benches, state);
criterion_main!(benches);
