//! The dates of good-till-date orders.

use joulebook_book::Slot;
use joulebook_protocol::{CancelReason, RejectReason};
use joulebook_types::TimeNs;

use crate::cancel::Requester;
use crate::request::Rejection;
use crate::{Engine, Events};

impl Engine {
    /// The date of an order that has one lies ahead.
    pub(crate) fn check_expires(&self, expires: TimeNs, offset: usize) -> Result<(), Rejection> {
        if self.time < expires {
            return Ok(());
        }
        Err(Rejection::field(RejectReason::ExpiryPassed, offset).met(self.time.raw(), expires.raw()))
    }

    /// The order's date has come, whether it rests or waits.
    pub(crate) fn expire_order(&mut self, slot: Slot, out: &mut Events) {
        self.cancel_open_order(slot, CancelReason::Expired, Requester::NOBODY, out);
    }
}
