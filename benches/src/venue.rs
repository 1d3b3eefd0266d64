//! A venue for the flows: accounts, sessions, instruments, and credits and capacity enough that nobody is refused.

use joulebook_protocol::messages::{
    DepositCredits, Genesis, ListInstrument, MintCredits, OpenAccount, RegisterCapacity, SessionOpened,
    SetYield,
};
use joulebook_protocol::{Command, Origin};
use joulebook_types::{
    AccountId, AreaCode, ClassCode, ClientOrderId, ConnectionId, InstrumentId, MicroEc, ModelId, Price, Role,
    Roles, SessionId, ShardId, Side, TimeNs, Yield,
};

/// As many buy as sell; who sells never buys, so that nobody meets himself and a flow trades as it says.
pub const TRADERS: u32 = 16;
pub const SESSION: SessionId = SessionId::new(1);
pub const MODEL: ModelId = ModelId::new(1);
/// Kilo-tokens per accelerator-hour of the first class, and how many more of each next one: chips differ in that.
pub const YIELD_KTOK: (u32, u32) = (10_000, 1_000);

pub const ACCELERATORS_PER_LOT: u64 = 8;
pub const OPERATOR: AccountId = AccountId::new(1);
const ISSUER: AccountId = AccountId::new(2);
const FIRST_TRADER: u32 = 10;
/// A tenth of a cent per accelerator-hour.
const TICK: i64 = 1_000;
/// Midnight; everything is delivered later.
const DAY: u32 = 40 * 1_440;
const ZONE: &str = "DE";

/// What is traded in every book of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// One slot of capacity.
    Quarter,
    /// Four slots: four holds, four postings.
    Hour,
}

impl Window {
    pub const fn minutes(self) -> u16 {
        match self {
            Self::Quarter => 15,
            Self::Hour => 60,
        }
    }

    /// Quarter hours of capacity that a sale holds.
    pub const fn slots(self) -> u16 {
        self.minutes() / 15
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Quarter => "quarter hour",
            Self::Hour => "hour",
        }
    }
}

/// How much an engine keeps of what it said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tables {
    /// As the daemon comes: a million outcomes, 131,072 events.
    Daemon,
    /// Full after a few thousand commands, for runs that count instructions.
    Short,
}

#[derive(Clone, Copy, Debug)]
pub struct VenuePlan {
    /// Books that are traded.
    pub books: u16,
    /// Books that are listed for each of those, itself included.
    pub listed: u32,
    pub window: Window,
    pub tables: Tables,
    /// Books differ by class, in one window, rather than by window in one class.
    pub by_class: bool,
    pub orders_max: u32,
}

impl VenuePlan {
    /// Books of consecutive windows of one class.
    pub const fn windows(books: u16, window: Window, tables: Tables) -> Self {
        Self { books, listed: 1, window, tables, by_class: false, orders_max: 4_000_000 }
    }

    /// Books of so many classes in one window, for token orders.
    pub const fn classes(books: u16, window: Window, tables: Tables) -> Self {
        Self { by_class: true, ..Self::windows(books, window, tables) }
    }

    /// The commands that make the venue, with who sends them. Ids of requests begin at 1 for each sender, and the next one
    /// is 1 above those here.
    pub fn commands(&self) -> Vec<(Origin, Command)> {
        let mut setup = Setup { commands: Vec::new(), last_id: [0; (FIRST_TRADER + TRADERS) as usize] };
        setup.commands.push((Origin::SYSTEM, self.genesis().into()));
        setup.open_accounts();
        for book in 0..u32::from(self.books) * self.listed {
            setup.list(self, book);
        }
        setup.give_credits();
        for order in 0..TRADERS / 2 {
            setup.register(self, owner(Side::Sell, order));
        }
        setup.commands
    }

    fn genesis(&self) -> Genesis {
        let (session_outcomes_max, outcomes_max, outbox_events_max) = match self.tables {
            Tables::Daemon => (65_536, 1_000_000, 131_072),
            Tables::Short => (256, 4_096, 4_096),
        };
        Genesis {
            shard: ShardId::new(1),
            reserved: 0,
            accounts_max: 10_000,
            sessions_max: 10_000,
            instruments_max: 100_000,
            orders_max: self.orders_max,
            outbox_events_max,
            session_outcomes_max,
            outcomes_max,
            area: AreaCode::NONE,
        }
    }

    fn start_minute(&self, book: u32) -> u32 {
        if self.by_class { DAY } else { DAY + book * u32::from(self.window.minutes()) }
    }

    fn class(&self, book: u32) -> ClassCode {
        let number = if self.by_class { book } else { 0 };
        format!("C{number}").parse().expect("a code")
    }

