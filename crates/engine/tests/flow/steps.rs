//! What a random flow consists of: small numbers that `script` turns into commands, some of them wrong on purpose.

use proptest::prelude::*;

use super::numbers::{instrument, lots, rarely, self_trade, ticks};
use super::orders::{New, Oco, budget, limit, market, oco, odd, stop, trailing};

/// Something that somebody does.
#[derive(Clone, Debug)]
pub enum Step {
    New(New),
    Oco(Oco),
    Batch(Vec<Entry>),
    Cancel {
        back: u64,
        by_request: bool,
        slot: u32,
    },
    Reduce {
        back: u64,
        lots: u32,
    },
    Replace {
        back: u64,
        ticks: i64,
        lots: u32,
        trigger_ticks: i64,
    },
    MassCancel {
        scope: u8,
        instrument: u32,
        class: u8,
        side: u8,
        low: i64,
        high: i64,
    },
    Quote {
        pairs: Vec<Pair>,
        flags: u8,
        self_trade: u8,
    },
    Protect {
        class: u8,
        window_ms: u32,
        fills: u32,
        lots: u64,
        credits: i64,
    },
    ResetProtection {
        class: u8,
    },
    Token {
        ktok: u64,
        limit: i64,
        flags: u8,
        time_in_force: u8,
        self_trade: u8,
        count: u8,
        first: u32,
    },
    Basket {
        legs: Vec<Leg>,
        self_trade: u8,
    },
    Sweep {
        sell: bool,
        ticks: i64,
        lots: u32,
        minutes: u16,
        windows: u16,
        first: u32,
        self_trade: u8,
    },
    DeadMan {
        timeout_ms: u32,
    },
    Kill {
        scope: u8,
        action: u8,
        class: u8,
        by_operator: bool,
        trader: usize,
    },
    Phase {
        instrument: u32,
        class: u8,
        phase: u8,
        duration_ms: u32,
        random_ms: u32,
    },
    Bands(Bands),
    Limits {
        trader: usize,
        order: i64,
        open: i64,
        orders: u32,
        window: u32,
    },
    Query {
        back: u64,
    },
    Register {
        accelerators: u32,
    },
    Deliver {
        quarter: u32,
    },
    SetYield {
        yield_ktok: u32,
    },
    Repeat {
        back: u64,
    },
    Disconnect,
    Restart,
    Seed {
        seed: u64,
    },
    Wait {
        ms: u32,
    },
    List {
        odd: u8,
        value: i64,
    },
    Account {
        account: u32,
        roles: u16,
    },
    Credits {
        kind: u8,
        amount: i64,
        trader: usize,
    },
    /// The same with another byte somewhere in its last command.
    Spoiled {
        step: Box<Step>,
        place: u16,
        byte: u8,
    },
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub kind: u8,
    pub sell: bool,
    pub time_in_force: u8,
    pub instrument: u32,
    pub ticks: i64,
    pub lots: u32,
    pub back: u64,
}

#[derive(Clone, Debug)]
pub struct Pair {
    pub instrument: u32,
    pub bid: i64,
    pub ask: i64,
    pub bid_lots: u32,
    pub ask_lots: u32,
}

#[derive(Clone, Debug)]
pub struct Leg {
    pub instrument: u32,
    pub sell: bool,
    pub ticks: i64,
    pub lots: u32,
}

#[derive(Clone, Debug)]
pub struct Bands {
    pub instrument: u32,
    pub low: i64,
    pub high: i64,
    pub dynamic_bps: u32,
    pub velocity_ticks: i64,
    pub window_ms: u32,
    pub halt_ms: u32,
    pub auction_ms: u32,
    pub random_ms: u32,
}

