//! Orders over several books that are filled whole or not at all: what baskets and block sweeps have in common.

use joulebook_ledger::{AccountIx, AssetIx};
use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::{LegDone, SweepDone};
use joulebook_types::{MicroEc, Price, SelfTradeMode, Side};

use crate::dry_walk::DryOrder;
use crate::instruments::InstrumentIx;
use crate::matching::Taker;
use crate::request::Rejection;
use crate::{Engine, Events};

/// One book of an order over several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leg {
    pub(crate) instrument: InstrumentIx,
    pub(crate) side: Side,
    /// The worst price at which it trades.
    pub(crate) limit: Price,
    /// Lots: all of them, or none of any leg.
    pub(crate) qty: u32,
}

/// What was traded.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    notional: MicroEc,
    fees: MicroEc,
    fills: u32,
}

/// Of rejections of one request the one whose rule comes first, among equals the first.
pub(crate) fn lowest(rejections: impl IntoIterator<Item = Option<Rejection>>) -> Option<Rejection> {
    rejections.into_iter().flatten().min_by_key(Rejection::precedence)
}

impl Engine {
    /// Whether the class of a part takes orders and its instrument is open.
    pub(crate) fn check_part_open(&self, ix: InstrumentIx) -> Result<(), Rejection> {
        self.check_class_entry(ix)?;
        self.check_open(ix)
    }

    /// Whether the legs that sell find enough free capacity in every slot, all of them together.
    pub(crate) fn check_legs_capacity(
        &mut self,
        account: AccountIx,
        legs: &[Leg],
        qty_offset: impl Fn(usize) -> usize,
    ) -> Result<(), Rejection> {
        self.for_each_slot(legs, Side::Sell, |engine, number, asset, needed| {
            let free = engine.ledger.position(account, asset).map_or(0, |position| position.free);
            if needed <= free {
                return Ok(());
            }
            Err(Rejection::field(RejectReason::InsufficientCapacity, qty_offset(number)).met(free, needed))
        })
    }

    /// Whether the legs that buy keep the account's cap in every slot, all of them together.
    pub(crate) fn check_legs_windows(
        &mut self,
        account: AccountIx,
        legs: &[Leg],
        qty_offset: impl Fn(usize) -> usize,
    ) -> Result<(), Rejection> {
        let cap = self.accounts[account].limits.window_accelerators_max;
        if cap == 0 {
            return Ok(());
        }
        self.for_each_slot(legs, Side::Buy, |engine, number, asset, wanted| {
            let would_be = engine.window_use(account, asset) + i128::from(wanted);
            if would_be <= i128::from(cap) {
                return Ok(());
            }
            Err(Rejection::field(RejectReason::WindowCap, qty_offset(number)).met(cap, would_be))
        })
    }

    /// Checks each slot of each leg of a side with the accelerators that it and the legs before it need there.
    fn for_each_slot(
        &mut self,
        legs: &[Leg],
        side: Side,
        check: impl Fn(&Self, usize, AssetIx, u64) -> Result<(), Rejection>,
    ) -> Result<(), Rejection> {
        let mut needs = core::mem::take(&mut self.slot_needs);
        let result = self.add_up_slots(&mut needs, legs, side, check);
        let assets = legs.iter().flat_map(|leg| &self.instruments[leg.instrument].assets);
        for asset in assets {
            if let Some(need) = needs.get_mut(asset.index()) {
                *need = 0;
            }
        }
        self.slot_needs = needs;
        result
    }

    /// `needs` has what legs need in each slot, by the slot's number; it starts and ends with zeros.
    fn add_up_slots(
        &self,
        needs: &mut Vec<u64>,
        legs: &[Leg],
        side: Side,
        check: impl Fn(&Self, usize, AssetIx, u64) -> Result<(), Rejection>,
    ) -> Result<(), Rejection> {
        for (number, leg) in legs.iter().enumerate().filter(|(_, leg)| leg.side == side) {
            let instrument = &self.instruments[leg.instrument];
            for asset in &instrument.assets {
                if needs.len() <= asset.index() {
                    needs.resize(asset.index() + 1, 0);
                }
                let need = &mut needs[asset.index()];
                *need += instrument.accelerators(leg.qty);
                check(self, number, *asset, *need)
                    .map_err(|rejection| rejection.of_instrument(instrument.id))?;
            }
        }
        Ok(())
    }

