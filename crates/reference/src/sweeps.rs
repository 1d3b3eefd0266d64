//! Block sweeps: the same lots in every one of consecutive windows, at an average price, or nothing at all.

use core::mem::offset_of;

use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::BlockSweep;
use joulebook_types::{AreaCode, OrderId, Phase, Price, Side, Window};

use crate::baskets::{Leg, Request, average_price};
use crate::entry::check_credits;
use crate::ledger::fee;
use crate::market::{Instrument, Market};
use crate::orders::Tally;
use crate::rejection::{Checked, Lowest, field, invalid_choice};
use crate::tokens::check_no_decrement;

const WINDOWS_MIN: u16 = 2;

impl Market {
    pub(crate) fn block_sweep(&mut self, session: usize, sweep: &BlockSweep) -> Checked<OrderId> {
        let side = Side::from_raw(sweep.side);
        let side = side.ok_or(invalid_choice(offset_of!(BlockSweep, side), sweep.side))?;
        let self_trade = check_no_decrement(sweep.self_trade, offset_of!(BlockSweep, self_trade))?;
        let request = Request { session, client_order_id: sweep.client_order_id, self_trade };
        let legs = self.check_sweep(request, sweep, side)?;
        Ok(self.execute(request, &legs))
    }

    fn check_sweep(&self, request: Request, sweep: &BlockSweep, side: Side) -> Checked<Vec<Leg>> {
        self.check_enabled(request.session)?;
        self.check_area(sweep.area, offset_of!(BlockSweep, area))?;
        let indices = self.windows_of(sweep)?;
        self.check_parts_open(&indices, |phase| phase == Phase::Open)?;
        let qty = offset_of!(BlockSweep, qty);
        if sweep.qty == 0 {
            return Err(field(RejectReason::QtyZero, qty).met(1, 0));
        }
        for index in &indices {
            let of_window =
                |rejection: crate::rejection::Rejection| rejection.of_instrument(self.instruments[*index].id);
            self.check_qty_max(*index, sweep.qty, qty).map_err(of_window)?;
        }
        if sweep.price <= Price::ZERO {
            let rejection = field(RejectReason::PriceNotPositive, offset_of!(BlockSweep, price));
            return Err(rejection.met(1, sweep.price.raw()));
        }
        let account = self.account_of(request.session);
        let worst = self.worst_notional(sweep, &indices)?;
        if side == Side::Buy {
            let ppm = indices.iter().map(|index| self.instruments[*index].taker_fee_ppm).max();
            let overflow = field(RejectReason::NotionalOverflow, qty).met(i64::MAX, sweep.qty);
            let hold = worst.checked_add(fee(worst, ppm.unwrap_or(0))).ok_or(overflow)?;
            check_credits(self.free(account), hold, qty)?;
        }
        // Only the average is limited, so a single window may cost anything.
        let limit = if side == Side::Buy { Price::new(i64::MAX) } else { Price::ZERO };
        let leg = |index: &usize| Leg { index: *index, side, limit, qty: sweep.qty };
        let legs: Vec<Leg> = indices.iter().map(leg).collect();
        self.check_leg_capacity(account, &legs, |_| qty)?;
        let tallies = self.try_sweep(request, &legs)?;
        self.check_order_value(account, worst, qty)?;
        self.check_leg_windows(account, &legs, |_| qty)?;
        self.check_average(sweep, side, worst, &legs, &tallies)?;
        self.check_windows(sweep, &indices)?;
        Ok(legs)
    }

    /// The shard serves the area.
    pub(crate) fn check_area(&self, area: AreaCode, offset: usize) -> Checked {
        let served = self.limits.area;
        if served == AreaCode::default() || served == area {
            return Ok(());
        }
        Err(field(RejectReason::CrossShard, offset))
    }

