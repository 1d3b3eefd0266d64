//! The price war in virtual time, in two shells: without wires, thousands of times faster than life, and over the whole
//! exchange.

mod direct;
mod stage;
mod wired;

use joulebook_agents::outcome::Outcome;
use joulebook_agents::price_war::PriceWar;

use crate::checks::{Check, Violation};

/// A war to be fought.
#[derive(Clone, Debug)]
pub struct WarPlan {
    pub war: PriceWar,
    /// Of its own time.
    pub seconds: u32,
    pub shell: WarShell,
}

/// What lies between the agents and the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WarShell {
    /// Nothing but what orders and journals commands: no sessions' streams, no network, no disk.
    Direct,
    /// As `Direct`, with the journal on a simulated disk: nobody hears of what is not durable, and the disk is replayed in
    /// the end.
    Journaled,
    /// The whole exchange: sessions, network, gateway, core, journal.
    Wired,
}

/// What a war came to.
#[derive(Clone, Debug, PartialEq)]
pub struct WarOutcome {
    pub outcome: Outcome,
    /// Commands that the engine applied.
    pub commands: u64,
    /// Of all that the exchange said, and of its state at the end.
    pub event_hash: [u64; 2],
    pub state_hash: [u8; 32],
}

impl WarPlan {
    /// The demo's war, at a pace and with a stock that fit its length.
    pub fn new(seed: u64, seconds: u32) -> Self {
        let mut war = PriceWar::new(seed);
        war.pace_for(seconds);
        war.stock_for(seconds);
        Self { war, seconds, shell: WarShell::Direct }
    }
}

/// Fights the war, and judges it: how it ends must follow from its parameters.
pub fn fight(plan: &WarPlan) -> Result<WarOutcome, Violation> {
    let WarPlan { war, seconds, shell } = plan;
    match shell {
        WarShell::Direct => direct::fight(war, *seconds, false),
        WarShell::Journaled => direct::fight(war, *seconds, true),
        WarShell::Wired => wired::fight(war, *seconds),
    }
}

/// The war's own verdict.
fn check_economics(outcome: &Outcome) -> Result<(), Violation> {
    match outcome.checks.iter().find(|check| !check.passed) {
        Some(check) => Check::Economics.broken(format!("{}: {}", check.name, check.detail)),
        None => Ok(()),
    }
}