    /// Whether every leg would be filled whole, one after the other. Returns the notional of all.
    pub(crate) fn check_legs_fillable(
        &mut self,
        account: AccountIx,
        self_trade: SelfTradeMode,
        legs: &[Leg],
    ) -> Result<i128, Rejection> {
        let trade_group = self.accounts.trade_group(account);
        let mut walk = core::mem::take(&mut self.dry_walk);
        walk.begin();
        let mut notional = 0;
        let mut result = Ok(());
        for leg in legs {
            let Leg { instrument, side, limit, qty: lots } = *leg;
            let order = DryOrder { instrument, side, limit, lots, trade_group, self_trade, credits: None };
            // A book that is named twice goes on where it was: that it may not be is a later question.
            let book = walk.open_once(self, instrument, side);
            let fill = walk.fill_from(self, book, &order);
            notional += fill.notional;
            if fill.traded < lots {
                let rejection = Rejection::whole(RejectReason::FokNotFillable).met(fill.traded, lots);
                result = Err(rejection.of_instrument(self.instruments[instrument].id));
                break;
            }
        }
        self.dry_walk = walk;
        result.map(|()| notional)
    }

    /// Fills legs that can be filled, and reports them: all fills, then each leg, then the whole.
    pub(crate) fn fill_legs(&mut self, taker: &mut Taker, legs: &[Leg], out: &mut Events) {
        let mut reports = core::mem::take(&mut self.leg_reports);
        reports.clear();
        let mut done = SweepDone {
            client_order_id: taker.client_order_id,
            order_id: taker.order_id,
            ..Default::default()
        };
        let mut minutes = 0;
        for leg in legs {
            let tally = self.fill_leg(taker, leg, out);
            reports.push(self.leg_done(taker, leg, &tally));
            match leg.side {
                Side::Buy => done.bought += tally.notional,
                Side::Sell => done.sold += tally.notional,
            }
            done.fees += tally.fees;
            done.fills += tally.fills;
            let lot = self.instruments[leg.instrument].lot;
            minutes += i128::from(lot.accelerator_minutes()) * i128::from(leg.qty);
        }
        for report in &reports {
            self.tell(taker.session, *report, out);
        }
        self.leg_reports = reports;
        done.average_price =
            average_price(i128::from(done.bought.raw()) + i128::from(done.sold.raw()), minutes);
        self.tell(taker.session, done, out);
    }

    /// A leg that sells holds its lots while it trades; one that buys pays trade by trade.
    fn fill_leg(&mut self, taker: &mut Taker, leg: &Leg, out: &mut Events) -> Tally {
        (taker.instrument, taker.side, taker.limit) = (leg.instrument, leg.side, leg.limit);
        (taker.qty, taker.leaves) = (leg.qty, leg.qty);
        if taker.holds() {
            self.hold(&taker.promise());
        }
        let mut tally = Tally::default();
        while taker.leaves > 0 {
            let front = self.instruments[leg.instrument].book().front(&self.orders.slab, leg.side.opposite());
            let front = front.expect("the walk found enough");
            let maker = &self.orders.slab[front];
            if maker.trade_group == taker.trade_group.0 {
                let ends = self.prevent_self_trade(taker, front, out);
                assert!(!ends, "the walk stops at orders that would end this one");
                continue;
            }
            let lots = taker.leaves.min(maker.leaves);
            let (notional, fee) = self.trade(taker, front, lots, out);
            tally.notional += notional;
            tally.fees += fee;
            tally.fills += 1;
        }
        tally
    }

    fn leg_done(&self, taker: &Taker, leg: &Leg, tally: &Tally) -> LegDone {
        LegDone {
            client_order_id: taker.client_order_id,
            order_id: taker.order_id,
            notional: tally.notional,
            fees: tally.fees,
            average_price: self.instruments[leg.instrument].average_price(tally.notional, leg.qty),
            instrument: self.instruments[leg.instrument].id,
            qty: leg.qty,
            side: leg.side.raw(),
            ..Default::default()
        }
    }
}

/// Per accelerator-hour, rounded toward zero; zero without fills.
pub(crate) fn average_price(notional: i128, accelerator_minutes: i128) -> Price {
    let average = (notional * 60).checked_div(accelerator_minutes).unwrap_or(0);
    Price::new(i64::try_from(average).unwrap_or(i64::MAX))
}
