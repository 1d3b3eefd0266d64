//! The part of an event that is filled in last.

use core::mem::{offset_of, size_of};

use joulebook_protocol::HEADER_BYTES;
use joulebook_protocol::messages::Stamp;
use joulebook_types::TimeNs;

/// Fills in what only the gateway knows: when the event left, and what the session may still send.
pub(crate) fn patch_stamp(frame: &mut [u8], sent: TimeNs, (order_credits, cancel_credits): (u32, u32)) {
    let Some(stamp) = frame.get_mut(HEADER_BYTES..HEADER_BYTES + size_of::<Stamp>()) else { return };
    let mut put = |offset: usize, bytes: &[u8]| stamp[offset..offset + bytes.len()].copy_from_slice(bytes);
    put(offset_of!(Stamp, sent), &sent.raw().to_le_bytes());
    put(offset_of!(Stamp, order_credits), &order_credits.to_le_bytes());
    put(offset_of!(Stamp, cancel_credits), &cancel_credits.to_le_bytes());
}
