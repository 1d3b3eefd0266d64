//! What an order would get if it took now, found before any effect.

use joulebook_types::{Price, Side};

use crate::Engine;
use crate::accounts::TradeGroup;
use crate::instruments::InstrumentIx;

impl Engine {
    /// Lots that an order would get at once, up to `wanted`: across makers and levels, to the first of its own group.
    pub(crate) fn fillable(
        &self,
        ix: InstrumentIx,
        side: Side,
        limit: Price,
        wanted: u32,
        group: TradeGroup,
    ) -> u32 {
        let mut fillable = 0u32;
        for slot in self.instruments[ix].book().makers(&self.orders.slab, side.opposite()) {
            let maker = &self.orders.slab[slot];
            let reached = match side {
                Side::Buy => maker.price <= limit,
                Side::Sell => maker.price >= limit,
            };
            if fillable >= wanted || !reached || maker.trade_group == group.0 {
                break;
            }
            fillable = fillable.saturating_add(maker.leaves);
        }
        fillable.min(wanted)
    }
}
