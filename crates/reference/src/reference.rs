//! The engine itself: batches, steps, and the one place where commands part.

use joulebook_protocol::messages::*;
use joulebook_protocol::{Command, Event, Message, Origin, SequencedCommand};
use joulebook_types::{OrderId, SeqNum, TimeNs};

use crate::clients::Client;
use crate::exactly_once::Framed;
use crate::market::Market;
use crate::policy::{Policy, policy};
use crate::rejection::Checked;
use crate::said::{Said, Spoken, stamp_mut};

/// One shard's market, slow and obvious.
#[derive(Clone, Debug, Default)]
pub struct Reference {
    started: bool,
    last_seq: SeqNum,
    /// When the gateway received the command in hand; zero while timers run.
    received: TimeNs,
    pub(crate) market: Market,
    /// Beside the market's sessions.
    pub(crate) clients: Vec<Client>,
    pub(crate) said: Vec<Said>,
    ignored_commands: u64,
}

impl Reference {
    /// An engine that waits for its `Genesis`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a batch: what is due happens before its commands.
    ///
    /// # Panics
    /// When the stream has a gap.
    pub fn begin_batch(&mut self, first_seq: SeqNum, time: TimeNs) {
        assert_eq!(first_seq, self.last_seq.next(), "gap in the sequenced stream");
        self.market.time = self.market.time.max(time);
        self.received = TimeNs::ZERO;
        while let Some(timer) = self.market.timers.take_due(self.market.time) {
            self.market.fire(timer);
            self.number();
        }
    }

    /// Applies the next command of the batch.
    pub fn apply(&mut self, command: &SequencedCommand) {
        self.last_seq = self.last_seq.next();
        let SequencedCommand { origin, ref command } = *command;
        self.received = origin.received;
        if !self.may_come_from(origin, command) {
            return self.ignore();
        }
        match command {
            Command::Genesis(genesis) => {
                self.started = true;
                self.market.limits = *genesis;
            }
            Command::SessionOpened(opened) => self.session_opened(origin, opened),
            Command::SessionClosed(closed) => self.session_closed(origin, closed),
            Command::Restarted(_) => self.restarted(),
            Command::AdvanceTime(_) => {}
            Command::Seed(seed) => (self.market.seed, self.market.draws) = (seed.seed, 0),
            Command::OpenAccount(open) if origin.account.is_none() => {
                if self.market.add_account(open).is_err() {
                    self.ignore();
                }
                self.number();
            }
            from_client => match self.connected_session(origin) {
                Some(session) => self.client_request(session, from_client),
                None => self.ignore(),
            },
        }
    }

    /// Ends the batch.
    ///
    /// # Panics
    /// When credits were made or lost.
    pub fn end_batch(&mut self) {
        let state = self.state();
        assert_eq!(state.minted - state.retired, state.balances, "credits are conserved");
    }

    /// What was said since the last call, in order.
    pub fn take_events(&mut self) -> Vec<Said> {
        core::mem::take(&mut self.said)
    }

    /// Commands that had no effect because of where they came from.
    pub fn ignored_commands(&self) -> u64 {
        self.ignored_commands
    }

    pub fn last_seq(&self) -> SeqNum {
        self.last_seq
    }

    pub(crate) fn ignore(&mut self) {
        self.ignored_commands += 1;
    }

    fn may_come_from(&self, origin: Origin, command: &Command) -> bool {
        let from_system = origin.account.is_none();
        match policy(command) {
            // Genesis is the first command and never comes again.
            Policy::System => from_system && matches!(command, Command::Genesis(_)) != self.started,
            Policy::Gateway | Policy::Anyone => !from_system && self.started,
            Policy::Roles(_) => self.started && (!from_system || matches!(command, Command::OpenAccount(_))),
        }
    }

    fn connected_session(&self, origin: Origin) -> Option<usize> {
        self.find_session(origin).filter(|session| self.clients[*session].is_connected())
    }

    /// A request or a question of a client that is logged on.
    pub(crate) fn client_request(&mut self, session: usize, command: &Command) {
        match command {
            Command::OrderQuery(query) => self.market.order_query(session, query),
            Command::AccountQuery(query) => {
                let last_event_seq = self.clients[session].events.len() as u64;
                self.market.send_snapshot(session, query.client_order_id, last_event_seq);
            }
            Command::OrderBatch(batch) => return self.order_batch(session, batch),
            request => {
                let framed = Framed {
                    session,
                    client_order_id: number_of(request),
                    template_id: request.template_id(),
                    policy: policy(request),
                    ids: ids_of(request),
                };
                return self.request(framed, |market, session| market.carry_out(session, request));
            }
        }
        self.number();
    }

