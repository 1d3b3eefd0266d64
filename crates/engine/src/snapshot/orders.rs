//! Open orders: resting ones in the order in which they will trade, then those outside of books, by id.
//!
//! Ids rise with age, so the list of a session, the line of a call and the numbers of slots follow from them.

use joulebook_book::{Order, Slot};
use joulebook_types::{
    ClientOrderId, OrderId, OrderType, Phase, Price, SelfTradeMode, Side, SlotHint, TimeInForce, TimeNs,
};

use super::LoadError;
use super::reader::Reader;
use super::section::Section;
use super::writer::Writer;
use crate::Engine;
use crate::accounts::TradeGroup;
use crate::holds::Worth;
use crate::instruments::{Instrument, InstrumentIx};
use crate::orders::{Owner, Place, Terms};
use crate::sessions::SessionIx;
use crate::timers::TimerKey;

const ORDER_BYTES: usize = 80;

/// An order as it was written down.
struct Entry {
    order: Order,
    session: SessionIx,
    client_order_id: ClientOrderId,
    /// Without the partner, which is found when all orders are there.
    terms: Terms,
    partner: OrderId,
    /// When its date was set among all timers; zero without a date.
    expiry_set: u64,
}

/// An order that is linked with another, by its id.
type Link = (Slot, OrderId);

impl Engine {
    pub(super) fn save_orders(&self, writer: &mut Writer<'_>) {
        let numbers = self.instruments.numbers();
        writer.list(Section::Orders, ORDER_BYTES, self.orders.slab.len(), |writer| {
            for (_, instrument) in self.instruments.iter() {
                let Some(book) = &instrument.book else { continue };
                for side in [Side::Buy, Side::Sell] {
                    for slot in book.makers(&self.orders.slab, side) {
                        self.save_order(writer, slot, &numbers);
                        writer.end_record();
                    }
                }
            }
            for slot in self.slots_outside() {
                self.save_order(writer, slot, &numbers);
                writer.end_record();
            }
        });
    }

    /// Orders outside of books, by id.
    pub(super) fn slots_outside(&self) -> Vec<Slot> {
        let slots = (0..self.orders.slab.slots() as u32).map(Slot::new);
        let live = slots.filter_map(|slot| self.orders.slab.get(slot).map(|order| (order.order_id, slot)));
        let outside = live.filter(|(_, slot)| self.orders.terms(*slot).place != Place::Book);
        let mut outside: Vec<(OrderId, Slot)> = outside.collect();
        outside.sort_unstable();
        outside.into_iter().map(|(_, slot)| slot).collect()
    }

    /// `numbers` are those of instruments, by place.
    fn save_order(&self, writer: &mut Writer<'_>, slot: Slot, numbers: &[u32]) {
        // An order's links say where it stands, which its place in the list does; its account and group are those of
        // its session.
        let Order { order_id, price, trade_group: _, qty, leaves, hidden, instrument, account: _, .. } =
            self.orders.slab[slot];
        let Order { side, post_only, .. } = self.orders.slab[slot];
        let Owner { session, client_order_id } = *self.orders.owner(slot);
        let Terms { order_type, time_in_force, self_trade, display_qty, expires, partner, place, is_quote } =
            *self.orders.terms(slot);
        let partner = partner.map_or(OrderId::NONE, |partner| self.orders.slab[partner].order_id);
        let expiry_set = self.timers.expiry(slot).map_or(0, |key| key.set);
        writer.u64(order_id.raw());
        writer.u64(client_order_id.raw());
        writer.i64(price.raw());
        writer.u64(expires.raw());
        writer.u64(expiry_set);
        writer.u64(partner.raw());
        let instrument = numbers[instrument as usize];
        for number in [session.raw(), instrument, qty, leaves, hidden, display_qty] {
            writer.u32(number);
        }
        writer.bytes(&[
            side.raw(),
            order_type.raw(),
            time_in_force.raw(),
            self_trade.raw(),
            place_number(place),
            u8::from(post_only),
            u8::from(is_quote),
            0,
        ]);
    }

