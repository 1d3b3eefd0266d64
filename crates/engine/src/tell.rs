//! How events leave: numbered ones to a session, unnumbered answers, and facts for everybody.

use joulebook_protocol::Message;
use joulebook_protocol::messages::{BookUpdate, OrderFilled, Stamp, Trade};
use joulebook_types::{ConnectionId, TimeNs};

use crate::events::write_frame;
use crate::hash::EventHash;
use crate::outbox::{Outbox, Stamped};
use crate::sessions::{Session, SessionIx, Sessions};
use crate::{Engine, Events};

const STAMP_WORDS: usize = size_of::<Stamp>() / size_of::<u64>();

/// What telling needs besides a session: for those who have borrowed that session already.
pub(crate) struct Teller<'a> {
    pub(crate) time: TimeNs,
    pub(crate) received: TimeNs,
    pub(crate) tells_all: bool,
    pub(crate) hash: &'a mut EventHash,
    pub(crate) outbox: &'a mut Outbox,
}

impl Teller<'_> {
    /// As [`Engine::tell`].
    #[inline(always)]
    pub(crate) fn tell<M: Stamped>(
        &mut self,
        session: &mut Session,
        session_ix: SessionIx,
        mut event: M,
        out: &mut Events,
    ) {
        let tells_all = self.tells_all;
        let kept = self.number(session, session_ix, &mut event);
        if session.is_connected() || tells_all {
            write_frame(&event, out.place_for::<M>(session.connection, session_ix.raw()));
        }
        write_frame(&event, kept);
    }

    /// Stamps and hashes an event of the session. Returns the place where it is kept for a resend.
    #[inline(always)]
    fn number<M: Stamped>(
        &mut self,
        session: &mut Session,
        session_ix: SessionIx,
        event: &mut M,
    ) -> &mut [u8] {
        self.stamp(session, event);
        let (position, kept) = self.outbox.push::<M>(session_ix, session.newest_event);
        session.newest_event = position;
        kept
    }

    /// Numbers, hashes and keeps an event. Returns whose connection it goes to, if the session has one.
    #[inline(always)]
    fn keep<M: Stamped>(
        &mut self,
        session: &mut Session,
        session_ix: SessionIx,
        event: &mut M,
    ) -> ConnectionId {
        let kept = self.number(session, session_ix, event);
        write_frame(event, kept);
        session.connection
    }

    /// Tells all of a trade, in the order in which its events stand. Where both sides are logged on, as nearly always,
    /// they are one row of the arena.
    #[inline(always)]
    pub(crate) fn tell_trade(
        &mut self,
        sessions: &mut Sessions,
        (maker, taker): (SessionIx, SessionIx),
        mut events: TradeEvents,
        out: &mut Events,
    ) {
        self.hash.absorb_fact(&events.trade);
        let to_maker = self.keep(&mut sessions[maker], maker, &mut events.of_maker);
        let to_taker = self.keep(&mut sessions[taker], taker, &mut events.of_taker);
        self.hash.absorb_fact(&events.update);
        if self.tells_all || (!to_maker.is_none() && !to_taker.is_none()) {
            let fills =
                [(to_maker, maker.raw(), &events.of_maker), (to_taker, taker.raw(), &events.of_taker)];
            out.push_row(&events.trade, fills, &events.update);
        } else {
            // A copy, so that the events of others need not lie in memory.
            ({ events }).push((to_maker, maker), (to_taker, taker), out);
        }
    }

    /// As `tell`, to a session that is logged on, and then `publish`: what most requests come to.
    #[inline(always)]
    pub(crate) fn tell_and_publish<M: Stamped, F: Message>(
        &mut self,
        session: &mut Session,
        session_ix: SessionIx,
        (mut event, fact): (M, F),
        out: &mut Events,
    ) {
        debug_assert!(session.is_connected(), "its requests are not taken else");
        self.stamp(session, &mut event);
        self.hash.absorb_fact(&fact);
        let (position, kept) = self.outbox.push::<M>(session_ix, session.newest_event);
        session.newest_event = position;
        let (told, public) = out.places_for::<M, F>(session.connection, session_ix.raw());
        write_frame(&event, told);
        write_frame(&event, kept);
        write_frame(&fact, public);
    }

    /// Numbers an event of the session; the hash hears of it.
    #[inline(always)]
    fn stamp<M: Stamped>(&mut self, session: &mut Session, event: &mut M) {
        session.last_event_seq += 1;
        let event_seq = session.last_event_seq;
        *event.stamp_mut() =
            Stamp { event_seq, sequenced: self.time, received: self.received, ..Stamp::default() };
        let lead = said(session.whose, event_seq, self.time.raw(), self.received.raw());
        self.hash.absorb::<M, STAMP_WORDS>(lead, event, without_slot::<M>);
    }

    /// As [`Engine::publish`].
    #[inline(always)]
    pub(crate) fn publish<M: Message>(&mut self, fact: M, out: &mut Events) {
        out.push_public(&fact);
        self.hash.absorb_fact(&fact);
    }
}

/// What one trade has to tell, in this order.
#[derive(Clone, Copy)]
pub(crate) struct TradeEvents {
    pub(crate) trade: Trade,
    pub(crate) of_maker: OrderFilled,
    pub(crate) of_taker: OrderFilled,
    pub(crate) update: BookUpdate,
}

impl TradeEvents {
    /// Appends those that somebody hears: who is logged off has no connection.
    #[cold]
    fn push(
        &self,
        (to_maker, maker): (ConnectionId, SessionIx),
        (to_taker, taker): (ConnectionId, SessionIx),
        out: &mut Events,
    ) {
        out.push_public(&self.trade);
        if !to_maker.is_none() {
            out.push_to(to_maker, maker.raw(), &self.of_maker);
        }
        if !to_taker.is_none() {
            out.push_to(to_taker, taker.raw(), &self.of_taker);
        }
        out.push_public(&self.update);
    }
}

