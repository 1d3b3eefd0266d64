//! The market orders that wait for a call's uncross, oldest first.

use joulebook_book::Slot;
use joulebook_types::OrderId;

/// Orders come with rising ids and may leave from anywhere; neither moves the others. A place that was left stays until
/// most are.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallLine {
    /// By order id; `None` where an order left.
    places: Vec<(OrderId, Option<Slot>)>,
    /// The place of the oldest order that waits; all before it are empty.
    first: usize,
    waiting: usize,
}

/// Empty places that a line may have before it closes up.
const GAPS_MAX: usize = 16;

impl CallLine {
    pub(crate) fn len(&self) -> usize {
        self.waiting
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    pub(crate) fn first(&self) -> Option<Slot> {
        self.iter().next()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Slot> {
        self.places[self.first..].iter().filter_map(|(_, slot)| *slot)
    }

    pub(crate) fn contains(&self, id: OrderId) -> bool {
        self.find(id).is_some()
    }

    /// Whether an order has ever waited in it, or in the one whose memory it has.
    pub(crate) fn has_memory(&self) -> bool {
        self.places.capacity() > 0
    }

    /// Its memory, for another call.
    pub(crate) fn into_memory(mut self) -> Self {
        assert!(self.is_empty(), "only an empty line is given away");
        self.places.clear();
        Self { first: 0, ..self }
    }

    pub(crate) fn push(&mut self, id: OrderId, slot: Slot) {
        assert!(
            self.places.last().is_none_or(|(last, _)| *last < id),
            "orders come in the order of their ids"
        );
        self.places.push((id, Some(slot)));
        self.waiting += 1;
    }

    pub(crate) fn remove(&mut self, id: OrderId) {
        let place = self.find(id).expect("an order of a call waits in it");
        self.places[place].1 = None;
        self.waiting -= 1;
        while let Some((_, None)) = self.places.get(self.first) {
            self.first += 1;
        }
        if self.places.len() > 2 * self.waiting + GAPS_MAX {
            self.places.retain(|(_, slot)| slot.is_some());
            self.first = 0;
        }
    }

    fn find(&self, id: OrderId) -> Option<usize> {
        let place = self.places.binary_search_by_key(&id, |(waits, _)| *waits).ok()?;
        self.places[place].1.map(|_| place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_leave_from_anywhere_and_the_rest_stays_in_line() {
        let mut line = CallLine::default();
        let mut ids: Vec<u64> = (1..=200).collect();
        for id in &ids {
            line.push(OrderId::new(*id), Slot::new(*id as u32 + 1_000));
        }
        // Steps through the ring of what is left, so that both ends and the middle leave.
        let mut next = 0;
        while !ids.is_empty() {
            next = (next + 77) % ids.len();
            let id = OrderId::new(ids.remove(next));
            assert!(line.contains(id));
            line.remove(id);
            assert!(!line.contains(id));
            assert_eq!(line.len(), ids.len());
            assert_eq!(line.first().map(Slot::raw), ids.first().map(|id| *id as u32 + 1_000));
            let waiting: Vec<u64> = line.iter().map(|slot| u64::from(slot.raw()) - 1_000).collect();
            assert_eq!(waiting, ids);
            assert!(line.places.len() <= 2 * ids.len() + GAPS_MAX, "what left is forgotten");
        }
        assert!(line.is_empty());
        line.push(OrderId::new(201), Slot::new(7));
        assert_eq!(line.first(), Some(Slot::new(7)));
    }

    #[test]
    #[should_panic(expected = "waits in it")]
    fn an_order_leaves_once() {
        let mut line = CallLine::default();
        line.push(OrderId::new(1), Slot::new(1));
        line.push(OrderId::new(2), Slot::new(2));
        line.remove(OrderId::new(1));
        line.remove(OrderId::new(1));
    }
}
