//! Questions about the state, for comparisons.

use joulebook_protocol::{Event, Origin};
use joulebook_types::{
    AccountId, AreaCode, ClassCode, InstrumentId, MicroEc, OrderId, Phase, Price, QuarterSlot, SessionId,
    Side, TimeNs,
};

use crate::orders::Work;
use crate::reference::Reference;

/// Where all credits are, in micro-EC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    pub minted: i128,
    pub retired: i128,
    pub fees: i64,
    /// All accounts' credits and escrow, and the fees.
    pub balances: i128,
}

/// What an account has in a quarter hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub class: ClassCode,
    pub area: AreaCode,
    pub slot: QuarterSlot,
    pub registered: u64,
    pub free: u64,
    pub held: u64,
    pub escrow: MicroEc,
}

/// An order that is open: it rests, waits in a call, or waits for its trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOrder {
    pub order_id: OrderId,
    pub account: AccountId,
    pub instrument: InstrumentId,
    pub side: Side,
    /// Zero of an order without a price of its own.
    pub price: Price,
    /// Lots still open, hidden ones included.
    pub leaves: u32,
    /// It waits for a trade at a price.
    pub waits: bool,
    /// It is in the book.
    pub rests: bool,
}

impl Reference {
    pub fn time(&self) -> TimeNs {
        self.market.time
    }

    /// The next instant at which something happens without a command.
    pub fn next_deadline(&self) -> Option<TimeNs> {
        self.market.timers.next_deadline()
    }

    pub fn state(&self) -> State {
        let market = &self.market;
        let escrow = |holdings: &[crate::ledger::Holding]| -> i128 {
            holdings.iter().map(|holding| i128::from(holding.escrow)).sum()
        };
        let accounts = market.accounts.iter();
        let owned: i128 =
            accounts.map(|account| i128::from(account.credits) + escrow(&account.holdings)).sum();
        State {
            minted: market.minted,
            retired: market.retired,
            fees: market.fees,
            balances: owned + i128::from(market.fees),
        }
    }

    /// In the order of opening.
    pub fn accounts(&self) -> Vec<AccountId> {
        self.market.accounts.iter().map(|account| account.id).collect()
    }

    /// Free and held credits, and those in escrow.
    pub fn credits(&self, account: AccountId) -> Option<(MicroEc, MicroEc, MicroEc)> {
        let index = self.market.find_account(account)?;
        let escrow = self.market.accounts[index].holdings.iter().map(|holding| holding.escrow).sum();
        let (free, held) = (self.market.free(index), self.market.held(index));
        Some((MicroEc::new(free), MicroEc::new(held), MicroEc::new(escrow)))
    }

    /// The account's positions, in the order in which they came into being.
    pub fn positions(&self, account: AccountId) -> Vec<Position> {
        let Some(index) = self.market.find_account(account) else { return Vec::new() };
        let position = |holding: &crate::ledger::Holding| {
            let held = self.market.held_capacity(index, holding.slot, &[]);
            Position {
                class: holding.slot.class,
                area: holding.slot.area,
                slot: holding.slot.slot,
                registered: holding.registered as u64,
                free: (holding.balance - held) as u64,
                held: held as u64,
                escrow: MicroEc::new(holding.escrow),
            }
        };
        self.market.accounts[index].holdings.iter().map(position).collect()
    }

    /// Instruments that are listed and not settled, in listing order.
    pub fn instruments(&self) -> Vec<InstrumentId> {
        let listed = self.market.instruments.iter().filter(|instrument| instrument.phase != Phase::Settled);
        listed.map(|instrument| instrument.id).collect()
    }

    pub fn phase(&self, instrument: InstrumentId) -> Option<Phase> {
        self.find(instrument).map(|index| self.market.instruments[index].phase)
    }

    pub fn last_print(&self, instrument: InstrumentId) -> Option<Price> {
        self.find(instrument).and_then(|index| self.market.instruments[index].last_print)
    }

    /// Price, volume and surplus of the call if it ended now.
    pub fn indication(&self, instrument: InstrumentId) -> Option<(Price, u64, i64)> {
        let indication = self.market.indication(self.find(instrument)?);
        Some((indication.price, indication.volume, indication.surplus))
    }

    /// The levels of a side, best first: price, lots that show, orders.
    pub fn levels(&self, instrument: InstrumentId, side: Side) -> Vec<(Price, u64, u32)> {
        let Some(index) = self.find(instrument) else { return Vec::new() };
        let mut levels: Vec<(Price, u64, u32)> = Vec::new();
        for order in self.market.queue(index, side) {
            match levels.last_mut() {
                Some((price, qty, orders)) if *price == order.limit => {
                    *qty += u64::from(order.shown);
                    *orders += 1;
                }
                Some(_) | None => levels.push((order.limit, u64::from(order.shown), 1)),
            }
        }
        levels
    }

    /// Resting orders of a side in the order in which they trade.
    pub fn queue(&self, instrument: InstrumentId, side: Side) -> Vec<OrderId> {
        let queue = self.find(instrument).map(|index| self.market.queue(index, side));
        queue.unwrap_or_default().iter().map(|order| order.id).collect()
    }

    /// All open orders, by order id.
    pub fn open_orders(&self) -> Vec<OpenOrder> {
        let open = |order: &crate::orders::Order| OpenOrder {
            order_id: order.id,
            account: self.market.accounts[order.account].id,
            instrument: self.market.instruments[order.instrument].id,
            side: order.side,
            price: order.price(),
            leaves: order.leaves,
            waits: order.work == Work::Waiting,
            rests: order.work == Work::Resting,
        };
        self.market.orders.values().map(open).collect()
    }

    /// Every numbered event of a logical session: the first has number 1. Empty before the first logon.
    pub fn session_events(&self, account: AccountId, session: SessionId) -> &[Event] {
        let origin = Origin { account, session, received: TimeNs::ZERO };
        self.find_session(origin).map_or(&[], |session| &self.clients[session].events)
    }

    fn find(&self, instrument: InstrumentId) -> Option<usize> {
        self.market.instruments.iter().position(|listed| listed.id == instrument)
    }
}
