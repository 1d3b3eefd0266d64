//! The message table. Numbers are never reused; new fields are only appended; new messages get new numbers.

mod account;
mod basket;
mod book;
mod control;
mod event;
mod feed;
mod market;
mod order;
mod quote;
mod session;
mod system;

pub use account::*;
pub use basket::*;
pub use book::*;
pub use control::*;
pub use event::*;
pub use feed::*;
pub use market::*;
pub use order::*;
pub use quote::*;
pub use session::*;
pub use system::*;

use crate::message::messages;

messages! {
    /// Between a client and the gateway: never journaled, never numbered.
    SessionMessage {
        1 Hello Client,
        2 Challenge Server,
        3 Logon Client,
        4 LogonAccepted Server,
        5 LogonRejected Server,
        6 Heartbeat Either,
        7 Logout Client,
        8 Terminate Server,
        9 RequestRefused Server,
        10 Subscribe Client,
        11 Unsubscribe Client,
    }

    /// Everything that can change engine state. If it is not here, replay does not see it.
    Command {
        20 NewOrder Client from 40,
        21 CancelOrder Client,
        22 ReplaceOrder Client from 40,
        23 MassCancel Client from 24,
        24 TokenOrder Client,
        25 OrderQuery Client,
        26 AccountQuery Client,
        27 MintCredits Client,
        28 RetireCredits Client,
        29 DepositCredits Client,
        30 RegisterCapacity Client,
        31 DeliverSlot Client,
        32 ListInstrument Client from 88,
        33 OpenAccount Client,
        34 SetYield Client,
        35 ReduceOrder Client,
        36 OcoOrder Client,
        37 OrderBatch Client from 56,
        38 MassQuote Client from 48,
        39 SetProtection Client,
        40 ResetProtection Client,
        41 Basket Client from 40,
        42 BlockSweep Client,
        43 SetDeadMan Client,
        44 KillSwitch Client,
        45 SetPhase Client,
        46 SetBands Client,
        47 SetLimits Client,
        50 Genesis Internal from 32,
        51 SessionOpened Internal,
        52 SessionClosed Internal,
        53 Restarted Internal,
        54 AdvanceTime Internal,
        55 Seed Internal,
    }

    /// Facts for the account that they concern, in the past tense. A reject is an ordinary event, not an error.
    Event {
        60 OrderAccepted Server,
        61 RequestRejected Server,
        62 OrderFilled Server,
        63 OrderCanceled Server,
        64 OrderReplaced Server,
        65 MassCancelDone Server,
        66 TokenOrderDone Server,
        67 RequestDone Server,
        68 RequestRepeated Server,
        69 OrderStatus Server,
        70 CreditBalance Server,
        71 CapacityBalance Server,
        72 SnapshotEnd Server,
        73 OrderTriggered Server,
        74 LegDone Server,
        75 SweepDone Server,
        76 MassQuoteAck Server,
        77 QuoteRejected Server,
        78 ProtectionTriggered Server,
    }

    /// Facts for everybody: what gateways, feed and console build their tables and books from.
    PublicEvent {
        80 InstrumentDefinition Server,
        81 PhaseChanged Server,
        82 YieldDefinition Server,
        83 AccountDefinition Internal,
        84 BookUpdate Internal,
        85 Trade Internal,
        86 BandsChanged Server,
        87 AuctionIndication Internal,
    }

    /// Market data as subscribers get it: a snapshot at N, then N+1 and on, in one stream per instrument.
    FeedMessage {
        100 L2SnapshotBegin Server,
        101 L2SnapshotLevel Server,
        102 L2SnapshotEnd Server,
        103 L2Update Server,
        104 L2Checksum Server,
        105 FeedTrade Server,
        106 SubscribeRejected Server,
        107 SnapshotsDone Server,
        108 FeedIndication Server,
    }
}
