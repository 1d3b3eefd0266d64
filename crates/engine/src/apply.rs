//! The one place where commands part.

use joulebook_protocol::messages::{CancelOrder, MassQuote, NewOrder, ReduceOrder, ReplaceOrder, TokenOrder};
use joulebook_protocol::{Command, Message, Origin, RecordError, SequencedCommand};

use crate::plain_order::PlainOrder;
use crate::plain_taker::PlainTaker;
use crate::request::{Done, Rejection, Request};
use crate::sessions::SessionIx;
use crate::{Engine, Events};

impl Engine {
    /// Applies the next command of the batch.
    pub fn apply(&mut self, command: &SequencedCommand, out: &mut Events) {
        let SequencedCommand { origin, ref command } = *command;
        if !self.goes_short_way(origin, command, out) {
            self.begin_step(origin);
            self.carry_out(origin, command, out);
            self.end_step(out);
        }
    }

    /// Orders, cancels, replaces and reduces with nothing special about them have a way of their own. Else nothing has happened.
    fn goes_short_way(&mut self, origin: Origin, command: &Command, out: &mut Events) -> bool {
        if let Command::NewOrder(order) = command {
            return PlainOrder::of(order).is_some_and(|order| self.rest_plain(origin, &order, out))
                || PlainTaker::of(order).is_some_and(|order| self.take_plain(origin, &order, out));
        }
        if let Command::CancelOrder(cancel) = command {
            return self.cancel_resting(origin, cancel, out);
        }
        if let Command::ReplaceOrder(replace) = command {
            return self.move_resting(origin, replace, out);
        }
        if let Command::ReduceOrder(reduce) = command {
            return self.reduce_resting(origin, reduce, out);
        }
        false
    }

    /// Applies the next command of the batch, as its journal record has it. A record that is no command changes nothing.
    ///
    /// The requests that markets are made of are told by one word, and read to where they are needed.
    #[inline(always)]
    pub fn apply_record(&mut self, record: &[u8], out: &mut Events) -> Result<(), RecordError> {
        let done = match SequencedCommand::header_word(record) {
            NewOrder::SHORT_HEADER => self.apply_new_order(record, out) || self.apply_taker(record, out),
            CancelOrder::SHORT_HEADER => self.apply_cancel_order(record, out),
            ReplaceOrder::SHORT_HEADER => self.apply_replace_order(record, out),
            _ => false,
        };
        if done { Ok(()) } else { self.apply_any(record, out) }
    }

    /// Applies a new order that goes the short way. A function of its own, into which nothing else is compiled.
    #[inline(never)]
    fn apply_new_order(&mut self, record: &[u8], out: &mut Events) -> bool {
        let Some((origin, block)) = SequencedCommand::split_at_block(record) else { return false };
        PlainOrder::read(block).is_some_and(|order| self.rest_plain(origin, &order, out))
    }

    /// The same for orders that do not just rest.
    #[inline(never)]
    fn apply_taker(&mut self, record: &[u8], out: &mut Events) -> bool {
        let Some((origin, block)) = SequencedCommand::split_at_block(record) else { return false };
        PlainTaker::read(block).is_some_and(|order| self.take_plain(origin, &order, out))
    }

    /// The same for cancels.
    #[inline(never)]
    fn apply_cancel_order(&mut self, record: &[u8], out: &mut Events) -> bool {
        const BLOCK_BYTES: usize = CancelOrder::BLOCK_MIN;
        let Some((origin, block)) = SequencedCommand::split_at_block::<BLOCK_BYTES>(record) else {
            return false;
        };
        CancelOrder::decode(block).is_ok_and(|cancel| self.cancel_resting(origin, &cancel, out))
    }

    /// The same for replaces.
    #[inline(never)]
    fn apply_replace_order(&mut self, record: &[u8], out: &mut Events) -> bool {
        const BLOCK_BYTES: usize = ReplaceOrder::BLOCK_MIN;
        let Some((origin, block)) = SequencedCommand::split_at_block::<BLOCK_BYTES>(record) else {
            return false;
        };
        ReplaceOrder::decode(block).is_ok_and(|replace| self.move_resting(origin, &replace, out))
    }

    /// And for reduces.
    #[inline(never)]
    fn apply_reduce_order(&mut self, record: &[u8], out: &mut Events) -> bool {
        const BLOCK_BYTES: usize = ReduceOrder::BLOCK_MIN;
        let Some((origin, block)) = SequencedCommand::split_at_block::<BLOCK_BYTES>(record) else {
            return false;
        };
        ReduceOrder::decode(block).is_ok_and(|reduce| self.reduce_resting(origin, &reduce, out))
    }

