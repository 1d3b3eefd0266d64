//! What prices are measured against: the last print, the listing's reference, and the price of a window ago.

use joulebook_types::{Price, TimeNs};

/// A price and when it became the one that velocity is measured from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Anchor {
    pub(crate) price: Price,
    pub(crate) since: TimeNs,
}

/// What has been seen of an instrument's price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) last_print: Option<Price>,
    pub(crate) anchor: Option<Anchor>,
}

/// An instrument's reference prices. Those of a step are those at its beginning: what an order prints does not widen
/// the room for the rest of it, nor for the stops that it triggers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PriceReferences {
    /// What the listing named, until something has printed.
    pub(crate) listed: Option<Price>,
    pub(crate) seen: Seen,
    /// The step that printed last, and what had been seen before it.
    pub(crate) printed_in_step: u64,
    pub(crate) before: Seen,
    /// The step whose further trades move the last print and nothing else, because the one in hand has anchored the
    /// velocity; steps count from one. Only a shorter way: it is not part of the state.
    pub(crate) anchored_in_step: u64,
}

impl PriceReferences {
    /// Of a new listing; a price of zero names none.
    pub(crate) fn listed(price: Price) -> Self {
        let listed = (price != Price::ZERO).then_some(price);
        Self { listed, ..Self::default() }
    }

    /// The price that bands and auctions of a step refer to.
    pub(crate) fn base(&self, step: u64) -> Option<Price> {
        self.at_beginning(step).last_print.or(self.listed)
    }

    /// The price that a step's velocity is measured from: the anchor while it is younger than the window, else the base.
    pub(crate) fn velocity_reference(&self, step: u64, now: TimeNs, window_ms: u32) -> Option<Price> {
        let anchor = self.at_beginning(step).anchor.filter(|anchor| is_within(*anchor, now, window_ms));
        anchor.map(|anchor| anchor.price).or(self.base(step))
    }

    /// The last trade's price, those of this very step included: what stops wait for.
    pub(crate) fn last_print(&self) -> Option<Price> {
        self.seen.last_print
    }

    /// A continuous trade printed. It anchors the velocity when nothing else does.
    #[inline(always)]
    pub(crate) fn print(&mut self, price: Price, step: u64, now: TimeNs, window_ms: u32) {
        debug_assert!(step > 0, "steps count from one");
        if self.anchored_in_step != step {
            self.print_first(price, step, now, window_ms);
        }
        self.seen.last_print = Some(price);
    }

    /// What only the first trade of a step moves, unless it has no base.
    fn print_first(&mut self, price: Price, step: u64, now: TimeNs, window_ms: u32) {
        self.begin_prints(step);
        if !self.seen.anchor.is_some_and(|anchor| is_within(anchor, now, window_ms)) {
            let price = self.base(step).unwrap_or(price);
            self.seen.anchor = Some(Anchor { price, since: now });
        }
        if self.base(step).is_some() {
            self.anchored_in_step = step;
        }
    }

    /// An auction printed: its price is what velocity is measured from now.
    pub(crate) fn print_of_auction(&mut self, price: Price, step: u64, now: TimeNs) {
        self.begin_prints(step);
        self.anchored_in_step = 0;
        self.seen = Seen { last_print: Some(price), anchor: Some(Anchor { price, since: now }) };
    }

    /// Everything that later answers depend on, for the hash of the state between steps.
    pub(crate) fn words(&self) -> [i64; 4] {
        let raw = |price: Option<Price>| price.map_or(0, Price::raw);
        let since = self.seen.anchor.map_or(-1, |anchor| anchor.since.raw() as i64);
        let anchor = self.seen.anchor.map(|anchor| anchor.price);
        [raw(self.listed), raw(self.seen.last_print), raw(anchor), since]
    }

    fn begin_prints(&mut self, step: u64) {
        if self.printed_in_step != step {
            self.printed_in_step = step;
            self.before = self.seen;
        }
    }

    fn at_beginning(&self, step: u64) -> &Seen {
        if self.printed_in_step == step { &self.before } else { &self.seen }
    }
}

