//! The mapper against a book that is too simple to be wrong, on the real recording.

use std::collections::VecDeque;

use super::super::recording;
use super::*;
use joulebook_agents::Random;
use joulebook_protocol::messages::{OrderAccepted, OrderCanceled, OrderReplaced, SnapshotEnd};
use joulebook_types::TradeId;

/// One instrument by linear search. Commands of a side are carried out in order; which side comes next, and how late
/// events arrive, is up to chance, as with two streams of one connection.
struct NaiveVenue {
    resting: Vec<NaiveOrder>,
    commands: [VecDeque<Command>; 2],
    events: [VecDeque<Event>; 2],
    random: Random,
    orders: u64,
}

struct NaiveOrder {
    order_id: OrderId,
    client_order_id: ClientOrderId,
    side: Side,
    price: Price,
    qty: u32,
    filled: u32,
}

impl NaiveVenue {
    fn new(seed: u64) -> Self {
        Self {
            resting: Vec::new(),
            commands: Default::default(),
            events: Default::default(),
            random: Random::from_seed(seed),
            orders: 0,
        }
    }

    /// Carries out a random number of commands, delivers a random number of events.
    fn turn(&mut self, mapper: &mut Mapper) {
        let queued = self.commands[0].len() + self.commands[1].len();
        for _ in 0..=self.random.below(2 * queued + 1) {
            let side = [Side::Buy, Side::Sell][self.random.below(2)];
            if let Some(command) = self.commands[index(side)].pop_front() {
                self.apply(side, &command);
            }
        }
        for side in [Side::Buy, Side::Sell] {
            let waiting = self.events[index(side)].len();
            for _ in 0..self.random.below(waiting + 1) + usize::from(waiting == 1) {
                if let Some(event) = self.events[index(side)].pop_front() {
                    mapper.on_event(side, &event);
                }
            }
        }
    }

    fn apply(&mut self, side: Side, command: &Command) {
        match command {
            Command::NewOrder(order) => self.new_order(side, order),
            Command::ReplaceOrder(replace) => {
                let order = self.find(replace.order_id, replace.target);
                assert!(order.filled < replace.qty && replace.qty < order.qty, "a reduction in place");
                assert_eq!(order.price, replace.price);
                order.qty = replace.qty;
                let replaced = OrderReplaced { request: replace.client_order_id, ..Default::default() };
                self.tell(side, replaced);
            }
            Command::CancelOrder(cancel) => {
                let order = self.find(cancel.order_id, cancel.target);
                let (order_id, client_order_id) = (order.order_id, order.client_order_id);
                self.resting.retain(|order| order.order_id != order_id);
                let request = cancel.client_order_id;
                self.tell(side, OrderCanceled { client_order_id, order_id, request, ..Default::default() });
            }
            Command::AccountQuery(_) => {
                for order in self.resting.iter().filter(|order| order.side == side) {
                    let (order_id, leaves_qty) = (order.order_id, order.qty - order.filled);
                    let status = OrderStatus { order_id, leaves_qty, ..Default::default() };
                    self.events[index(side)].push_back(status.into());
                }
                self.tell(side, SnapshotEnd::default());
            }
            other => panic!("a replay never sends {}", other.name()),
        }
    }

    fn new_order(&mut self, side: Side, new: &NewOrder) {
        self.orders += 1;
        let (order_id, client_order_id) = (OrderId::new(self.orders), new.client_order_id);
        let slot = SlotHint::new(self.orders as u32);
        self.tell(side, OrderAccepted { client_order_id, order_id, slot, ..Default::default() });
        let mut taker =
            NaiveOrder { order_id, client_order_id, side, price: new.price, qty: new.qty, filled: 0 };
        while let Some(at) = self.best_against(&taker).filter(|_| taker.filled < taker.qty) {
            let maker = &mut self.resting[at];
            let qty = (maker.qty - maker.filled).min(taker.qty - taker.filled);
            maker.filled += qty;
            taker.filled += qty;
            let maker_fill = fill(maker, qty, 1);
            if maker.filled == maker.qty {
                self.resting.remove(at);
            }
            self.tell(side.opposite(), maker_fill);
            self.tell(side, fill(&taker, qty, 2));
        }
        if taker.filled < taker.qty {
            self.resting.push(taker);
        }
    }

    /// The oldest of the best opposite orders that `taker` may trade with.
    fn best_against(&self, taker: &NaiveOrder) -> Option<usize> {
        let key = |order: &NaiveOrder| match taker.side {
            Side::Buy => order.price.raw(),
            Side::Sell => -order.price.raw(),
        };
        let crosses = |order: &NaiveOrder| order.side != taker.side && key(order) <= key(taker);
        let candidates = self.resting.iter().enumerate().filter(|(_, order)| crosses(order));
        candidates.min_by_key(|(at, order)| (key(order), *at)).map(|(at, _)| at)
    }

