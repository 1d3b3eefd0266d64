//! A small market with something in every section of its saved state.

use joulebook_engine::Engine;
use joulebook_protocol::Command;
use joulebook_protocol::messages::*;
use joulebook_types::*;

use crate::market::*;

const OPEN: &str = "H200S.DE.20261124T1400.Q";
const CALL: &str = "B200.DE.20261124T1400.Q";
const HALTED: &str = "TPU6E.DE.20261124T1400.Q";
const DELIVERED: &str = "H200S.DE.20261124T1215.Q";
const DELIVERING: &str = "H200S.DE.20261124T1230.Q";
const CLOSED: &str = "H200S.DE.20261124T1245.Q";
const PENDING: &str = "H200S.DE.20261124T1415.Q";
const PRE_OPEN: &str = "H200S.DE.20261124T1430.Q";

/// An account of a group, with caps on it.
const CAPPED: u32 = 40;

/// The state of every fact that the format can say, as far as one market can show them.
pub fn engine() -> Engine {
    let mut small = Small(Market::with_limits(Genesis {
        accounts_max: 9,
        sessions_max: 12,
        instruments_max: 8,
        orders_max: 40,
        outbox_events_max: 40,
        session_outcomes_max: 5,
        outcomes_max: 60,
        ..GENESIS
    }));
    small.set_up();
    small.deliver();
    small.open_orders();
    small.quotes();
    small.call();
    small.halt();
    small.sessions();
    small.0.engine
}

/// Refuses refusals: what is meant to be there must get there.
struct Small(Market);

impl Small {
    fn send(&mut self, account: u32, command: impl Into<Command>) -> Vec<String> {
        let command = command.into();
        let said = self.0.send(account, command);
        assert!(!said.iter().any(|line| line.contains("rejected ")), "{command:?}: {said:?}");
        said
    }