    pub(super) fn load_orders(&mut self, reader: &mut Reader<'_>) -> Result<(), LoadError> {
        reader.enter(Section::Orders)?;
        let count = reader.count(ORDER_BYTES)?;
        reader.check(count <= self.orders.orders_max(), "more open orders than the limit")?;
        let start = reader.offset();
        let offset_of = |record: u32| start + record as usize * ORDER_BYTES;
        let mut by_age = Vec::with_capacity(count);
        for record in 0..count as u32 {
            reader.go_to(offset_of(record));
            by_age.push((reader.u64()?, record));
        }
        by_age.sort_unstable();
        let mut slots = vec![Slot::new(0); count];
        let mut links = Vec::new();
        let mut last_id = 0;
        for (id, record) in by_age {
            reader.go_to(offset_of(record));
            reader.check(last_id < id, "an order is there twice, or has no id")?;
            last_id = id;
            let entry = self.load_order(reader)?;
            slots[record as usize] = self.open_loaded(reader, &entry, &mut links)?;
        }
        self.place_loaded(reader, &slots, offset_of)?;
        reader.go_to(offset_of(count as u32));
        reader.leave()?;
        self.link_loaded(reader, &links)?;
        for account in (0..self.accounts.len() as u32).map(joulebook_ledger::AccountIx::new) {
            self.check_bids_add_up(reader, account)?;
            if self.accounts[account].limits.window_accelerators_max != 0 {
                self.count_open_bids(account);
            }
        }
        Ok(())
    }

    fn load_order(&self, reader: &mut Reader<'_>) -> Result<Entry, LoadError> {
        let order_id = OrderId::new(reader.u64()?);
        let client_order_id = ClientOrderId::new(reader.u64()?);
        let price = reader.price()?;
        let (expires, expiry_set) = (reader.time()?, reader.u64()?);
        let partner = OrderId::new(reader.u64()?);
        let session = reader.u32()?;
        let session = self.session_numbered(reader, session)?;
        let (instrument, qty) = (reader.u32()?, reader.u32()?);
        let (leaves, hidden, display_qty) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let unknown = reader.error("an order's choices are known");
        let side = Side::from_raw(reader.u8()?).ok_or(unknown)?;
        let order_type = OrderType::from_raw(reader.u8()?).ok_or(unknown)?;
        let time_in_force = TimeInForce::from_raw(reader.u8()?).ok_or(unknown)?;
        let self_trade = SelfTradeMode::from_raw(reader.u8()?).ok_or(unknown)?;
        let place = place_of(reader.u8()?).ok_or(unknown)?;
        let (post_only, is_quote) = (reader.flag()?, reader.flag()?);
        reader.zeros::<1>()?;
        let account = self.sessions[session].account;
        let TradeGroup(trade_group) = self.accounts.trade_group(account);
        let mut order = Order::new(order_id, side, price, qty);
        (order.trade_group, order.leaves, order.hidden) = (trade_group, leaves, hidden);
        (order.instrument, order.account, order.post_only) = (instrument, account.raw(), post_only);
        let terms = Terms {
            order_type,
            time_in_force,
            self_trade,
            display_qty,
            expires,
            partner: None,
            place,
            is_quote,
        };
        Ok(Entry { order, session, client_order_id, terms, partner, expiry_set })
    }

