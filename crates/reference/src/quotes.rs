//! Mass quotes: both sides of many instruments, replaced in place.

use core::mem::offset_of;

use joulebook_protocol::RejectReason;
use joulebook_protocol::messages::{BookUpdate, MassQuote, MassQuoteAck, QuoteRejected};
use joulebook_types::{OrderId, SelfTradeMode, TimeInForce};

use crate::entry::check_self_trade;
use crate::market::Market;
use crate::orders::Order;
use crate::quote_rules::Wanted;
use crate::rejection::{Checked, Rejection, field, invalid_choice};

impl Market {
    pub(crate) fn mass_quote(&mut self, session: usize, quote: &MassQuote) -> Checked {
        if quote.flags & !MassQuote::POST_ONLY != 0 {
            return Err(invalid_choice(offset_of!(MassQuote, flags), quote.flags));
        }
        let self_trade = check_self_trade(quote.self_trade, offset_of!(MassQuote, self_trade))?;
        self.check_enabled(session)?;
        let count = usize::from(quote.count);
        if count == 0 || count > MassQuote::PAIRS_MAX {
            let rejection = field(RejectReason::InvalidCount, offset_of!(MassQuote, count));
            return Err(rejection.met(MassQuote::PAIRS_MAX, count));
        }
        let mut ack = MassQuoteAck { client_order_id: quote.client_order_id, ..Default::default() };
        for number in 0..count {
            match self.check_pair(session, quote, number) {
                Ok((index, sides)) => {
                    self.apply_pair(session, quote, self_trade, index, &sides);
                    ack.accepted_pairs |= 1 << number;
                    ack.accepted += 1;
                }
                Err(rejection) => {
                    self.refuse_pair(session, quote, number, rejection);
                    ack.rejected += 1;
                }
            }
        }
        self.tell(session, ack);
        Ok(())
    }

    fn refuse_pair(&mut self, session: usize, quote: &MassQuote, number: usize, rejection: Rejection) {
        self.tell(
            session,
            QuoteRejected {
                client_order_id: quote.client_order_id,
                limit: rejection.limit,
                value: rejection.value,
                instrument: quote.pairs[number].instrument,
                reason: rejection.reason.raw(),
                field_offset: rejection.field_offset,
                pair: number as u8,
                ..Default::default()
            },
        );
    }

    /// What stays is adjusted in place and what does not leaves the book, the bid first; then the new bid acts, then
    /// the new ask.
    fn apply_pair(
        &mut self,
        session: usize,
        quote: &MassQuote,
        self_trade: SelfTradeMode,
        index: usize,
        sides: &[Wanted; 2],
    ) {
        let post_only = quote.flags & MassQuote::POST_ONLY != 0;
        let mut moving = Vec::new();
        for wanted in sides {
            let Some(id) = wanted.old else { continue };
            let before = self.order(id).clone();
            let order = self.order_mut(id);
            order.client_order_id = quote.client_order_id;
            order.self_trade = self_trade;
            order.post_only = post_only;
            if wanted.qty > 0 && wanted.price == before.limit && wanted.qty <= before.leaves {
                if self.shrink(id, before.leaves - wanted.qty) {
                    self.publish_update(id, BookUpdate::REDUCED);
                }
                continue;
            }
            let removed = self.take_out(id);
            self.publish(removed);
            if wanted.qty == 0 {
                self.close(id);
                continue;
            }
            let order = self.order_mut(id);
            (order.limit, order.leaves) = (wanted.price, wanted.qty);
            moving.push(id);
        }
        for wanted in sides {
            if let Some(id) = wanted.old.filter(|old| moving.contains(old)) {
                self.act(id);
            } else if wanted.old.is_none() && wanted.qty > 0 {
                let id = self.new_quote(session, quote, index, wanted, self_trade);
                self.act(id);
            }
        }
    }

    fn new_quote(
        &mut self,
        session: usize,
        quote: &MassQuote,
        index: usize,
        wanted: &Wanted,
        self_trade: SelfTradeMode,
    ) -> OrderId {
        let id = self.new_order_id();
        let order = Order {
            instrument: index,
            side: wanted.side,
            limit: wanted.price,
            leaves: wanted.qty,
            time_in_force: TimeInForce::Gtc,
            post_only: quote.flags & MassQuote::POST_ONLY != 0,
            self_trade,
            quote: true,
            ..Order::in_hand(id, session, self.account_of(session), quote.client_order_id)
        };
        self.orders.insert(id, order);
        id
    }
}