    /// Numbers what the market said, keeps it, and sends it to those who are there.
    pub(crate) fn number(&mut self) {
        for spoken in core::mem::take(&mut self.market.said) {
            match spoken {
                Spoken::Publish(event) => self.said.push(Said::Public(event)),
                Spoken::Answer(session, event) => {
                    let event = self.stamped(event, 0);
                    self.say_to(session, event);
                }
                Spoken::Tell(session, event) => {
                    let event = self.stamped(event, self.clients[session].events.len() as u64 + 1);
                    self.clients[session].events.push(event);
                    self.say_to(session, event);
                }
            }
        }
    }

    fn stamped(&self, mut event: Event, event_seq: u64) -> Event {
        let (sequenced, received) = (self.market.time, self.received);
        *stamp_mut(&mut event) = Stamp { event_seq, sequenced, received, ..Stamp::default() };
        event
    }

    /// Sends an event to the session's connection, if there is one.
    pub(crate) fn say_to(&mut self, session: usize, event: Event) {
        let connection = self.clients[session].connection;
        if !connection.is_none() {
            let account = self.market.accounts[self.market.account_of(session)].id;
            let session = self.market.sessions[session].id;
            self.said.push(Said::To { account, session, connection, event });
        }
    }
}

impl Market {
    /// Carries out a request; the orders that it made or touched are what a repeat of it will be told of.
    fn carry_out(&mut self, session: usize, command: &Command) -> Checked<Vec<OrderId>> {
        let one = |id: OrderId| vec![id];
        let none = |()| Vec::new();
        match command {
            Command::NewOrder(order) => self.new_order(session, order).map(one),
            Command::CancelOrder(cancel) => self.cancel_order(session, cancel).map(one),
            Command::ReplaceOrder(replace) => self.replace_order(session, replace).map(one),
            Command::ReduceOrder(reduce) => self.reduce_order(session, reduce).map(one),
            Command::OcoOrder(oco) => self.oco_order(session, oco).map(|(limit, stop)| vec![limit, stop]),
            Command::MassCancel(cancel) => self.mass_cancel(session, cancel).map(none),
            Command::TokenOrder(order) => self.token_order(session, order).map(one),
            Command::Basket(basket) => self.basket(session, basket).map(one),
            Command::BlockSweep(sweep) => self.block_sweep(session, sweep).map(one),
            Command::MassQuote(quote) => self.mass_quote(session, quote).map(none),
            Command::SetProtection(set) => self.set_protection(session, set).map(none),
            Command::ResetProtection(reset) => self.reset_protection(session, reset).map(none),
            Command::SetDeadMan(set) => self.set_dead_man(session, set).map(none),
            Command::KillSwitch(kill) => self.kill_switch(session, kill).map(none),
            Command::SetPhase(set) => self.set_phase(session, set).map(none),
            Command::SetBands(set) => self.set_bands(session, set).map(none),
            Command::SetLimits(set) => self.set_limits(session, set).map(none),
            Command::MintCredits(mint) => self.mint_credits(session, mint).map(none),
            Command::RetireCredits(retire) => self.retire_credits(session, retire).map(none),
            Command::DepositCredits(deposit) => self.deposit_credits(session, deposit).map(none),
            Command::RegisterCapacity(register) => self.register_capacity(session, register).map(none),
            Command::DeliverSlot(deliver) => self.deliver_slot(session, deliver).map(none),
            Command::ListInstrument(list) => self.list_instrument(session, list).map(none),
            Command::OpenAccount(open) => self.open_account(session, open).map(none),
            Command::SetYield(set) => self.set_yield(session, set).map(none),
            Command::OrderBatch(_) | Command::OrderQuery(_) | Command::AccountQuery(_) => {
                unreachable!("no single request")
            }
            Command::Genesis(_) | Command::SessionOpened(_) | Command::SessionClosed(_) => {
                unreachable!("no request of a client")
            }
            Command::Restarted(_) | Command::AdvanceTime(_) | Command::Seed(_) => {
                unreachable!("no request of a client")
            }
        }
    }
}

/// Every command that a client numbers begins with its number.
fn number_of(command: &Command) -> joulebook_types::ClientOrderId {
    let mut frame = Vec::new();
    command.encode(&mut frame);
    let block = joulebook_protocol::HEADER_BYTES;
    let number = frame[block..block + 8].try_into().expect("eight bytes");
    joulebook_types::ClientOrderId::new(u64::from_le_bytes(number))
}

/// A linked order uses two numbers, unless there is no second one.
fn ids_of(command: &Command) -> u64 {
    match command.template_id() {
        OcoOrder::TEMPLATE_ID => 2,
        _one => 1,
    }
}