    /// Any record but those that went the short way.
    #[inline(never)]
    fn apply_any(&mut self, record: &[u8], out: &mut Events) -> Result<(), RecordError> {
        let (origin, frame) = SequencedCommand::split(record)?;
        match frame.header.template_id {
            NewOrder::TEMPLATE_ID => self.apply_request(origin, frame.block, Self::new_order, out),
            CancelOrder::TEMPLATE_ID => self.apply_request(origin, frame.block, Self::cancel_order, out),
            ReplaceOrder::TEMPLATE_ID => self.apply_request(origin, frame.block, Self::replace_order, out),
            // Asked here, so that what parts the usual requests stays small enough for the loop over a batch.
            ReduceOrder::TEMPLATE_ID if self.apply_reduce_order(record, out) => Ok(()),
            ReduceOrder::TEMPLATE_ID => self.apply_request(origin, frame.block, Self::reduce_order, out),
            TokenOrder::TEMPLATE_ID => self.apply_request(origin, frame.block, Self::token_order, out),
            MassQuote::TEMPLATE_ID => self.apply_request(origin, frame.block, Self::mass_quote, out),
            _ => self.apply_rarer(record, out),
        }
    }

    #[inline(never)]
    fn apply_request<M: Request>(
        &mut self,
        origin: Origin,
        block: &[u8],
        carry_out: impl FnOnce(&mut Self, SessionIx, &M, &mut Events) -> Result<Done, Rejection>,
        out: &mut Events,
    ) -> Result<(), RecordError> {
        let mut message = M::new_zeroed();
        message.read(block).map_err(RecordError::Command)?;
        self.begin_step(origin);
        self.request(origin, &message, carry_out, out);
        self.end_step(out);
        Ok(())
    }

    #[inline(never)]
    fn apply_rarer(&mut self, record: &[u8], out: &mut Events) -> Result<(), RecordError> {
        let mut command = SequencedCommand::default();
        command.read(record)?;
        self.apply(&command, out);
        Ok(())
    }

    #[inline(always)]
    fn begin_step(&mut self, origin: Origin) {
        self.last_seq = self.last_seq.next();
        self.step += 1;
        self.received = origin.received;
    }

    fn carry_out(&mut self, origin: Origin, command: &Command, out: &mut Events) {
        let is_system = origin.account.is_none();
        match command {
            Command::NewOrder(order) => self.request(origin, order, Self::new_order, out),
            Command::CancelOrder(cancel) => self.request(origin, cancel, Self::cancel_order, out),
            Command::ReplaceOrder(replace) => self.request(origin, replace, Self::replace_order, out),
            Command::MassCancel(cancel) => self.request(origin, cancel, Self::mass_cancel, out),
            Command::TokenOrder(order) => self.request(origin, order, Self::token_order, out),
            Command::OrderQuery(query) => self.order_query(origin, query, out),
            Command::AccountQuery(query) => self.account_query(origin, query, out),
            Command::MintCredits(mint) => self.request(origin, mint, Self::mint_credits, out),
            Command::RetireCredits(retire) => self.request(origin, retire, Self::retire_credits, out),
            Command::DepositCredits(deposit) => self.request(origin, deposit, Self::deposit_credits, out),
            Command::RegisterCapacity(register) => {
                self.request(origin, register, Self::register_capacity, out)
            }
            Command::DeliverSlot(deliver) => self.request(origin, deliver, Self::deliver_slot, out),
            Command::ListInstrument(list) => self.request(origin, list, Self::list_instrument, out),
            Command::OpenAccount(open) if is_system && self.started => self.open_system_account(open, out),
            Command::OpenAccount(open) => self.request(origin, open, Self::open_account, out),
            Command::SetYield(set) => self.request(origin, set, Self::set_yield, out),
            Command::ReduceOrder(reduce) => self.request(origin, reduce, Self::reduce_order, out),
            Command::OcoOrder(order) => self.request(origin, order, Self::oco_order, out),
            Command::OrderBatch(batch) => self.order_batch(origin, batch, out),
            Command::MassQuote(quote) => self.request(origin, quote, Self::mass_quote, out),
            Command::SetProtection(set) => self.request(origin, set, Self::set_protection, out),
            Command::ResetProtection(reset) => self.request(origin, reset, Self::reset_protection, out),
            Command::Basket(basket) => self.request(origin, basket, Self::basket, out),
            Command::BlockSweep(sweep) => self.request(origin, sweep, Self::block_sweep, out),
            Command::SetDeadMan(set) => self.request(origin, set, Self::set_dead_man, out),
            Command::KillSwitch(switch) => self.request(origin, switch, Self::kill_switch, out),
            Command::SetPhase(set) => self.request(origin, set, Self::set_phase, out),
            Command::SetBands(set) => self.request(origin, set, Self::set_bands, out),
            Command::SetLimits(set) => self.request(origin, set, Self::set_limits, out),
            // Gateways send these, about a session of theirs.
            Command::SessionOpened(opened) if !is_system && self.started => {
                self.session_opened(origin, opened, out);
            }
            Command::SessionClosed(closed) if !is_system && self.started => {
                self.session_closed(origin, closed, out);
            }
            Command::SessionOpened(_) | Command::SessionClosed(_) => self.ignore(),
            // The exchange itself sends the rest. Its first command is the genesis, which never comes again.
            Command::Genesis(genesis) if is_system && !self.started => self.genesis(genesis),
            Command::Seed(seed) if is_system && self.started => self.seed(seed),
            Command::Restarted(_) if is_system && self.started => self.restarted(out),
            Command::AdvanceTime(_) if is_system && self.started => {}
            Command::Genesis(_) | Command::Seed(_) | Command::Restarted(_) | Command::AdvanceTime(_) => {
                self.ignore();
            }
        }
    }
}
