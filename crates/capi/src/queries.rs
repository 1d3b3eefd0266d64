//! Answers to questions, as C structs.

use joulebook_engine::{Level, OrderDetails, OrderPlace, SlotKey};
use joulebook_protocol::messages::AuctionIndication;
use joulebook_types::{AccountId, InstrumentId, OrderId, Side, Symbol};

use crate::Status;
use crate::exchange::Exchange;
use crate::structs::{CBest, CCredits, CIndication, CLevel, COrder, CPosition, CTotals};

/// It rests in a book.
pub const RESTING: u8 = 1;
/// It waits for its trigger price.
pub const WAITING: u8 = 2;
/// A market order in a call auction.
pub const IN_CALL: u8 = 3;

impl Exchange {
    pub fn order(&self, order_id: u64) -> Result<COrder, Status> {
        self.engine().order_details(OrderId::new(order_id)).map(c_order).ok_or(Status::NotFound)
    }

    /// Open orders of an account and an instrument; zero means all. Those in books come first.
    pub fn orders(&self, account: u32, instrument: u32) -> impl Iterator<Item = COrder> {
        let engine = self.engine();
        let resting = engine.open_orders().filter_map(|order| engine.order_details(order.order_id));
        let all = resting.chain(engine.orders_outside()).map(c_order);
        all.filter(move |order| {
            (account == 0 || order.account == account) && (instrument == 0 || order.instrument == instrument)
        })
    }

    /// Stops that wait, by instrument and age; zero means all instruments.
    pub fn pending_stops(&self, instrument: u32) -> impl Iterator<Item = COrder> {
        let engine = self.engine();
        let stops = engine.pending_stops().filter_map(|stop| engine.order_details(stop.order.order_id));
        stops.map(c_order).filter(move |order| instrument == 0 || order.instrument == instrument)
    }

    /// What a call auction would trade if it ended now.
    pub fn indication(&self, instrument: u32) -> Result<CIndication, Status> {
        let id = InstrumentId::new(instrument);
        let indication = self.engine().indication(id).ok_or(Status::NotFound)?;
        let AuctionIndication { price, volume, surplus, .. } = indication;
        Ok(CIndication { price: price.raw(), volume, surplus })
    }

    /// The price of the last trade.
    pub fn last_trade(&self, instrument: u32) -> Result<i64, Status> {
        let price = self.engine().last_print(InstrumentId::new(instrument));
        price.map(|price| price.raw()).ok_or(Status::NotFound)
    }

    pub fn levels(&self, instrument: u32, side: u8) -> Result<impl Iterator<Item = CLevel>, Status> {
        let side = Side::from_raw(side).ok_or(Status::Value)?;
        let id = InstrumentId::new(instrument);
        self.engine().instrument(id).ok_or(Status::NotFound)?;
        Ok(self.engine().levels(id, side).map(c_level))
    }

    pub fn best(&self, instrument: u32) -> Result<CBest, Status> {
        let best = |side: Side| Ok(self.levels(instrument, side.raw())?.next().unwrap_or_default());
        Ok(CBest { bid: best(Side::Buy)?, ask: best(Side::Sell)? })
    }

    pub fn instrument_of(&self, symbol: Symbol) -> Result<u32, Status> {
        let is_it = |definition: &joulebook_protocol::messages::InstrumentDefinition| {
            definition.class == symbol.class
                && definition.area == symbol.area
                && definition.start_minute == symbol.window.start_minute()
                && definition.window_minutes == symbol.window.minutes()
        };
        let found = self.engine().instruments().find(is_it);
        found.map(|definition| definition.instrument.raw()).ok_or(Status::NotFound)
    }

    pub fn account_credits(&self, account: u32) -> Result<CCredits, Status> {
        let credits = self.engine().credits(AccountId::new(account)).ok_or(Status::NotFound)?;
        let (free, held, escrow) = (credits.free.raw(), credits.held.raw(), credits.escrow.raw());
        Ok(CCredits { free, held, escrow })
    }

    /// One per quarter hour of the window; all zeros where the account never had anything.
    pub fn positions(&self, account: u32, symbol: Symbol) -> Result<impl Iterator<Item = CPosition>, Status> {
        self.account_credits(account)?;
        let account = AccountId::new(account);
        Ok(symbol.window.slots().map(move |slot| {
            let key = SlotKey { class: symbol.class, area: symbol.area, slot };
            let none = CPosition { slot: slot.raw(), ..Default::default() };
            self.engine().position(account, key).map_or(none, |position| CPosition {
                // A slot never has more accelerators than a message can say.
                registered: saturated(position.registered),
                free: saturated(position.free),
                held: saturated(position.held),
                escrow: position.escrow.raw(),
                ..none
            })
        }))
    }

    pub fn totals(&self) -> CTotals {
        let totals = self.engine().totals();
        let wide = |amount: i128| i64::try_from(amount).unwrap_or(i64::MAX);
        CTotals {
            minted: wide(totals.minted),
            retired: wide(totals.retired),
            free: totals.free.raw(),
            held: totals.held.raw(),
            escrow: totals.escrow.raw(),
            fees: totals.fees.raw(),
            rounding: totals.rounding.raw(),
        }
    }
}

fn saturated(accelerators: u64) -> u32 {
    u32::try_from(accelerators).unwrap_or(u32::MAX)
}

fn c_level(level: Level) -> CLevel {
    CLevel {
        price: level.price.raw(),
        qty: level.total.qty.raw(),
        orders: level.total.orders,
        ..Default::default()
    }
}

fn c_order(details: OrderDetails) -> COrder {
    let OrderDetails { order, status, place, shown } = details;
    COrder {
        order_id: order.order_id.raw(),
        client_order_id: order.client_order_id.raw(),
        price: status.price.raw(),
        trigger_price: status.trigger_price.raw(),
        account: order.account.raw(),
        session: order.session.raw(),
        instrument: order.instrument.raw(),
        qty: order.qty,
        leaves_qty: order.leaves,
        shown_qty: shown,
        slot: order.slot.raw(),
        side: order.side.raw(),
        state: match place {
            OrderPlace::Book => RESTING,
            OrderPlace::Stop => WAITING,
            OrderPlace::Call => IN_CALL,
        },
        order_type: status.order_type,
        trigger: status.trigger,
    }
}
