//! Conservation: running totals, and the full recount that proves them.

use joulebook_types::MicroEc;

use crate::account::{AccountIx, Credits};
use crate::capacity::{CapacityTotals, SlotKey};
use crate::ledger::Ledger;

/// All credits by kind of balance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Ever minted, in micro-EC.
    pub minted: i128,
    /// Ever retired, in micro-EC.
    pub retired: i128,
    pub free: MicroEc,
    pub held: MicroEc,
    pub escrow: MicroEc,
    pub fees: MicroEc,
    /// What rounding left over. Ticks make every trade exact, so it stays zero until something rounds.
    pub rounding: MicroEc,
}

/// What does not add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imbalance {
    /// Minted minus retired is not the sum of all balances.
    Credits { supply: i128, balances: i128 },
    /// A running total is not what the accounts add up to.
    Running { balance: &'static str, total: MicroEc, counted: MicroEc },
    /// An account's escrow is not the sum of its positions'.
    Escrow { account: AccountIx },
    /// The accounts' capacity in a slot is not what was registered.
    Capacity { slot: SlotKey, registered: u64, balances: u64 },
    /// By running totals of all slots, what the accounts have is not what was registered.
    AllCapacity(CapacityTotals),
    /// The running totals of all slots are not what the accounts have.
    RunningCapacity { totals: CapacityTotals, counted: CapacityTotals },
}

impl Totals {
    /// Credits in existence, in micro-EC.
    pub const fn supply(&self) -> i128 {
        self.minted - self.retired
    }

    /// Σ free + Σ held + Σ escrow + fees + rounding, in micro-EC.
    pub fn balances(&self) -> i128 {
        [self.free, self.held, self.escrow, self.fees, self.rounding]
            .iter()
            .map(|balance| i128::from(balance.raw()))
            .sum()
    }

    /// The one sum.
    pub fn check(&self) -> Result<(), Imbalance> {
        let (supply, balances) = (self.supply(), self.balances());
        if supply == balances { Ok(()) } else { Err(Imbalance::Credits { supply, balances }) }
    }
}

impl Ledger {
    /// Conservation by running totals: of all credits, and of all capacity.
    pub fn check(&self) -> Result<(), Imbalance> {
        self.totals.check()?;
        self.capacity.check().map_err(Imbalance::AllCapacity)
    }

    /// Adds up every account and every position again.
    pub fn recount(&self) -> Result<(), Imbalance> {
        self.totals.check()?;
        let mut counted = Credits::default();
        for (index, credits) in self.accounts.iter().enumerate() {
            let Credits { free, held, escrow } = *credits;
            counted.free += free;
            counted.held += held;
            counted.escrow += escrow;
            let account = AccountIx::new(index as u32);
            let in_positions = self.capacity.of_account(account).map(|position| position.escrow).sum();
            if escrow != in_positions || free < MicroEc::ZERO || held < MicroEc::ZERO {
                return Err(Imbalance::Escrow { account });
            }
        }
        let running = [
            ("free", self.totals.free, counted.free),
            ("held", self.totals.held, counted.held),
            ("escrow", self.totals.escrow, counted.escrow),
        ];
        for (balance, total, counted) in running {
            if total != counted {
                return Err(Imbalance::Running { balance, total, counted });
            }
        }
        self.recount_capacity()
    }

    fn recount_capacity(&self) -> Result<(), Imbalance> {
        let mut counted = CapacityTotals::default();
        for (slot, asset) in self.capacity.keys() {
            let registered = self.capacity.registered(asset);
            let mut of_slot = CapacityTotals::default();
            for position in self.capacity.of_asset(asset) {
                of_slot.registered += position.registered;
                of_slot.free += position.free;
                of_slot.held += position.held;
            }
            let balances = of_slot.free + of_slot.held;
            if registered != balances || registered != of_slot.registered {
                return Err(Imbalance::Capacity { slot, registered, balances });
            }
            counted.registered += registered;
            counted.free += of_slot.free;
            counted.held += of_slot.held;
        }
        let totals = self.capacity.totals;
        if totals == counted { Ok(()) } else { Err(Imbalance::RunningCapacity { totals, counted }) }
    }
}
