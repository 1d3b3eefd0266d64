//! The ledger against maps of numbers: random postings, every balance compared to the micro-EC after each.

use std::collections::{BTreeMap, BTreeSet};

use joulebook_ledger::{
    AccountIx, AssetIx, CapacityError, CreditError, Credits, Ledger, PositionIx, Settlement, SlotKey,
};
use joulebook_types::{MicroEc, QuarterSlot, Side};
use proptest::prelude::*;

const ACCOUNTS: u32 = 4;
const SLOTS: u32 = 5;

/// Accounts and slots by number, amounts in micro-EC.
#[derive(Clone, Debug)]
enum Step {
    Mint {
        to: u32,
        amount: i64,
    },
    Retire {
        from: u32,
        amount: i64,
    },
    Deposit {
        from: u32,
        to: u32,
        amount: i64,
    },
    Hold {
        of: u32,
        amount: i64,
    },
    /// Of what is held, in 256ths.
    Release {
        of: u32,
        part: u8,
    },
    Register {
        of: u32,
        slots: Slots,
        accelerators: u32,
    },
    HoldCapacity {
        of: u32,
        slots: Slots,
        accelerators: u64,
    },
    ReleaseCapacity {
        of: u32,
        slots: Slots,
        part: u8,
    },
    Trade(Trade),
    Deliver {
        slot: u32,
    },
}

/// A window: its first quarter and how many.
#[derive(Clone, Copy, Debug)]
struct Slots {
    first: u32,
    count: u32,
}

#[derive(Clone, Copy, Debug)]
struct Trade {
    buyer: u32,
    seller: u32,
    slots: Slots,
    accelerators: u64,
    /// What each quarter hour is paid.
    share: i64,
    buyer_fee: i64,
    seller_fee: i64,
    /// Beyond notional and fee.
    change: i64,
}

fn step() -> impl Strategy<Value = Step> {
    let account = || 0..ACCOUNTS;
    let slots =
        || (0..SLOTS, 1..=4u32).prop_map(|(first, count)| Slots { first, count: count.min(SLOTS - first) });
    let amount = || prop_oneof![6 => 0..2_000i64, 2 => 0..2_000_000_000i64, 1 => (0..3i64).prop_map(|less| i64::MAX - less)];
    let accelerators = || prop_oneof![8 => 1..40u32, 1 => (0..3u32).prop_map(|less| u32::MAX - less)];
    let trade = (account(), account(), slots(), 1..30u64, 0..400i64, -60..60i64, -60..90i64, 0..50i64)
        .prop_map(|(buyer, seller, slots, accelerators, share, buyer_fee, seller_fee, change)| {
            Step::Trade(Trade { buyer, seller, slots, accelerators, share, buyer_fee, seller_fee, change })
        });
    prop_oneof![
        3 => (account(), amount()).prop_map(|(to, amount)| Step::Mint { to, amount }),
        1 => (account(), amount()).prop_map(|(from, amount)| Step::Retire { from, amount }),
        2 => (account(), account(), amount()).prop_map(|(from, to, amount)| Step::Deposit { from, to, amount }),
        2 => (account(), amount()).prop_map(|(of, amount)| Step::Hold { of, amount }),
        2 => (account(), any::<u8>()).prop_map(|(of, part)| Step::Release { of, part }),
        4 => (account(), slots(), accelerators()).prop_map(|(of, slots, accelerators)| Step::Register { of, slots, accelerators }),
        2 => (account(), slots(), 1..50u64).prop_map(|(of, slots, accelerators)| Step::HoldCapacity { of, slots, accelerators }),
        2 => (account(), slots(), any::<u8>()).prop_map(|(of, slots, part)| Step::ReleaseCapacity { of, slots, part }),
        10 => trade,
        1 => (0..SLOTS).prop_map(|slot| Step::Deliver { slot }),
    ]
}

/// What an account has in a quarter hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    registered: u64,
    free: u64,
    held: u64,
    escrow: i128,
}

/// The books as one would keep them by hand, in numbers that cannot overflow.
#[derive(Debug, Default)]
struct Slow {
    free: BTreeMap<u32, i128>,
    held: BTreeMap<u32, i128>,
    places: BTreeMap<(u32, u32), Place>,
    fees: i128,
    minted: i128,
    retired: i128,
    delivered: BTreeSet<u32>,
}

impl Slow {
    fn free(&self, account: u32) -> i128 {
        self.free.get(&account).copied().unwrap_or_default()
    }

    fn held(&self, account: u32) -> i128 {
        self.held.get(&account).copied().unwrap_or_default()
    }

