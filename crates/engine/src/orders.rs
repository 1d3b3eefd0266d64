//! All open orders: the slab that books share, whose they are, on what terms, and how they are found.

use joulebook_book::{Order, OrderSlab, Slot};
use joulebook_types::{ClientOrderId, OrderId, OrderType, SelfTradeMode, SlotHint, TimeInForce, TimeNs};

use crate::order_index::{OrderIndex, PageIx};
use crate::session_orders::{ListPlace, SessionList, SessionOrders};
use crate::sessions::SessionIx;

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

    /// Whether what becomes of the order is nothing to another order, to a timer, or to a table of quotes.
    #[inline(always)]
    fn concern_nobody(&self) -> bool {
        self.partner.is_none() && self.expires == TimeNs::ZERO && !self.is_quote
    }

    /// Whether the order shows all of its lots and rests until it is canceled.
    #[inline(always)]
    fn are_plain(&self) -> bool {
        *self == Self { self_trade: self.self_trade, ..Self::PLAIN }
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

/// What an order's terms come to for those who end or move it, worked out when the terms change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Concern {
    /// It is a limit order that shows all of its lots and rests until it is canceled.
    Plain,
    /// It is not, but what becomes of it is nothing to anything else.
    Alone,
    /// It is linked, dated, or a quote.
    Others,
}

impl Concern {
    #[inline(always)]
    fn of(terms: &Terms) -> Self {
        match (terms.are_plain(), terms.concern_nobody()) {
            (true, _) => Self::Plain,
            (false, true) => Self::Alone,
            (false, false) => Self::Others,
        }
    }
}

impl Listed {
    const NOWHERE: Self = Self { place: ListPlace::NONE, page: PageIx::NONE };
}

/// The cold half of an order: one cache line beside the hot one in the slab.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(crate) struct Cold {
    owner: Owner,
    terms: Terms,
    concern: Concern,
    listed: Listed,
}

/// Where an order is listed beside the slab.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listed {
    /// Where the session's list has it.
    place: ListPlace,
    /// Where the index has the order's id.
    page: PageIx,
}

const _: () = assert!(size_of::<Cold>() == 64, "the cold half of an order is one cache line");

impl Default for Cold {
    /// Beside a slot that no order has had.
    fn default() -> Self {
        let owner = Owner { session: SessionIx::NONE, client_order_id: ClientOrderId::NONE };
        let terms = Terms::PLAIN;
        Self { owner, terms, concern: Concern::of(&terms), listed: Listed::NOWHERE }
    }
}

/// Open orders. Every order in the slab is in the index and in the list of its session, and the other way round.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    pub(crate) slab: OrderSlab<Cold>,
    index: OrderIndex,
    of_sessions: SessionOrders,
    orders_max: usize,
}

impl Orders {
    pub(crate) fn new(orders_max: u32) -> Self {
        Self { orders_max: orders_max as usize, ..Self::default() }
    }

    pub(crate) fn orders_max(&self) -> usize {
        self.orders_max
    }

    #[inline]
    pub(crate) fn owner(&self, slot: Slot) -> &Owner {
        &self.slab.beside(slot).owner
    }

    pub(crate) fn owner_mut(&mut self, slot: Slot) -> &mut Owner {
        &mut self.slab.beside_mut(slot).owner
    }

    #[inline]
    pub(crate) fn terms(&self, slot: Slot) -> &Terms {
        &self.slab.beside(slot).terms
    }

    /// Every change of an order's terms is one of these.
    pub(crate) fn change_terms<R>(&mut self, slot: Slot, change: impl FnOnce(&mut Terms) -> R) -> R {
        let cold = self.slab.beside_mut(slot);
        let changed = change(&mut cold.terms);
        cold.concern = Concern::of(&cold.terms);
        changed
    }

    /// Whether what is kept of an order's terms is what they come to.
    pub(crate) fn concern_is_right(&self, slot: Slot) -> bool {
        let Cold { terms, concern, .. } = self.slab.beside(slot);
        *concern == Concern::of(terms)
    }

    /// Takes an order in behind all others of its session, whose list this is. Its account counts it.
    #[inline(always)]
    pub(crate) fn open(&mut self, list: &mut SessionList, order: &Order, owner: Owner, terms: Terms) -> Slot {
        let slot = self.slab.insert(*order);
        self.enlist(list, order.order_id, slot, owner, terms);
        slot
    }

