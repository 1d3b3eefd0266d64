//! Closed sets with fixed wire numbers. Zero is no value, so a forgotten field is noticed, or the plain one.

macro_rules! wire_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $raw:literal $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$variant_doc])* $variant = $raw),+ }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// `None` for a number that this version does not know.
            pub const fn from_raw(raw: u8) -> Option<Self> {
                match raw {
                    $($raw => Some(Self::$variant),)+
                    _ => None,
                }
            }

            pub const fn raw(self) -> u8 {
                self as u8
            }

            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

wire_enum!(
    /// The side of an order.
    Side { Buy = 1 "buy", Sell = 2 "sell" }
);

impl Side {
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }
}

wire_enum!(
    /// How long an order works.
    TimeInForce {
        /// Until canceled or the gate of its window closes.
        Gtc = 1 "gtc",
        /// Immediate or cancel: what does not trade at once is canceled.
        Ioc = 2 "ioc",
        /// Fill or kill: all at once or not at all.
        Fok = 3 "fok",
        /// Good till date: as [`TimeInForce::Gtc`], but no longer than to its own time.
        Gtd = 4 "gtd",
    }
);

wire_enum!(
    /// What limits the price of an order.
    OrderType {
        /// Its own price.
        Limit = 0 "limit",
        /// The price band.
        Market = 1 "market",
        /// The price band, and what it may spend.
        Budget = 2 "budget",
    }
);

wire_enum!(
    /// What an order waits for before it acts.
    Trigger {
        None = 0 "none",
        /// A trade at a price.
        Stop = 1 "stop",
        /// A trade at a distance from the best price since its activation.
        Trailing = 2 "trailing",
    }
);

wire_enum!(
    /// What happens when an order meets another of its own group; the order that takes decides.
    SelfTradeMode {
        /// What is left of the order that takes is canceled.
        CancelAggressor = 0 "cancel-aggressor",
        /// The resting order is canceled, and the other goes on.
        CancelResting = 1 "cancel-resting",
        CancelBoth = 2 "cancel-both",
        /// Both shrink by the smaller of the two, which is gone then.
        Decrement = 3 "decrement-and-cancel",
    }
);

wire_enum!(
    /// Where an instrument is in its life.
    Phase {
        /// Listed, not open yet.
        Pending = 1 "pending",
        PreOpen = 2 "pre-open",
        Open = 3 "open",
        /// New orders are refused, cancels work.
        Halted = 4 "halted",
        Auction = 5 "auction",
        /// The gate has passed.
        Closed = 6 "closed",
        Delivering = 7 "delivering",
        Settled = 8 "settled",
    }
);

wire_enum!(
    /// What an account may do. Wire number = bit position + 1 in [`Roles`].
    Role {
        /// Lists instruments, opens accounts, sets yields. Only on the operator endpoint.
        Operator = 1 "operator",
        /// Mints, retires and deposits energy credits.
        Issuer = 2 "issuer",
        /// Registers capacity.
        Seller = 3 "seller",
        Buyer = 4 "buyer",
        Maker = 5 "maker",
        /// Posts deliveries.
        Meter = 6 "meter",
        DropCopy = 7 "drop-copy",
    }
);

/// A set of [`Role`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles(u16);

impl Roles {
    pub const NONE: Self = Self(0);

    /// Unknown bits are refused, so a role that this version does not know is never granted by accident.
    pub const fn from_bits(bits: u16) -> Option<Self> {
        if bits < 1 << Role::ALL.len() { Some(Self(bits)) } else { None }
    }

    pub const fn bits(self) -> u16 {
        self.0
    }

    pub const fn with(self, role: Role) -> Self {
        Self(self.0 | 1 << (role.raw() - 1))
    }

    pub const fn has(self, role: Role) -> bool {
        self.0 & 1 << (role.raw() - 1) != 0
    }

    /// May send orders.
    pub const fn may_trade(self) -> bool {
        self.has(Role::Seller) || self.has(Role::Buyer) || self.has(Role::Maker)
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        roles.into_iter().fold(Self::NONE, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_numbers_are_none() {
        assert_eq!(Side::from_raw(0), None);
        assert_eq!(Side::from_raw(2), Some(Side::Sell));
        assert_eq!(TimeInForce::from_raw(9), None);
        assert_eq!(Roles::from_bits(1 << 7), None);
        assert!(Roles::from_iter([Role::Buyer]).may_trade());
        assert!(!Roles::from_iter([Role::Issuer, Role::Operator]).may_trade());
    }
}
