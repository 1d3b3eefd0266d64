//! All open orders: the slab that books share, whose they are, on what terms, and how they are found.

use joulebook_book::{Order, OrderSlab, Slot};
use joulebook_ledger::AccountIx;
use joulebook_sys::prefetch_write;
use joulebook_types::{ClientOrderId, OrderId, OrderType, SelfTradeMode, SlotHint, TimeInForce, TimeNs};

use crate::order_index::{OrderIndex, PageIx};
use crate::sessions::{SessionIx, Sessions};

/// Whose an order is: what matching does not need.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner {
    pub(crate) session: SessionIx,
    /// The request that entered the order.
    pub(crate) client_order_id: ClientOrderId,
}

/// What was agreed with an order: what matching needs only now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) order_type: OrderType,
    pub(crate) time_in_force: TimeInForce,
    /// What happens when it takes and meets its own group.
    pub(crate) self_trade: SelfTradeMode,
    /// Lots that an iceberg shows at a time; zero shows all.
    pub(crate) display_qty: u32,
    /// When a good-till-date order ends; else zero.
    pub(crate) expires: TimeNs,
    /// The order that this one is linked with: what happens to one of them ends the other.
    pub(crate) partner: Option<Slot>,
    pub(crate) place: Place,
    /// Whether it is a side of a quote.
    pub(crate) is_quote: bool,
}

/// Where an open order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In its book, or on the way there while it takes.
    Book,
    /// Outside, until its trigger price has printed.
    Stop,
    /// A market order outside, until the call's uncross.
    Call,
}

impl Terms {
    /// A limit order that shows all of its lots and rests.
    pub(crate) const PLAIN: Self = Self {
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::Gtc,
        self_trade: SelfTradeMode::CancelAggressor,
        display_qty: 0,
        expires: TimeNs::ZERO,
        partner: None,
        place: Place::Book,
        is_quote: false,
    };

    /// The most lots that show.
    pub(crate) fn display(&self) -> u32 {
        if self.display_qty == 0 { u32::MAX } else { self.display_qty }
    }

    /// Whether a remainder may rest.
    #[inline(always)]
    pub(crate) fn rests(&self) -> bool {
        match (self.order_type, self.time_in_force) {
            (OrderType::Limit, TimeInForce::Gtc | TimeInForce::Gtd) => true,
            (OrderType::Limit, TimeInForce::Ioc | TimeInForce::Fok) => false,
            (OrderType::Market | OrderType::Budget, _) => false,
        }
    }
}

/// The cold half of an order: one cache line beside the hot one, which the slab has.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Cold {
    owner: Owner,
    terms: Terms,
    /// Neighbours in the list of the session, [`NO_SLOT`] at its ends.
    previous_of_session: Slot,
    next_of_session: Slot,
    /// Where the index has the order's id.
    page: PageIx,
}

const _: () = assert!(size_of::<Cold>() == 64, "the cold half of an order is one cache line");

/// No order has the last number.
const NO_SLOT: Slot = Slot::new(u32::MAX);

fn link(slot: Option<Slot>) -> Slot {
    slot.unwrap_or(NO_SLOT)
}

fn linked(slot: Slot) -> Option<Slot> {
    (slot != NO_SLOT).then_some(slot)
}

/// Open orders. Every order in the slab is in the index and in the list of its session, and the other way round.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    pub(crate) slab: OrderSlab,
    /// Beside the slab, by slot.
    cold: Vec<Cold>,
    index: OrderIndex,
    /// By account.
    counts: Vec<u32>,
    orders_max: usize,
}

impl Orders {
    pub(crate) fn new(orders_max: u32) -> Self {
        Self { orders_max: orders_max as usize, ..Self::default() }
    }

    pub(crate) fn open_account(&mut self) {
        self.counts.push(0);
    }

    /// How many orders of the account are open.
    pub(crate) fn count_of(&self, account: AccountIx) -> u32 {
        self.counts[account.index()]
    }

    pub(crate) fn orders_max(&self) -> usize {
        self.orders_max
    }

    #[inline]
    pub(crate) fn owner(&self, slot: Slot) -> &Owner {
        &self.cold[slot.index()].owner
    }

    pub(crate) fn owner_mut(&mut self, slot: Slot) -> &mut Owner {
        &mut self.cold[slot.index()].owner
    }

