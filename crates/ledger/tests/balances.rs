//! Holds, settlement, escrow and delivery, with a recount after every step.

use joulebook_ledger::{
    AccountIx, AssetIx, CapacityError, CreditError, Credits, Ledger, Settlement, SlotKey,
};
use joulebook_types::{MicroEc, QuarterSlot};

fn ec(ec: i64) -> MicroEc {
    MicroEc::from_ec(ec)
}

/// Two sellers, a buyer with 1,000 EC, and the four quarters of an hour.
fn market() -> (Ledger, [AccountIx; 3], [AssetIx; 4]) {
    let mut ledger = Ledger::default();
    let accounts = [(); 3].map(|()| ledger.open_account());
    let assets = [0, 1, 2, 3].map(|quarter| {
        let (class, area) = ("H200S".parse().unwrap(), "DE".parse().unwrap());
        ledger.intern(SlotKey { class, area, slot: QuarterSlot::new(100 + quarter) })
    });
    ledger.mint(accounts[2], ec(1_000)).unwrap();
    (ledger, accounts, assets)
}

/// Holds on both sides, then the trade.
fn trade(ledger: &mut Ledger, settlement: Settlement<'_>) {
    ledger.hold_credits(settlement.buyer, settlement.buyer_release).unwrap();
    ledger.hold_capacity(settlement.seller, settlement.assets, settlement.accelerators).unwrap();
    ledger.settle(&settlement);
    ledger.check().unwrap();
    ledger.recount().unwrap();
}

fn credits(free: i64, held: i64, escrow: i64) -> Credits {
    Credits { free: ec(free), held: ec(held), escrow: ec(escrow) }
}

#[test]
fn registered_capacity_waits_in_escrow_until_delivery() {
    let (mut ledger, [seller, _, buyer], assets) = market();
    ledger.register(seller, &assets, 16).unwrap();
    trade(
        &mut ledger,
        Settlement {
            buyer,
            seller,
            assets: &assets,
            accelerators: 8,
            notional: ec(200),
            buyer_fee: ec(2),
            seller_fee: ec(4),
            buyer_release: ec(250),
        },
    );
    assert_eq!(ledger.credits(buyer), credits(798, 0, 0));
    assert_eq!(ledger.credits(seller), credits(0, 0, 196), "the fee comes out of the escrow");
    assert_eq!(ledger.totals().fees, ec(6));
    assert_eq!(assets.map(|asset| ledger.escrow(asset)), [ec(49); 4], "of every slot alike");
    assert_eq!(ledger.free_capacity(buyer, &assets), 8);

    assert_eq!(ledger.deliver(assets[0]), ec(49));
    assert!(ledger.is_delivered(assets[0]));
    ledger.recount().unwrap();
    assert_eq!(ledger.credits(seller), credits(49, 0, 147));
    assert_eq!(ledger.positions(buyer).count(), 3, "a delivered slot is gone");
    assert_eq!(ledger.positions(seller).count(), 3);
}

#[test]
fn a_resale_is_paid_at_once() {
    let (mut ledger, [seller, reseller, buyer], assets) = market();
    let slot = &assets[..1];
    ledger.mint(reseller, ec(100)).unwrap();
    ledger.register(seller, slot, 8).unwrap();
    ledger.register(reseller, slot, 8).unwrap();
    let free_of_fees = |buyer, seller, accelerators, notional| Settlement {
        buyer,
        seller,
        assets: slot,
        accelerators,
        notional,
        buyer_fee: MicroEc::ZERO,
        seller_fee: MicroEc::ZERO,
        buyer_release: notional,
    };
    trade(&mut ledger, free_of_fees(reseller, seller, 8, ec(100)));
    // The documented example: 16 of which 8 were bought, 12 sold for 120 EC with a fee of 1 EC.
    trade(&mut ledger, Settlement { seller_fee: ec(1), ..free_of_fees(buyer, reseller, 12, ec(120)) });
    assert_eq!(ledger.credits(reseller), credits(79, 0, 40));
    trade(&mut ledger, free_of_fees(buyer, reseller, 4, ec(40)));
    assert_eq!(ledger.credits(reseller), credits(79, 0, 80), "the rest is registered");
    // The buyer registered nothing: all that it sells is a resale.
    trade(&mut ledger, free_of_fees(reseller, buyer, 16, ec(64)));
    assert_eq!(ledger.credits(buyer), credits(1_000 - 120 - 40 + 64, 0, 0));
}

