//! A shard that serves one power zone takes nothing of another.

use core::mem::offset_of;

use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::{Genesis, ListInstrument, RegisterCapacity};

use crate::market::*;

const ELSEWHERE: &str = "H200S.FR.20261124T1400.H";

#[test]
fn listings_and_capacity_of_another_zone_are_refused() {
    let mut market = Market::with_limits(Genesis { area: symbol(HOUR).area, ..GENESIS });
    market.send(OPERATOR, list_instrument(ELSEWHERE));
    let area = offset_of!(ListInstrument, area);
    assert_eq!(market.last_reject(), (RejectReason::CrossShard, area, 0, 0));
    market.send(SELLER, register_capacity(ELSEWHERE, 8));
    let area = offset_of!(RegisterCapacity, area);
    assert_eq!(market.last_reject(), (RejectReason::CrossShard, area, 0, 0));
    market.list(HOUR);
    market.register(SELLER, HOUR, 8);
}

#[test]
fn every_other_rule_comes_first() {
    let mut market = Market::with_limits(Genesis { area: symbol(HOUR).area, instruments_max: 1, ..GENESIS });
    let free_of_charge = ListInstrument { taker_fee_ppm: 100_001, ..list_instrument(ELSEWHERE) };
    assert_eq!(market.send(OPERATOR, free_of_charge), ["1: rejected InvalidFee"]);
    market.list(HOUR);
    assert_eq!(market.send(OPERATOR, list_instrument(ELSEWHERE)), ["1: rejected InstrumentLimit"]);
    let gone = register_capacity("H200S.FR.20261123T1400.H", 8);
    assert_eq!(market.send(SELLER, gone), ["10: rejected GateClosed"]);
}

#[test]
fn a_shard_of_no_zone_serves_all() {
    let mut market = Market::new();
    market.list(HOUR);
    market.list(ELSEWHERE);
    market.register(SELLER, ELSEWHERE, 8);
}
