//! What a trade moves.

use joulebook_types::{MicroEc, Side};

use crate::account::AccountIx;
use crate::capacity::{AssetIx, Position, PositionIx, WindowWalk};
use crate::ledger::Ledger;
use crate::posting::Payment;

/// One trade, as the ledger sees it.
#[derive(Clone, Copy, Debug)]
pub struct Settlement<'a> {
    /// Another account than the seller's.
    pub buyer: AccountIx,
    pub seller: AccountIx,
    /// The slots of the window.
    pub assets: &'a [AssetIx],
    /// Accelerators that change hands in every slot.
    pub accelerators: u64,
    /// A multiple of the number of slots.
    pub notional: MicroEc,
    /// Negative: a rebate, which comes out of the seller's fee.
    pub buyer_fee: MicroEc,
    /// Deducted from the proceeds. Negative: a rebate, which comes out of the buyer's fee and is free at once.
    pub seller_fee: MicroEc,
    /// What the trade takes off the buyer's hold: at least notional and fee; the difference becomes free again.
    pub buyer_release: MicroEc,
}

/// What the sold slots pay later than at once.
#[derive(Clone, Copy, Debug, Default)]
struct Sold {
    /// The part of the notional that waits for delivery.
    escrow: MicroEc,
    /// What the seller's fee takes from it.
    fee: MicroEc,
}

impl Ledger {
    /// Moves capacity from the seller's hold to the buyer, and credits from the buyer's hold to seller and fees.
    ///
    /// Accelerators that the seller registered are paid into escrow until they are delivered; accelerators that it
    /// bought before are paid at once. What it holds beyond its registration counts as bought and is sold first.
    ///
    /// Example: a seller registered 8 accelerators and bought 8 more, and sells 12 for 120 EC with a fee of 1 EC, one
    /// slot. Of its 16, 8 are beyond its registration, so 8 of the 12 are a resale and 4 come from the registration.
    /// Escrow gets 4/12 of 120 EC = 40 EC, rounded up; the rest, 80 EC, is free at once, less the fee: 79 EC. A fee
    /// that the free part does not cover comes out of the slots' escrow in proportion.
    ///
    /// The fees of both sides together are never negative: the taker pays for the maker's rebate.
    #[inline(always)]
    pub fn settle(&mut self, trade: &Settlement<'_>) {
        self.settle_near(trade, Side::Buy, PositionIx::NONE);
    }

    /// The same of one who trades several times in a row, on `side`, and whose position was at `near` the last time. Returns
    /// where it is now.
    #[inline(always)]
    pub fn settle_near(&mut self, trade: &Settlement<'_>, side: Side, near: PositionIx) -> PositionIx {
        assert!(trade.buyer != trade.seller, "nobody trades with itself");
        let fees = trade.buyer_fee + trade.seller_fee;
        assert!(fees >= MicroEc::ZERO, "a rebate is at most the other side's fee");
        let (escrow, near) = match trade.assets {
            [asset] => self.sell_slot(trade, *asset, side, near),
            _ => (self.sell_slots(*trade), PositionIx::NONE),
        };
        let change = trade.buyer_release - trade.notional - trade.buyer_fee;
        let free = trade.notional - escrow - trade.seller_fee;
        let parts = Payment { given: trade.buyer_release, escrow, free, fees, change };
        self.post_payment(trade.buyer, trade.seller, &parts);
        near
    }

    /// Moves the capacity of a window of one slot, and what waits for its delivery: returns that. The position of who trades
    /// on `side` is looked for at `near` first; says where it was.
    #[inline(always)]
    fn sell_slot(
        &mut self,
        trade: &Settlement<'_>,
        asset: AssetIx,
        side: Side,
        near: PositionIx,
    ) -> (MicroEc, PositionIx) {
        let capacity = &mut self.capacity;
        let (own, other) = match side {
            Side::Buy => (trade.buyer, trade.seller),
            Side::Sell => (trade.seller, trade.buyer),
        };
        // A seller has a position, or what it holds does not cover the sale.
        let own = capacity.open_position_near(near, own, asset);
        let other = capacity.open_position_of(other, asset);
        // Which side is which cannot be predicted, so nothing above asks.
        let (buyer, seller) = match side {
            Side::Buy => (own, other),
            Side::Sell => (other, own),
        };
        let escrow = escrow_part(capacity.position_at(seller), trade.accelerators, trade.notional);
        let fee = match trade.seller_fee > MicroEc::ZERO {
            true => trade.seller_fee - trade.seller_fee.min(trade.notional - escrow),
            false => MicroEc::ZERO,
        };
        let waits = escrow - fee;
        capacity.transfer(seller, buyer, trade.accelerators, waits);
        (waits, own)
    }