    fn place(&self, account: u32, slot: u32) -> Place {
        self.places.get(&(account, slot)).copied().unwrap_or_default()
    }

    fn place_mut(&mut self, account: u32, slot: u32) -> &mut Place {
        self.places.entry((account, slot)).or_default()
    }

    fn add_free(&mut self, account: u32, amount: i128) {
        *self.free.entry(account).or_default() += amount;
    }

    fn add_held(&mut self, account: u32, amount: i128) {
        *self.held.entry(account).or_default() += amount;
    }

    fn registered(&self, slot: u32) -> u64 {
        (0..ACCOUNTS).map(|account| self.place(account, slot).registered).sum()
    }

    /// Both sides have their holds.
    fn trade(&mut self, trade: &Trade, slots: &[u32]) {
        let Trade { buyer, seller, accelerators, .. } = *trade;
        let share = i128::from(trade.share);
        let (buyer_fee, seller_fee) = (i128::from(trade.buyer_fee), i128::from(trade.seller_fee));
        let escrows: Vec<i128> = slots.iter().map(|slot| self.escrow_of(trade, *slot)).collect();
        let paid_at_once: i128 = escrows.iter().map(|escrow| share - escrow).sum();
        let from_escrow = (seller_fee - paid_at_once).max(0);
        let (waiting, mut before) = (escrows.iter().sum::<i128>(), 0);
        for (slot, escrow) in slots.iter().zip(&escrows) {
            // The fee goes off in proportion; what is lost to rounding comes with the slot that completes it.
            let so_far = |sum: i128| if waiting == 0 { 0 } else { from_escrow * sum / waiting };
            let fee = so_far(before + escrow) - so_far(before);
            before += escrow;
            let place = self.place_mut(seller, *slot);
            place.held -= accelerators;
            place.escrow += escrow - fee;
            self.place_mut(buyer, *slot).free += accelerators;
        }
        let notional = share * slots.len() as i128;
        self.add_held(buyer, -(notional + buyer_fee + i128::from(trade.change)));
        self.add_free(buyer, trade.change.into());
        self.add_free(seller, paid_at_once - (seller_fee - from_escrow));
        self.fees += buyer_fee + seller_fee;
    }

    /// Of a slot's share, what waits for delivery: the part of what the seller registered itself, rounded up. What it
    /// has beyond its registration it bought before, and sells first.
    fn escrow_of(&self, trade: &Trade, slot: u32) -> i128 {
        let place = self.place(trade.seller, slot);
        let bought = (place.free + place.held).saturating_sub(place.registered);
        let own = i128::from(trade.accelerators.saturating_sub(bought));
        let sold = i128::from(trade.accelerators);
        (i128::from(trade.share) * own + sold - 1) / sold
    }
}

/// Both side by side.
struct Pair {
    fast: Ledger,
    slow: Slow,
    accounts: Vec<AccountIx>,
    assets: Vec<AssetIx>,
    near: PositionIx,
}

impl Pair {
    fn new() -> Self {
        let mut fast = Ledger::default();
        let accounts = (0..ACCOUNTS).map(|_| fast.open_account()).collect();
        let key = |slot| SlotKey {
            class: "H200S".parse().unwrap(),
            area: "DE".parse().unwrap(),
            slot: QuarterSlot::new(100 + slot),
        };
        let assets = (0..SLOTS).map(|slot| fast.intern(key(slot))).collect();
        Self { fast, slow: Slow::default(), accounts, assets, near: PositionIx::NONE }
    }

    fn account(&self, number: u32) -> AccountIx {
        self.accounts[number as usize]
    }

    /// The slots of a window that are not delivered yet: the engine names no others.
    fn open(&self, slots: Slots) -> Vec<u32> {
        (slots.first..slots.first + slots.count).filter(|slot| !self.slow.delivered.contains(slot)).collect()
    }

    fn assets(&self, slots: &[u32]) -> Vec<AssetIx> {
        slots.iter().map(|slot| self.assets[*slot as usize]).collect()
    }

