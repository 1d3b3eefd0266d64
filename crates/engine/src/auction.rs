//! Call auctions: when they begin and end, and what they would trade meanwhile.

use joulebook_book::Slot;
use joulebook_protocol::CancelReason;
use joulebook_protocol::messages::AuctionIndication;
use joulebook_types::{InstrumentId, Phase, Price, Side};

use crate::auction_price::{CallBook, Cross, PricedLots};
use crate::call_line::CallLine;
use crate::cancel::Requester;
use crate::instruments::InstrumentIx;
use crate::timers::{Timer, TimerKey};
use crate::uncross::{CallOrder, Spending};
use crate::{Engine, Events};

/// From one look at the indication to the next.
const INDICATION_PERIOD_MS: u32 = 1_000;

/// How long a call takes orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CallTime {
    /// Zero: until the operator ends it.
    pub(crate) duration_ms: u32,
    /// A random time up to this is added.
    pub(crate) random_ms: u32,
}

/// What an instrument keeps for its calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Call {
    /// Market orders that wait for the uncross, oldest first.
    pub(crate) market_orders: CallLine,
    pub(crate) indication_timer: Option<TimerKey>,
    /// The indication published last.
    pub(crate) indicated: Indication,
}

/// Memory of indications and uncrossings, used again.
#[derive(Debug, Default)]
pub(crate) struct CallMemory {
    pub(crate) levels: Vec<PricedLots>,
    pub(crate) buys: Vec<CallOrder>,
    pub(crate) sells: Vec<CallOrder>,
    /// What buyers without a hold pay in a walk.
    pub(crate) spending: Spending,
}

/// What would trade if the call ended now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Indication {
    pub(crate) price: Price,
    pub(crate) volume: u64,
    pub(crate) surplus: i64,
}

impl From<Cross> for Indication {
    fn from(cross: Cross) -> Self {
        Self { price: cross.price, volume: cross.volume(), surplus: cross.surplus() }
    }
}

impl Engine {
    /// Stops continuous trading, says what would trade, and sets the end.
    pub(crate) fn begin_call(&mut self, ix: InstrumentIx, time: CallTime, out: &mut Events) {
        self.enter_phase(ix, Phase::Auction, out);
        let indication = self.find_indication(ix);
        self.publish_indication(ix, indication, out);
        if time.duration_ms != 0 {
            let random_ms = self.random.up_to(time.random_ms);
            let end = self.time.saturating_add_ms(time.duration_ms).saturating_add_ms(random_ms);
            self.instruments[ix].phase_timer = Some(self.timers.set(end, Timer::CallEnd(ix)));
        }
        self.set_indication_timer(ix);
    }

    /// Publishes what would trade now unless that is what was published last.
    pub(crate) fn indicate(&mut self, ix: InstrumentIx, out: &mut Events) {
        let indication = self.find_indication(ix);
        if indication != self.instruments[ix].call.indicated {
            self.publish_indication(ix, indication, out);
        }
        self.set_indication_timer(ix);
    }

    /// Takes the timers of a phase back that ends.
    pub(crate) fn cancel_phase_timers(&mut self, ix: InstrumentIx) {
        let instrument = &mut self.instruments[ix];
        let keys = [instrument.phase_timer.take(), instrument.call.indication_timer.take()];
        for key in keys.into_iter().flatten() {
            self.timers.cancel(key);
        }
    }

    /// Lets a market order that was accepted wait, outside the book, for the uncross.
    pub(crate) fn enter_call(&mut self, slot: Slot) {
        let order = &self.orders.slab[slot];
        self.instruments.call_line_mut(InstrumentIx::new(order.instrument)).push(order.order_id, slot);
    }

    /// Takes a market order from where it waits. What it promised is given back already.
    pub(crate) fn leave_call(&mut self, slot: Slot) {
        let order = &self.orders.slab[slot];
        let ix = InstrumentIx::new(order.instrument);
        self.instruments[ix].call.market_orders.remove(order.order_id);
    }

    /// Whether a market order waits where it should.
    pub(crate) fn waits_in_call(&self, slot: Slot) -> bool {
        let order = &self.orders.slab[slot];
        let instrument = &self.instruments[InstrumentIx::new(order.instrument)];
        !order.is_resting() && instrument.call.market_orders.contains(order.order_id)
    }

