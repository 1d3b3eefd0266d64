//! What a command passes on its way besides the engine: codec, ring, batch.
#![forbid(unsafe_code)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use joulebook_journal::Batch;
use joulebook_protocol::messages::{NewOrder, OrderAccepted};
use joulebook_protocol::pipe::{CommandAssembler, CommandSlot, EventFrame};
use joulebook_protocol::{Command, Event, Frame, Origin, encode};
use joulebook_types::TimeNs;

fn codec(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Elements(1));
    let order = NewOrder { qty: 5, ..NewOrder::default() };
    let mut bytes = Vec::new();
    encode(&order, &mut bytes);
    group.bench_function("decode new order", |bench| {
        bench.iter(|| {
            let (frame, _) = Frame::split(black_box(&bytes)).expect("valid").expect("whole");
            Command::decode(&frame)
        });
    });
    let accepted = OrderAccepted::default();
    let mut out = Vec::with_capacity(256);
    group.bench_function("encode order accepted", |bench| {
        bench.iter(|| {
            out.clear();
            Event::OrderAccepted(black_box(accepted)).encode(&mut out);
            out.len()
        });
    });
    group.finish();
}

fn ring(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ring");
    group.throughput(Throughput::Elements(1));
    let (mut producer, mut consumer) = joulebook_rings::ring::<EventFrame>(1_024);
    let frame = EventFrame::of(None, &OrderAccepted::default());
    group.bench_function("push and pop, one thread", |bench| {
        bench.iter(|| {
            assert!(producer.try_push(black_box(frame)).is_ok());
            consumer.pop().expect("just pushed").bytes().len()
        });
    });
    group.finish();
}

fn batch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("journal batch");
    group.throughput(Throughput::Elements(64));
    let mut assembler = CommandAssembler::default();
    let command = CommandSlot::new(Origin::default(), &Command::NewOrder(NewOrder::default()));
    let mut batch = Batch::new();
    group.bench_function("64 new orders", |bench| {
        bench.iter(|| {
            batch.clear(TimeNs::ZERO);
            for _ in 0..64 {
                batch.push(assembler.push(black_box(&command)).expect("one slot"));
            }
            batch.bytes_len()
        });
    });
    group.finish();
}

criterion_group!(benches, codec, ring, batch);
criterion_main!(benches);
