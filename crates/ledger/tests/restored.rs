//! A ledger that is written down and restored is the same ledger, and one that does not add up is refused.

use joulebook_ledger::{AccountIx, AssetIx, Ledger, PositionBalances, SlotKey};
use joulebook_types::{MicroEc, QuarterSlot};

fn slot(number: u32) -> SlotKey {
    SlotKey { class: "H200S".parse().unwrap(), area: "DE".parse().unwrap(), slot: QuarterSlot::new(number) }
}

const fn ec(raw: i64) -> MicroEc {
    MicroEc::new(raw)
}

/// Two accounts, three slots of which one is delivered, holds in both.
fn ledger() -> Ledger {
    let mut ledger = Ledger::default();
    let (seller, buyer) = (ledger.open_account(), ledger.open_account());
    let assets: Vec<AssetIx> = [7, 5, 6].map(|number| ledger.intern(slot(number))).into();
    ledger.mint(buyer, ec(1_000)).unwrap();
    ledger.mint(seller, ec(10)).unwrap();
    ledger.retire(buyer, ec(100)).unwrap();
    ledger.register(seller, &assets, 8).unwrap();
    ledger.hold_credits(buyer, ec(300)).unwrap();
    ledger.hold_capacity(seller, &assets[1..], 3).unwrap();
    ledger.deliver(assets[0]);
    ledger
}

fn copy(ledger: &Ledger, accounts: u32) -> Result<Ledger, &'static str> {
    let mut restored = Ledger::default();
    for account in (0..accounts).map(AccountIx::new) {
        let credits = ledger.credits(account);
        restored.restore_account(credits.free, credits.held)?;
    }
    for (key, delivered) in ledger.slots() {
        restored.restore_slot(key, delivered)?;
    }
    let numbers = ledger.slot_numbers();
    for account in (0..accounts).map(AccountIx::new) {
        for (asset, balances) in ledger.places(account) {
            let asset = restored.slot_numbered(numbers[asset.index()]).expect("as many slots as there");
            restored.restore_position(account, asset, balances)?;
        }
    }
    let totals = ledger.totals();
    restored.restore_totals(totals.minted, totals.retired, totals.fees, totals.rounding)?;
    Ok(restored)
}

/// The account's positions by what their slots are called: a copy numbers slots anew.
fn places(ledger: &Ledger, account: AccountIx) -> impl Iterator<Item = (SlotKey, PositionBalances)> {
    ledger.places(account).map(|(asset, balances)| (ledger.slot_key(asset), balances))
}

#[test]
fn a_copy_is_the_same_ledger() {
    let mut ledger = ledger();
    let mut restored = copy(&ledger, 2).unwrap();
    for ledger in [&mut ledger, &mut restored] {
        // They go on alike.
        ledger
            .register(AccountIx::new(1), &[AssetIx::clone(&ledger.find_asset(slot(6)).unwrap())], 4)
            .unwrap();
        ledger.check().unwrap();
        ledger.recount().unwrap();
    }
    assert_eq!(restored.totals(), ledger.totals());
    assert_eq!(restored.open_slots(), 2);
    assert!(restored.slots().eq(ledger.slots()));
    for account in [0, 1].map(AccountIx::new) {
        assert_eq!(restored.credits(account), ledger.credits(account));
        assert!(places(&restored, account).eq(places(&ledger, account)));
    }
    assert_eq!(restored.slot_numbered(2).map(AssetIx::raw), Some(2));
    assert_eq!(restored.slot_numbered(3), None);
}

#[test]
fn what_does_not_add_up_is_refused() {
    let nothing = PositionBalances { registered: 0, free: 0, held: 0, escrow: MicroEc::ZERO };
    let mut ledger = Ledger::default();
    assert!(ledger.restore_account(ec(-1), ec(0)).is_err());
    let account = ledger.restore_account(ec(i64::MAX), ec(0)).unwrap();
    assert!(ledger.restore_account(ec(1), ec(0)).is_err(), "together they fit no balance");

    let asset = ledger.restore_slot(slot(1), false).unwrap();
    let gone = ledger.restore_slot(slot(2), true).unwrap();
    assert!(ledger.restore_slot(slot(1), true).is_err());
    assert!(ledger.restore_position(account, gone, nothing).is_err());
    let much = PositionBalances { free: u64::from(u32::MAX) + 1, ..nothing };
    assert!(ledger.restore_position(account, asset, much).is_err());
    let negative = PositionBalances { escrow: ec(-1), ..nothing };
    assert!(ledger.restore_position(account, asset, negative).is_err());
    ledger.restore_position(account, asset, nothing).unwrap();
    assert!(ledger.restore_position(account, asset, nothing).is_err(), "it has one there");

    let all = i128::from(i64::MAX);
    for (minted, retired, fees) in
        [(all - 1, 0, 0), (all + 1, 0, 1), (all, -1, 0), (i128::MAX, i128::MAX - all, 0), (all - 1, 0, -1)]
    {
        let totals = ledger.restore_totals(minted, retired, ec(fees), ec(0));
        assert!(totals.is_err(), "{minted} {retired} {fees}");
    }
    assert!(ledger.restore_totals(all, 0, ec(0), ec(0)).is_ok());
}

#[test]
fn capacity_that_nobody_registered_is_refused() {
    let mut ledger = Ledger::default();
    let account = ledger.restore_account(ec(0), ec(0)).unwrap();
    let asset = ledger.restore_slot(slot(1), false).unwrap();
    let found = PositionBalances { registered: 3, free: 2, held: 2, escrow: MicroEc::ZERO };
    ledger.restore_position(account, asset, found).unwrap();
    assert!(ledger.restore_totals(0, 0, ec(0), ec(0)).is_err());
}