#[test]
fn escrow_is_rounded_up_and_nothing_is_lost() {
    let (mut ledger, [seller, other, buyer], assets) = market();
    let slot = &assets[..1];
    ledger.register(seller, slot, 1).unwrap();
    ledger.register(other, slot, 2).unwrap();
    ledger.mint(seller, ec(1)).unwrap();
    let notional = MicroEc::new(100);
    let deal = |buyer, seller, accelerators| Settlement {
        buyer,
        seller,
        assets: slot,
        accelerators,
        notional,
        buyer_fee: MicroEc::ZERO,
        seller_fee: MicroEc::ZERO,
        buyer_release: notional,
    };
    trade(&mut ledger, deal(seller, other, 2));
    trade(&mut ledger, deal(buyer, seller, 3));
    assert_eq!(ledger.credits(seller).escrow, MicroEc::new(34), "a third of 100, rounded up");
    assert_eq!(ledger.credits(seller).free, ec(1) - notional + MicroEc::new(66));
}

#[test]
fn holds_cover_all_slots_or_none() {
    let (mut ledger, [seller, ..], assets) = market();
    ledger.register(seller, &assets, 8).unwrap();
    ledger.hold_capacity(seller, &assets[2..3], 3).unwrap();
    let refused = ledger.hold_capacity(seller, &assets, 6);
    assert_eq!(refused, Err(CapacityError::Insufficient { free: 5 }), "the tightest quarter counts");
    assert_eq!(ledger.position(seller, assets[0]).unwrap().held, 0);
    ledger.hold_capacity(seller, &assets, 5).unwrap();
    ledger.release_capacity(seller, &assets, 5);
    ledger.release_capacity(seller, &assets[2..3], 3);
    assert_eq!(ledger.free_capacity(seller, &assets), 8);
    ledger.recount().unwrap();
}

#[test]
fn what_does_not_fit_is_refused_without_effect() {
    let (mut ledger, [seller, _, buyer], assets) = market();
    assert_eq!(ledger.hold_credits(buyer, ec(1_001)), Err(CreditError::Insufficient { free: ec(1_000) }));
    assert_eq!(ledger.retire(seller, ec(1)), Err(CreditError::Insufficient { free: ec(0) }));
    assert_eq!(ledger.deposit(seller, buyer, ec(1)), Err(CreditError::Insufficient { free: ec(0) }));
    assert_eq!(ledger.mint(seller, MicroEc::MAX), Err(CreditError::Overflow));
    ledger.register(seller, &assets[3..], u32::MAX).unwrap();
    assert_eq!(ledger.register(seller, &assets, 1), Err(CapacityError::Overflow));
    assert_eq!(ledger.free_capacity(seller, &assets[..1]), 0, "no slot got anything");
    ledger.retire(buyer, ec(1_000)).unwrap();
    ledger.mint(seller, MicroEc::MAX).unwrap();
    ledger.recount().unwrap();
    assert_eq!(ledger.totals().supply(), i128::from(i64::MAX));
}

#[test]
fn a_rebate_comes_out_of_the_other_sides_fee() {
    let (mut ledger, [seller, _, buyer], assets) = market();
    ledger.register(seller, &assets, 16).unwrap();
    let deal = |buyer_fee, seller_fee| Settlement {
        buyer,
        seller,
        assets: &assets,
        accelerators: 8,
        notional: ec(200),
        buyer_fee,
        seller_fee,
        buyer_release: ec(210),
    };
    trade(&mut ledger, deal(ec(3), ec(-2)));
    assert_eq!(ledger.credits(buyer), credits(797, 0, 0));
    assert_eq!(ledger.credits(seller), credits(2, 0, 200), "the rebate is free at once");
    assert_eq!(ledger.totals().fees, ec(1));
    trade(&mut ledger, deal(ec(-3), ec(3)));
    assert_eq!(ledger.credits(buyer), credits(600, 0, 0));
    assert_eq!(ledger.credits(seller), credits(2, 0, 397), "the fee comes out of the escrow");
    assert_eq!(ledger.totals().fees, ec(1), "nothing is left of a fee that is given back whole");
}

#[test]
#[should_panic(expected = "a rebate is at most the other side's fee")]
fn a_rebate_above_the_other_sides_fee_is_a_defect() {
    let (mut ledger, [seller, _, buyer], assets) = market();
    ledger.register(seller, &assets, 8).unwrap();
    let (buyer_fee, seller_fee) = (ec(1), ec(-2));
    let (accelerators, notional, buyer_release) = (8, ec(200), ec(210));
    let assets = &assets;
    trade(
        &mut ledger,
        Settlement { buyer, seller, assets, accelerators, notional, buyer_fee, seller_fee, buyer_release },
    );
}
