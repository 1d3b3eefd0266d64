//! Taking orders out: by name, by filter, by kill switch, by silence.

use std::str::FromStr;

use clap::{ArgGroup, Args};
use joulebook_protocol::Command;
use joulebook_protocol::messages::{CancelOrder, KillSwitch, MassCancel, SetDeadMan};
use joulebook_types::{ClassCode, InstrumentId, OrderId, Price, SessionId, SlotHint, Symbol};

use super::desk::Trader;
use super::order::SideArg;
use crate::span::Span;

#[derive(Args)]
#[command(after_help = "Examples:
  joulebook cancel 17
  joulebook cancel --all
  joulebook cancel --symbol H200S.DE.20261224T1400.H --side sell --from 28.00 --to 30.00")]
#[command(group = ArgGroup::new("which").required(true).multiple(true)
    .args(["order_id", "all", "symbol", "class", "side", "from", "to"]))]
pub struct CancelArgs {
    #[command(flatten)]
    pub trader: Trader,
    /// As `joulebook account` shows it.
    order_id: Option<u64>,
    /// Every open order of the account; the filters below say which of them.
    #[arg(long, conflicts_with = "order_id")]
    all: bool,
    /// Of one instrument.
    #[arg(long, conflicts_with = "order_id")]
    pub symbol: Option<Symbol>,
    /// Of an accelerator class, such as H200S.
    #[arg(long, conflicts_with = "order_id")]
    class: Option<ClassCode>,
    /// Bids or asks only.
    #[arg(long, conflicts_with = "order_id")]
    side: Option<SideArg>,
    /// Priced here or above, in EC per accelerator-hour.
    #[arg(long, value_name = "PRICE", conflicts_with = "order_id")]
    from: Option<Price>,
    /// Priced here or below.
    #[arg(long, value_name = "PRICE", conflicts_with = "order_id")]
    to: Option<Price>,
}

#[derive(Args)]
#[command(after_help = "Examples:
  joulebook kill
  joulebook kill --session 2")]
pub struct KillArgs {
    #[command(flatten)]
    pub trader: Trader,
    /// Only this session of the account.
    #[arg(long)]
    session: Option<u32>,
}

#[derive(Args)]
#[command(after_help = "Example: joulebook enable")]
pub struct EnableArgs {
    #[command(flatten)]
    pub trader: Trader,
    /// Only this session of the account.
    #[arg(long)]
    session: Option<u32>,
}

#[derive(Args)]
#[command(after_help = "Examples:
  joulebook dead-man 30s
  joulebook dead-man off")]
pub struct DeadManArgs {
    #[command(flatten)]
    pub trader: Trader,
    /// 1s to 24h, or `off`.
    timeout: Timeout,
}

/// In milliseconds; 0 is off.
#[derive(Clone, Copy)]
struct Timeout(u32);

impl FromStr for Timeout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self(0)),
            span => span.parse().map(|Span(ms)| Self(ms)).map_err(|error| format!("{error}, nor `off`")),
        }
    }
}

impl CancelArgs {
    /// `symbol` as the exchange numbers it.
    pub fn request(&self, symbol: InstrumentId) -> Command {
        if let Some(order_id) = self.order_id {
            let (order_id, slot) = (OrderId::new(order_id), SlotHint::UNKNOWN);
            return CancelOrder { order_id, slot, ..CancelOrder::default() }.into();
        }
        MassCancel {
            scope: MassCancel::SCOPE_ACCOUNT,
            instrument: symbol,
            class: self.class.unwrap_or_default(),
            side: self.side.map_or(0, SideArg::raw),
            price_low: self.from.unwrap_or(Price::ZERO),
            price_high: self.to.unwrap_or(Price::ZERO),
            ..MassCancel::default()
        }
        .into()
    }
}

/// Of the sender's own account, or of one session of it.
fn own(session: Option<u32>, action: u8) -> KillSwitch {
    let scope = if session.is_some() { KillSwitch::SCOPE_SESSION } else { KillSwitch::SCOPE_ACCOUNT };
    let session = session.map_or(SessionId::NONE, SessionId::new);
    KillSwitch { session, scope, action, ..KillSwitch::default() }
}

impl KillArgs {
    pub fn request(&self) -> KillSwitch {
        own(self.session, KillSwitch::KILL)
    }
}

impl EnableArgs {
    pub fn request(&self) -> KillSwitch {
        own(self.session, KillSwitch::ENABLE)
    }
}

impl DeadManArgs {
    pub fn request(&self) -> SetDeadMan {
        SetDeadMan { timeout_ms: self.timeout.0, ..SetDeadMan::default() }
    }
}
