//! The number that a client gives each of its requests.

use joulebook_types::ClientOrderId;

use crate::Command;

macro_rules! requests {
    ($($request:ident)*; $($internal:ident)*) => {
        impl Command {
            /// Of the request, or of the first one that it stands for; `None` for the exchange's own commands.
            pub const fn client_order_id(&self) -> Option<ClientOrderId> {
                match self {
                    $(Self::$request(request) => Some(request.client_order_id),)*
                    $(Self::$internal(_) => None,)*
                }
            }

            /// Numbers a request; the exchange's own commands have no number.
            pub const fn set_client_order_id(&mut self, id: ClientOrderId) {
                match self {
                    $(Self::$request(request) => request.client_order_id = id,)*
                    $(Self::$internal(_) => {})*
                }
            }
        }
    };
}

requests! {
    NewOrder CancelOrder ReplaceOrder MassCancel TokenOrder OrderQuery AccountQuery MintCredits RetireCredits
    DepositCredits RegisterCapacity DeliverSlot ListInstrument OpenAccount SetYield ReduceOrder OcoOrder OrderBatch
    MassQuote SetProtection ResetProtection Basket BlockSweep SetDeadMan KillSwitch SetPhase SetBands SetLimits;
    Genesis SessionOpened SessionClosed Restarted AdvanceTime Seed
}

impl Command {
    /// How many client order ids, one after another, the request takes.
    pub const fn client_order_ids(&self) -> u64 {
        match self {
            Self::OcoOrder(_) => 2,
            Self::OrderBatch(batch) => {
                let count = batch.count as u64;
                // A batch that is refused whole is one request.
                if count == 0 || count > crate::messages::OrderBatch::ENTRIES_MAX as u64 { 1 } else { count }
            }
            _ => 1,
        }
    }
}
