//! Identifiers: dense counters that the engine hands out, or numbers that a client chose.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($raw:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, FromBytes, IntoBytes, KnownLayout, Immutable,
        )]
        #[repr(transparent)]
        pub struct $name($raw);

        impl $name {
            /// The value that names nothing.
            pub const NONE: Self = Self(0);

            pub const fn new(raw: $raw) -> Self {
                Self(raw)
            }

            pub const fn raw(self) -> $raw {
                self.0
            }

            pub const fn is_none(self) -> bool {
                self.0 == 0
            }

            /// The identifier after this one.
            ///
            /// # Panics
            /// When the counter is exhausted, which no run reaches.
            pub const fn next(self) -> Self {
                Self(self.0.checked_add(1).expect("identifier counter exhausted"))
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// An account of one participant. Chosen by the operator, 1 and up.
    AccountId(u32)
);
id!(
    /// A logical trading session of one account, chosen by the client, 1 and up. It outlives connections.
    SessionId(u32)
);
id!(
    /// One connection of a session to one gateway: gateway number in the upper 16 bits, a counter below.
    ConnectionId(u64)
);
id!(
    /// A listed instrument. Assigned by the engine in listing order, never reused.
    InstrumentId(u32)
);
id!(
    /// An order. Assigned by the engine, never reused.
    OrderId(u64)
);
id!(
    /// A trade. Assigned by the engine, never reused.
    TradeId(u64)
);
id!(
    /// The client's own strictly increasing number of a request, within (account, session).
    ClientOrderId(u64)
);
id!(
    /// A reference model of the yield table.
    ModelId(u16)
);
id!(
    /// Position of a command in the sequenced stream, 1 and up, without gaps.
    SeqNum(u64)
);
id!(
    /// A shard: one engine, one journal, one power zone or more.
    ShardId(u16)
);

/// Where an order lies in the engine's slab: a hint that cancel and replace may echo.
///
/// It is verified against the order id and has no other meaning; a restart may renumber slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(transparent)]
pub struct SlotHint(u32);

impl SlotHint {
    /// "I do not know": the engine looks the order up by its id.
    pub const UNKNOWN: Self = Self(u32::MAX);

    pub const fn new(raw: u32) -> Self {
        Self(raw)
    }

    pub const fn raw(self) -> u32 {
        self.0
    }
}

impl ConnectionId {
    /// The gateway that owns the connection.
    pub const fn gateway(self) -> u16 {
        (self.0 >> 48) as u16
    }

    /// The `counter`th connection of `gateway`; counters start at 1 and stay below 2^48.
    pub const fn of_gateway(gateway: u16, counter: u64) -> Self {
        assert!(counter != 0 && counter < 1 << 48, "connection counter out of range");
        Self((gateway as u64) << 48 | counter)
    }
}
