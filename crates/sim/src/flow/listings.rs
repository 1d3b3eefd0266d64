//! The instruments of a run.

use joulebook_protocol::messages::ListInstrument;
use joulebook_types::{Price, TimeNs};

use super::{START_MINUTE, area, class, price};

/// Hours of three classes, and the first two quarters of the first.
pub fn listings() -> [ListInstrument; 5] {
    let hour = ListInstrument {
        class: class(0),
        area: area(),
        start_minute: START_MINUTE,
        window_minutes: 60,
        accelerators_per_lot: 2,
        tick: Price::new(1_000),
        band_low: price(97),
        band_high: price(103),
        opens: TimeNs::ZERO,
        gate: TimeNs::from_minutes(START_MINUTE - 15),
        qty_max: 6,
        taker_fee_ppm: 3_333,
        maker_fee_ppm: 1_111,
        reference_price: price(100),
        ..Default::default()
    };
    let quarter = |start_minute| ListInstrument {
        start_minute,
        window_minutes: 15,
        gate: TimeNs::from_minutes(START_MINUTE - 3),
        reference_price: Price::ZERO,
        ..hour
    };
    [
        hour,
        ListInstrument { class: class(1), accelerators_per_lot: 3, maker_fee_ppm: -2_345, ..hour },
        ListInstrument { class: class(2), reference_price: Price::ZERO, ..hour },
        quarter(START_MINUTE),
        quarter(START_MINUTE + 15),
    ]
}