    /// What lists a book, without the request's number.
    pub fn listing(&self, book: u32) -> ListInstrument {
        let start_minute = self.start_minute(book);
        ListInstrument {
            class: self.class(book),
            area: ZONE.parse().expect("a zone"),
            start_minute,
            window_minutes: self.window.minutes(),
            accelerators_per_lot: ACCELERATORS_PER_LOT as u16,
            tick: Price::new(TICK),
            band_low: Price::new(TICK),
            band_high: Price::new(TICK * 10_000_000),
            gate: TimeNs::from_minutes(start_minute),
            qty_max: 1_000_000,
            ..ListInstrument::default()
        }
    }

    /// The instrument of a flow's book.
    pub fn instrument(&self, book: u16) -> InstrumentId {
        InstrumentId::new(u32::from(book) * self.listed + 1)
    }

    fn days(&self) -> u32 {
        (self.start_minute(u32::from(self.books) * self.listed - 1) - DAY) / 1_440 + 1
    }
}

/// The account that owns an order of a flow.
pub fn owner(side: Side, order: u32) -> AccountId {
    let of_side = order % (TRADERS / 2);
    AccountId::new(FIRST_TRADER + 2 * of_side + u32::from(side == Side::Sell))
}

pub fn sender(account: AccountId, received: TimeNs) -> Origin {
    Origin { account, session: SESSION, received }
}

/// A flow's price.
pub fn price(ticks: u32) -> Price {
    Price::new(i64::from(ticks) * TICK)
}

/// A price's ticks.
pub fn ticks(price: Price) -> u32 {
    (price.raw() / TICK) as u32
}

fn traders() -> impl Iterator<Item = AccountId> {
    (FIRST_TRADER..FIRST_TRADER + TRADERS).map(AccountId::new)
}

struct Setup {
    commands: Vec<(Origin, Command)>,
    /// By account.
    last_id: [u64; (FIRST_TRADER + TRADERS) as usize],
}

impl Setup {
    fn send(&mut self, account: AccountId, command: impl Into<Command>) {
        self.commands.push((sender(account, TimeNs::ZERO), command.into()));
    }

    fn id(&mut self, account: AccountId) -> ClientOrderId {
        let last = &mut self.last_id[account.raw() as usize];
        *last += 1;
        ClientOrderId::new(*last)
    }

    fn open_accounts(&mut self) {
        let trader = Roles::from_iter([Role::Seller, Role::Buyer, Role::Maker]);
        let staff = [(OPERATOR, [Role::Operator]), (ISSUER, [Role::Issuer])];
        let staff = staff.map(|(account, roles)| (account, Roles::from_iter(roles)));
        for (account, roles) in staff.into_iter().chain(traders().map(|account| (account, trader))) {
            let open = OpenAccount { account, roles: roles.bits(), ..OpenAccount::default() };
            self.commands.push((Origin::SYSTEM, open.into()));
            let connection = ConnectionId::of_gateway(0, u64::from(account.raw()));
            let cancel_on_disconnect_ms = u32::MAX;
            self.send(
                account,
                SessionOpened { connection, cancel_on_disconnect_ms, ..SessionOpened::default() },
            );
        }
    }

    fn list(&mut self, plan: &VenuePlan, book: u32) {
        let client_order_id = self.id(OPERATOR);
        self.send(OPERATOR, ListInstrument { client_order_id, ..plan.listing(book) });
        if plan.by_class {
            let (client_order_id, class) = (self.id(OPERATOR), plan.class(book));
            let yield_ktok = Yield::new(YIELD_KTOK.0 + YIELD_KTOK.1 * book);
            self.send(
                OPERATOR,
                SetYield { client_order_id, class, yield_ktok, model: MODEL, ..SetYield::default() },
            );
        }
    }

    fn give_credits(&mut self) {
        let each = MicroEc::from_ec(100_000_000_000);
        for to in traders() {
            let client_order_id = self.id(ISSUER);
            self.send(ISSUER, MintCredits { client_order_id, amount: each, attestation: to.raw().into() });
            let client_order_id = self.id(ISSUER);
            self.send(ISSUER, DepositCredits { client_order_id, amount: each, to, reserved: 0 });
        }
    }

    fn register(&mut self, plan: &VenuePlan, trader: AccountId) {
        let classes = if plan.by_class { u32::from(plan.books) } else { 1 };
        for class in (0..classes).map(|book| plan.class(book)) {
            for day in 0..plan.days() {
                let client_order_id = self.id(trader);
                self.send(
                    trader,
                    RegisterCapacity {
                        client_order_id,
                        class,
                        area: ZONE.parse().expect("a zone"),
                        start_minute: DAY + day * 1_440,
                        window_minutes: 1_440,
                        accelerators: u32::MAX / (TRADERS / 2),
                        ..RegisterCapacity::default()
                    },
                );
            }
        }
    }
}