    fn set_up(&mut self) {
        let market = &mut self.0;
        market.system(Seed { seed: 77 });
        market.system(open_account(CAPPED, Roles::NONE.with(Role::Buyer).with(Role::Seller), 7));
        market.log_on(CAPPED, 1);
        for name in [OPEN, CALL, HALTED, DELIVERED, DELIVERING, CLOSED] {
            let fees = ListInstrument { taker_fee_ppm: 200, maker_fee_ppm: -100, ..list_instrument(name) };
            market.list_with(ListInstrument { reference_price: price("27.00"), ..fees });
        }
        let opens = symbol(PENDING).window.start();
        let opens = TimeNs::new(opens.raw() - 1_800_000_000_000);
        market.list_with(ListInstrument { opens, ..list_instrument(PENDING) });
        market.list_with(ListInstrument { opens, ..list_instrument(PRE_OPEN) });
        for name in [OPEN, CALL, HALTED, DELIVERED, DELIVERING, CLOSED] {
            market.register(SELLER, name, 800);
        }
        market.register(SELLER_2, OPEN, 80);
        for account in [BUYER, MAKER, CAPPED] {
            market.deposit(account, 1_000_000);
        }
        let class = "H200S".parse().unwrap();
        let (model, model_name) = (ModelId::new(3), *b"some model\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        let yield_ktok = Yield::new(15_387);
        self.send(OPERATOR, SetYield { class, model, model_name, yield_ktok, ..Default::default() });
        let retired = MicroEc::from_ec(1);
        self.0.deposit(ISSUER, 5);
        self.send(ISSUER, RetireCredits { amount: retired, ..Default::default() });
        let caps = SetLimits {
            account: AccountId::new(CAPPED),
            order_value_max: MicroEc::from_ec(900_000),
            open_value_max: MicroEc::from_ec(950_000),
            open_orders_max: 9,
            window_accelerators_max: 900,
            ..Default::default()
        };
        self.send(OPERATOR, caps);
    }

    /// One slot is delivered, one waits for it, and one has just closed.
    fn deliver(&mut self) {
        for instrument in [4, 5, 6] {
            self.send(SELLER, on(instrument, sell(10, "27.00")));
            self.send(BUYER, on(instrument, buy(3, "27.00")));
        }
        self.0.advance_minutes(31);
        let Symbol { class, area, window } = symbol(DELIVERED);
        let slot = window.slots().next().unwrap();
        self.send(METER, DeliverSlot { class, area, slot, ..Default::default() });
        self.0.advance_minutes(10);
    }

    /// Every kind of order that an open market knows, and prices seen.
    fn open_orders(&mut self) {
        let later = TimeNs::from_minutes(symbol(OPEN).window.start_minute() - 20);
        let dated =
            |order: NewOrder| NewOrder { time_in_force: TimeInForce::Gtd.raw(), expires: later, ..order };
        self.send(SELLER, sell(5, "27.10"));
        self.send(SELLER_2, sell(4, "27.10"));
        self.send(SELLER, NewOrder { display_qty: 2, ..sell(9, "27.05") });
        self.send(BUYER, buy(3, "27.05"));
        self.send(BUYER, dated(buy(4, "26.90")));
        self.send(CAPPED, post_only(buy(6, "26.90")));
        self.send(CAPPED, NewOrder { self_trade: SelfTradeMode::CancelBoth.raw(), ..buy(2, "26.95") });
        let waits = |trigger: Trigger, order: NewOrder| NewOrder { trigger: trigger.raw(), ..order };
        let stop = NewOrder { trigger_price: price("28.00"), ..buy(2, "28.50") };
        self.send(CAPPED, dated(waits(Trigger::Stop, stop)));
        let trail = NewOrder { trail_distance: price("0.20"), ..sell(2, "26.00") };
        self.send(SELLER_2, waits(Trigger::Trailing, trail));
        let trail =
            NewOrder { trail_bps: 150, activation_price: price("27.50"), ..market_order(Side::Sell, 1) };
        self.send(SELLER_2, waits(Trigger::Trailing, trail));
        let linked = OcoOrder {
            price: price("26.80"),
            trigger_price: price("27.60"),
            stop_price: price("27.70"),
            expires: later,
            instrument: InstrumentId::new(1),
            qty: 7,
            side: Side::Buy.raw(),
            time_in_force: TimeInForce::Gtd.raw(),
            ..Default::default()
        };
        self.send(BUYER, linked);
        let pre_open = InstrumentId::new(8);
        self.send(OPERATOR, SetPhase { instrument: pre_open, ..set_phase(Phase::PreOpen) });
        self.send(BUYER, on(8, buy(1, "20.00")));
    }

    /// Quotes, one of them hit, and their protection.
    fn quotes(&mut self) {
        let class = "H200S".parse().unwrap();
        let (window_ms, fills_max, lots_max) = (60_000, 4, 50);
        let credits_max = MicroEc::from_ec(800_000);
        let set = SetProtection { class, window_ms, fills_max, lots_max, credits_max, ..Default::default() };
        self.send(MAKER, set);
        let mut quote = MassQuote { count: 1, ..Default::default() };
        let pair = QuotePair {
            bid: price("27.00"),
            bid_qty: 8,
            instrument: InstrumentId::new(1),
            ..Default::default()
        };
        quote.pairs[0] = pair;
        self.send(MAKER, quote);
        self.send(SELLER, ioc(sell(1, "27.00")));
        self.0.advance_ms(5);
        self.send(SELLER, ioc(sell(2, "27.00")));
        quote.pairs[0] = QuotePair { ask: price("27.40"), ask_qty: 2, ..pair };
        self.send(MAKER, quote);
    }

    /// A call that has an end, with a crossed book, orders without a price and a stop that was reached.
    fn call(&mut self) {
        self.send(SELLER, on(2, sell(2, "30.00")));
        self.send(BUYER, on(2, buy(2, "30.00")));
        let call = SetPhase {
            instrument: InstrumentId::new(2),
            duration_ms: 100_000,
            random_ms: 50_000,
            ..set_phase(Phase::Auction)
        };
        self.send(OPERATOR, call);
        self.send(SELLER, on(2, sell(3, "29.00")));
        self.send(BUYER, on(2, buy(2, "31.00")));
        self.send(SELLER, on(2, market_order(Side::Sell, 1)));
        self.send(MAKER, on(2, market_order(Side::Buy, 2)));
        let stop =
            NewOrder { trigger: Trigger::Stop.raw(), trigger_price: price("29.00"), ..buy(1, "30.00") };
        self.send(BUYER, on(2, stop));
        self.0.advance_ms(1_100);
    }

    /// A market that was too fast.
    fn halt(&mut self) {
        let bands = SetBands {
            instrument: InstrumentId::new(3),
            dynamic_bps: 5_000,
            velocity_move: price("0.50"),
            velocity_window_ms: 10_000,
            halt_ms: 30_000,
            auction_ms: 60_000,
            auction_random_ms: 9,
            ..bands()
        };
        self.send(OPERATOR, bands);
        self.send(SELLER, on(3, sell(1, "27.20")));
        self.send(SELLER, on(3, sell(4, "28.00")));
        self.send(BUYER, on(3, buy(3, "28.00")));
    }

    /// Sessions that went away, that may fall silent, and that are switched off.
    fn sessions(&mut self) {
        self.0.log_on_with(BUYER, 2, 2_002, 0, 90_000);
        self.0.send_from(BUYER, 2, buy(1, "25.00"));
        self.0.hang_up(BUYER, 2, 2_002);
        self.send(SELLER_2, SetDeadMan { timeout_ms: 600_000, ..Default::default() });
        let kill = KillSwitch { action: KillSwitch::KILL, ..Default::default() };
        let class = "L40S".parse().unwrap();
        self.send(OPERATOR, KillSwitch { scope: KillSwitch::SCOPE_CLASS, class, ..kill });
        let account = AccountId::new(ISSUER);
        let killed =
            KillSwitch { scope: KillSwitch::SCOPE_SESSION, account, session: SessionId::new(1), ..kill };
        self.send(OPERATOR, killed);
        self.send(OPERATOR, KillSwitch { scope: KillSwitch::SCOPE_ACCOUNT, account, ..kill });
        self.0.advance_ms(3);
    }
}
