//! Credits and capacity: mint, retire, deposit, register, deliver.

use joulebook_types::{AccountId, AreaCode, ClassCode, ClientOrderId, MicroEc, QuarterSlot};

use crate::message::message;

message! {
    /// Creates energy credits in the issuer's account.
    MintCredits {
        client_order_id: ClientOrderId,
        amount: MicroEc,
        /// The issuer's proof of the energy behind the credits, as a number of its register.
        attestation: u64,
    }

    /// Destroys free credits of the sender.
    RetireCredits {
        client_order_id: ClientOrderId,
        amount: MicroEc,
    }

    /// Moves free credits of the issuer to an account.
    DepositCredits {
        client_order_id: ClientOrderId,
        amount: MicroEc,
        to: AccountId,
        reserved: u32,
    }

    /// Registers accelerators of the seller for every quarter hour of a window.
    RegisterCapacity {
        client_order_id: ClientOrderId,
        class: ClassCode,
        area: AreaCode,
        /// Minutes since 1970-01-01T00:00Z, on the grid of the length.
        start_minute: u32,
        /// 15, 60 or 1,440.
        window_minutes: u16,
        reserved: u16,
        /// Accelerators, not lots: books of different lots share the slot.
        accelerators: u32,
        reserved2: u32,
    }

    /// Says that a quarter hour was delivered in full: the sellers' escrow is released.
    DeliverSlot {
        client_order_id: ClientOrderId,
        class: ClassCode,
        area: AreaCode,
        slot: QuarterSlot,
        reserved: u32,
    }
}
