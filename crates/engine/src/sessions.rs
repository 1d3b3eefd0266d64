//! Logical sessions: their numbers, their connection, and what they are owed.

use core::mem::offset_of;

use joulebook_ledger::{AccountIx, pair_key};
use joulebook_types::{AccountId, ClientOrderId, ConnectionId, SessionId};

use crate::kill_switch::DisabledBy;
use crate::outbox::Position;
use crate::outcomes::Outcomes;
use crate::places::{at, at_mut};
use crate::quote_table::QuoteTable;
use crate::session_orders::SessionList;
use crate::timers::TimerKey;

/// The engine's dense number of a logical session, in the order of first logon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SessionIx(u32);

impl SessionIx {
    pub(crate) const NONE: Self = Self(u32::MAX);

    pub(crate) const fn raw(self) -> u32 {
        self.0
    }
}

/// "Orders stay for good when the connection is lost."
pub(crate) const KEEP_ON_DISCONNECT: u32 = u32::MAX;

/// Spreads account and session id over all bits; odd, so that no two look alike.
const SPREAD: u64 = 0xD6E8_FEB8_6659_FD93;

/// The part of all sessions that one account may have, and what it may have of few.
const ACCOUNT_SHARE: usize = 16;
const ACCOUNT_SESSIONS_MIN: usize = 64;

/// One logical session of an account. It outlives connections and is never forgotten.
///
/// Laid out so that what every request and every event looks at shares two cache lines.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Session {
    /// [`ConnectionId::NONE`] while nobody is logged on.
    pub(crate) connection: ConnectionId,
    /// Account and session id for the event hash, spread over all bits.
    pub(crate) whose: u64,
    pub(crate) last_event_seq: u64,
    /// The newest event in the outbox; each points at the one before.
    pub(crate) newest_event: Position,
    /// The highest client order id ever used: ids at or below never have an effect again.
    pub(crate) high_water_mark: ClientOrderId,
    pub(crate) account: AccountIx,
    /// Open orders, oldest first.
    pub(crate) orders: SessionList,
    /// Whether its orders are taken without a question about itself or its account. Kept by [`Engine::note_entry`].
    ///
    /// [`Engine::note_entry`]: crate::Engine::note_entry
    pub(crate) enters_freely: bool,
    pub(crate) outcomes: Outcomes,
    /// Who switched its entry off.
    pub(crate) disabled: Option<DisabledBy>,
    pub(crate) cancel_on_disconnect_ms: u32,
    pub(crate) id: SessionId,
    pub(crate) grace: Option<TimerKey>,
    pub(crate) dead_man: Option<TimerKey>,
    pub(crate) quotes: QuoteTable,
}

const _: () = assert!(offset_of!(Session, disabled) <= 128, "two cache lines");

impl Session {
    /// Whether a request with this number is a new one, of a session that enters freely.
    #[inline(always)]
    pub(crate) fn enters(&self, id: ClientOrderId) -> bool {
        self.enters_freely && id > self.high_water_mark
    }

