//! Accounts, listings, yields, credits, capacity: every rule that refuses one.

use joulebook_protocol::messages::*;
use joulebook_types::{AccountId, MicroEc, ModelId, Price, Role, Roles, TimeNs, Yield};

use crate::market::*;

fn check(cases: &[(&str, u32, joulebook_protocol::Command, &str)], mut market: Market) {
    for (name, account, command, line) in cases {
        let said = market.send(*account, *command);
        assert_eq!(said.last().unwrap(), &format!("{account}: {line}"), "{name}");
    }
}

#[test]
fn listings() {
    let good = list_instrument(HOUR);
    let start = TimeNs::from_minutes(good.start_minute);
    let market = Market::new();
    let now = market.engine.time();
    let list = |list: ListInstrument| list.into();
    check(
        &[
            ("not an operator", SELLER, list(good), "rejected NotAuthorised"),
            (
                "no class",
                OPERATOR,
                list(ListInstrument { class: Default::default(), ..good }),
                "rejected InvalidCode",
            ),
            (
                "no area",
                OPERATOR,
                list(ListInstrument { area: Default::default(), ..good }),
                "rejected InvalidCode",
            ),
            (
                "half an hour",
                OPERATOR,
                list(ListInstrument { window_minutes: 30, ..good }),
                "rejected InvalidWindow",
            ),
            (
                "off the grid",
                OPERATOR,
                list(ListInstrument { start_minute: good.start_minute + 15, ..good }),
                "rejected InvalidWindow",
            ),
            ("no tick", OPERATOR, list(ListInstrument { tick: Price::ZERO, ..good }), "rejected InvalidTick"),
            (
                "inexact tick",
                OPERATOR,
                list(ListInstrument { tick: Price::new(1), accelerators_per_lot: 1, ..good }),
                "rejected InvalidTick",
            ),
            (
                "band of zero",
                OPERATOR,
                list(ListInstrument { band_low: Price::ZERO, ..good }),
                "rejected InvalidBand",
            ),
            (
                "band off the tick",
                OPERATOR,
                list(ListInstrument { band_high: Price::new(999_999_999), ..good }),
                "rejected InvalidBand",
            ),
            (
                "empty band",
                OPERATOR,
                list(ListInstrument { band_low: price("10"), band_high: price("9.99"), ..good }),
                "rejected InvalidBand",
            ),
            (
                "no accelerators",
                OPERATOR,
                list(ListInstrument { accelerators_per_lot: 0, ..good }),
                "rejected InvalidLot",
            ),
            ("no lots", OPERATOR, list(ListInstrument { qty_max: 0, ..good }), "rejected InvalidLot"),
            ("gate now", OPERATOR, list(ListInstrument { gate: now, ..good }), "rejected InvalidGate"),
            (
                "gate after the start",
                OPERATOR,
                list(ListInstrument { gate: TimeNs::new(start.raw() + 1), ..good }),
                "rejected InvalidGate",
            ),
            (
                "opens after its gate",
                OPERATOR,
                list(ListInstrument { opens: start, ..good }),
                "rejected InvalidGate",
            ),
            ("a rebate", OPERATOR, list(ListInstrument { maker_fee_ppm: -1, ..good }), "rejected InvalidFee"),
            (
                "a fee of more",
                OPERATOR,
                list(ListInstrument { taker_fee_ppm: 100_001, ..good }),
                "rejected InvalidFee",
            ),
            (
                "bounds are allowed",
                OPERATOR,
                list(ListInstrument { gate: start, taker_fee_ppm: 100_000, ..good }),
                "done 1",
            ),
            ("again", OPERATOR, list(good), "rejected AlreadyListed"),
            ("another length", OPERATOR, list(list_instrument("H200S.DE.20261124T1400.Q")), "done 2"),
            ("a day", OPERATOR, list(list_instrument("H200S.DE.20261125T0000.D")), "done 3"),
        ],
        market,
    );
}