    #[inline]
    pub(crate) fn terms(&self, slot: Slot) -> &Terms {
        &self.cold[slot.index()].terms
    }

    pub(crate) fn terms_mut(&mut self, slot: Slot) -> &mut Terms {
        &mut self.cold[slot.index()].terms
    }

    #[inline(always)]
    pub(crate) fn open(
        &mut self,
        sessions: &mut Sessions,
        order: &Order,
        session: SessionIx,
        client_order_id: ClientOrderId,
        terms: Terms,
    ) -> Slot {
        let slot = self.slab.insert(*order);
        let page = self.index.insert(order.order_id, slot);
        self.counts[order.account as usize] += 1;
        let list = &mut sessions[session];
        let previous = list.last_order.replace(slot);
        match previous {
            Some(previous) => self.cold[previous.index()].next_of_session = slot,
            None => list.first_order = Some(slot),
        }
        list.open_orders += 1;
        let cold = Cold {
            owner: Owner { session, client_order_id },
            terms,
            previous_of_session: link(previous),
            next_of_session: NO_SLOT,
            page,
        };
        match self.cold.get_mut(slot.index()) {
            Some(place) => *place = cold,
            None => self.cold.push(cold),
        }
        slot
    }

    /// Forgets an order that has left its book. The engine's own `close_order` is the only caller.
    #[inline(always)]
    pub(crate) fn close(&mut self, sessions: &mut Sessions, slot: Slot) {
        let order = self.slab.remove(slot);
        let Cold { owner, previous_of_session: previous, next_of_session: next, page, .. } =
            self.cold[slot.index()];
        self.index.remove(order.order_id, page);
        self.counts[order.account as usize] -= 1;
        let list = &mut sessions[owner.session];
        list.open_orders -= 1;
        match previous {
            NO_SLOT => list.first_order = linked(next),
            previous => self.cold[previous.index()].next_of_session = next,
        }
        match next {
            NO_SLOT => list.last_order = linked(previous),
            next => self.cold[next.index()].previous_of_session = previous,
        }
    }

    /// Asks for the memory of the order at a slot, which is going to be named.
    #[inline]
    pub(crate) fn prepare(&self, slot: Slot) {
        self.slab.prepare(slot);
        if let Some(cold) = self.cold.get(slot.index()) {
            prefetch_write(cold);
        }
    }

    /// Asks for what the order's end will touch besides the order, which should be there already.
    #[inline]
    pub(crate) fn prepare_leaving(&self, slot: Slot) {
        self.slab.prepare_leaving(slot);
        if let (Some(cold), Some(order)) = (self.cold.get(slot.index()), self.slab.get(slot)) {
            let neighbours = [cold.previous_of_session, cold.next_of_session];
            neighbours.iter().filter_map(|slot| self.cold.get(slot.index())).for_each(prefetch_write);
            self.index.prepare(order.order_id, cold.page);
        }
    }

    /// The slot of an open order: at the hint if it is there, else by its id.
    #[inline]
    pub(crate) fn find(&self, order_id: OrderId, hint: SlotHint) -> Option<Slot> {
        if order_id.is_none() {
            return None;
        }
        let hinted = Slot::new(hint.raw());
        match self.slab.get(hinted) {
            Some(order) if order.order_id == order_id => Some(hinted),
            Some(_) | None => self.index.get(order_id),
        }
    }

    /// The order of the same session that follows when this one ends: its partner ends with it.
    pub(crate) fn next_when_closed(&self, slot: Slot) -> Option<Slot> {
        let next = self.next_of_session(slot)?;
        if self.terms(slot).partner == Some(next) { self.next_of_session(next) } else { Some(next) }
    }

    /// The order after this one in the list of its session.
    pub(crate) fn next_of_session(&self, slot: Slot) -> Option<Slot> {
        linked(self.cold[slot.index()].next_of_session)
    }

    /// The session's open orders, oldest first.
    pub(crate) fn of_session(&self, first: Option<Slot>) -> impl Iterator<Item = Slot> {
        core::iter::successors(first, |slot| self.next_of_session(*slot))
    }

    /// Open orders in the index, which is those in the slab.
    pub(crate) fn indexed(&self) -> usize {
        self.index.len()
    }
}
