//! The operator's commands: accounts, instruments, yields.

use joulebook_types::{AccountId, AreaCode, ClassCode, ClientOrderId, ModelId, Price, TimeNs, Yield};

use crate::message::message;

message! {
    /// Lists an instrument. Its id comes back in `RequestDone` and in `InstrumentDefinition`.
    ListInstrument {
        client_order_id: ClientOrderId,
        class: ClassCode,
        area: AreaCode,
        /// Minutes since 1970-01-01T00:00Z, on the grid of the length.
        start_minute: u32,
        /// 15, 60 or 1,440.
        window_minutes: u16,
        accelerators_per_lot: u16,
        tick: Price,
        /// The lowest price allowed, a multiple of the tick.
        band_low: Price,
        /// The highest price allowed, a multiple of the tick.
        band_high: Price,
        /// Zero opens at once.
        opens: TimeNs,
        /// When trading ends, at the window's start or before.
        gate: TimeNs,
        /// The most lots of one order.
        qty_max: u32,
        /// Parts per million of the notional, 0 to 100,000.
        taker_fee_ppm: i32,
        /// Parts per million of the notional, up to 100,000; negative is a rebate, at most the taker's fee.
        maker_fee_ppm: i32,
        reserved: u32,
        /// What auctions and bands refer to before the first trade, a multiple of the tick; zero: nothing.
        reference_price: Price,
    }

    /// Opens an account.
    OpenAccount {
        client_order_id: ClientOrderId,
        account: AccountId,
        /// Bit n-1 is role n: 1 operator, 2 issuer, 3 seller, 4 buyer, 5 maker, 6 meter, 7 drop copy.
        roles: u16,
        reserved: u16,
        /// Accounts of one non-zero group never trade with each other; zero is a group of its own.
        self_trade_group: u32,
        reserved2: u32,
        /// Ed25519.
        public_key: [u8; 32],
        /// For people: UTF-8, zero padded.
        name: [u8; 16],
    }

    /// Sets how many tokens of a reference model a class yields. Versioned by its place in the journal.
    SetYield {
        client_order_id: ClientOrderId,
        class: ClassCode,
        /// Kilo-tokens per accelerator-hour; zero removes the entry.
        yield_ktok: Yield,
        model: ModelId,
        reserved: u16,
        /// For people, such as `llama2-70b/server`: UTF-8, zero padded.
        model_name: [u8; 24],
    }
}

/// The text of a zero-padded field; what is not UTF-8 is shown as `?`.
pub fn padded_text(bytes: &[u8]) -> &str {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    core::str::from_utf8(&bytes[..end]).unwrap_or("?")
}

/// `text`, cut at a character boundary to at most `N` bytes and zero padded.
pub fn pad_text<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    let end = (0..=text.len().min(N)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    bytes[..end].copy_from_slice(&text.as_bytes()[..end]);
    bytes
}
