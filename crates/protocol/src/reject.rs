//! Closed sets of reasons with stable numbers.

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident: $raw:ty { $($(#[doc = $code_doc:literal])+ $code:ident = $number:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr($raw)]
        pub enum $name { $($(#[doc = $code_doc])+ $code = $number,)+ }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$code,)+];

            pub const fn raw(self) -> $raw {
                self as $raw
            }

            /// `None` for a number that this version does not know.
            pub const fn from_raw(raw: $raw) -> Option<Self> {
                match raw {
                    $($number => Some(Self::$code),)+
                    _ => None,
                }
            }

            pub const fn name(self) -> &'static str {
                match self { $(Self::$code => stringify!($code),)+ }
            }

            /// What it means, in a sentence.
            pub const fn explanation(self) -> &'static str {
                match self { $(Self::$code => concat!($($code_doc, "\n",)+),)+ }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

codes!(
    /// Why a request was refused. Checked in the order of declaration, so the first that applies is the answer.
    RejectReason: u16 {
        /// The bytes are not a message of this protocol.
        Malformed = 1,
        /// The message may not be sent in this state of the session.
        Unexpected = 2,
        /// The account does not exist.
        UnknownAccount = 3,
        /// The logon's signature does not verify with the account's key.
        BadSignature = 4,
        /// Operators log on at the operator endpoint only, and nobody else does.
        WrongEndpoint = 5,
        /// No further session can be opened.
        SessionLimit = 6,
        /// The account's role does not allow this request.
        NotAuthorised = 7,
        /// Too many requests: the limit is requests per second, the value nanoseconds to wait.
        Throttled = 8,
        /// The exchange takes no new orders now; cancels still work.
        ReadOnly = 9,
        /// The exchange is too busy; nothing happened, send it again.
        Busy = 10,
        /// Client order ids start at 1.
        ClientOrderIdZero = 11,
        /// A side, a flag, a time or another choice that does not exist, or that does not go with the others.
        InvalidChoice = 12,
        /// The kill switch keeps new orders of the account, the session, the class or the exchange out.
        EntryDisabled = 13,
        /// The message lists fewer or more entries than it may.
        InvalidCount = 14,
        /// The fields of a stop do not go together.
        InvalidTrigger = 15,
        /// A good-till-date order would have ended already.
        ExpiryPassed = 16,
        /// An iceberg shows more than it has, or less than a hundredth of it.
        InvalidDisplay = 17,
        /// The minimum quantity is more than the quantity.
        MinQtyAboveQty = 18,
        /// A budget order has nothing to spend.
        BudgetNotPositive = 19,
        /// No such instrument.
        UnknownInstrument = 20,
        /// The instrument's phase does not take this request; the value is the phase.
        NotOpen = 21,
        /// The gate of the delivery window has closed.
        GateClosed = 22,
        /// A quantity of zero lots.
        QtyZero = 23,
        /// More lots than one order of this instrument may have.
        QtyAboveMax = 24,
        /// Prices are positive for now.
        PriceNotPositive = 25,
        /// The price is no multiple of the tick.
        PriceOffTick = 26,
        /// The price lies outside the band; the bounds themselves are allowed.
        PriceOutsideBand = 27,
        /// Price times quantity does not fit a balance.
        NotionalOverflow = 28,
        /// The exchange holds as many orders as it was configured for.
        OrderLimit = 29,
        /// Not enough free credits for the order and its fee.
        InsufficientCredits = 30,
        /// Not enough free capacity in a slot of the window: there are no naked shorts.
        InsufficientCapacity = 31,
        /// A post-only order would have traded.
        PostOnlyWouldTrade = 32,
        /// A fill-or-kill order cannot be filled at once.
        FokNotFillable = 33,
        /// Fewer lots than the minimum quantity can trade at once.
        MinQtyNotFillable = 34,
        /// A quote's bid is not below its ask.
        QuoteCrossed = 35,
        /// The account has as many open orders as it may.
        OpenOrderCap = 36,
        /// The order is worth more than one of the account may be.
        OrderValueCap = 37,
        /// The account's open orders would be worth more than they may.
        OpenValueCap = 38,
        /// The account would hold more accelerators in a quarter hour than it may.
        WindowCap = 39,
        /// No such order is open in this account.
        UnknownOrder = 40,
        /// The replace changes nothing that an order has.
        NothingToReplace = 41,
        /// Quotes, linked orders and market orders are not replaced one by one.
        NotReplaceable = 42,
        /// The protection pulled the quotes of the class; reset it first.
        ProtectionFrozen = 43,
        /// The instrument cannot go from its phase to that one.
        InvalidTransition = 44,
        /// A protection's window or limit lies outside what is allowed.
        InvalidProtection = 45,
        /// A block sweep could be filled, but not at its average price.
        AveragePriceNotMet = 46,
        /// A token order, a basket or a sweep names too few or too many instruments.
        InstrumentCount = 50,
        /// The request names an instrument twice.
        DuplicateInstrument = 51,
        /// The instruments lie in different zones or windows, or have different lots.
        MixedWindow = 52,
        /// No yield is known for a class and the reference model.
        NoYield = 53,
        /// The quantity is less than one lot of every named instrument.
        BelowLot = 54,
        /// The token price is not positive.
        TokenPriceNotPositive = 55,
        /// An amount that must be positive is not.
        AmountNotPositive = 60,
        /// A class or zone code is not upper-case letters and digits.
        InvalidCode = 61,
        /// The window is no quarter, hour or day on the grid.
        InvalidWindow = 62,
        /// The tick is not positive or would make trades inexact.
        InvalidTick = 63,
        /// The band is empty, not positive or off the tick.
        InvalidBand = 64,
        /// The lot has no accelerators, or orders may have no lots.
        InvalidLot = 65,
        /// The gate lies in the past, after the window's start or before the opening.
        InvalidGate = 66,
        /// A fee lies outside what the ledger allows.
        InvalidFee = 67,
        /// The instrument is listed already.
        AlreadyListed = 68,
        /// The exchange holds as many instruments as it was configured for.
        InstrumentLimit = 69,
        /// The account exists already.
        AccountExists = 70,
        /// The exchange holds as many accounts as it was configured for.
        AccountLimit = 71,
        /// The roles are empty or unknown, or do not go together.
        InvalidRoles = 72,
        /// The yield names no model.
        InvalidYield = 73,
        /// A balance would not fit.
        BalanceOverflow = 74,
        /// An instrument over the slot still trades.
        SlotStillTrading = 75,
        /// Nothing of this slot waits for delivery.
        NothingToDeliver = 76,
        /// The shard serves another zone.
        CrossShard = 77,
    }
);

codes!(
    /// Why an order, or what was left of it, ended without a fill.
    CancelReason: u8 {
        /// Its owner asked.
        Requested = 1,
        /// An immediate-or-cancel order's remainder.
        ImmediateRemainder = 2,
        /// It would have traded with its own account's group.
        SelfTrade = 3,
        /// The gate of its window closed.
        GateClosed = 4,
        /// Its session was gone for longer than its grace.
        Disconnected = 5,
        /// A mass cancel.
        MassCanceled = 6,
        /// A replace left nothing.
        ReducedToZero = 7,
        /// The credits ran out.
        CreditsExhausted = 8,
        /// Its date has come.
        Expired = 9,
        /// It would have traded beyond a price band.
        PriceBand = 10,
        /// The order that it is linked with traded, triggered or ended.
        LinkedOrder = 11,
        /// Its owner's market-maker protection pulled it.
        Protected = 12,
        /// The kill switch.
        Killed = 13,
        /// Its session's dead-man timer ran out.
        DeadMan = 14,
        /// A market order that the auction left.
        AuctionEnded = 15,
        /// The account would hold more of a quarter hour than it may.
        WindowCap = 16,
    }
);

codes!(
    /// What became of a request whose client order id was used before.
    RequestStatus: u8 {
        /// It was carried out; the order id says on which order, if any.
        Accepted = 1,
        /// It was refused; the reason says why.
        Rejected = 2,
        /// The id lies between retained ones and never arrived.
        NeverSeen = 3,
        /// The id is older than what is retained: ask for the order's status.
        TooOld = 4,
    }
);

codes!(
    /// Why a session or a connection ends. Also the QUIC application error code of a close.
    CloseReason: u16 {
        /// The client logged out.
        Logout = 1,
        /// Bytes that are not frames of this protocol.
        ProtocolError = 2,
        /// No logon in time.
        LogonTimeout = 3,
        /// Nothing heard for longer than the agreed interval.
        HeartbeatTimeout = 4,
        /// The client did not read its events.
        SlowConsumer = 5,
        /// The same session logged on again elsewhere.
        Superseded = 6,
        /// The exchange stops.
        GoingAway = 7,
        /// The logon was refused.
        LogonRefused = 8,
        /// The connection broke.
        ConnectionLost = 9,
        /// More sessions on one connection than allowed.
        TooManySessions = 10,
        /// The exchange met an internal fault and stopped acknowledging.
        Fault = 11,
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique_and_declared_in_order() {
        let numbers: Vec<u16> = RejectReason::ALL.iter().map(|reason| reason.raw()).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "precedence = declaration = number");
        for reason in RejectReason::ALL {
            assert_eq!(RejectReason::from_raw(reason.raw()), Some(*reason));
            assert!(reason.explanation().len() > 10);
        }
        assert_eq!(RejectReason::from_raw(0), None);
        assert_eq!(CancelReason::from_raw(200), None);
    }
}
