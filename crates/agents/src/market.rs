use joulebook_feed::{FeedPublisher, FeedReceiver, Level};
use joulebook_protocol::messages::InstrumentDefinition;
use joulebook_types::{ClassCode, InstrumentId, ModelId, Phase, Side, Yield};

/// What an agent may know of the market: what every subscriber of the feed knows.
pub trait MarketView {
    /// All instruments, by id.
    fn definitions(&self) -> Box<dyn Iterator<Item = &InstrumentDefinition> + '_>;

    fn definition(&self, instrument: InstrumentId) -> Option<&InstrumentDefinition>;

    /// `None` while none was published.
    fn yield_of(&self, class: ClassCode, model: ModelId) -> Option<Yield>;

    /// False while the book is incomplete: nobody should quote on it.
    fn is_synced(&self, instrument: InstrumentId) -> bool;

    /// The level of one side that `depth` others are better than; none for a book that is not known.
    fn level(&self, instrument: InstrumentId, side: Side, depth: usize) -> Option<Level>;

    fn best(&self, instrument: InstrumentId, side: Side) -> Option<Level> {
        self.level(instrument, side, 0)
    }

    /// The newest instrument, whose id is the highest: what was learned of definitions is learned anew when it changes.
    fn last_instrument(&self) -> Option<InstrumentId>;
}

impl MarketView for FeedReceiver {
    fn definitions(&self) -> Box<dyn Iterator<Item = &InstrumentDefinition> + '_> {
        Box::new(self.markets().filter_map(|(_, market)| market.definition.as_ref()))
    }

    fn definition(&self, instrument: InstrumentId) -> Option<&InstrumentDefinition> {
        self.market(instrument)?.definition.as_ref()
    }

    fn yield_of(&self, class: ClassCode, model: ModelId) -> Option<Yield> {
        self.yields().get(class, model)
    }

    fn is_synced(&self, instrument: InstrumentId) -> bool {
        self.market(instrument).is_some_and(|market| market.is_synced())
    }

    fn level(&self, instrument: InstrumentId, side: Side, depth: usize) -> Option<Level> {
        self.market(instrument)?.book.levels(side).nth(depth)
    }

    fn last_instrument(&self) -> Option<InstrumentId> {
        Self::last_instrument(self)
    }
}

/// The market as the exchange publishes it, for a shell that has no wire: its books are those that subscribers are sent.
impl MarketView for FeedPublisher {
    fn definitions(&self) -> Box<dyn Iterator<Item = &InstrumentDefinition> + '_> {
        Box::new(self.listings().map(|listing| &listing.definition))
    }

    fn definition(&self, instrument: InstrumentId) -> Option<&InstrumentDefinition> {
        Some(&self.listing(instrument)?.definition)
    }

    fn yield_of(&self, class: ClassCode, model: ModelId) -> Option<Yield> {
        self.yields().get(class, model)
    }

    fn is_synced(&self, instrument: InstrumentId) -> bool {
        self.listing(instrument).is_some()
    }

    fn level(&self, instrument: InstrumentId, side: Side, depth: usize) -> Option<Level> {
        self.listing(instrument)?.book.levels(side).nth(depth)
    }

    fn last_instrument(&self) -> Option<InstrumentId> {
        Self::last_instrument(self)
    }
}

/// True when orders are taken for the instrument.
pub(crate) fn is_open(definition: &InstrumentDefinition) -> bool {
    Phase::from_raw(definition.phase) == Some(Phase::Open)
}

/// The delivery window as a key: instruments of two classes compete when they share it.
pub(crate) fn window_key(definition: &InstrumentDefinition) -> (u32, u16) {
    (definition.start_minute, definition.window_minutes)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::price_war::PriceWar;
    use joulebook_types::{ClientOrderId, Window};

    pub const GPU: InstrumentId = InstrumentId::new(1);
    pub const TPU: InstrumentId = InstrumentId::new(2);

    /// Books written down by a test, to show a strategy one situation at a time.
    pub struct TableMarket {
        definitions: BTreeMap<InstrumentId, InstrumentDefinition>,
        yields: BTreeMap<ClassCode, Yield>,
        levels: BTreeMap<(InstrumentId, Side), Vec<Level>>,
        unsynced: BTreeSet<InstrumentId>,
    }

    impl TableMarket {
        /// One window of both classes of the price war, open, without orders.
        pub fn two_classes() -> Self {
            let war = PriceWar::new(1);
            let window = Window::new(15 * 1_000_000, 15).unwrap();
            let mut market = Self {
                definitions: BTreeMap::new(),
                yields: war.blocs.iter().map(|bloc| (bloc.class, bloc.yield_ktok)).collect(),
                levels: BTreeMap::new(),
                unsynced: BTreeSet::new(),
            };
            for (bloc, instrument) in war.blocs.iter().zip([GPU, TPU]) {
                let listed = war.listing(bloc, window, ClientOrderId::new(1));
                let definition = InstrumentDefinition {
                    class: listed.class,
                    area: listed.area,
                    tick: listed.tick,
                    band_low: listed.band_low,
                    band_high: listed.band_high,
                    instrument,
                    start_minute: listed.start_minute,
                    window_minutes: listed.window_minutes,
                    accelerators_per_lot: listed.accelerators_per_lot,
                    phase: Phase::Open.raw(),
                    ..InstrumentDefinition::default()
                };
                market.definitions.insert(instrument, definition);
            }
            market
        }

        pub fn set(&mut self, instrument: InstrumentId, side: Side, levels: &[(&str, u64)]) {
            let levels = levels.iter().map(|(price, qty)| Level {
                price: price.parse().unwrap(),
                qty: *qty,
                orders: 1,
            });
            self.levels.insert((instrument, side), levels.collect());
        }

        pub fn set_phase(&mut self, instrument: InstrumentId, phase: Phase) {
            self.definitions.get_mut(&instrument).unwrap().phase = phase.raw();
        }

        pub fn unsync(&mut self, instrument: InstrumentId) {
            self.unsynced.insert(instrument);
        }
    }

    impl MarketView for TableMarket {
        fn definitions(&self) -> Box<dyn Iterator<Item = &InstrumentDefinition> + '_> {
            Box::new(self.definitions.values())
        }

        fn definition(&self, instrument: InstrumentId) -> Option<&InstrumentDefinition> {
            self.definitions.get(&instrument)
        }

        fn yield_of(&self, class: ClassCode, _model: ModelId) -> Option<Yield> {
            self.yields.get(&class).copied()
        }

        fn is_synced(&self, instrument: InstrumentId) -> bool {
            !self.unsynced.contains(&instrument)
        }

        fn level(&self, instrument: InstrumentId, side: Side, depth: usize) -> Option<Level> {
            self.levels.get(&(instrument, side))?.get(depth).copied()
        }

        fn last_instrument(&self) -> Option<InstrumentId> {
            self.definitions.keys().next_back().copied()
        }
    }
}
