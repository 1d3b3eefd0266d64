//! One function per command that an account may send, generated from the list below.

use joulebook_protocol::messages::*;
use joulebook_protocol::{Command, Message};

use super::handle::EngineRef;
use super::pointer::{In, Out};
use crate::Status;
use crate::declare::{CType, exports, message_type};
use crate::house::SESSION;
use crate::structs::CResult;

/// Exports the functions and says how C calls their structs.
macro_rules! senders {
    ($($(#[doc = $doc:literal])+ $function:ident $message:ident,)+) => {
        $(impl CType for $message {
            fn declare(inner: &str) -> String {
                format!("{} {inner}", message_type($message::NAME))
            }
        })+

        exports! {
            $($(#[doc = $doc])+
            fn $function(engine: EngineRef<'_>, account: u32, command: In<$message>, result: Out<CResult>) -> Status {
                send(&engine, account, &command, &result)
            })+
        }

        /// Every command that has a function.
        #[cfg(test)]
        const SENT: &[u16] = &[$($message::TEMPLATE_ID,)+];
    };
}

senders! {
    /// Enters an order of any type.
    jb_send_new_order NewOrder,
    /// Cancels an order.
    jb_send_cancel_order CancelOrder,
    /// Changes an order's price and total lots.
    jb_send_replace_order ReplaceOrder,
    /// Cancels the orders of a session or an account that match. `result` is how many.
    jb_send_mass_cancel MassCancel,
    /// Buys tokens over several books. `result` is kilo-token minutes.
    jb_send_token_order TokenOrder,
    /// Asks for an order's state by an event, as a client over the network does.
    jb_send_order_query OrderQuery,
    /// Asks for everything of the account by events.
    jb_send_account_query AccountQuery,
    /// Creates credits: JB_ISSUER.
    jb_send_mint_credits MintCredits,
    /// Destroys credits: JB_ISSUER.
    jb_send_retire_credits RetireCredits,
    /// Moves credits to an account: JB_ISSUER.
    jb_send_deposit_credits DepositCredits,
    /// Registers a seller's accelerators.
    jb_send_register_capacity RegisterCapacity,
    /// Says that a quarter hour was delivered: JB_METER. `result` is the escrow released.
    jb_send_deliver_slot DeliverSlot,
    /// Lists an instrument: JB_OPERATOR. `result` is its id.
    jb_send_list_instrument ListInstrument,
    /// Opens an account: JB_OPERATOR. jb_add_account also logs it on.
    jb_send_open_account OpenAccount,
    /// Sets a yield: JB_OPERATOR.
    jb_send_set_yield SetYield,
    /// Takes lots off an order.
    jb_send_reduce_order ReduceOrder,
    /// Enters a limit order and a stop of which one cancels the other. The answer is the limit order's.
    jb_send_oco_order OcoOrder,
    /// Sends up to 16 requests at once. The answer is the first one's; jb_batch has all.
    jb_send_order_batch OrderBatch,
    /// Sets up to 64 quotes. `result` is the bit map of those in place.
    jb_send_mass_quote MassQuote,
    /// Sets a maker's protection.
    jb_send_set_protection SetProtection,
    /// Lets a maker's quotes in again. `result` is 1 when they had been kept out.
    jb_send_reset_protection ResetProtection,
    /// Fills every leg or none.
    jb_send_basket Basket,
    /// Fills consecutive windows at an average price or none.
    jb_send_block_sweep BlockSweep,
    /// Sets the session's dead-man timer.
    jb_send_set_dead_man SetDeadMan,
    /// Kills or enables again. `result` is how many orders were canceled.
    jb_send_kill_switch KillSwitch,
    /// Moves instruments to a phase: JB_OPERATOR. `result` is how many.
    jb_send_set_phase SetPhase,
    /// Sets an instrument's price bands: JB_OPERATOR.
    jb_send_set_bands SetBands,
    /// Sets an account's caps: JB_OPERATOR.
    jb_send_set_limits SetLimits,
}

fn send<M>(engine: &EngineRef<'_>, account: u32, command: &In<M>, result: &Out<CResult>) -> Status
where
    M: zerocopy::FromBytes + Into<Command>,
{
    engine.call(|exchange| {
        let command = command.read()?.into();
        result.write_if_wanted(exchange.apply(account, SESSION, command)?);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use joulebook_protocol::{Sender, TABLE};

    #[test]
    fn every_command_of_clients_has_a_function() {
        let is_clients = |id: u16, sender| (20..60).contains(&id) && sender == Sender::Client;
        let commands = TABLE.iter().filter(|info| is_clients(info.template_id, info.sender));
        assert_eq!(super::SENT, commands.map(|info| info.template_id).collect::<Vec<_>>());
    }
}
