use std::time::Instant;

/// The next deadline of every slot, in a heap that knows where each slot stands.
///
/// A connection's deadline moves with nearly every datagram, so moving one must neither allocate
/// nor leave dead entries behind.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: Vec<(Instant, u32)>,
    /// Index into `heap` by slot, or `ABSENT`.
    position: Vec<u32>,
}

const ABSENT: u32 = u32::MAX;

impl Timers {
    /// Sets, moves or (with `None`) removes the deadline of `slot`.
    pub(crate) fn set(&mut self, slot: u32, deadline: Option<Instant>) {
        if self.position.len() <= slot as usize {
            self.position.resize(slot as usize + 1, ABSENT);
        }
        let at = self.position[slot as usize];
        match (at, deadline) {
            (ABSENT, None) => {}
            (ABSENT, Some(deadline)) => {
                self.heap.push((deadline, slot));
                self.sift_up(self.heap.len() - 1);
            }
            (at, Some(deadline)) => {
                self.heap[at as usize].0 = deadline;
                self.restore(at as usize);
            }
            (at, None) => self.remove(at as usize),
        }
    }

    /// Earliest deadline of all.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.first().map(|(deadline, _)| *deadline)
    }

    /// Takes the slot whose deadline is earliest, if it is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<u32> {
        let (deadline, slot) = *self.heap.first()?;
        if now < deadline {
            return None;
        }
        self.remove(0);
        Some(slot)
    }

    fn remove(&mut self, at: usize) {
        let (_, slot) = self.heap.swap_remove(at);
        self.position[slot as usize] = ABSENT;
        if at < self.heap.len() {
            self.restore(at);
        }
    }

    /// Puts the entry at `at` where its deadline belongs, in whichever direction.
    fn restore(&mut self, at: usize) {
        let settled = self.sift_up(at);
        self.sift_down(settled);
    }

    fn sift_up(&mut self, mut at: usize) -> usize {
        while 0 < at {
            let parent = (at - 1) / 2;
            if self.heap[parent].0 <= self.heap[at].0 {
                break;
            }
            self.swap(parent, at);
            at = parent;
        }
        self.position[self.heap[at].1 as usize] = at as u32;
        at
    }

    fn sift_down(&mut self, mut at: usize) {
        loop {
            let left = 2 * at + 1;
            let Some(first) = self.heap.get(left) else { break };
            let least = match self.heap.get(left + 1) {
                Some(second) if second.0 < first.0 => left + 1,
                _ => left,
            };
            if self.heap[at].0 <= self.heap[least].0 {
                break;
            }
            self.swap(at, least);
            at = least;
        }
        self.position[self.heap[at].1 as usize] = at as u32;
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.position[self.heap[a].1 as usize] = a as u32;
        self.position[self.heap[b].1 as usize] = b as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::time::Duration;

    /// Random moves against an ordered set that is too simple to be wrong.
    #[test]
    fn agrees_with_an_ordered_set() {
        let start = Instant::now();
        let mut timers = Timers::default();
        let mut want: BTreeSet<(Instant, u32)> = BTreeSet::new();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for step in 0..20_000_u64 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let slot = (state >> 33) as u32 % 50;
            // Distinct by step, so that ties cannot excuse a different order.
            let deadline = start + Duration::from_nanos((state >> 40) * 100_000 + step);
            match (state >> 20) % 8 {
                0 => {
                    timers.set(slot, None);
                    want.retain(|(_, other)| *other != slot);
                }
                1 => {
                    let due = want.first().copied().filter(|(at, _)| *at <= deadline);
                    assert_eq!(timers.pop_due(deadline), due.map(|(_, slot)| slot));
                    due.inspect(|due| assert!(want.remove(due)));
                }
                _ => {
                    timers.set(slot, Some(deadline));
                    want.retain(|(_, other)| *other != slot);
                    want.insert((deadline, slot));
                }
            }
            assert_eq!(timers.next(), want.first().map(|(at, _)| *at));
        }
        assert!(1 < want.len());
    }
}
