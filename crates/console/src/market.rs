//! The market as the page shows it, built from the engine's public facts.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use joulebook_feed::{L2Book, Level, YieldTable};
use joulebook_protocol::PublicEvent;
use joulebook_protocol::messages::{
    AuctionIndication, BandsChanged, BookUpdate, InstrumentDefinition, PhaseChanged, Trade, YieldDefinition,
};
use joulebook_types::{
    InstrumentId, LotSize, ModelId, Phase, Price, Qty, Side, Symbol, TimeNs, TokenPrice, Window, Yield,
};

use crate::sold::Sold;
use crate::vendor::Vendor;

/// Trades kept for the tape.
pub(crate) const TAPE_MAX: usize = 40;

/// Books, phases, yields and the last trades. Knows no clock: time comes with the events.
#[derive(Debug, Default)]
pub(crate) struct Market {
    listings: BTreeMap<InstrumentId, Listing>,
    yields: YieldTable,
    reference: Option<ReferenceModel>,
    sold: Sold,
    /// Newest first.
    tape: VecDeque<TapeTrade>,
    trades: u64,
    resting_orders: u64,
    newest: TimeNs,
}

/// One instrument.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) definition: InstrumentDefinition,
    pub(crate) symbol: Arc<str>,
    pub(crate) vendor: Vendor,
    pub(crate) phase: Phase,
    /// Crossed at times while the phase is halted or auction.
    pub(crate) book: L2Book,
    /// What the present call auction would trade now.
    pub(crate) indication: Option<AuctionIndication>,
    pub(crate) last: Option<Price>,
    lot: LotSize,
}

/// The model whose tokens make classes comparable: the one with the lowest id that has a yield.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReferenceModel {
    id: ModelId,
    pub(crate) name: String,
}

#[derive(Clone, Debug)]
pub(crate) struct TapeTrade {
    pub(crate) time: TimeNs,
    pub(crate) symbol: Arc<str>,
    pub(crate) price: Price,
    pub(crate) qty: u32,
    /// The side that took; nobody did in an auction.
    pub(crate) aggressor: Option<Side>,
}

/// The ask that is a vendor's best offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quote {
    price: Price,
    /// Rounded for display; the ranking was exact. `None` while the vendor's classes have no yield.
    per_mtok: Option<TokenPrice>,
}

impl Market {
    pub(crate) fn apply(&mut self, event: &PublicEvent) {
        match event {
            PublicEvent::InstrumentDefinition(definition) => self.define(definition),
            PublicEvent::PhaseChanged(change) => self.change_phase(change),
            PublicEvent::YieldDefinition(definition) => self.set_yield(definition),
            // Who trades here is nobody's business on this page.
            PublicEvent::AccountDefinition(_) => {}
            PublicEvent::BandsChanged(bands) => self.change_bands(bands),
            PublicEvent::AuctionIndication(indication) => self.indicate(indication),
            PublicEvent::BookUpdate(update) => self.update_book(update),
            PublicEvent::Trade(trade) => self.trade(trade),
        }
    }

    /// A definition that comes again says that the stream begins anew: the book is empty until its orders come too.
    fn define(&mut self, definition: &InstrumentDefinition) {
        let (Some(phase), Some(symbol), Ok(lot)) = (
            Phase::from_raw(definition.phase),
            symbol_of(definition),
            LotSize::new(definition.accelerators_per_lot, definition.window_minutes),
        ) else {
            tracing::warn!(
                instrument = definition.instrument.raw(),
                "definition that this version cannot show"
            );
            return;
        };
        let known = self.listings.remove(&definition.instrument);
        if let Some(known) = &known {
            self.resting_orders = self.resting_orders.saturating_sub(known.resting_orders());
        }
        let (book, last) = (L2Book::default(), known.and_then(|known| known.last));
        let vendor = Vendor::of(definition.class);
        let (definition, symbol, indication) = (*definition, symbol.into(), None);
        let listing = Listing { definition, symbol, vendor, phase, book, indication, last, lot };
        self.listings.insert(definition.instrument, listing);
    }