    pub(crate) fn is_connected(&self) -> bool {
        !self.connection.is_none()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Sessions {
    all: Vec<Session>,
    by_id: Directory,
    sessions_max: usize,
}

impl Sessions {
    pub(crate) fn new(sessions_max: u32) -> Self {
        Self { sessions_max: sessions_max as usize, ..Self::default() }
    }

    #[inline(always)]
    pub(crate) fn find(&self, account: AccountId, session: SessionId) -> Option<SessionIx> {
        self.by_id.find(pair_key(account.raw(), session.raw()))
    }

    /// How many sessions one account may have: sessions are never forgotten, so an account that logs on under ever new
    /// numbers must not use up what others need.
    pub(crate) fn account_max(&self) -> usize {
        (self.sessions_max / ACCOUNT_SHARE).max(ACCOUNT_SESSIONS_MIN)
    }

    /// `None` when no more sessions fit.
    pub(crate) fn open(
        &mut self,
        account: AccountIx,
        account_id: AccountId,
        id: SessionId,
    ) -> Option<SessionIx> {
        if self.all.len() >= self.sessions_max {
            return None;
        }
        let ix = SessionIx(self.all.len() as u32);
        let key = pair_key(account_id.raw(), id.raw());
        self.all.push(Session {
            whose: whose(account_id.raw(), id.raw()),
            account,
            id,
            connection: ConnectionId::NONE,
            cancel_on_disconnect_ms: KEEP_ON_DISCONNECT,
            grace: None,
            dead_man: None,
            high_water_mark: ClientOrderId::NONE,
            outcomes: Outcomes::default(),
            last_event_seq: 0,
            newest_event: Position::NONE,
            orders: SessionList::EMPTY,
            quotes: QuoteTable::default(),
            enters_freely: false,
            disabled: None,
        });
        self.by_id.insert(key, ix);
        Some(ix)
    }

    /// The session with a number; `None` when there are not so many.
    pub(crate) fn numbered(&self, raw: u32) -> Option<SessionIx> {
        ((raw as usize) < self.all.len()).then_some(SessionIx(raw))
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// All sessions, in the order of first logon.
    pub(crate) fn indices(&self) -> impl Iterator<Item = SessionIx> + use<> {
        (0..self.all.len() as u32).map(SessionIx)
    }
}

impl core::ops::Index<SessionIx> for Sessions {
    type Output = Session;

    fn index(&self, ix: SessionIx) -> &Session {
        at(&self.all, ix.0 as usize)
    }
}

impl core::ops::IndexMut<SessionIx> for Sessions {
    fn index_mut(&mut self, ix: SessionIx) -> &mut Session {
        at_mut(&mut self.all, ix.0 as usize)
    }
}

/// From account and session id to the session. Sessions are never forgotten, so a key lies at its own place or at the next
/// ones that were free, and a search ends at a free place.
#[derive(Debug)]
struct Directory {
    /// A power of two, at most half of them taken.
    places: Vec<(u64, SessionIx)>,
    taken: usize,
}

impl Default for Directory {
    fn default() -> Self {
        Self { places: vec![Self::FREE; 16], taken: 0 }
    }
}

impl Directory {
    const FREE: (u64, SessionIx) = (0, SessionIx::NONE);

    #[inline]
    fn find(&self, key: u64) -> Option<SessionIx> {
        let mut place = home_of(key);
        loop {
            let (found, ix) = self.places[place & (self.places.len() - 1)];
            if ix == SessionIx::NONE {
                return None;
            }
            if found == key {
                return Some(ix);
            }
            place += 1;
        }
    }

    /// The key is a new one.
    fn insert(&mut self, key: u64, ix: SessionIx) {
        if self.places.len() <= 2 * self.taken {
            let places = vec![Self::FREE; 2 * self.places.len()];
            let old = core::mem::replace(&mut self.places, places);
            self.taken = 0;
            old.into_iter().filter(|place| *place != Self::FREE).for_each(|(key, ix)| self.insert(key, ix));
        }
        let mut place = home_of(key);
        while self.places[place & (self.places.len() - 1)] != Self::FREE {
            place += 1;
        }
        let mask = self.places.len() - 1;
        self.places[place & mask] = (key, ix);
        self.taken += 1;
    }
}

/// Account and session id for the event hash.
pub(crate) fn whose(account: u32, session: u32) -> u64 {
    pair_key(account, session).wrapping_mul(SPREAD)
}

/// The upper bits of a product, which all bits of the key have a part in; few enough that counting on never overflows.
#[inline]
fn home_of(key: u64) -> usize {
    (key.wrapping_mul(SPREAD) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_finds_what_was_put_in_and_nothing_else() {
        let mut directory = Directory::default();
        let key = |n: u32| pair_key(n / 7, n % 7 + 1);
        assert_eq!(directory.find(0), None);
        for n in 0..5_000 {
            assert_eq!(directory.find(key(n)), None, "{n}");
            directory.insert(key(n), SessionIx(n));
            assert!(2 * directory.taken <= directory.places.len());
        }
        for n in 0..5_000 {
            assert_eq!(directory.find(key(n)), Some(SessionIx(n)));
        }
        assert_eq!(directory.find(key(5_000)), None);
        assert_eq!(directory.find(0), None, "no account");
    }
}
