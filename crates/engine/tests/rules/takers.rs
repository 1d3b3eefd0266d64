//! Orders that take go a short way where nothing about them is special, and a long one else: both come to the same.

use std::collections::BTreeMap;

use joulebook_protocol::Command;
use joulebook_protocol::messages::{KillSwitch, NewOrder, SetLimits};
use joulebook_types::{AccountId, MicroEc, Price, Side, TimeInForce, TimeNs};

use crate::market::*;
use crate::quotes::{pair, quote};

const COMMANDS: usize = 1_500;
const ACCOUNTS: [u32; 4] = [SELLER, SELLER_2, BUYER, BUYER_2];

/// Multiplies by a primitive root modulo a prime.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0 * 48_271 % 2_147_483_647;
        self.0 % sides
    }

    /// Everybody trades on both sides, at few prices, so that most orders meet some and now and then their own account's.
    fn order(&mut self, engine_time: TimeNs) -> NewOrder {
        let side = if self.below(2) == 0 { Side::Buy } else { Side::Sell };
        let qty = if self.below(40) == 0 { 100_000 } else { 1 + self.below(9) as u32 };
        let at = format!("{}.{:02}", 26 + self.below(2), 25 * self.below(4));
        let plain = order(side, qty, &at);
        match self.below(12) {
            0..4 => plain,
            4..8 => ioc(plain),
            8 => NewOrder { display_qty: qty.div_ceil(3), ..plain },
            9 => {
                let expires = TimeNs::new(engine_time.raw() + 1 + self.below(5_000_000));
                NewOrder { time_in_force: TimeInForce::Gtd.raw(), expires, ..plain }
            }
            10 => post_only(plain),
            _ => NewOrder { price: Price::new(plain.price.raw() + 1), ..plain },
        }
    }

    fn command(&mut self, market: &Market) -> (u32, Command) {
        let account = ACCOUNTS[self.below(4) as usize];
        if self.below(12) == 0 {
            let sizes = [self.below(6) as u32, self.below(6) as u32];
            return (MAKER, quote(&[pair(1, (sizes[0], "26.25"), (sizes[1], "27.25"))]).into());
        }
        (account, self.order(market.engine.time()).into())
    }
}

fn figures(market: &Market) -> Vec<((i64, i64, i64), u32, i128)> {
    let of = |account| {
        let exposure = market.engine.exposure(AccountId::new(account)).unwrap();
        (market.credits(account), exposure.open_orders, exposure.open_value)
    };
    ACCOUNTS.map(of).to_vec()
}

/// No order goes the short way while any class is switched off, here one of which nothing is listed.
fn switch_off_another_class() -> KillSwitch {
    KillSwitch {
        scope: KillSwitch::SCOPE_CLASS,
        action: KillSwitch::KILL,
        class: "NONE".parse().unwrap(),
        ..Default::default()
    }
}

/// What happened how often, by the word behind whom it was told to.
fn count(said: &[String], seen: &mut BTreeMap<String, usize>) {
    for line in said {
        let word = line.split(' ').nth(1).unwrap_or_default().to_string();
        let reason = line.split(' ').next_back().unwrap_or_default();
        let ends = if word == "rejected" || word == "canceled" { reason } else { "" };
        *seen.entry(format!("{word} {ends}")).or_default() += 1;
    }
}

#[test]
fn takers_get_the_same_on_both_ways() {
    let (mut short, mut long) = (Market::trading(), Market::trading());
    long.send(OPERATOR, switch_off_another_class());
    for market in [&mut short, &mut long] {
        market.deposit(SELLER, 100_000);
    }
    let (mut dice, mut seen) = (Dice(7), BTreeMap::new());
    for step in 0..COMMANDS {
        if step == COMMANDS / 2 {
            let capped = SetLimits {
                account: AccountId::new(BUYER_2),
                open_value_max: MicroEc::new(3_000_000_000),
                window_accelerators_max: 400,
                ..Default::default()
            };
            assert_eq!(short.send(OPERATOR, capped), long.send(OPERATOR, capped));
        }
        if dice.below(10) == 0 {
            assert_eq!(short.advance_ms(1), long.advance_ms(1));
        }
        let (account, command) = dice.command(&short);
        let said = short.send_all(account, command);
        assert_eq!(long.send_all(account, command), said, "command {step}");
        assert_eq!(figures(&long), figures(&short), "command {step}: {said:?}");
        count(&said, &mut seen);
    }
    for happened in [
        "trade ",
        "canceled ImmediateRemainder",
        "canceled SelfTrade",
        "rejected InsufficientCredits",
        "rejected InsufficientCapacity",
        "rejected PostOnlyWouldTrade",
        "rejected PriceOffTick",
        "rejected WindowCap",
    ] {
        assert!(seen.get(happened).is_some_and(|times| *times > 2), "{happened}: {seen:?}");
    }
}
