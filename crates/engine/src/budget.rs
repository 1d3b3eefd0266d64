//! Market orders by budget: "spend 500 EC at the best prices".

use core::mem::offset_of;

use joulebook_protocol::CancelReason;
use joulebook_protocol::messages::{NewOrder, SweepDone};
use joulebook_types::{MicroEc, Price, Side, SlotHint};

use crate::bands::Reach;
use crate::instruments::InstrumentIx;
use crate::matching::Taker;
use crate::new_order::accepted;
use crate::order_choices::Choices;
use crate::request::{Done, Rejection};
use crate::sessions::SessionIx;
use crate::{Engine, Events};

/// What a budget order bought.
#[derive(Clone, Copy, Debug, Default)]
struct Bought {
    lots: u32,
    notional: MicroEc,
    fees: MicroEc,
    fills: u32,
}

impl Engine {
    /// Buys whole lots from the best ask on. Notional and fees together never exceed the budget or the free credits.
    pub(crate) fn budget_order(
        &mut self,
        session: SessionIx,
        ix: InstrumentIx,
        choices: &Choices,
        order: &NewOrder,
        out: &mut Events,
    ) -> Result<Done, Rejection> {
        let account = self.sessions[session].account;
        self.check_order_value(account, order.budget, offset_of!(NewOrder, budget))?;
        let (id, self_trade) = (order.client_order_id, choices.self_trade);
        let mut taker = self.sweeping_taker(session, id, self_trade, ix, Side::Buy);
        self.tell(session, accepted(order, &taker), out);
        let mut bought = Bought::default();
        let reason = self.spend(&mut taker, order.budget, &mut bought, out);
        let average_price = self.instruments[ix].average_price(bought.notional, bought.lots);
        let done = SweepDone {
            client_order_id: order.client_order_id,
            order_id: taker.order_id,
            bought: bought.notional,
            fees: bought.fees,
            average_price,
            fills: bought.fills,
            reason: reason.map_or(0, CancelReason::raw),
            ..Default::default()
        };
        self.tell(session, done, out);
        Ok(Done { order_id: taker.order_id, slot: SlotHint::UNKNOWN })
    }

    /// Says why it ended; `None` when the next lot costs more than what is left of the budget.
    fn spend(
        &mut self,
        taker: &mut Taker,
        budget: MicroEc,
        bought: &mut Bought,
        out: &mut Events,
    ) -> Option<CancelReason> {
        let ix = taker.instrument;
        let bound = self.trade_bound(ix, Side::Buy);
        let free = self.ledger.credits(taker.account).free;
        let mut means = budget.min(free);
        loop {
            let instrument = &self.instruments[ix];
            let wanted = instrument.qty_max - bought.lots;
            let front = instrument.book().front(&self.orders.slab, Side::Sell);
            let (Some(front), true) = (front, wanted > 0) else {
                return Some(CancelReason::ImmediateRemainder);
            };
            let maker = self.orders.slab[front];
            if bound.reach(Side::Buy, maker.price) != Reach::Within {
                return Some(CancelReason::PriceBand);
            }
            if maker.trade_group == taker.trade_group.0 {
                if self.prevent_self_trade(taker, front, out) {
                    return Some(CancelReason::SelfTrade);
                }
                continue;
            }
            let wanted = self.lots_in_window(taker, wanted.min(maker.leaves));
            if wanted == 0 {
                return Some(CancelReason::WindowCap);
            }
            let lots = self.instruments[ix].affordable(maker.price, wanted, means);
            if lots == 0 {
                return (free < budget).then_some(CancelReason::CreditsExhausted);
            }
            // It counts credits, not lots: no lots are left open beyond the fill in hand.
            taker.leaves = lots;
            let (notional, fee) = self.trade(taker, front, lots, out);
            means -= notional + fee;
            bought.lots += lots;
            bought.notional += notional;
            bought.fees += fee;
            bought.fills += 1;
        }
    }

    /// How many of `lots` the window cap of a buyer lets in.
    pub(crate) fn lots_in_window(&self, taker: &Taker, lots: u32) -> u32 {
        let Some(room) = self.window_room(taker.account, taker.instrument) else { return lots };
        let per_lot = u64::from(self.instruments[taker.instrument].lot.accelerators());
        u32::try_from(room / per_lot).map_or(lots, |fitting| lots.min(fitting))
    }
}

impl crate::instruments::Instrument {
    /// Per accelerator-hour, rounded toward zero; zero without lots.
    pub(crate) fn average_price(&self, notional: MicroEc, lots: u32) -> Price {
        let minutes = i128::from(self.lot.accelerator_minutes()) * i128::from(lots);
        let average = (i128::from(notional.raw()) * 60).checked_div(minutes).unwrap_or(0);
        Price::new(i64::try_from(average).unwrap_or(i64::MAX))
    }
}