    fn find(&mut self, order_id: OrderId, target: ClientOrderId) -> &mut NaiveOrder {
        let named = |order: &NaiveOrder| match order_id {
            OrderId::NONE => order.client_order_id == target,
            order_id => order.order_id == order_id,
        };
        self.resting.iter_mut().find(|order| named(order)).expect("every command names an open order")
    }

    fn tell(&mut self, side: Side, event: impl Into<Event>) {
        self.events[index(side)].push_back(event.into());
    }
}

fn fill(order: &NaiveOrder, qty: u32, liquidity: u8) -> OrderFilled {
    OrderFilled {
        client_order_id: order.client_order_id,
        order_id: order.order_id,
        trade_id: TradeId::new(1),
        qty,
        leaves_qty: order.qty - order.filled,
        liquidity,
        ..Default::default()
    }
}

fn play(events: Vec<Recorded>, seed: u64) -> Mapper {
    let mut venue = NaiveVenue::new(seed);
    // The two sessions number from different starts, so a mix-up of sides cannot go unnoticed.
    let mut mapper =
        Mapper::new(events, InstrumentId::new(1), [ClientOrderId::new(1), ClientOrderId::new(1_000_001)]);
    loop {
        match mapper.step() {
            Step::Send(side, command) | Step::Ask(side, command) => {
                // The bids and the asks of the naive venue are told apart by number alone.
                venue.commands[index(side)].push_back(command);
            }
            Step::Wait => venue.turn(&mut mapper),
            Step::Done => return mapper,
        }
    }
}

#[test]
fn the_real_recording_has_the_known_outcome() {
    let folder = joulebook_testkit::data_dir_or_skip!();
    let path = folder.join("order-flow/bitstamp-btcusd-2015-05-01-l3.part1.csv.xz");
    let events = recording::read(&path).unwrap();
    let alive = recording::alive(&events);
    assert_eq!((events.len(), alive.len()), (30_000, 169));
    for seed in [1, 2, 3] {
        let mapper = play(events.clone(), seed);
        assert_eq!(mapper.complaint(), None);
        let want = Counts {
            events: 30_000,
            new_orders: 14_803,
            replaces: 59,
            cancels: 14_327,
            unknown: 171,
            gone: 402,
            deleted_twice: 14,
            already_there: 238,
            trades: 305,
            crossing: 203,
            rejects: 0,
        };
        assert_eq!(mapper.counts(), &want, "seed {seed}");
        assert_eq!(mapper.reported_open(), &alive, "seed {seed}");
    }
}

fn event(id: u64, action: Action, side: Side, price_cents: i64, volume: u64) -> Recorded {
    Recorded { id, action, side, price_cents, volume }
}

#[test]
fn fills_of_our_own_make_later_events_no_commands() {
    use Action::{Changed, Created, Deleted};
    use Side::{Buy, Sell};
    let events = vec![
        event(9, Deleted, Buy, 100, 0),
        event(1, Created, Buy, 100, 1_000),
        event(2, Created, Sell, 100, 400),
        // The trade that just happened, as the recording tells it.
        event(1, Changed, Buy, 100, 600),
        event(2, Deleted, Sell, 100, 0),
        // Another one, with an order from before the recording.
        event(1, Changed, Buy, 100, 101),
        event(3, Created, Sell, 101, 50),
        event(3, Deleted, Sell, 101, 50),
        event(4, Created, Sell, 100, 900),
        event(1, Deleted, Buy, 100, 0),
    ];
    for seed in 0..50 {
        let mapper = play(events.clone(), seed);
        assert_eq!(mapper.complaint(), None);
        let want = Counts {
            events: 10,
            new_orders: 4,
            replaces: 1,
            cancels: 1,
            unknown: 1,
            gone: 2,
            deleted_twice: 0,
            already_there: 1,
            trades: 2,
            crossing: 2,
            rejects: 0,
        };
        assert_eq!(mapper.counts(), &want, "seed {seed}");
        assert_eq!(mapper.reported_open(), &BTreeSet::from([4]));
    }
}

#[test]
fn volumes_round_up_and_keep_their_order() {
    assert_eq!([1, 100, 101, 20_000_000_000].map(lots), [1, 1, 2, 200_000_000]);
    assert!((0..2_000).is_sorted_by_key(lots));
}

#[test]
fn a_reject_is_counted_and_named() {
    let events = vec![event(7, Action::Created, Side::Sell, 5, 100)];
    let mut mapper = Mapper::new(events, InstrumentId::new(1), [ClientOrderId::new(1); 2]);
    assert!(matches!(mapper.step(), Step::Send(Side::Sell, Command::NewOrder(_))));
    assert_eq!(mapper.step(), Step::Wait);
    let reason = RejectReason::InsufficientCapacity.raw();
    let client_order_id = ClientOrderId::new(1);
    mapper.on_refused(Side::Sell, &RequestRefused { client_order_id, reason, ..Default::default() });
    assert_eq!(mapper.counts().rejects, 1);
    let complaint = mapper.complaint().unwrap();
    assert!(
        complaint.contains("recorded order 7") && complaint.contains("InsufficientCapacity"),
        "{complaint}"
    );
}