#[test]
fn accounts() {
    let roles = |roles: &[Role]| roles.iter().copied().collect::<Roles>();
    let open = |account, roles: Roles| open_account(account, roles, 0).into();
    check(
        &[
            ("not an operator", ISSUER, open(50, roles(&[Role::Buyer])), "rejected NotAuthorised"),
            ("account zero", OPERATOR, open(0, roles(&[Role::Buyer])), "rejected InvalidChoice"),
            ("exists", OPERATOR, open(BUYER, Roles::NONE), "rejected AccountExists"),
            ("no role", OPERATOR, open(50, Roles::NONE), "rejected InvalidRoles"),
            (
                "unknown role",
                OPERATOR,
                OpenAccount { account: AccountId::new(50), roles: 1 << 7, ..Default::default() }.into(),
                "rejected InvalidRoles",
            ),
            (
                "runs the market and trades",
                OPERATOR,
                open(50, roles(&[Role::Operator, Role::Maker])),
                "rejected InvalidRoles",
            ),
            (
                "meters itself",
                OPERATOR,
                open(50, roles(&[Role::Meter, Role::Seller])),
                "rejected InvalidRoles",
            ),
            (
                "more than listens",
                OPERATOR,
                open(50, roles(&[Role::DropCopy, Role::Buyer])),
                "rejected InvalidRoles",
            ),
            ("several", OPERATOR, open(50, roles(&[Role::Issuer, Role::Seller, Role::Buyer])), "done 50"),
        ],
        Market::new(),
    );
}

#[test]
fn yields() {
    let good = SetYield {
        class: "H200S".parse().unwrap(),
        model: ModelId::new(1),
        yield_ktok: Yield::new(15_387),
        ..Default::default()
    };
    check(
        &[
            ("not an operator", MAKER, good.into(), "rejected NotAuthorised"),
            (
                "no class",
                OPERATOR,
                SetYield { class: Default::default(), ..good }.into(),
                "rejected InvalidCode",
            ),
            ("no model", OPERATOR, SetYield { model: ModelId::NONE, ..good }.into(), "rejected InvalidYield"),
            ("good", OPERATOR, good.into(), "done 15387"),
            ("remove", OPERATOR, SetYield { yield_ktok: Yield::ZERO, ..good }.into(), "done 0"),
            ("remove again", OPERATOR, SetYield { yield_ktok: Yield::ZERO, ..good }.into(), "done 0"),
        ],
        Market::new(),
    );
}

#[test]
fn credits() {
    let ec = MicroEc::from_ec;
    let mint = |amount| MintCredits { amount, ..Default::default() }.into();
    let retire = |amount| RetireCredits { amount, ..Default::default() }.into();
    let deposit = |amount, to| DepositCredits { amount, to: AccountId::new(to), ..Default::default() }.into();
    check(
        &[
            ("not an issuer", BUYER, mint(ec(1)), "rejected NotAuthorised"),
            ("mint nothing", ISSUER, mint(ec(0)), "rejected AmountNotPositive"),
            ("mint less", ISSUER, mint(ec(-1)), "rejected AmountNotPositive"),
            ("mint", ISSUER, mint(ec(10)), "done 10000000"),
            ("retire nothing", ISSUER, retire(ec(0)), "rejected AmountNotPositive"),
            ("retire more", ISSUER, retire(ec(11)), "rejected InsufficientCredits"),
            ("retire", ISSUER, retire(ec(4)), "done 4000000"),
            ("deposit to nobody", ISSUER, deposit(ec(1), 999), "rejected UnknownAccount"),
            ("deposit nothing", ISSUER, deposit(ec(0), BUYER), "rejected AmountNotPositive"),
            ("deposit more", ISSUER, deposit(ec(7), BUYER), "rejected InsufficientCredits"),
            ("deposit to itself", ISSUER, deposit(ec(6), ISSUER), "done 6000000"),
            ("deposit", ISSUER, deposit(ec(6), BUYER), "done 6000000"),
            ("and it is gone", ISSUER, retire(ec(1)), "rejected InsufficientCredits"),
        ],
        Market::new(),
    );
}

#[test]
fn capacity() {
    let good = register_capacity(HOUR, 8);
    let with = |register: RegisterCapacity| register.into();
    check(
        &[
            ("not a seller", MAKER, with(good), "rejected NotAuthorised"),
            (
                "none",
                SELLER,
                with(RegisterCapacity { accelerators: 0, ..good }),
                "rejected AmountNotPositive",
            ),
            (
                "no class",
                SELLER,
                with(RegisterCapacity { class: Default::default(), ..good }),
                "rejected InvalidCode",
            ),
            (
                "no area",
                SELLER,
                with(RegisterCapacity { area: Default::default(), ..good }),
                "rejected InvalidCode",
            ),
            (
                "bad window",
                SELLER,
                with(RegisterCapacity { window_minutes: 7, ..good }),
                "rejected InvalidWindow",
            ),
            ("good", SELLER, with(good), "done 8"),
            (
                "too many for the slot",
                SELLER_2,
                with(RegisterCapacity { accelerators: u32::MAX - 7, ..good }),
                "rejected BalanceOverflow",
            ),
        ],
        Market::new(),
    );
}
