//! What one operation costs the engine, by kind: from the journal record to the events. Orders rest in one book over some
//! hundred prices; nothing is refused.
#![forbid(unsafe_code)]

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use joulebook_benches::{Recording, Rerun, Tables, VenuePlan, Window, mass_cancel, operations};
use joulebook_types::TimeInForce;

/// Times commands of the measured part; an engine that has none left is left behind for a fresh one.
fn bench(criterion: &mut Criterion, name: &str, recording: &Recording) {
    let mut group = criterion.benchmark_group("operations");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    group.bench_function(name, |bench| {
        bench.iter_custom(|iterations| {
            let (mut took, mut left) = (Duration::ZERO, iterations);
            while left > 0 {
                // Parts are whole batches: what is more than was asked for counts in proportion.
                let (commands, part) = Rerun::new(recording).advance(left.min(1 << 20) as usize);
                let counted = commands.min(left);
                took += Duration::from_nanos((part.as_nanos() as u64 / commands) * counted);
                left -= counted;
            }
            took
        });
    });
    group.finish();
}

fn single_orders(criterion: &mut Criterion) {
    bench(criterion, "add", &operations::adds());
    bench(criterion, "cancel", &operations::cancels());
    bench(criterion, "replace", &operations::replaces());
    bench(criterion, "reduce", &operations::reduces());
    for levels in [1, 3, 10] {
        let name = format!("immediate or cancel through {levels} levels");
        bench(criterion, &name, &operations::takes(levels, TimeInForce::Ioc));
    }
    bench(criterion, "fill or kill through 3 levels", &operations::takes(3, TimeInForce::Fok));
}

fn many_at_once(criterion: &mut Criterion) {
    bench(criterion, "mass quote of 64 pairs", &operations::mass_quotes());
    let plan = VenuePlan::windows(1, Window::Quarter, Tables::Short);
    bench(criterion, "mass cancel of 1,000", &mass_cancel(&plan, 1_000));
    for books in [2, 8] {
        bench(criterion, &format!("token order over {books} books"), &operations::token_orders(books));
    }
    bench(criterion, "basket of 16", &operations::baskets());
    bench(criterion, "uncross of 10,000 orders", &operations::uncross());
}

criterion_group!(benches, single_orders, many_at_once);
criterion_main!(benches);