fn entry() -> impl Strategy<Value = Entry> {
    let kind = prop_oneof![30 => 1..5u8, 1 => 0..6u8];
    (kind, any::<bool>(), rarely(1u8, 0..5u8), instrument(), ticks(), lots(), 0..30u64).prop_map(
        |(kind, sell, time_in_force, instrument, ticks, lots, back)| Entry {
            kind,
            sell,
            time_in_force,
            instrument,
            ticks,
            lots,
            back,
        },
    )
}

fn pair() -> impl Strategy<Value = Pair> {
    let lots = prop_oneof![8 => 1..5u32, 2 => Just(0u32), 1 => 0..9u32];
    let prices = prop_oneof![
        8 => (97..101i64, 1..4i64).prop_map(|(bid, spread)| (bid, bid + spread)),
        1 => (ticks(), ticks()),
    ];
    (instrument(), prices, lots.clone(), lots).prop_map(|(instrument, (bid, ask), bid_lots, ask_lots)| Pair {
        instrument,
        bid,
        ask,
        bid_lots,
        ask_lots,
    })
}

fn leg() -> impl Strategy<Value = Leg> {
    (instrument(), any::<bool>(), ticks(), lots()).prop_map(|(instrument, sell, ticks, lots)| Leg {
        instrument,
        sell,
        ticks,
        lots,
    })
}

fn bands() -> BoxedStrategy<Step> {
    let band = prop_oneof![4 => Just((97i64, 103i64)), 3 => (97..100i64, 100..104i64), 1 => (95..104i64, 95..104i64)];
    let dynamic = prop_oneof![3 => Just(0u32), 3 => 50..300u32, 1 => 0..10_003u32];
    let velocity = prop_oneof![3 => Just(0i64), 4 => 1..4i64, 1 => -1..2i64];
    let times = (
        prop_oneof![1 => Just(0u32), 5 => 1..3_000u32],
        prop_oneof![2 => Just(0u32), 3 => 1..600u32],
        prop_oneof![1 => Just(0u32), 20 => 1..1_500u32],
        prop_oneof![1 => Just(0u32), 1 => 0..1_000u32],
    );
    (instrument(), band, dynamic, velocity, times)
        .prop_map(|(instrument, (low, high), dynamic_bps, velocity_ticks, times)| {
            Step::Bands(Bands {
                instrument,
                low,
                high,
                dynamic_bps,
                velocity_ticks,
                window_ms: times.0,
                halt_ms: times.1,
                auction_ms: times.2,
                random_ms: times.3,
            })
        })
        .boxed()
}

fn phase() -> BoxedStrategy<Step> {
    let to = prop_oneof![16 => Just(3u8), 8 => Just(5u8), 2 => Just(4u8), 2 => Just(2u8), 1 => 0..10u8];
    let times =
        (prop_oneof![2 => Just(0u32), 3 => 1..3_000u32], prop_oneof![1 => Just(0u32), 1 => 1..2_000u32]);
    let which = prop_oneof![6 => instrument(), 2 => Just(0u32)];
    (which, 0..4u8, to, times, 0..12u8)
        .prop_map(|(instrument, class, phase, times, odd)| {
            let has_times = phase == 5 || odd == 0;
            Step::Phase {
                instrument,
                class,
                phase,
                duration_ms: if has_times { times.0 } else { 0 },
                random_ms: if has_times { times.1 } else { 0 },
            }
        })
        .boxed()
}

fn token() -> BoxedStrategy<Step> {
    (
        0..1_500u64,
        0..9_000i64,
        0..2u8,
        prop_oneof![20 => 2..4u8, 1 => 0..5u8],
        prop_oneof![20 => 0..3u8, 1 => 0..5u8],
        prop_oneof![20 => 1..4u8, 1 => 0..18u8],
        prop_oneof![20 => Just(1u32), 1 => 1..5u32],
    )
        .prop_map(|(ktok, limit, flags, time_in_force, self_trade, count, first)| Step::Token {
            ktok,
            limit,
            flags,
            time_in_force,
            self_trade,
            count,
            first,
        })
        .boxed()
}

