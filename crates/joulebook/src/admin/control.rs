//! What keeps the market orderly: phases, bands, caps, kill switches. All of it is the operator's.

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use joulebook_protocol::Command;
use joulebook_protocol::messages::{KillSwitch, SetBands, SetLimits, SetPhase};
use joulebook_types::{
    AccountId, AreaCode, ClassCode, InstrumentId, MicroEc, Phase, Price, SessionId, Symbol,
};

use crate::Failure;
use crate::span::Span;

#[derive(Subcommand)]
pub enum ControlCommand {
    /// Halt, call an auction, open (operator): `joulebook admin phase auction SYMBOL`.
    Phase(PhaseArgs),
    /// Set how far and how fast a price may move (operator): `joulebook admin bands SYMBOL 10 60`.
    Bands(BandsArgs),
    /// Set what an account may have at risk (operator): `joulebook admin limits 11 --open-orders 9`.
    Limits(LimitsArgs),
    /// Cancel all orders and take no new ones (operator): `joulebook admin kill --account 11`.
    Kill(ScopeArgs),
    /// Take orders again (operator): `joulebook admin enable --account 11`.
    Enable(ScopeArgs),
}

#[derive(Clone, Copy, ValueEnum)]
enum PhaseArg {
    /// Orders are taken that do not cross; nothing trades.
    PreOpen,
    /// Everything; an auction that runs trades first.
    Open,
    /// Cancels and reduces only.
    Halted,
    /// Orders gather and trade together at one price.
    Auction,
}

#[derive(Args)]
#[command(after_help = "Examples:
  joulebook admin phase halted --class H200S
  joulebook admin phase auction H200S.DE.20261224T1400.H --duration 60s --random 10s
  joulebook admin phase open --all")]
#[command(group = ArgGroup::new("which").required(true).multiple(true).args(["symbol", "class", "area", "all"]))]
pub struct PhaseArgs {
    phase: PhaseArg,
    /// One instrument.
    symbol: Option<Symbol>,
    /// All of a class.
    #[arg(long, conflicts_with = "symbol")]
    class: Option<ClassCode>,
    /// All of a power zone.
    #[arg(long, conflicts_with = "symbol")]
    area: Option<AreaCode>,
    /// Every instrument.
    #[arg(long, conflicts_with = "symbol")]
    all: bool,
    /// Of an auction; without it, until the next command.
    #[arg(long, value_name = "TIME")]
    duration: Option<Span>,
    /// A random time up to this is added, so that nobody can aim at the end.
    #[arg(long, value_name = "TIME", requires = "duration")]
    random: Option<Span>,
}

#[derive(Args)]
#[command(
    after_help = "Example, halt when the price moves by more than 2 EC within 10 s, then call an auction:
  joulebook admin bands H200S.DE.20261224T1400.H 10 60 --velocity 2 --within 10s --auction 60s --random 10s"
)]
pub struct BandsArgs {
    symbol: Symbol,
    /// The lowest price, EC per accelerator-hour.
    low: Price,
    /// The highest price.
    high: Price,
    /// How far beyond the last trade orders may be priced and trade, in basis points; 0 is any distance.
    #[arg(long, value_name = "BPS", default_value_t = 0)]
    dynamic_bps: u32,
    /// A trade further than this from the price a while ago halts the instrument.
    #[arg(long, value_name = "EC", requires_all = ["within", "auction"])]
    velocity: Option<Price>,
    /// What a while is.
    #[arg(long, value_name = "TIME", requires = "velocity")]
    within: Option<Span>,
    /// How long the halt takes no orders.
    #[arg(long, value_name = "TIME", requires = "velocity")]
    halt: Option<Span>,
    /// How long the auction after it takes orders.
    #[arg(long, value_name = "TIME", requires = "velocity")]
    auction: Option<Span>,
    /// A random time up to this is added.
    #[arg(long, value_name = "TIME", requires = "velocity")]
    random: Option<Span>,
}

#[derive(Args)]
#[command(after_help = "Example; what is not named, or 0, has no cap from now on:
  joulebook admin limits 11 --open-orders 100 --order-value 5000 --open-value 50000 --window-accelerators 800")]
pub struct LimitsArgs {
    /// Its number.
    account: u32,
    /// Open orders: resting, waiting for a trigger or for an auction.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    open_orders: u32,
    /// Price times quantity of one order.
    #[arg(
        long,
        value_name = "EC",
        default_value = "0",
        hide_default_value = true,
        allow_negative_numbers = true
    )]
    order_value: MicroEc,
    /// The same of all open orders together.
    #[arg(
        long,
        value_name = "EC",
        default_value = "0",
        hide_default_value = true,
        allow_negative_numbers = true
    )]
    open_value: MicroEc,
    /// Accelerators bought, less those sold, with open bids, in any quarter hour.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    window_accelerators: u32,
}