    /// Market orders that wait in calls.
    pub(crate) fn in_calls(&self) -> usize {
        self.instruments.iter().map(|(_, instrument)| instrument.call.market_orders.len()).sum()
    }

    /// Ends the market orders that wait, oldest first.
    pub(crate) fn cancel_call_orders(&mut self, ix: InstrumentIx, reason: CancelReason, out: &mut Events) {
        while let Some(slot) = self.instruments[ix].call.market_orders.first() {
            self.cancel_open_order(slot, reason, Requester::NOBODY, out);
        }
    }

    /// The price at which the call would uncross now. `levels` is memory to work in.
    pub(crate) fn find_cross(&self, ix: InstrumentIx, levels: &mut Vec<PricedLots>) -> Option<Cross> {
        self.price_levels(ix, levels);
        let instrument = &self.instruments[ix];
        let market_lots = |side| {
            let orders = instrument.call.market_orders.iter().map(|slot| &self.orders.slab[slot]);
            orders.filter(|order| order.side == side).map(|order| u64::from(order.total_leaves())).sum()
        };
        let call = CallBook {
            levels,
            market_buys: market_lots(Side::Buy),
            market_sells: market_lots(Side::Sell),
            // Limit prices lie in the static band; market orders alone must not trade outside it either.
            base: instrument.prices.base(self.step).map(|base| instrument.nearest_in_band(base)),
            tick: instrument.tick,
        };
        call.cross()
    }

    /// What rests at each price of both sides, hidden lots included, lowest price first.
    fn price_levels(&self, ix: InstrumentIx, levels: &mut Vec<PricedLots>) {
        levels.clear();
        let book = self.instruments[ix].book();
        for side in [Side::Buy, Side::Sell] {
            for slot in book.makers(&self.orders.slab, side) {
                let order = &self.orders.slab[slot];
                let lots = u64::from(order.total_leaves());
                let (bids, asks) = match side {
                    Side::Buy => (lots, 0),
                    Side::Sell => (0, lots),
                };
                levels.push(PricedLots { price: order.price, bids, asks });
            }
        }
        levels.sort_unstable_by_key(|level| level.price);
        levels.dedup_by(|next, kept| {
            let same = next.price == kept.price;
            if same {
                kept.bids += next.bids;
                kept.asks += next.asks;
            }
            same
        });
    }

    fn find_indication(&mut self, ix: InstrumentIx) -> Indication {
        let mut levels = core::mem::take(&mut self.call_memory.levels);
        let cross = self.find_cross(ix, &mut levels);
        self.call_memory.levels = levels;
        cross.map_or(Indication::default(), Indication::from)
    }

    fn publish_indication(&mut self, ix: InstrumentIx, indication: Indication, out: &mut Events) {
        self.instruments[ix].call.indicated = indication;
        let fact = self.indication_fact(ix, indication);
        self.publish(fact, out);
    }

    fn indication_fact(&self, ix: InstrumentIx, indication: Indication) -> AuctionIndication {
        let Indication { price, volume, surplus } = indication;
        let time = self.time;
        AuctionIndication {
            time,
            price,
            volume,
            surplus,
            instrument: self.instruments[ix].id,
            ..Default::default()
        }
    }

    fn set_indication_timer(&mut self, ix: InstrumentIx) {
        let due = self.time.saturating_add_ms(INDICATION_PERIOD_MS);
        self.instruments[ix].call.indication_timer = Some(self.timers.set(due, Timer::Indication(ix)));
    }

    /// What the instrument's call would trade if it ended now, all zeros for nothing; `None` while there is no call.
    pub fn indication(&self, id: InstrumentId) -> Option<AuctionIndication> {
        let ix = self.instruments.find(id).filter(|ix| self.instruments[*ix].phase == Phase::Auction)?;
        let cross = self.find_cross(ix, &mut Vec::new());
        Some(self.indication_fact(ix, cross.map_or(Indication::default(), Indication::from)))
    }

    /// The indication published last, while a call is on.
    pub(crate) fn last_indication(&self, ix: InstrumentIx) -> Option<AuctionIndication> {
        let instrument = &self.instruments[ix];
        match instrument.phase {
            Phase::Auction => Some(self.indication_fact(ix, instrument.call.indicated)),
            Phase::Pending
            | Phase::PreOpen
            | Phase::Open
            | Phase::Halted
            | Phase::Closed
            | Phase::Delivering
            | Phase::Settled => None,
        }
    }
}
