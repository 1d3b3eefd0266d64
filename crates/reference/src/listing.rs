//! The operator's commands: accounts, instruments, yields.

use core::mem::offset_of;

use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::{
    AccountDefinition, AuctionIndication, InstrumentDefinition, ListInstrument, OpenAccount, SetYield,
    YieldDefinition,
};
use joulebook_types::{InstrumentId, LotSize, Phase, Price, Role, Roles, Window, Yield};

use crate::bands::check_static_band;
use crate::ledger::{Account, Limits, SlotKey};
use crate::market::{Instrument, Market};
use crate::rejection::{Checked, field, whole};
use crate::timers::Timer;

/// The highest fee: a tenth of the notional.
const FEE_PPM_MAX: i32 = 100_000;

impl Market {
    pub(crate) fn list_instrument(&mut self, session: usize, list: &ListInstrument) -> Checked {
        let (window, lot) = self.check_listing(list)?;
        let slots: Vec<SlotKey> =
            window.slots().map(|slot| SlotKey { class: list.class, area: list.area, slot }).collect();
        self.name_slots(&slots);
        let index = self.instruments.len();
        let opens_now = list.opens <= self.time;
        if !opens_now {
            self.timers.set(list.opens, Timer::Open(index));
        }
        self.timers.set(list.gate, Timer::Gate(index));
        self.timers.set(window.start(), Timer::Start(index));
        let phase = if opens_now { Phase::Open } else { Phase::Pending };
        self.instruments.push(instrument(list, index, window, lot, slots, phase));
        let definition = self.instruments[index].definition();
        self.publish(definition);
        self.request_done::<ListInstrument>(
            session,
            list.client_order_id,
            u64::from(definition.instrument.raw()),
        );
        Ok(())
    }

    fn check_listing(&self, list: &ListInstrument) -> Checked<(Window, LotSize)> {
        use RejectReason::*;
        list.class.validate().map_err(|_| field(InvalidCode, offset_of!(ListInstrument, class)))?;
        list.area.validate().map_err(|_| field(InvalidCode, offset_of!(ListInstrument, area)))?;
        let window = Window::new(list.start_minute, list.window_minutes)
            .map_err(|_| field(InvalidWindow, offset_of!(ListInstrument, start_minute)))?;
        let lot = LotSize::new(list.accelerators_per_lot, list.window_minutes);
        if list.tick <= Price::ZERO || lot.is_ok_and(|lot| !lot.is_exact_tick(list.tick)) {
            return Err(field(InvalidTick, offset_of!(ListInstrument, tick)).met(1, list.tick.raw()));
        }
        let offsets = (offset_of!(ListInstrument, band_low), offset_of!(ListInstrument, band_high));
        check_static_band(list.tick, list.band_low, list.band_high, offsets)?;
        check_reference_price(list)?;
        let lot = lot.map_err(|_| field(InvalidLot, offset_of!(ListInstrument, accelerators_per_lot)))?;
        if list.qty_max == 0 {
            return Err(field(InvalidLot, offset_of!(ListInstrument, qty_max)));
        }
        self.check_gate(list, window)?;
        check_fees(list)?;
        let is_same = |other: &Instrument| {
            other.class == list.class && other.area == list.area && other.window == window
        };
        if self.instruments.iter().any(is_same) {
            return Err(whole(AlreadyListed));
        }
        let trading = self.instruments.iter().filter(|instrument| !instrument.is_closed()).count();
        let limit = self.limits.instruments_max as usize;
        if trading >= limit {
            return Err(whole(InstrumentLimit).met(limit, limit + 1));
        }
        self.check_area(list.area, offset_of!(ListInstrument, area))?;
        Ok((window, lot))
    }

    /// A gate lies ahead, at the window's start or before, not before the opening, and over slots that are still to be
    /// delivered.
    fn check_gate(&self, list: &ListInstrument, window: Window) -> Checked {
        let (class, area) = (list.class, list.area);
        let delivered = |slot| self.is_delivered(&SlotKey { class, area, slot });
        let ahead = self.time < list.gate && list.gate <= window.start() && list.opens <= list.gate;
        if ahead && !window.slots().any(delivered) {
            return Ok(());
        }
        let rejection = field(RejectReason::InvalidGate, offset_of!(ListInstrument, gate));
        Err(rejection.met(window.start().raw(), list.gate.raw()))
    }

    pub(crate) fn open_account(&mut self, session: usize, open: &OpenAccount) -> Checked {
        self.add_account(open)?;
        self.request_done::<OpenAccount>(session, open.client_order_id, u64::from(open.account.raw()));
        Ok(())
    }

    pub(crate) fn add_account(&mut self, open: &OpenAccount) -> Checked {
        let account = offset_of!(OpenAccount, account);
        if open.account.is_none() {
            return Err(field(RejectReason::InvalidChoice, account));
        }
        if self.find_account(open.account).is_some() {
            return Err(field(RejectReason::AccountExists, account));
        }
        let open_accounts = self.accounts.len();
        if open_accounts >= self.limits.accounts_max as usize {
            return Err(whole(RejectReason::AccountLimit).met(open_accounts, open_accounts + 1));
        }
        let invalid = field(RejectReason::InvalidRoles, offset_of!(OpenAccount, roles));
        let roles = valid_roles(open.roles).ok_or(invalid)?;
        self.accounts.push(Account {
            id: open.account,
            roles,
            self_trade_group: open.self_trade_group,
            credits: 0,
            holdings: Vec::new(),
            limits: Limits::default(),
            killed: None,
        });
        self.publish(AccountDefinition {
            account: open.account,
            roles: open.roles,
            public_key: open.public_key,
            name: open.name,
            ..Default::default()
        });
        Ok(())
    }