    fn change_bands(&mut self, bands: &BandsChanged) {
        self.see_time(bands.time);
        if let Some(listing) = self.listings.get_mut(&bands.instrument) {
            (listing.definition.band_low, listing.definition.band_high) = (bands.band_low, bands.band_high);
        }
    }

    fn indicate(&mut self, indication: &AuctionIndication) {
        self.see_time(indication.time);
        if let Some(listing) = self.listings.get_mut(&indication.instrument) {
            listing.indication = Some(*indication);
        }
    }

    fn change_phase(&mut self, change: &PhaseChanged) {
        self.see_time(change.time);
        let Some(phase) = Phase::from_raw(change.phase) else { return };
        if phase == Phase::Settled {
            // Nothing happens to it any more; a rolling calendar must not grow without end.
            self.listings.remove(&change.instrument);
        } else if let Some(listing) = self.listings.get_mut(&change.instrument) {
            listing.phase = phase;
            // An auction says its first one at once.
            listing.indication = None;
        }
    }

    fn set_yield(&mut self, definition: &YieldDefinition) {
        self.yields.set(definition);
        self.reference = self.yields.iter().min_by_key(|entry| entry.model).map(|entry| {
            let end = entry.model_name.iter().position(|byte| *byte == 0).unwrap_or(entry.model_name.len());
            ReferenceModel {
                id: entry.model,
                name: String::from_utf8_lossy(&entry.model_name[..end]).into_owned(),
            }
        });
    }

    fn update_book(&mut self, update: &BookUpdate) {
        self.see_time(update.time);
        let Some(side) = Side::from_raw(update.side) else { return };
        let Some(listing) = self.listings.get_mut(&update.instrument) else { return };
        listing
            .book
            .set(side, Level { price: update.price, qty: update.level_qty, orders: update.level_orders });
        if update.action == BookUpdate::ADDED {
            self.resting_orders += 1;
        } else if update.leaves_qty == 0 {
            self.resting_orders = self.resting_orders.saturating_sub(1);
        }
    }

    fn trade(&mut self, trade: &Trade) {
        self.see_time(trade.time);
        self.trades += 1;
        let aggressor = Side::from_raw(trade.aggressor);
        let Some(listing) = self.listings.get_mut(&trade.instrument) else { return };
        listing.last = Some(trade.price);
        let symbol = Arc::clone(&listing.symbol);
        let (vendor, lot, class) = (listing.vendor, listing.lot, listing.definition.class);
        if let Some(yield_) = self.reference.as_ref().and_then(|model| self.yields.get(class, model.id)) {
            self.sold.add(vendor, yield_.delivers(lot, Qty::new(u64::from(trade.qty))), trade.time);
        }
        self.tape.truncate(TAPE_MAX - 1);
        self.tape.push_front(TapeTrade {
            time: trade.time,
            symbol,
            price: trade.price,
            qty: trade.qty,
            aggressor,
        });
    }

    fn see_time(&mut self, time: TimeNs) {
        self.newest = self.newest.max(time);
    }

    /// Each vendor's best offer over its open instruments: the lowest price per token of the reference model, or,
    /// while none of its classes has a yield, the lowest price per accelerator-hour.
    pub(crate) fn best_offers(&self) -> [Option<Quote>; Vendor::COUNT] {
        Vendor::ALL.map(|vendor| {
            let asks = || {
                let open =
                    self.listings.values().filter(|listing| listing.is_open() && listing.vendor == vendor);
                open.filter_map(|listing| listing.ask().map(|price| (price, self.yield_of(listing))))
            };
            let per_token = asks()
                .filter_map(|(price, yield_)| Some((price, yield_?)))
                .min_by(|(price_a, yield_a), (price_b, yield_b)| {
                    Yield::compare_per_token(*price_a, *yield_a, *price_b, *yield_b)
                })
                .map(|(price, yield_)| Quote { price, per_mtok: TokenPrice::of(price, yield_) });
            let per_hour =
                || asks().map(|(price, _)| price).min().map(|price| Quote { price, per_mtok: None });
            per_token.or_else(per_hour)
        })
    }

    /// Of the reference model; `None` when it is not known.
    pub(crate) fn yield_of(&self, listing: &Listing) -> Option<Yield> {
        let model = self.reference.as_ref()?;
        self.yields.get(listing.definition.class, model.id)
    }

