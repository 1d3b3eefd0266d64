//! One side of a book: its price levels, best first.

use core::hint::select_unpredictable;

use joulebook_types::{Price, Side};

use crate::price_tree::{PriceTree, Trunk};
use crate::queue::{LevelIx, NO_LEVEL};
use crate::tick::{RankedPrice, Tick};

/// The levels of one side. They lie in the pool that all books share, so a side without orders owns nothing.
#[derive(Debug)]
pub(crate) struct Ladder {
    /// Behind every price when there is no level.
    best_price: RankedPrice,
    pub(crate) best_level: LevelIx,
    pub(crate) trunk: Trunk,
}

impl Ladder {
    pub(crate) const EMPTY: Self =
        Self { best_price: RankedPrice::LAST, best_level: NO_LEVEL, trunk: Trunk::EMPTY };

    #[inline]
    pub(crate) fn best_level(&self) -> Option<LevelIx> {
        (self.best_level != NO_LEVEL).then_some(self.best_level)
    }

    #[inline]
    pub(crate) fn best(&self, side: Side) -> Option<Price> {
        (self.best_level != NO_LEVEL).then_some(self.best_price.price(side))
    }

    /// Whether an order of the other side, `taker`, would trade with this one at this limit.
    #[inline(always)]
    pub(crate) fn is_reached_by(&self, taker: Side, limit: Price) -> bool {
        // A limit at the end of all prices reaches even the one that stands for no level.
        self.best_price <= RankedPrice::against(taker, limit) && self.best_level != NO_LEVEL
    }

    /// The level that such an order would trade with first.
    #[inline(always)]
    pub(crate) fn reached_ahead(&self, taker: Side, limit: Price) -> LevelIx {
        let is_reached = self.best_price <= RankedPrice::against(taker, limit);
        select_unpredictable(is_reached, self.best_level, NO_LEVEL)
    }

    /// Levels, best first.
    pub(crate) fn levels<'a>(&self, tree: &'a PriceTree) -> impl Iterator<Item = LevelIx> + use<'a> {
        let after = |level: &LevelIx| Some(tree.after(*level)).filter(|next| *next != NO_LEVEL);
        core::iter::successors(self.best_level(), after)
    }

    /// Marks the level of this price as one with orders, whether or not it was.
    #[inline(always)]
    pub(crate) fn open(&mut self, tree: &mut PriceTree, level: LevelIx, price: RankedPrice) {
        tree.open(level);
        // Equal to the best level's own, or to the one that stands for no level.
        if price <= self.best_price {
            (self.best_price, self.best_level) = (price, level);
        }
    }

    /// The next level becomes the best one.
    #[inline(never)]
    pub(crate) fn step_back(&mut self, tree: &PriceTree, tick: &Tick, side: Side) {
        let next = tree.after(self.best_level);
        self.best_level = next;
        if next == NO_LEVEL {
            self.best_price = RankedPrice::LAST;
        } else {
            self.best_price = RankedPrice::new(side, tick.price(side, tree.rank(next)));
        }
    }
}