    pub(crate) fn set_yield(&mut self, session: usize, set: &SetYield) -> Checked {
        let class = offset_of!(SetYield, class);
        set.class.validate().map_err(|_| field(RejectReason::InvalidCode, class))?;
        if set.model.is_none() {
            return Err(field(RejectReason::InvalidYield, offset_of!(SetYield, model)));
        }
        if set.yield_ktok == Yield::ZERO {
            self.yields.remove(&(set.model, set.class));
        } else {
            self.yields.insert((set.model, set.class), set.yield_ktok);
        }
        self.publish(YieldDefinition {
            class: set.class,
            yield_ktok: set.yield_ktok,
            model: set.model,
            model_name: set.model_name,
            ..Default::default()
        });
        self.request_done::<SetYield>(session, set.client_order_id, u64::from(set.yield_ktok.raw()));
        Ok(())
    }
}

impl Instrument {
    pub(crate) fn definition(&self) -> InstrumentDefinition {
        InstrumentDefinition {
            class: self.class,
            area: self.area,
            tick: self.tick,
            band_low: self.band_low,
            band_high: self.band_high,
            opens: self.opens,
            gate: self.gate,
            instrument: self.id,
            start_minute: self.window.start_minute(),
            window_minutes: self.window.minutes(),
            accelerators_per_lot: self.lot.accelerators(),
            qty_max: self.qty_max,
            taker_fee_ppm: self.taker_fee_ppm,
            maker_fee_ppm: self.maker_fee_ppm,
            phase: self.phase.raw(),
            ..Default::default()
        }
    }
}

fn instrument(
    list: &ListInstrument,
    index: usize,
    window: Window,
    lot: LotSize,
    slots: Vec<SlotKey>,
    phase: Phase,
) -> Instrument {
    Instrument {
        id: InstrumentId::new(index as u32 + 1),
        class: list.class,
        area: list.area,
        window,
        lot,
        slots,
        tick: list.tick,
        band_low: list.band_low,
        band_high: list.band_high,
        opens: list.opens,
        gate: list.gate,
        qty_max: list.qty_max,
        taker_fee_ppm: list.taker_fee_ppm,
        maker_fee_ppm: list.maker_fee_ppm,
        phase,
        reference_price: list.reference_price,
        dynamic_bps: 0,
        velocity_move: Price::ZERO,
        velocity_window_ms: 0,
        halt_ms: 0,
        auction_ms: 0,
        auction_random_ms: 0,
        call_after_halt: (0, 0),
        last_print: None,
        velocity: None,
        step_base: None,
        step_velocity: None,
        last_indication: AuctionIndication::default(),
    }
}

fn check_reference_price(list: &ListInstrument) -> Checked {
    let price = list.reference_price;
    let invalid = |limit: Price| {
        let offset = offset_of!(ListInstrument, reference_price);
        Err(field(RejectReason::InvalidBand, offset).met(limit.raw(), price.raw()))
    };
    if price == Price::ZERO {
        return Ok(());
    }
    if price.raw() % list.tick.raw() != 0 {
        return invalid(list.tick);
    }
    if price < list.band_low {
        return invalid(list.band_low);
    }
    if price > list.band_high {
        return invalid(list.band_high);
    }
    Ok(())
}

fn check_fees(list: &ListInstrument) -> Checked {
    let invalid = |offset, limit: i32, ppm: i32| Err(field(RejectReason::InvalidFee, offset).met(limit, ppm));
    let (taker, maker) = (list.taker_fee_ppm, list.maker_fee_ppm);
    if !(0..=FEE_PPM_MAX).contains(&taker) {
        return invalid(offset_of!(ListInstrument, taker_fee_ppm), taker.clamp(0, FEE_PPM_MAX), taker);
    }
    let offset = offset_of!(ListInstrument, maker_fee_ppm);
    if maker > FEE_PPM_MAX {
        return invalid(offset, FEE_PPM_MAX, maker);
    }
    // A rebate is paid from the taker's fee.
    if maker < -taker {
        return invalid(offset, -taker, maker);
    }
    Ok(())
}

/// Known roles that go together: who runs the market does not trade in it, who measures does not sell what is
/// measured, and a drop copy only listens.
fn valid_roles(bits: u16) -> Option<Roles> {
    let roles = Roles::from_bits(bits)?;
    let runs_and_trades = roles.has(Role::Operator) && roles.may_trade();
    let measures_itself = roles.has(Role::Meter) && roles.has(Role::Seller);
    let more_than_listens = roles.has(Role::DropCopy) && roles != Roles::NONE.with(Role::DropCopy);
    let valid = roles != Roles::NONE && !runs_and_trades && !measures_itself && !more_than_listens;
    valid.then_some(roles)
}
