//! What the gateway counts.

use std::sync::Arc;

use crossbeam::utils::CachePadded;
use joulebook_metrics::{CommandOutcome, Counter, GatewayMetrics};
use joulebook_protocol::messages::{
    MassCancelDone, OrderAccepted, OrderCanceled, OrderReplaced, RequestDone, RequestRejected,
    RequestRepeated, Stamp, TokenOrderDone,
};
use joulebook_protocol::{CancelReason, Frame, Message, RejectReason};
use joulebook_types::TimeNs;

use crate::network::NetworkTotals;

#[derive(Debug)]
pub(crate) struct Counts {
    pub(crate) metrics: Arc<CachePadded<GatewayMetrics>>,
    /// Totals of all networks when they were last looked at.
    network: NetworkTotals,
    network_next: TimeNs,
}

/// Looking at a network's totals visits every connection, so it is done this often only.
const NETWORK_EVERY_NS: u64 = 250_000_000;

impl Counts {
    pub(crate) fn new(metrics: Arc<CachePadded<GatewayMetrics>>) -> Self {
        Self { metrics, network: NetworkTotals::default(), network_next: TimeNs::ZERO }
    }

    /// An event that goes to a session: what became of which request, and how long it took.
    pub(crate) fn event(&self, frame: &[u8], wall: TimeNs) {
        self.metrics.frames_out.increment();
        let Ok(Some((frame, _))) = Frame::split(frame) else { return };
        let outcome = match frame.header.template_id {
            OrderAccepted::TEMPLATE_ID
            | OrderReplaced::TEMPLATE_ID
            | MassCancelDone::TEMPLATE_ID
            | TokenOrderDone::TEMPLATE_ID
            | RequestDone::TEMPLATE_ID => CommandOutcome::Accepted,
            OrderCanceled::TEMPLATE_ID if is_cancel_answer(&frame) => CommandOutcome::Accepted,
            RequestRepeated::TEMPLATE_ID => CommandOutcome::Repeated,
            RequestRejected::TEMPLATE_ID => {
                if let Ok(rejected) = RequestRejected::decode(frame.block) {
                    self.metrics.rejects.increment(rejected.reason);
                }
                CommandOutcome::Rejected
            }
            _ => return,
        };
        self.metrics.answered(outcome);
        let received = frame.block.get(RECEIVED..RECEIVED + 8).and_then(|bytes| bytes.first_chunk::<8>());
        match received.map(|bytes| u64::from_le_bytes(*bytes)) {
            None | Some(0) => {}
            Some(received_ns) => self.metrics.ack.record(wall.raw().saturating_sub(received_ns)),
        }
    }

    /// A request that the gateway itself refused.
    pub(crate) fn refused(&self, reason: RejectReason) {
        self.metrics.rejected(reason.raw());
        match reason {
            RejectReason::Throttled => self.metrics.throttled.increment(),
            RejectReason::Malformed => self.metrics.frames_malformed.increment(),
            _ => {}
        }
    }

    pub(crate) fn network_is_due(&self, now: TimeNs) -> bool {
        self.network_next <= now
    }

    /// Takes over the totals of all networks together, and how many connections they have.
    pub(crate) fn network(&mut self, totals: NetworkTotals, connections: usize, now: TimeNs) {
        self.network_next = TimeNs::new(now.raw().saturating_add(NETWORK_EVERY_NS));
        let (metrics, last) = (&self.metrics, self.network);
        let grow = |counter: &Counter, new: u64, old: u64| counter.add(new.saturating_sub(old));
        grow(&metrics.bytes_in, totals.bytes_in, last.bytes_in);
        grow(&metrics.bytes_out, totals.bytes_out, last.bytes_out);
        grow(&metrics.datagrams_in, totals.datagrams_in, last.datagrams_in);
        grow(&metrics.datagrams_out, totals.datagrams_out, last.datagrams_out);
        grow(&metrics.connections_opened, totals.accepted, last.accepted);
        grow(&metrics.connections_refused, totals.refused, last.refused);
        metrics.connections.set(connections as i64);
        self.network = totals;
    }
}

const RECEIVED: usize = core::mem::offset_of!(Stamp, received);

/// A mass cancel cancels many orders and is answered once, by its own message.
fn is_cancel_answer(frame: &Frame<'_>) -> bool {
    OrderCanceled::decode(frame.block).is_ok_and(|canceled| {
        !canceled.request.is_none() && canceled.reason != CancelReason::MassCanceled.raw()
    })
}