fn basket() -> BoxedStrategy<Step> {
    let legs =
        prop_oneof![20 => prop::collection::vec(leg(), 1..4), 1 => prop::collection::vec(leg(), 0..18)];
    (legs, prop_oneof![9 => 0..3u8, 1 => 0..5u8])
        .prop_map(|(legs, self_trade)| Step::Basket { legs, self_trade })
        .boxed()
}

fn sweep() -> BoxedStrategy<Step> {
    let windows = (
        prop_oneof![9 => Just(15u16), 2 => Just(60u16), 1 => 0..61u16],
        prop_oneof![9 => Just(2u16), 1 => 0..98u16],
    );
    (
        any::<bool>(),
        ticks(),
        prop_oneof![9 => 1..3u32, 1 => lots()],
        windows,
        rarely(0u32, 0..3u32),
        prop_oneof![9 => 0..3u8, 1 => 0..5u8],
    )
        .prop_map(|(sell, ticks, lots, (minutes, windows), first, self_trade)| Step::Sweep {
            sell,
            ticks,
            lots,
            minutes,
            windows,
            first,
            self_trade,
        })
        .boxed()
}

fn protection() -> BoxedStrategy<Step> {
    let limits = (
        1..5u32,
        prop_oneof![1 => Just(0u64), 1 => 1..8u64],
        prop_oneof![2 => Just(0i64), 2 => 100_000..1_000_000i64, 1 => -1..1i64],
    );
    let window = prop_oneof![6 => 1..3_000u32, 1 => Just(0u32), 1 => 59_999..60_002u32];
    prop_oneof![
        3 => (0..4u8, window, limits, rarely(1u32, prop_oneof![Just(0u32), 9_999..10_002u32])).prop_map(
            |(class, window_ms, (fills, lots, credits), odd)| Step::Protect {
                class,
                window_ms,
                fills: if odd == 1 { fills } else { odd },
                lots,
                credits,
            }
        ),
        2 => (0..4u8).prop_map(|class| Step::ResetProtection { class }),
    ]
    .boxed()
}

fn controls() -> BoxedStrategy<Step> {
    let kill =
        (prop_oneof![9 => 1..5u8, 1 => 0..6u8], prop_oneof![3 => Just(1u8), 8 => Just(2u8), 1 => 0..4u8]);
    let caps = (
        prop_oneof![3 => Just(0i64), 2 => 200_000..1_500_000i64, 1 => -1..1i64],
        prop_oneof![3 => Just(0i64), 2 => 200_000..3_000_000i64],
        prop_oneof![3 => Just(0u32), 1 => 1..8u32],
        prop_oneof![1 => Just(0u32), 2 => 1..16u32],
    );
    prop_oneof![
        3 => (kill, 0..4u8, any::<bool>(), 0..6usize).prop_map(|((scope, action), class, by_operator, trader)| {
            Step::Kill { scope, action, class, by_operator, trader }
        }),
        4 => (0..6usize, caps).prop_map(|(trader, (order, open, orders, window))| Step::Limits {
            trader,
            order,
            open,
            orders,
            window,
        }),
        1 => prop_oneof![4 => 1_000..5_000u32, 1 => Just(0u32), 1 => 998..1_001u32].prop_map(|timeout_ms| Step::DeadMan { timeout_ms }),
    ]
    .boxed()
}

fn rest() -> BoxedStrategy<Step> {
    prop_oneof![
        2 => (0..30u64).prop_map(|back| Step::Query { back }),
        1 => (0..20u32).prop_map(|accelerators| Step::Register { accelerators }),
        1 => (0..4u32).prop_map(|quarter| Step::Deliver { quarter }),
        1 => (0..50u32).prop_map(|yield_ktok| Step::SetYield { yield_ktok }),
        1 => (0..9u64).prop_map(|back| Step::Repeat { back }),
        1 => Just(Step::Disconnect),
        1 => any::<u64>().prop_map(|seed| Step::Seed { seed }),
        14 => prop_oneof![1 => Just(1u32), 12 => 0..2_000u32].prop_map(|ms| Step::Wait { ms }),
        1 => prop_oneof![30 => (0..60_000u32).prop_map(|ms| Step::Wait { ms }), 2 => (0..1_800_000u32).prop_map(|ms| Step::Wait { ms }), 1 => Just(Step::Restart)],
    ]
    .boxed()
}