#[derive(Args)]
#[command(after_help = "Examples, each also with enable:
  joulebook admin kill --account 11
  joulebook admin kill --account 11 --session 2
  joulebook admin kill --class H200S
  joulebook admin kill --exchange")]
#[command(group = ArgGroup::new("scope").required(true).args(["account", "class", "exchange"]))]
pub struct ScopeArgs {
    /// One account, by its number.
    #[arg(long)]
    account: Option<u32>,
    /// Only this session of the account.
    #[arg(long, requires = "account")]
    session: Option<u32>,
    /// All instruments of a class.
    #[arg(long)]
    class: Option<ClassCode>,
    /// Everybody.
    #[arg(long)]
    exchange: bool,
}

impl ControlCommand {
    /// The instrument that must be looked up.
    pub const fn symbol(&self) -> Option<Symbol> {
        match self {
            Self::Phase(args) => args.symbol,
            Self::Bands(args) => Some(args.symbol),
            Self::Limits(_) | Self::Kill(_) | Self::Enable(_) => None,
        }
    }

    /// The request, and what to say when it is done; `{result}` stands for what comes back. `instrument` is that of
    /// [`Self::symbol`].
    pub fn order(&self, instrument: InstrumentId) -> Result<(Command, String), Failure> {
        Ok(match self {
            Self::Phase(args) => {
                let set = args.request(instrument)?;
                let phase = Phase::from_raw(set.phase).map_or("?", Phase::name);
                (set.into(), format!("instruments changed to {phase}: {{result}}"))
            }
            Self::Bands(args) => {
                let done = format!("{} trades from {} to {} EC/AH", args.symbol, args.low, args.high);
                (args.request(instrument).into(), done)
            }
            Self::Limits(args) => (args.request().into(), format!("account {} has new caps", args.account)),
            Self::Kill(args) => {
                let done = format!("{} is out: no new orders taken, canceled: {{result}}", args.whom());
                (args.request(KillSwitch::KILL).into(), done)
            }
            Self::Enable(args) => {
                (args.request(KillSwitch::ENABLE).into(), format!("{} is in again", args.whom()))
            }
        })
    }
}

impl PhaseArgs {
    fn request(&self, instrument: InstrumentId) -> Result<SetPhase, Failure> {
        let phase = match self.phase {
            PhaseArg::PreOpen => Phase::PreOpen,
            PhaseArg::Open => Phase::Open,
            PhaseArg::Halted => Phase::Halted,
            PhaseArg::Auction => Phase::Auction,
        };
        if phase != Phase::Auction && self.duration.is_some() {
            return Err(Failure::usage("only an auction has a --duration"));
        }
        Ok(SetPhase {
            class: self.class.unwrap_or_default(),
            area: self.area.unwrap_or_default(),
            instrument,
            duration_ms: self.duration.map_or(0, |span| span.0),
            random_ms: self.random.map_or(0, |span| span.0),
            phase: phase.raw(),
            ..SetPhase::default()
        })
    }
}

impl BandsArgs {
    fn request(&self, instrument: InstrumentId) -> SetBands {
        let ms = |span: Option<Span>| span.map_or(0, |span| span.0);
        SetBands {
            band_low: self.low,
            band_high: self.high,
            velocity_move: self.velocity.unwrap_or(Price::ZERO),
            instrument,
            dynamic_bps: self.dynamic_bps,
            velocity_window_ms: ms(self.within),
            halt_ms: ms(self.halt),
            auction_ms: ms(self.auction),
            auction_random_ms: ms(self.random),
            ..SetBands::default()
        }
    }
}

impl LimitsArgs {
    fn request(&self) -> SetLimits {
        SetLimits {
            order_value_max: self.order_value,
            open_value_max: self.open_value,
            account: AccountId::new(self.account),
            open_orders_max: self.open_orders,
            window_accelerators_max: self.window_accelerators,
            ..SetLimits::default()
        }
    }
}

impl ScopeArgs {
    fn request(&self, action: u8) -> KillSwitch {
        let account = self.account.map_or(AccountId::NONE, AccountId::new);
        let session = self.session.map_or(SessionId::NONE, SessionId::new);
        let scope = match (self.account, self.session, self.class) {
            (Some(_), None, _) => KillSwitch::SCOPE_ACCOUNT,
            (Some(_), Some(_), _) => KillSwitch::SCOPE_SESSION,
            (None, _, Some(_)) => KillSwitch::SCOPE_CLASS,
            (None, _, None) => KillSwitch::SCOPE_EXCHANGE,
        };
        let class = self.class.unwrap_or_default();
        KillSwitch { class, account, session, scope, action, ..KillSwitch::default() }
    }

    fn whom(&self) -> String {
        match (self.account, self.session, self.class) {
            (Some(account), None, _) => format!("account {account}"),
            (Some(account), Some(session), _) => format!("session {session} of account {account}"),
            (None, _, Some(class)) => format!("class {class}"),
            (None, _, None) => "everybody".to_owned(),
        }
    }
}