    /// The same of any window: each slot has its share of the credits. Gets a copy, so that a trade of one slot need not lie
    /// in memory.
    fn sell_slots(&mut self, trade: Settlement<'_>) -> MicroEc {
        let share = slot_share(&trade);
        // Only a fee asks what all slots together pay at once, before the first of them is posted.
        let all = match trade.seller_fee > MicroEc::ZERO {
            true => self.fee_from_escrow(&trade, share),
            false => Sold::default(),
        };
        let mut sold = Sold::default();
        let (mut sellers, mut buyers) = (WindowWalk::default(), WindowWalk::default());
        for asset in trade.assets {
            let capacity = &mut self.capacity;
            let seller = sellers.step(capacity, trade.seller, *asset).expect("a seller has a position");
            let buyer = buyers.step_or_open(capacity, trade.buyer, *asset);
            let escrow = escrow_part(capacity.position_at(seller), trade.accelerators, share);
            sold.escrow += escrow;
            // Differences of growing parts add up exactly.
            let fee = proportion(all.fee, sold.escrow, all.escrow) - sold.fee;
            sold.fee += fee;
            capacity.transfer(seller, buyer, trade.accelerators, escrow - fee);
        }
        sold.escrow - sold.fee
    }

    /// What waits for delivery in all slots together, and what the seller's fee takes from it: what is paid at once does
    /// not cover.
    fn fee_from_escrow(&mut self, trade: &Settlement<'_>, share: MicroEc) -> Sold {
        let mut sellers = WindowWalk::default();
        let parts = trade.assets.iter().map(|asset| {
            let seller = sellers.step(&mut self.capacity, trade.seller, *asset);
            let seller = self.capacity.position_at(seller.expect("a seller has a position"));
            escrow_part(seller, trade.accelerators, share)
        });
        let escrow: MicroEc = parts.sum();
        let fee_from_free = trade.seller_fee.min(trade.notional - escrow);
        Sold { escrow, fee: trade.seller_fee - fee_from_free }
    }
}

/// What one slot of the window is paid.
fn slot_share(trade: &Settlement<'_>) -> MicroEc {
    let slots = trade.assets.len() as i64;
    assert!(trade.notional.raw() % slots == 0, "an exact tick divides over the quarter hours");
    MicroEc::new(trade.notional.raw() / slots)
}

/// The part of a slot's share that waits for delivery: that of registered accelerators, rounded up.
#[inline(always)]
fn escrow_part(seller: &Position, sold: u64, share: MicroEc) -> MicroEc {
    let registered = sold - resale(seller, sold);
    // Nearly all sell what they registered, or what they bought: neither needs a division.
    match registered {
        0 => MicroEc::ZERO,
        all if all == sold => share,
        some => part_of_share(share, some, sold),
    }
}

#[cold]
fn part_of_share(share: MicroEc, registered: u64, sold: u64) -> MicroEc {
    let part = (i128::from(share.raw()) * i128::from(registered) + i128::from(sold) - 1) / i128::from(sold);
    MicroEc::new(i64::try_from(part).expect("a part of the share"))
}

/// How many of the accelerators sold were bought before: at most what the seller has beyond its registration.
fn resale(position: &Position, sold: u64) -> u64 {
    let balance = position.free + position.held;
    sold.min(balance.saturating_sub(position.registered))
}

/// `amount * part / whole`, rounded toward zero; nothing of nothing.
fn proportion(amount: MicroEc, part: MicroEc, whole: MicroEc) -> MicroEc {
    if amount == MicroEc::ZERO {
        return MicroEc::ZERO;
    }
    let share = i128::from(amount.raw()) * i128::from(part.raw()) / i128::from(whole.raw());
    MicroEc::new(i64::try_from(share).expect("a part is at most the whole"))
}