    fn run(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Mint { to, amount } => {
                let fits = self.slow.minted - self.slow.retired + i128::from(amount) <= i128::from(i64::MAX);
                let expected = if fits { Ok(()) } else { Err(CreditError::Overflow) };
                prop_assert_eq!(self.fast.mint(self.account(to), MicroEc::new(amount)), expected);
                if fits {
                    self.slow.minted += i128::from(amount);
                    self.slow.add_free(to, amount.into());
                }
            }
            Step::Retire { from, amount } => {
                let moved = self.fast.retire(self.account(from), MicroEc::new(amount));
                if self.agrees(from, amount, moved)? {
                    self.slow.retired += i128::from(amount);
                    self.slow.add_free(from, -i128::from(amount));
                }
            }
            Step::Deposit { from, to, amount } => {
                let moved = self.fast.deposit(self.account(from), self.account(to), MicroEc::new(amount));
                if self.agrees(from, amount, moved)? {
                    self.slow.add_free(from, -i128::from(amount));
                    self.slow.add_free(to, amount.into());
                }
            }
            Step::Hold { of, amount } => _ = self.hold(of, amount)?,
            Step::Release { of, part } => {
                let amount = self.slow.held(of) * i128::from(part) / 255;
                self.release(of, amount);
            }
            Step::Register { of, slots, accelerators } => self.register(of, slots, accelerators)?,
            Step::HoldCapacity { of, slots, accelerators } => {
                let slots = self.open(slots);
                _ = self.hold_capacity(of, &slots, accelerators)?;
            }
            Step::ReleaseCapacity { of, slots, part } => {
                let slots = self.open(slots);
                let least =
                    slots.iter().map(|slot| self.slow.place(of, *slot).held).min().unwrap_or_default();
                let slots = if least == 0 { Vec::new() } else { slots };
                self.release_capacity(of, &slots, least * u64::from(part) / 255);
            }
            Step::Trade(trade) => self.trade(trade)?,
            Step::Deliver { slot } => self.deliver(slot)?,
        }
        Ok(())
    }

    /// Whether free credits moved, which both must say.
    fn agrees(&self, from: u32, amount: i64, moved: Result<(), CreditError>) -> Result<bool, TestCaseError> {
        let free = self.slow.free(from);
        let covered = i128::from(amount) <= free;
        let short = CreditError::Insufficient { free: MicroEc::new(free as i64) };
        prop_assert_eq!(moved, if covered { Ok(()) } else { Err(short) });
        Ok(covered)
    }

    fn hold(&mut self, of: u32, amount: i64) -> Result<bool, TestCaseError> {
        let moved = self.fast.hold_credits(self.account(of), MicroEc::new(amount));
        let held = self.agrees(of, amount, moved)?;
        if held {
            self.slow.add_free(of, -i128::from(amount));
            self.slow.add_held(of, amount.into());
        }
        Ok(held)
    }

    fn release(&mut self, of: u32, amount: i128) {
        self.fast.release_credits(self.account(of), MicroEc::new(amount as i64));
        self.slow.add_held(of, -amount);
        self.slow.add_free(of, amount);
    }

    fn register(&mut self, of: u32, slots: Slots, accelerators: u32) -> Result<(), TestCaseError> {
        let slots = self.open(slots);
        let most = u64::from(u32::MAX);
        let fits = slots.iter().all(|slot| self.slow.registered(*slot) + u64::from(accelerators) <= most);
        let expected = if fits { Ok(()) } else { Err(CapacityError::Overflow) };
        let (account, assets) = (self.account(of), self.assets(&slots));
        prop_assert_eq!(self.fast.register(account, &assets, accelerators), expected);
        for slot in slots.iter().filter(|_| fits) {
            let place = self.slow.place_mut(of, *slot);
            place.registered += u64::from(accelerators);
            place.free += u64::from(accelerators);
        }
        Ok(())
    }

    fn hold_capacity(&mut self, of: u32, slots: &[u32], accelerators: u64) -> Result<bool, TestCaseError> {
        let free = slots.iter().map(|slot| self.slow.place(of, *slot).free).min().unwrap_or_default();
        let fits = accelerators <= free;
        let expected = if fits { Ok(()) } else { Err(CapacityError::Insufficient { free }) };
        let (account, assets) = (self.account(of), self.assets(slots));
        prop_assert_eq!(self.fast.free_capacity(account, &assets), free);
        prop_assert_eq!(self.fast.hold_capacity(account, &assets, accelerators), expected);
        for slot in slots.iter().filter(|_| fits) {
            let place = self.slow.place_mut(of, *slot);
            place.free -= accelerators;
            place.held += accelerators;
        }
        Ok(fits)
    }

    fn release_capacity(&mut self, of: u32, slots: &[u32], accelerators: u64) {
        let (account, assets) = (self.account(of), self.assets(slots));
        self.fast.release_capacity(account, &assets, accelerators);
        for slot in slots {
            let place = self.slow.place_mut(of, *slot);
            place.held -= accelerators;
            place.free += accelerators;
        }
    }

    /// Holds on both sides, as orders have, and then the trade if both hold.
    fn trade(&mut self, mut trade: Trade) -> Result<(), TestCaseError> {
        let slots = self.open(trade.slots);
        let notional = trade.share * slots.len() as i64;
        // Fees as an engine has them: together never negative, each at most what is paid.
        trade.seller_fee = trade.seller_fee.min(notional).max(-trade.buyer_fee.max(0));
        trade.buyer_fee = trade.buyer_fee.max(-trade.seller_fee.max(0)).max(-notional);
        if slots.is_empty() || trade.buyer == trade.seller || trade.buyer_fee + trade.seller_fee < 0 {
            return Ok(());
        }
        let release = notional + trade.buyer_fee + trade.change;
        if !self.hold(trade.buyer, release)? {
            return Ok(());
        }
        if !self.hold_capacity(trade.seller, &slots, trade.accelerators)? {
            self.release(trade.buyer, release.into());
            return Ok(());
        }
        let settlement = Settlement {
            buyer: self.account(trade.buyer),
            seller: self.account(trade.seller),
            assets: &self.assets(&slots),
            accelerators: trade.accelerators,
            notional: MicroEc::new(notional),
            buyer_fee: MicroEc::new(trade.buyer_fee),
            seller_fee: MicroEc::new(trade.seller_fee),
            buyer_release: MicroEc::new(release),
        };
        // Where the last trade was, of whomever in whatever slot: a guess that is out of date changes nothing.
        let side = if notional % 2 == 0 { Side::Buy } else { Side::Sell };
        let near = self.fast.settle_near(&settlement, side, self.near);
        if near != PositionIx::NONE {
            self.near = near;
        }
        self.slow.trade(&trade, &slots);
        Ok(())
    }

    /// All escrow of a slot is paid out and its capacity is gone; open orders have left it before.
    fn deliver(&mut self, slot: u32) -> Result<(), TestCaseError> {
        let held = (0..ACCOUNTS).any(|account| self.slow.place(account, slot).held > 0);
        if held || self.slow.delivered.contains(&slot) {
            return Ok(());
        }
        let mut released = 0;
        for account in 0..ACCOUNTS {
            let place = self.slow.places.remove(&(account, slot)).unwrap_or_default();
            self.slow.add_free(account, place.escrow);
            released += place.escrow;
        }
        self.slow.delivered.insert(slot);
        prop_assert_eq!(i128::from(self.fast.deliver(self.assets[slot as usize]).raw()), released);
        Ok(())
    }

    fn compare(&mut self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.fast.check(), Ok(()));
        prop_assert_eq!(self.fast.recount(), Ok(()));
        let micro = |amount: i128| MicroEc::new(i64::try_from(amount).expect("it fits a balance"));
        let mut sums = (0, 0, 0);
        for account in 0..ACCOUNTS {
            let escrow: i128 = (0..SLOTS).map(|slot| self.slow.place(account, slot).escrow).sum();
            let (free, held) = (self.slow.free(account), self.slow.held(account));
            let expected = Credits { free: micro(free), held: micro(held), escrow: micro(escrow) };
            prop_assert_eq!(self.fast.credits(self.account(account)), expected, "account {}", account);
            sums = (sums.0 + free, sums.1 + held, sums.2 + escrow);
            for slot in 0..SLOTS {
                let position = self.fast.position(self.account(account), self.assets[slot as usize]);
                let place = position.map_or(Place::default(), |position| Place {
                    registered: position.registered,
                    free: position.free,
                    held: position.held,
                    escrow: position.escrow.raw().into(),
                });
                prop_assert_eq!(
                    place,
                    self.slow.place(account, slot),
                    "account {} in slot {}",
                    account,
                    slot
                );
            }
        }
        let totals = self.fast.totals();
        prop_assert_eq!((totals.minted, totals.retired), (self.slow.minted, self.slow.retired));
        prop_assert_eq!(
            (totals.free, totals.held, totals.escrow),
            (micro(sums.0), micro(sums.1), micro(sums.2))
        );
        prop_assert_eq!((totals.fees, totals.rounding), (micro(self.slow.fees), MicroEc::ZERO));
        prop_assert_eq!(self.slow.minted - self.slow.retired, sums.0 + sums.1 + sums.2 + self.slow.fees);
        for slot in 0..SLOTS {
            let asset = self.assets[slot as usize];
            prop_assert_eq!(self.fast.is_delivered(asset), self.slow.delivered.contains(&slot));
            let waiting: i128 = (0..ACCOUNTS).map(|account| self.slow.place(account, slot).escrow).sum();
            prop_assert_eq!(self.fast.escrow(asset), micro(waiting));
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_balance_is_what_a_map_says(steps in prop::collection::vec(step(), 1..150)) {
        let mut pair = Pair::new();
        for step in &steps {
            pair.run(step)?;
            pair.compare()?;
        }
    }
}