    pub(crate) fn listings(&self) -> impl Iterator<Item = (InstrumentId, &Listing)> {
        self.listings.iter().map(|(id, listing)| (*id, listing))
    }

    pub(crate) fn listing(&self, id: InstrumentId) -> Option<&Listing> {
        self.listings.get(&id)
    }

    /// What a client sees that has not chosen: the first that is open, or one that is halted or in an auction instead.
    pub(crate) fn first_shown(&self) -> Option<InstrumentId> {
        let open = self.listings().find(|(_, listing)| listing.is_open());
        open.or_else(|| self.listings().find(|(_, listing)| listing.is_listed())).map(|(id, _)| id)
    }

    pub(crate) fn reference(&self) -> Option<&ReferenceModel> {
        self.reference.as_ref()
    }

    pub(crate) fn sold(&self) -> &Sold {
        &self.sold
    }

    pub(crate) fn tape(&self) -> impl Iterator<Item = &TapeTrade> {
        self.tape.iter()
    }

    pub(crate) fn trades(&self) -> u64 {
        self.trades
    }

    pub(crate) fn resting_orders(&self) -> u64 {
        self.resting_orders
    }

    /// The time of the newest event.
    pub(crate) fn newest(&self) -> TimeNs {
        self.newest
    }
}

impl Listing {
    fn resting_orders(&self) -> u64 {
        let orders = |side| self.book.levels(side).map(|level| u64::from(level.orders)).sum::<u64>();
        orders(Side::Buy) + orders(Side::Sell)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Worth a row on the page: it trades, will trade, or may trade again.
    pub(crate) fn is_listed(&self) -> bool {
        match self.phase {
            Phase::Pending | Phase::PreOpen | Phase::Open | Phase::Halted | Phase::Auction => true,
            Phase::Closed | Phase::Delivering | Phase::Settled => false,
        }
    }

    pub(crate) fn bid(&self) -> Option<Price> {
        self.book.best(Side::Buy).map(|level| level.price)
    }

    pub(crate) fn ask(&self) -> Option<Price> {
        self.book.best(Side::Sell).map(|level| level.price)
    }
}

impl Quote {
    pub(crate) fn ec_per_ah(self) -> f64 {
        ec(self.price)
    }

    pub(crate) fn ec_per_mtok(self) -> Option<f64> {
        self.per_mtok.map(|price| price.raw() as f64 / 1e6)
    }

    pub(crate) fn micro_ec_per_mtok(self) -> Option<i64> {
        self.per_mtok.map(TokenPrice::raw)
    }
}

/// EC per accelerator-hour as a number to show; nothing is computed with it.
pub(crate) fn ec(price: Price) -> f64 {
    price.raw() as f64 / 1e6
}

fn symbol_of(definition: &InstrumentDefinition) -> Option<String> {
    definition.class.validate().ok()?;
    definition.area.validate().ok()?;
    let window = Window::new(definition.start_minute, definition.window_minutes).ok()?;
    Some(Symbol { class: definition.class, area: definition.area, window }.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_that_comes_again_empties_the_book() {
        let mut market = Market::default();
        let definition = InstrumentDefinition {
            class: "H200S".parse().unwrap(),
            area: "DE".parse().unwrap(),
            instrument: InstrumentId::new(1),
            window_minutes: 60,
            accelerators_per_lot: 8,
            phase: Phase::Open.raw(),
            ..InstrumentDefinition::default()
        };
        let added = |raw| BookUpdate {
            instrument: definition.instrument,
            price: Price::new(raw),
            level_qty: 2,
            leaves_qty: 2,
            level_orders: 1,
            side: Side::Sell.raw(),
            action: BookUpdate::ADDED,
            ..BookUpdate::default()
        };
        market.apply(&definition.into());
        market.apply(&added(10).into());
        market.apply(&added(20).into());
        // The stream begins anew: the order at 10 went while nobody listened.
        market.apply(&definition.into());
        market.apply(&added(20).into());
        let book = &market.listings[&definition.instrument].book;
        assert_eq!(book.best(Side::Sell).map(|level| level.price), Some(Price::new(20)));
        assert_eq!((book.len(), market.resting_orders()), (1, 1));
    }
}