fn is_within(anchor: Anchor, now: TimeNs, window_ms: u32) -> bool {
    now < anchor.since.saturating_add_ms(window_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW_MS: u32 = 1_000;

    fn at(ms: u64) -> TimeNs {
        TimeNs::new(ms * 1_000_000)
    }

    fn price(raw: i64) -> Option<Price> {
        Some(Price::new(raw))
    }

    #[test]
    fn the_listing_names_the_base_until_something_prints() {
        assert_eq!(PriceReferences::listed(Price::ZERO).base(1), None);
        let mut references = PriceReferences::listed(Price::new(50));
        assert_eq!((references.base(1), references.last_print()), (price(50), None));
        references.print(Price::new(60), 1, at(0), WINDOW_MS);
        assert_eq!((references.base(1), references.last_print()), (price(50), price(60)), "in the same step");
        assert_eq!(references.base(2), price(60));
    }

    #[test]
    fn velocity_is_measured_from_the_price_of_a_window_ago() {
        let mut references = PriceReferences::listed(Price::new(50));
        let velocity =
            |references: &PriceReferences, step, ms| references.velocity_reference(step, at(ms), WINDOW_MS);
        references.print(Price::new(60), 1, at(0), WINDOW_MS);
        references.print(Price::new(70), 2, at(400), WINDOW_MS);
        assert_eq!(velocity(&references, 3, 999), price(50), "the base before the first print");
        assert_eq!(velocity(&references, 3, 1_000), price(70), "too old: the base");
        references.print(Price::new(80), 4, at(1_000), WINDOW_MS);
        assert_eq!(velocity(&references, 4, 1_000), price(70), "as of the step's beginning");
        assert_eq!(velocity(&references, 5, 1_999), price(70));
        assert_eq!(velocity(&references, 5, 2_000), price(80));
    }

    #[test]
    fn the_first_print_of_all_anchors_itself() {
        let mut references = PriceReferences::default();
        references.print(Price::new(60), 1, at(0), WINDOW_MS);
        references.print(Price::new(70), 1, at(0), WINDOW_MS);
        assert_eq!(references.velocity_reference(1, at(0), WINDOW_MS), None, "no base, no bound");
        assert_eq!(references.velocity_reference(2, at(1), WINDOW_MS), price(60));
    }

    #[test]
    fn an_auction_anchors_its_price() {
        let mut references = PriceReferences::listed(Price::new(50));
        references.print(Price::new(60), 1, at(0), WINDOW_MS);
        references.print_of_auction(Price::new(90), 2, at(10));
        assert_eq!(references.velocity_reference(2, at(10), WINDOW_MS), price(50), "not in its own step");
        assert_eq!(references.velocity_reference(3, at(1_009), WINDOW_MS), price(90));
    }

    /// Trades and auctions in steps of several, with and without a window, against references that always go the whole way.
    #[test]
    fn the_short_way_of_further_prints_moves_nothing_else() {
        let mut state = 1_u64;
        let mut next = |below: u64| {
            // Multiplies by a primitive root modulo a prime.
            state = state * 48_271 % 2_147_483_647;
            state % below
        };
        for round in 0..2_000 {
            let listed = if round % 2 == 0 { Price::ZERO } else { Price::new(50) };
            let (mut short, mut whole) = (PriceReferences::listed(listed), PriceReferences::listed(listed));
            let (mut step, mut now) = (1, 0);
            let window_ms = if round % 3 == 0 { 0 } else { WINDOW_MS };
            for _ in 0..12 {
                let print = Price::new(100 + next(50) as i64);
                whole.anchored_in_step = 0;
                if next(5) == 0 {
                    short.print_of_auction(print, step, at(now));
                    whole.print_of_auction(print, step, at(now));
                } else {
                    short.print(print, step, at(now), window_ms);
                    whole.print(print, step, at(now), window_ms);
                }
                assert_eq!((short.words(), short.before), (whole.words(), whole.before), "round {round}");
                if next(3) == 0 {
                    step += 1;
                    now += next(700);
                }
            }
        }
    }
}