    /// Opens an order, all of which was checked, where nothing needs the other orders.
    fn open_loaded(
        &mut self,
        reader: &Reader<'_>,
        entry: &Entry,
        links: &mut Vec<Link>,
    ) -> Result<Slot, LoadError> {
        let Entry { order, session, client_order_id, terms, partner, expiry_set } = *entry;
        let ix = InstrumentIx::new(order.instrument);
        reader.check(
            (order.instrument as usize) < self.instruments.len(),
            "there is no instrument with that number",
        )?;
        let instrument = &self.instruments[ix];
        reader.check(order.order_id <= self.last_order_id, "an order has an id that was given")?;
        let used = client_order_id <= self.sessions[session].high_water_mark;
        reader.check(used && !client_order_id.is_none(), "an order's request was sent")?;
        check_terms(reader, entry, instrument)?;
        check_lots(reader, entry, instrument)?;
        self.check_date(reader, entry)?;
        let quote = self.sessions[session].quotes.get(instrument.id).side(order.side);
        reader.check(!terms.is_quote || quote.is_none(), "a session has one quote a side")?;
        let slot = self.open_order_of(&order, session, client_order_id, terms);
        if terms.is_quote {
            self.sessions[session].quotes.open_side(self.instruments[ix].id, order.side, slot);
        }
        if terms.expires != TimeNs::ZERO {
            self.timers.restore_expiry(TimerKey { due: terms.expires, set: expiry_set }, slot);
        }
        if terms.place == Place::Call {
            self.instruments[ix].call.market_orders.push(order.order_id, slot);
        }
        if !partner.is_none() {
            links.push((slot, partner));
        }
        let promise = self.promise_at(slot);
        let value = i128::from(self.value(&promise).raw());
        self.accounts[promise.account].open_value += value;
        Ok(slot)
    }

    /// A date lies ahead and was set once.
    fn check_date(&self, reader: &Reader<'_>, entry: &Entry) -> Result<(), LoadError> {
        let Entry { terms, expiry_set, .. } = entry;
        let dated = terms.time_in_force == TimeInForce::Gtd;
        let right = match dated {
            true => self.time < terms.expires && (1..=self.timers.set_count).contains(expiry_set),
            false => terms.expires == TimeNs::ZERO && *expiry_set == 0,
        };
        reader.check(right, "a date lies ahead, and only a good-till-date order has one")
    }

    /// Puts resting orders into their books, in the order in which they lie, which is that of priority.
    fn place_loaded(
        &mut self,
        reader: &mut Reader<'_>,
        slots: &[Slot],
        offset_of: impl Fn(u32) -> usize,
    ) -> Result<(), LoadError> {
        let mut last = (false, 0, 0, 0, OrderId::NONE);
        for (slot, record) in slots.iter().zip(0..) {
            let order = self.orders.slab[*slot];
            let in_book = self.orders.terms(*slot).place == Place::Book;
            // Bids fall and asks rise.
            let distance = match order.side {
                Side::Buy => i64::MAX - order.price.raw(),
                Side::Sell => order.price.raw(),
            };
            let place = match in_book {
                true => (false, order.instrument, order.side.raw(), distance, OrderId::NONE),
                false => (true, 0, 0, 0, order.order_id),
            };
            reader.go_to(offset_of(record));
            reader
                .check(last <= place, "orders come in the order of priority, those outside of books by id")?;
            last = place;
            if in_book {
                let book = self.instruments[InstrumentIx::new(order.instrument)].book_mut();
                book.add(&mut self.orders.slab, *slot);
            }
        }
        self.check_crossed(reader)
    }

    /// The sides of a book meet only where nothing trades and nothing opens without a call.
    fn check_crossed(&self, reader: &Reader<'_>) -> Result<(), LoadError> {
        for (_, instrument) in self.instruments.iter() {
            let crossed = instrument.book.as_ref().is_some_and(|book| book.is_crossed());
            let may_be = matches!(instrument.phase, Phase::Halted | Phase::Auction);
            reader.check(!crossed || may_be, "a book is crossed only in a halt or a call")?;
        }
        Ok(())
    }

    /// Links an order in a book and a stop of one session, side and instrument, each with the other.
    fn link_loaded(&mut self, reader: &Reader<'_>, links: &[Link]) -> Result<(), LoadError> {
        for (slot, partner) in links {
            let partner = self.orders.find(*partner, SlotHint::UNKNOWN);
            let partner = partner.ok_or(reader.error("an order is linked with an open one"))?;
            self.orders.change_terms(*slot, |terms| terms.partner = Some(partner));
        }
        for (slot, _) in links {
            let terms = self.orders.terms(*slot);
            let Some(partner) = terms.partner else { continue };
            let (order, other) = (&self.orders.slab[*slot], &self.orders.slab[partner]);
            let mutual = self.orders.terms(partner).partner == Some(*slot);
            let alike = (order.instrument, order.side) == (other.instrument, other.side)
                && self.orders.owner(*slot).session == self.orders.owner(partner).session;
            let places = matches!(
                (terms.place, self.orders.terms(partner).place),
                (Place::Book, Place::Stop) | (Place::Stop, Place::Book)
            );
            reader.check(mutual && alike && places, "a limit order and a stop are linked with each other")?;
        }
        Ok(())
    }

