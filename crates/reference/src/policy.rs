//! Who may send which command.

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
    /// Accounts with one of these roles.
    Roles(&'static [Role]),
}

const TRADERS: &[Role] = &[Role::Seller, Role::Buyer, Role::Maker];
const TRADERS_AND_OPERATOR: &[Role] = &[Role::Seller, Role::Buyer, Role::Maker, Role::Operator];

pub(crate) fn policy(command: &Command) -> Policy {
    match command {
        Command::NewOrder(_) | Command::CancelOrder(_) | Command::ReplaceOrder(_) => Policy::Roles(TRADERS),
        Command::ReduceOrder(_) | Command::OcoOrder(_) | Command::OrderBatch(_) => Policy::Roles(TRADERS),
        Command::TokenOrder(_) | Command::Basket(_) | Command::BlockSweep(_) => Policy::Roles(TRADERS),
        Command::SetDeadMan(_) => Policy::Roles(TRADERS),
        Command::MassCancel(_) | Command::KillSwitch(_) => Policy::Roles(TRADERS_AND_OPERATOR),
        Command::MassQuote(_) | Command::SetProtection(_) | Command::ResetProtection(_) => {
            Policy::Roles(&[Role::Maker])
        }
        Command::OrderQuery(_) | Command::AccountQuery(_) => Policy::Anyone,
        Command::MintCredits(_) | Command::RetireCredits(_) | Command::DepositCredits(_) => {
            Policy::Roles(&[Role::Issuer])
        }
        Command::RegisterCapacity(_) => Policy::Roles(&[Role::Seller]),
        Command::DeliverSlot(_) => Policy::Roles(&[Role::Meter, Role::Operator]),
        Command::ListInstrument(_) | Command::OpenAccount(_) | Command::SetYield(_) => {
            Policy::Roles(&[Role::Operator])
        }
        Command::SetPhase(_) | Command::SetBands(_) | Command::SetLimits(_) => {
            Policy::Roles(&[Role::Operator])
        }
        Command::SessionOpened(_) | Command::SessionClosed(_) => Policy::Gateway,
        Command::Genesis(_) | Command::Restarted(_) | Command::AdvanceTime(_) | Command::Seed(_) => {
            Policy::System
        }
    }
}

impl Policy {
    /// Whether an account with these roles may send the command.
    pub(crate) fn allows(self, roles: Roles) -> bool {
        match self {
            Self::System | Self::Gateway => false,
            Self::Anyone => true,
            Self::Roles(allowed) => allowed.iter().any(|role| roles.has(*role)),
        }
    }
}
