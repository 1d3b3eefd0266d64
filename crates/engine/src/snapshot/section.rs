//! The sections of saved state, in their order.

/// What a section holds. Numbers are never used again for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Section {
    /// Limits, time, counters, and what the exchange as a whole has.
    Exchange = 1,
    Accounts = 2,
    /// Classes that are switched off.
    DisabledClasses = 3,
    /// Market makers' protections and what hit them lately.
    Protections = 4,
    Yields = 5,
    /// Quarter hours of capacity, by number.
    Slots = 6,
    /// What accounts have in them.
    Positions = 7,
    Instruments = 8,
    Sessions = 9,
    /// Retained outcomes of all sessions.
    Outcomes = 10,
    /// Open orders in the order of priority, then those outside of books.
    Orders = 11,
    /// What stops wait for.
    Stops = 12,
    Timers = 13,
    /// Retained events, oldest first.
    Outbox = 14,
}

impl Section {
    pub(super) const fn raw(self) -> u32 {
        self as u32
    }
}