    /// What an account with a cap on them wants in all slots together can be counted, whatever orders it has.
    fn check_bids_add_up(
        &self,
        reader: &Reader<'_>,
        account: joulebook_ledger::AccountIx,
    ) -> Result<(), LoadError> {
        if self.accounts[account].limits.window_accelerators_max == 0 {
            return Ok(());
        }
        let sessions = self.accounts[account].sessions.iter();
        let slots = sessions.flat_map(|ix| self.orders.of_session(&self.sessions[*ix].orders));
        let wanted = slots.map(|slot| {
            let promise = self.promise_at(slot);
            self.instruments[promise.instrument].accelerators(promise.lots)
        });
        let sum = wanted.into_iter().try_fold(0_u64, u64::checked_add);
        reader.check(sum.is_some(), "what open orders want adds up")
    }
}

/// Where the order stands, and what kinds of orders may stand there.
fn check_terms(reader: &Reader<'_>, entry: &Entry, instrument: &Instrument) -> Result<(), LoadError> {
    let Entry { order, terms, partner, .. } = entry;
    reader.check(instrument.book.is_some(), "an open order's instrument is not closed")?;
    let stays = matches!(terms.time_in_force, TimeInForce::Gtc | TimeInForce::Gtd);
    let limit = terms.order_type == OrderType::Limit;
    let placed = match terms.place {
        Place::Book => limit,
        Place::Stop => terms.order_type != OrderType::Budget && !order.post_only,
        Place::Call => {
            let waits = matches!(instrument.phase, Phase::Auction | Phase::Halted);
            let market = terms.order_type == OrderType::Market && terms.time_in_force == TimeInForce::Gtc;
            market && waits && !order.post_only && partner.is_none()
        }
    };
    let quote = terms.place == Place::Book
        && terms.time_in_force == TimeInForce::Gtc
        && terms.display_qty == 0
        && partner.is_none();
    let sliced = terms.display_qty == 0 || limit;
    let right = stays && placed && sliced && (!terms.is_quote || quote);
    reader.check(right, "an order stands where its kind may stand")
}

/// Price and lots keep the instrument's rules, and what the order promises fits a balance.
fn check_lots(reader: &Reader<'_>, entry: &Entry, instrument: &Instrument) -> Result<(), LoadError> {
    let Entry { order, terms, .. } = entry;
    let Instrument { band_low, band_high, qty_max, .. } = *instrument;
    reader.check(instrument.book().is_on_tick(order.price), "a price is a positive multiple of the tick")?;
    let in_band = terms.order_type != OrderType::Limit || (band_low..=band_high).contains(&order.price);
    reader.check(in_band, "a limit lies in the band")?;
    let open = order.leaves.checked_add(order.hidden).filter(|open| *open <= order.qty.min(qty_max));
    let open = open.ok_or(reader.error("an order has no more lots than it may"))?;
    let shows = order.leaves > 0 && (terms.place != Place::Book || order.leaves <= terms.display());
    let hides = order.hidden == 0 || terms.place == Place::Book && terms.display_qty > 0;
    reader.check(shows && hides, "an order shows what its terms say")?;
    let worth = Worth::of(instrument, order.side, order.price, open);
    reader.check(worth.is_some(), "what an order promises fits a balance")
}

const fn place_number(place: Place) -> u8 {
    match place {
        Place::Book => 1,
        Place::Stop => 2,
        Place::Call => 3,
    }
}

const fn place_of(number: u8) -> Option<Place> {
    match number {
        1 => Some(Place::Book),
        2 => Some(Place::Stop),
        3 => Some(Place::Call),
        0 | 4.. => None,
    }
}

/// A price of zero stands for none in a few fields.
pub(super) const fn price_number(price: Option<Price>) -> i64 {
    match price {
        Some(price) => price.raw(),
        None => 0,
    }
}