fn operator() -> BoxedStrategy<Step> {
    let values = prop_oneof![
        4 => (97..104i64).prop_map(|ticks| ticks * 1_000),
        1 => -3_000..3_000i64,
        1 => any::<i64>(),
    ];
    prop_oneof![
        4 => (0..16u8, values.clone()).prop_map(|(odd, value)| Step::List { odd, value }),
        1 => (0..40u32, 0..160u16).prop_map(|(account, roles)| Step::Account { account, roles }),
        2 => (0..4u8, prop_oneof![3 => 0..500_000i64, 1 => values], 0..6usize)
            .prop_map(|(kind, amount, trader)| Step::Credits { kind, amount, trader }),
    ]
    .boxed()
}

/// One step of everything that the exchange takes, now and then with a wrong byte.
pub fn step() -> BoxedStrategy<Step> {
    // Small bytes hit choices and counts, large ones the signs and sizes of numbers.
    let byte = prop_oneof![4 => 0..8u8, 1 => any::<u8>()];
    let spoiled = (good_step(), any::<u16>(), byte).prop_map(|(step, place, byte)| Step::Spoiled {
        step: Box::new(step),
        place,
        byte,
    });
    prop_oneof![30 => good_step(), 1 => spoiled].boxed()
}

fn good_step() -> BoxedStrategy<Step> {
    let orders = prop_oneof![
        20 => limit().prop_map(Step::New),
        6 => market().prop_map(Step::New),
        4 => budget().prop_map(Step::New),
        4 => stop().prop_map(Step::New),
        3 => trailing().prop_map(Step::New),
        1 => odd().prop_map(Step::New),
        3 => oco().prop_map(Step::Oco),
        2 => prop::collection::vec(entry(), 0..5).prop_map(Step::Batch),
    ];
    let changes = prop_oneof![
        4 => (0..30u64, prop::bool::weighted(0.3), 0..20u32).prop_map(|(back, by_request, slot)| Step::Cancel { back, by_request, slot }),
        2 => (0..30u64, lots()).prop_map(|(back, lots)| Step::Reduce { back, lots }),
        6 => (0..30u64, ticks(), lots(), rarely(0i64, prop_oneof![98..103i64, Just(-1i64)])).prop_map(
            |(back, ticks, lots, trigger_ticks)| Step::Replace { back, ticks, lots, trigger_ticks }
        ),
        1 => (prop_oneof![9 => 1..3u8, 1 => 0..4u8], prop_oneof![2 => Just(0u32), 1 => instrument()], prop_oneof![2 => Just(4u8), 1 => 0..4u8], 0..4u8, rarely(0i64, 97..104i64), rarely(0i64, 97..104i64)).prop_map(
            |(scope, instrument, class, side, low, high)| Step::MassCancel { scope, instrument, class, side, low, high }
        ),
    ];
    let quotes = (prop_oneof![90 => prop::collection::vec(pair(), 1..4), 1 => prop::collection::vec(pair(), 63..66), 1 => Just(Vec::new())], rarely(0u8, 0..3u8), self_trade())
        .prop_map(|(pairs, flags, self_trade)| Step::Quote { pairs, flags, self_trade });
    prop_oneof![
        38 => orders,
        14 => changes,
        9 => quotes,
        3 => protection(),
        4 => token(),
        4 => basket(),
        4 => sweep(),
        4 => controls(),
        3 => phase(),
        2 => bands(),
        12 => rest(),
        1 => operator(),
    ]
    .boxed()
}