impl Engine {
    /// Numbers an event of the session, keeps it for a resend, and sends it if somebody is logged on.
    ///
    /// Inlined wherever something is told, so that an event goes from registers to where it stays and is never read again.
    #[inline(always)]
    pub(crate) fn tell<M: Stamped>(&mut self, session_ix: SessionIx, event: M, out: &mut Events) {
        let Self { time, received, tells_all, ref mut hash, ref mut outbox, .. } = *self;
        let mut teller = Teller { time, received, tells_all, hash, outbox };
        teller.tell(&mut self.sessions[session_ix], session_ix, event, out);
    }

    /// Sends an answer that is not numbered: it says what is, not what happened, so nobody needs it twice.
    pub(crate) fn answer<M: Stamped>(&self, session_ix: SessionIx, mut event: M, out: &mut Events) {
        *event.stamp_mut() =
            Stamp { event_seq: 0, sequenced: self.time, received: self.received, ..Stamp::default() };
        let session = &self.sessions[session_ix];
        if session.is_connected() {
            out.push_to(session.connection, session_ix.raw(), &event);
        }
    }

    /// Sends a fact to everybody.
    #[inline(always)]
    pub(crate) fn publish<M: Message>(&mut self, fact: M, out: &mut Events) {
        out.push_public(&fact);
        self.hash.absorb_fact(&fact);
    }

    /// Sends the session's events from `first_seq` on once more. All of them are retained.
    pub(crate) fn resend(&mut self, session_ix: SessionIx, first_seq: u64, out: &mut Events) {
        let session = &self.sessions[session_ix];
        self.resend_positions.clear();
        let mut position = session.newest_event;
        for expected in (first_seq..=session.last_event_seq).rev() {
            let entry = self.outbox.get(position).expect("the caller checked that it is retained");
            assert!(entry.event_seq() == expected, "the chain of a session has no gaps");
            self.resend_positions.push(position);
            position = entry.previous;
        }
        for position in self.resend_positions.iter().rev() {
            let entry = self.outbox.get(*position).expect("it was there a moment ago");
            out.push_frame(session.connection, session_ix.raw(), entry.template_id, entry.frame());
        }
    }

    /// Whether every event of the session from `first_seq` on is retained.
    pub(crate) fn retains_from(&self, session_ix: SessionIx, first_seq: u64) -> bool {
        let session = &self.sessions[session_ix];
        let mut position = session.newest_event;
        for _ in first_seq..=session.last_event_seq {
            let Some(entry) = self.outbox.get(position) else { return false };
            position = entry.previous;
        }
        true
    }
}

/// What the event hash sees instead of a stamp, whose rest is zero until a gateway fills it in: to whom the engine said it,
/// as which of its events, when, and when the command came. Each of them alone changes it; numbers of sessions are spread
/// over all bits, so that an event of one session is not the next one's of another.
#[inline(always)]
fn said(whose: u64, event_seq: u64, time: u64, received: u64) -> u64 {
    whose.wrapping_add(event_seq).wrapping_add(time ^ received.rotate_left(32))
}

/// What the event hash sees of a word: no slot, which says where an order lies, not what happened. Engines that agree on
/// everything else may have put it elsewhere.
#[inline(always)]
fn without_slot<M: Stamped>(place: usize, word: u64) -> u64 {
    let (slot_word, slot_bits) = M::SLOT_IN_WORDS;
    if place == slot_word { word | slot_bits } else { word }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use joulebook_protocol::messages::{OrderAccepted, OrderFilled};
    use joulebook_types::SlotHint;
    use zerocopy::IntoBytes;

    use super::*;
    use crate::sessions::whose;

    #[test]
    fn to_whom_as_which_and_when_count() {
        let base = [whose(3, 1), 7, 1_700_000_000_000_000_000, 1_699_999_999_000_000_000];
        let said_of = |[whose, event_seq, time, received]: [u64; 4]| said(whose, event_seq, time, received);
        for (part, bit) in (0..4).flat_map(|part| (0..64).map(move |bit| (part, bit))) {
            let mut other = base;
            other[part] ^= 1 << bit;
            assert_ne!(said_of(other), said_of(base), "bit {bit} of part {part}");
        }
        let mut seen = BTreeSet::new();
        for (account, session, event_seq) in
            (0..20).flat_map(|a| (1..20).flat_map(move |s| (1..40).map(move |n| (a, s, n))))
        {
            assert!(seen.insert(said(whose(account, session), event_seq, base[2], base[3])));
        }
    }

    #[test]
    fn the_hash_sees_no_slot() {
        let hashed = |event: OrderAccepted| {
            let mut hash = EventHash::new();
            hash.absorb::<_, STAMP_WORDS>(1, &event, without_slot::<OrderAccepted>);
            hash.words()
        };
        let event = OrderAccepted { qty: 5, side: 1, ..Default::default() };
        assert_eq!(hashed(OrderAccepted { slot: SlotHint::new(7), ..event }), hashed(event));
        assert_ne!(hashed(OrderAccepted { side: 2, ..event }), hashed(event));
        assert_ne!(hashed(OrderAccepted { qty: 6, ..event }), hashed(event));
        let filled = OrderFilled::default();
        let words = filled.as_bytes().len() / 8;
        assert!((0..words).all(|place| without_slot::<OrderFilled>(place, 9) == 9), "it has none");
    }
}