    /// Takes an order that lies in the slab into all other lists.
    #[inline(always)]
    pub(crate) fn enlist(
        &mut self,
        list: &mut SessionList,
        order_id: OrderId,
        slot: Slot,
        owner: Owner,
        terms: Terms,
    ) {
        let page = self.index.insert(order_id, slot);
        let place = self.of_sessions.push(list, slot);
        let listed = Listed { place, page };
        let cold = self.slab.beside_mut(slot);
        // Part by part: as a whole it would be put together on the stack and copied.
        (cold.owner, cold.terms) = (owner, terms);
        (cold.concern, cold.listed) = (Concern::of(&terms), listed);
    }

    /// Forgets an order that has left its book, of the session whose list this is.
    #[inline(always)]
    pub(crate) fn close(&mut self, list: &mut SessionList, slot: Slot) {
        self.delist(list, slot);
        self.slab.remove(slot);
    }

    /// Takes an order out of all lists but the slab.
    #[inline(always)]
    fn delist(&mut self, list: &mut SessionList, slot: Slot) {
        let order_id = self.slab[slot].order_id;
        self.unlist(list, order_id, self.slab.beside(slot).listed);
    }

    /// The same of an order whose places are known.
    #[inline(always)]
    pub(crate) fn unlist(&mut self, list: &mut SessionList, order_id: OrderId, listed: Listed) {
        self.index.remove(order_id, listed.page);
        self.of_sessions.remove(list, listed.place);
    }

    /// Asks for the memory of the order at a slot, which is going to be named. There need not be such a slot.
    #[inline(always)]
    pub(crate) fn prepare(&self, slot: Slot) {
        self.slab.prepare_both(slot);
    }

    /// Asks for what taking an order off its lists will touch.
    #[inline]
    pub(crate) fn prepare_unlisting(&self, listed: Listed) {
        self.of_sessions.prepare(listed.place);
    }

    /// Asks for what the order's end will touch besides the order, which should be there already. Returns what is there.
    #[inline(always)]
    pub(crate) fn prepare_leaving(&self, slot: Slot) -> Option<&Order> {
        let (order, cold) = self.slab.prepare_leaving(slot)?;
        self.of_sessions.prepare(cold.listed.place);
        Some(order)
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
            Some(_) | None => self.find_by_id(order_id),
        }
    }

    /// The index may still name the slot of an order that has gone.
    fn find_by_id(&self, order_id: OrderId) -> Option<Slot> {
        let is_there = |slot: &Slot| self.slab.get(*slot).is_some_and(|order| order.order_id == order_id);
        self.index.get(order_id).filter(is_there)
    }

    /// The order of the same session that follows when this one ends: its partner ends with it.
    pub(crate) fn next_when_closed(&self, list: &SessionList, slot: Slot) -> Option<Slot> {
        let next = self.next_of_session(list, slot)?;
        if self.terms(slot).partner == Some(next) { self.next_of_session(list, next) } else { Some(next) }
    }

    /// The session's oldest open order.
    pub(crate) fn first_of_session(&self, list: &SessionList) -> Option<Slot> {
        self.of_sessions.first(list)
    }

    /// The order after this one in the list of its session.
    pub(crate) fn next_of_session(&self, list: &SessionList, slot: Slot) -> Option<Slot> {
        self.of_sessions.after(list, self.slab.beside(slot).listed.place)
    }

    /// The session's open orders, oldest first.
    pub(crate) fn of_session(&self, list: &SessionList) -> impl Iterator<Item = Slot> {
        let list = *list;
        core::iter::successors(self.first_of_session(&list), move |slot| self.next_of_session(&list, *slot))
    }

    /// Whose a resting order is, if it shows all of its lots and rests until it is canceled.
    #[inline(always)]
    pub(crate) fn owner_of_plain(&self, slot: Slot) -> Option<Owner> {
        let Cold { owner, concern, .. } = self.slab.beside(slot);
        (*concern == Concern::Plain).then_some(*owner)
    }

    /// Whose a resting order is, and where it is listed, if its end concerns nothing else.
    #[inline(always)]
    pub(crate) fn of_order_alone(&self, slot: Slot) -> Option<(Owner, Listed)> {
        let (owner, listed, is_alone) = self.of_maker(slot);
        is_alone.then_some((owner, listed))
    }

    /// Whose a resting order is, where it is listed, and whether its end concerns nothing else.
    #[inline(always)]
    pub(crate) fn of_maker(&self, slot: Slot) -> (Owner, Listed, bool) {
        let Cold { owner, concern, listed, .. } = self.slab.beside(slot);
        (*owner, *listed, *concern != Concern::Others)
    }

    /// Open orders in the index, which is those in the slab.
    pub(crate) fn indexed(&self) -> usize {
        self.index.len()
    }
}
