//! Who may send which request: one table, so that a new request without a row does not compile. What only the exchange
//! itself or a gateway sends is no request.

use joulebook_protocol::Message;
use joulebook_protocol::messages::*;
use joulebook_types::{ClientOrderId, Role, Roles};

use crate::request::Request;

const TRADERS: Roles = Roles::NONE.with(Role::Seller).with(Role::Buyer).with(Role::Maker);
const ISSUER: Roles = Roles::NONE.with(Role::Issuer);
const SELLER: Roles = Roles::NONE.with(Role::Seller);
const MAKER: Roles = Roles::NONE.with(Role::Maker);
const OPERATOR: Roles = Roles::NONE.with(Role::Operator);
const METER_OR_OPERATOR: Roles = Roles::NONE.with(Role::Meter).with(Role::Operator);
const TRADERS_OR_OPERATOR: Roles = TRADERS.with(Role::Operator);

macro_rules! requests {
    ($($request:ident $senders:ident,)*) => { $(
        impl Request for $request {
            const SENDERS: Roles = $senders;
            const IDS: u64 = ids_of($request::TEMPLATE_ID);

            #[inline]
            fn client_order_id(&self) -> ClientOrderId {
                self.client_order_id
            }
        }
    )* };
}

requests! {
    NewOrder TRADERS,
    CancelOrder TRADERS,
    ReplaceOrder TRADERS,
    ReduceOrder TRADERS,
    OcoOrder TRADERS,
    OrderBatch TRADERS,
    TokenOrder TRADERS,
    Basket TRADERS,
    BlockSweep TRADERS,
    SetDeadMan TRADERS,
    MassCancel TRADERS_OR_OPERATOR,
    KillSwitch TRADERS_OR_OPERATOR,
    MassQuote MAKER,
    SetProtection MAKER,
    ResetProtection MAKER,
    RegisterCapacity SELLER,
    MintCredits ISSUER,
    RetireCredits ISSUER,
    DepositCredits ISSUER,
    DeliverSlot METER_OR_OPERATOR,
    ListInstrument OPERATOR,
    OpenAccount OPERATOR,
    SetYield OPERATOR,
    SetPhase OPERATOR,
    SetBands OPERATOR,
    SetLimits OPERATOR,
}

/// Client order ids that a request takes, from its own on: linked orders are two.
const fn ids_of(template_id: u16) -> u64 {
    if template_id == OcoOrder::TEMPLATE_ID { 2 } else { 1 }
}
