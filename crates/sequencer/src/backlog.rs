//! What a tap has not taken yet. A tap must never hold trading up, so what its ring cannot take waits here, within
//! bounds; beyond them everything is dropped, and the tap starts again from the public state as it is then.

use std::collections::VecDeque;

use joulebook_engine::Events;
use joulebook_protocol::pipe::EventFrame;
use joulebook_rings::Producer;

/// Frames that wait at most: 16 MiB.
const FRAMES_MAX: usize = 131_072;

#[derive(Default)]
pub(crate) struct Backlog {
    waiting: VecDeque<EventFrame>,
    /// Frames were dropped since the last [`Self::restart`].
    lost: bool,
}

impl Backlog {
    /// Hands one frame to the tap, now or later. True when its ring got it.
    pub fn offer(&mut self, ring: &mut Producer<EventFrame>, event: EventFrame) -> bool {
        if self.lost || ring.is_abandoned() {
            return false;
        }
        if self.waiting.is_empty() && ring.try_push(event).is_ok() {
            return true;
        }
        if self.waiting.len() == FRAMES_MAX {
            self.lost = true;
            self.waiting = VecDeque::new();
        } else {
            self.waiting.push_back(event);
        }
        false
    }

    /// Moves what waits into the ring as far as it goes. True when anything moved.
    pub fn drain(&mut self, ring: &mut Producer<EventFrame>) -> bool {
        if ring.is_abandoned() {
            // Nobody will ever read: nothing is behind.
            *self = Self::default();
            return false;
        }
        let before = self.waiting.len();
        while let Some(event) = self.waiting.front() {
            if ring.try_push(*event).is_err() {
                break;
            }
            self.waiting.pop_front();
        }
        self.waiting.len() < before
    }

    /// Something waits, or was lost and must be made good.
    pub fn is_behind(&self) -> bool {
        self.lost || !self.waiting.is_empty()
    }

    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// Begins anew with the public state, of any size: definitions that come again empty the books they define.
    pub fn restart(&mut self, state: &Events) {
        self.waiting = state.iter().map(|record| EventFrame::new(None, record.frame)).collect();
        self.lost = false;
    }
}

#[cfg(test)]
mod tests {
    use joulebook_protocol::Message;
    use joulebook_protocol::messages::Trade;
    use joulebook_rings::ring;
    use joulebook_types::TradeId;

    use super::*;

    fn trade(number: u64) -> EventFrame {
        EventFrame::of(None, &Trade { trade_id: TradeId::new(number), ..Trade::default() })
    }

    fn number(event: &EventFrame) -> u64 {
        Trade::decode(event.frame().block).unwrap().trade_id.raw()
    }

    #[test]
    fn order_is_kept_and_overflow_is_noticed() {
        let (mut producer, mut consumer) = ring(4);
        let mut backlog = Backlog::default();
        for n in 0..10 {
            backlog.offer(&mut producer, trade(n));
        }
        assert!(backlog.is_behind() && !backlog.is_lost());
        // Room in the ring while others wait: what comes now must not overtake them.
        let mut seen = vec![number(&consumer.pop().unwrap())];
        backlog.offer(&mut producer, trade(10));
        while seen.len() < 11 {
            consumer.drain_with(4, |event| seen.push(number(event)));
            backlog.drain(&mut producer);
        }
        assert_eq!(seen, (0..=10).collect::<Vec<_>>());
        assert!(!backlog.is_behind());

        for n in 0..FRAMES_MAX as u64 + 5 {
            backlog.offer(&mut producer, trade(n));
        }
        assert!(backlog.is_lost(), "four in the ring, the rest in the backlog, one too many");
        backlog.restart(&Events::new());
        assert!(!backlog.is_behind());
    }
}
