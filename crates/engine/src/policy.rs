//! Who may send which command: one table, so that a new command without a policy does not compile.

use joulebook_protocol::Command;
use joulebook_types::{Role, Roles};

/// Who may send a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// The exchange itself.
    System,
    /// A gateway, about a session of its own.
    Gateway,
    /// Every account.
    Anyone,
    /// Accounts with at least one of these roles.
    AnyOf(Roles),
}

const TRADERS: Roles = Roles::NONE.with(Role::Seller).with(Role::Buyer).with(Role::Maker);

pub(crate) const fn policy(command: &Command) -> Policy {
    match command {
        Command::NewOrder(_) => Policy::AnyOf(TRADERS),
        Command::CancelOrder(_) => Policy::AnyOf(TRADERS),
        Command::ReplaceOrder(_) => Policy::AnyOf(TRADERS),
        Command::MassCancel(_) => Policy::AnyOf(TRADERS.with(Role::Operator)),
        Command::TokenOrder(_) => Policy::AnyOf(TRADERS),
        Command::OrderQuery(_) => Policy::Anyone,
        Command::AccountQuery(_) => Policy::Anyone,
        Command::MintCredits(_) => only(Role::Issuer),
        Command::RetireCredits(_) => only(Role::Issuer),
        Command::DepositCredits(_) => only(Role::Issuer),
        Command::RegisterCapacity(_) => only(Role::Seller),
        Command::DeliverSlot(_) => Policy::AnyOf(Roles::NONE.with(Role::Meter).with(Role::Operator)),
        Command::ListInstrument(_) => only(Role::Operator),
        Command::OpenAccount(_) => only(Role::Operator),
        Command::SetYield(_) => only(Role::Operator),
        Command::ReduceOrder(_) | Command::OcoOrder(_) | Command::OrderBatch(_) => Policy::AnyOf(TRADERS),
        Command::MassQuote(_) | Command::SetProtection(_) | Command::ResetProtection(_) => only(Role::Maker),
        Command::Basket(_) | Command::BlockSweep(_) | Command::SetDeadMan(_) => Policy::AnyOf(TRADERS),
        Command::KillSwitch(_) => Policy::AnyOf(TRADERS.with(Role::Operator)),
        Command::SetPhase(_) | Command::SetBands(_) | Command::SetLimits(_) => only(Role::Operator),
        Command::Seed(_) => Policy::System,
        Command::Genesis(_) => Policy::System,
        Command::SessionOpened(_) => Policy::Gateway,
        Command::SessionClosed(_) => Policy::Gateway,
        Command::Restarted(_) => Policy::System,
        Command::AdvanceTime(_) => Policy::System,
    }
}

const fn only(role: Role) -> Policy {
    Policy::AnyOf(Roles::NONE.with(role))
}

impl Policy {
    /// Whether an account with these roles may send the command itself.
    pub(crate) const fn allows(self, roles: Roles) -> bool {
        match self {
            Self::System | Self::Gateway => false,
            Self::Anyone => true,
            Self::AnyOf(allowed) => allowed.bits() & roles.bits() != 0,
        }
    }
}