    /// The instruments of the windows, in order.
    fn windows_of(&self, sweep: &BlockSweep) -> Checked<Vec<usize>> {
        let mut indices = Vec::new();
        for number in 0..sweep.windows.min(BlockSweep::WINDOWS_MAX) {
            let start = u64::from(sweep.start_minute) + u64::from(number) * u64::from(sweep.window_minutes);
            let is_window = |instrument: &Instrument| {
                let window: Window = instrument.window;
                instrument.phase != Phase::Settled
                    && instrument.class == sweep.class
                    && instrument.area == sweep.area
                    && u64::from(window.start_minute()) == start
                    && window.minutes() == sweep.window_minutes
            };
            let missing = field(RejectReason::UnknownInstrument, offset_of!(BlockSweep, start_minute));
            let found = self.instruments.iter().position(is_window);
            indices.push(found.ok_or(missing.met(0, start))?);
        }
        Ok(indices)
    }

    /// The notional of all windows at the limit.
    fn worst_notional(&self, sweep: &BlockSweep, indices: &[usize]) -> Checked<i64> {
        let Some(first) = indices.first() else { return Ok(0) };
        let one = self.instruments[*first].notional(sweep.price, sweep.qty);
        let all = one.and_then(|one| one.checked_mul(indices.len() as i64));
        let overflow = field(RejectReason::NotionalOverflow, offset_of!(BlockSweep, qty));
        all.ok_or(overflow.met(i64::MAX, sweep.qty))
    }

    /// Fills the windows on a copy in which the buyer can pay anything: whether it is too dear is another question.
    fn try_sweep(&self, request: Request, legs: &[Leg]) -> Checked<Vec<Tally>> {
        let mut copy = self.clone();
        copy.accounts[self.account_of(request.session)].credits = i64::MAX / 2;
        copy.fill_legs(request, legs).map(|(_, tallies)| tallies)
    }

    fn check_average(
        &self,
        sweep: &BlockSweep,
        side: Side,
        worst: i64,
        legs: &[Leg],
        tallies: &[Tally],
    ) -> Checked {
        let total: i128 = tallies.iter().map(|tally| i128::from(tally.notional)).sum();
        let met = match side {
            Side::Buy => total <= i128::from(worst),
            Side::Sell => total >= i128::from(worst),
        };
        if met {
            return Ok(());
        }
        let parts: Vec<(&Instrument, u32, Tally)> = legs
            .iter()
            .zip(tallies)
            .map(|(leg, tally)| (&self.instruments[leg.index], leg.qty, *tally))
            .collect();
        let rejection = field(RejectReason::AveragePriceNotMet, offset_of!(BlockSweep, price));
        Err(rejection.met(sweep.price.raw(), average_price(&parts).raw()))
    }

    /// Rules 50 to 62.
    fn check_windows(&self, sweep: &BlockSweep, indices: &[usize]) -> Checked {
        let mut lowest = Lowest::default();
        if !(WINDOWS_MIN..=BlockSweep::WINDOWS_MAX).contains(&sweep.windows) {
            let rejection = field(RejectReason::InstrumentCount, offset_of!(BlockSweep, windows));
            lowest.add(Err(rejection.met(BlockSweep::WINDOWS_MAX, sweep.windows)));
        }
        let lot = |index: &usize| self.instruments[*index].lot.accelerators();
        let first = indices.first().map(lot);
        if let Some(other) = indices.iter().find(|index| Some(lot(index)) != first) {
            let rejection = field(RejectReason::MixedWindow, offset_of!(BlockSweep, start_minute));
            lowest.add(Err(rejection.of_instrument(self.instruments[*other].id)));
        }
        let invalid = |offset| Err(field(RejectReason::InvalidCode, offset));
        if sweep.class.validate().is_err() {
            lowest.add(invalid(offset_of!(BlockSweep, class)));
        }
        if sweep.area.validate().is_err() {
            lowest.add(invalid(offset_of!(BlockSweep, area)));
        }
        if !matches!(sweep.window_minutes, 15 | 60) {
            let offset = offset_of!(BlockSweep, window_minutes);
            lowest.add(Err(field(RejectReason::InvalidWindow, offset).met(60, sweep.window_minutes)));
        }
        lowest.answer()
    }
}
