//! The usual requests without filling in structs.

use joulebook_protocol::Command;
use joulebook_protocol::messages::*;
use joulebook_types::{
    AccountId, InstrumentId, MicroEc, OrderId, OrderType, Price, SlotHint, Symbol, TimeInForce, Trigger,
};

use super::handle::EngineRef;
use super::pointer::{In, Out, OutMany, Text};
use crate::Status;
use crate::declare::exports;
use crate::exchange::Exchange;
use crate::house::{OPERATOR, SESSION, default_listing};
use crate::structs::CResult;

exports! {
    /// Fills in a listing for a symbol such as H200S.DE.20261124T1400.H: one accelerator a lot, so that a lot of an hour
    /// costs its price; tick 10,000 (0.01 EC), band 10,000 to 1,000,000,000,000, at most 1,000,000 lots an order, open at
    /// once, gate five minutes before the window, no fees.
    fn jb_default_listing(symbol: Text<'_>, listing: Out<ListInstrument>) -> Status {
        symbol_of(&symbol).and_then(|symbol| listing.write(default_listing(symbol))).err().unwrap_or(Status::Ok)
    }

    /// Lists an instrument; its id goes to `instrument` unless it was refused.
    fn jb_list(
        engine: EngineRef<'_>,
        listing: In<ListInstrument>,
        instrument: Out<u32>,
        result: Out<CResult>,
    ) -> Status {
        engine.call(|exchange| {
            instrument.not_null()?;
            let listed = exchange.apply(OPERATOR, SESSION, listing.read()?.into())?;
            if listed.reject_reason == 0 {
                instrument.write(u32::try_from(listed.result).map_err(|_| Status::Value)?)?;
            }
            result.write_if_wanted(listed);
            Ok(())
        })
    }

    /// Gives an account new credits, in micro-EC.
    fn jb_fund(engine: EngineRef<'_>, account: u32, amount: i64, result: Out<CResult>) -> Status {
        told(&engine, &result, |exchange| exchange.fund(account, amount))
    }

    /// Registers accelerators of a seller for every quarter hour of a symbol's window.
    fn jb_register(
        engine: EngineRef<'_>,
        account: u32,
        symbol: Text<'_>,
        accelerators: u32,
        result: Out<CResult>,
    ) -> Status {
        told(&engine, &result, |exchange| exchange.register(account, symbol_of(&symbol)?, accelerators))
    }

    /// Delivers every quarter hour of a symbol's window, up to the first that is refused. `result` of the answer is the
    /// escrow that was released.
    fn jb_deliver(engine: EngineRef<'_>, symbol: Text<'_>, result: Out<CResult>) -> Status {
        told(&engine, &result, |exchange| exchange.deliver(symbol_of(&symbol)?))
    }

    /// Enters a limit order.
    fn jb_limit(
        engine: EngineRef<'_>,
        account: u32,
        instrument: u32,
        side: u8,
        price: i64,
        qty: u32,
        time_in_force: u8,
        result: Out<CResult>,
    ) -> Status {
        let instrument = InstrumentId::new(instrument);
        let order = NewOrder { price: Price::new(price), instrument, qty, side, time_in_force, ..Default::default() };
        send(&engine, account, order, &result)
    }

    /// Enters a market order: JB_TIF_IOC or JB_TIF_FOK while open, JB_TIF_GTC in a call auction.
    fn jb_market(
        engine: EngineRef<'_>,
        account: u32,
        instrument: u32,
        side: u8,
        qty: u32,
        time_in_force: u8,
        result: Out<CResult>,
    ) -> Status {
        let (instrument, order_type) = (InstrumentId::new(instrument), OrderType::Market.raw());
        let order = NewOrder { instrument, qty, side, time_in_force, order_type, ..Default::default() };
        send(&engine, account, order, &result)
    }

    /// Buys as many lots as `budget` micro-EC pay for, fees included.
    fn jb_budget(
        engine: EngineRef<'_>,
        account: u32,
        instrument: u32,
        budget: i64,
        result: Out<CResult>,
    ) -> Status {
        let order = NewOrder {
            instrument: InstrumentId::new(instrument),
            side: joulebook_types::Side::Buy.raw(),
            time_in_force: TimeInForce::Ioc.raw(),
            order_type: OrderType::Budget.raw(),
            budget: MicroEc::new(budget),
            ..Default::default()
        };
        send(&engine, account, order, &result)
    }

    /// Enters a stop: a limit order at `price` once a trade reaches `trigger_price`, a market order when `price` is zero.
    fn jb_stop(
        engine: EngineRef<'_>,
        account: u32,
        instrument: u32,
        side: u8,
        trigger_price: i64,
        price: i64,
        qty: u32,
        result: Out<CResult>,
    ) -> Status {
        let order_type = if price == 0 { OrderType::Market } else { OrderType::Limit };
        let order = NewOrder {
            price: Price::new(price),
            instrument: InstrumentId::new(instrument),
            qty,
            side,
            time_in_force: TimeInForce::Gtc.raw(),
            order_type: order_type.raw(),
            trigger: Trigger::Stop.raw(),
            trigger_price: Price::new(trigger_price),
            ..Default::default()
        };
        send(&engine, account, order, &result)
    }

    /// Cancels an order of the account.
    fn jb_cancel(engine: EngineRef<'_>, account: u32, order_id: u64, result: Out<CResult>) -> Status {
        let (order_id, slot) = (OrderId::new(order_id), SlotHint::UNKNOWN);
        send(&engine, account, CancelOrder { order_id, slot, ..Default::default() }, &result)
    }

    /// Changes price and total lots, those that traded included.
    fn jb_replace(
        engine: EngineRef<'_>,
        account: u32,
        order_id: u64,
        price: i64,
        qty: u32,
        result: Out<CResult>,
    ) -> Status {
        let (order_id, slot, price) = (OrderId::new(order_id), SlotHint::UNKNOWN, Price::new(price));
        send(&engine, account, ReplaceOrder { order_id, slot, price, qty, ..Default::default() }, &result)
    }

    /// Takes lots off an order, which keeps its place.
    fn jb_reduce(
        engine: EngineRef<'_>,
        account: u32,
        order_id: u64,
        lots: u32,
        result: Out<CResult>,
    ) -> Status {
        let (order_id, slot) = (OrderId::new(order_id), SlotHint::UNKNOWN);
        send(&engine, account, ReduceOrder { order_id, slot, lots, ..Default::default() }, &result)
    }

    /// Cancels the account's open orders, of all sessions; `instrument` and `side` zero mean all. `result` is how many.
    fn jb_cancel_all(
        engine: EngineRef<'_>,
        account: u32,
        instrument: u32,
        side: u8,
        result: Out<CResult>,
    ) -> Status {
        let cancel = MassCancel {
            instrument: InstrumentId::new(instrument),
            account: AccountId::NONE,
            scope: MassCancel::SCOPE_ACCOUNT,
            side,
            ..Default::default()
        };
        send(&engine, account, cancel, &result)
    }

    /// Quotes both sides of an instrument; zero lots remove a side. `result` is 1 when the quote is in place; else its
    /// JB_MSG_QUOTE_REJECTED says why not.
    fn jb_quote(
        engine: EngineRef<'_>,
        account: u32,
        instrument: u32,
        bid: i64,
        bid_qty: u32,
        ask: i64,
        ask_qty: u32,
        result: Out<CResult>,
    ) -> Status {
        let (bid, ask, instrument) = (Price::new(bid), Price::new(ask), InstrumentId::new(instrument));
        let mut quote = MassQuote { count: 1, ..Default::default() };
        quote.pairs[0] = QuotePair { bid, ask, instrument, bid_qty, ask_qty, ..Default::default() };
        send(&engine, account, quote, &result)
    }

    /// Enters a limit order and a stop of which one cancels the other: `results` has room for both answers, the limit
    /// order's first.
    fn jb_oco(
        engine: EngineRef<'_>,
        account: u32,
        order: In<OcoOrder>,
        results: OutMany<CResult>,
    ) -> Status {
        send_many(&engine, account, || Ok(order.read()?.into()), &results, 2)
    }

    /// Sends up to 16 requests in one message: `results` has room for `count` answers, one per entry.
    fn jb_batch(
        engine: EngineRef<'_>,
        account: u32,
        batch: In<OrderBatch>,
        results: OutMany<CResult>,
        count: u32,
    ) -> Status {
        send_many(&engine, account, || Ok(batch.read()?.into()), &results, count)
    }

    /// Moves an instrument to a JB_PHASE_. A call auction ends by itself after `duration_ms` if that is not zero.
    fn jb_set_instrument_phase(
        engine: EngineRef<'_>,
        instrument: u32,
        phase: u8,
        duration_ms: u32,
        result: Out<CResult>,
    ) -> Status {
        let instrument = InstrumentId::new(instrument);
        let command = SetPhase { instrument, phase, duration_ms, ..Default::default() };
        send(&engine, OPERATOR, command, &result)
    }
}

fn symbol_of(text: &Text<'_>) -> Result<Symbol, Status> {
    text.read()?.parse().map_err(|_| Status::Text)
}

fn told(
    engine: &EngineRef<'_>,
    result: &Out<CResult>,
    command: impl FnOnce(&mut Exchange) -> Result<CResult, Status>,
) -> Status {
    engine.call(|exchange| {
        result.write_if_wanted(command(exchange)?);
        Ok(())
    })
}

fn send(engine: &EngineRef<'_>, account: u32, command: impl Into<Command>, result: &Out<CResult>) -> Status {
    told(engine, result, |exchange| exchange.apply(account, SESSION, command.into()))
}

fn send_many(
    engine: &EngineRef<'_>,
    account: u32,
    command: impl FnOnce() -> Result<Command, Status>,
    results: &OutMany<CResult>,
    room: u32,
) -> Status {
    engine.call(|exchange| {
        results.has_room(room)?;
        let answers = exchange.apply_many(account, SESSION, command()?)?;
        results.write_all(room, answers.into_iter()).map(|_| ())
    })
}
