//! Why a request was refused, and by what.

use joulebook_protocol::RejectReason;
use joulebook_types::{InstrumentId, OrderId};

/// The answer to a request that changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rejection {
    pub(crate) reason: RejectReason,
    /// Of the field in the request's block; 65,535 for the request as a whole.
    pub(crate) field_offset: u16,
    pub(crate) limit: i64,
    pub(crate) value: i64,
    pub(crate) order_id: OrderId,
    pub(crate) instrument: InstrumentId,
}

/// What a check finds.
pub(crate) type Checked<T = ()> = Result<T, Rejection>;

/// Of the request as a whole.
pub(crate) fn whole(reason: RejectReason) -> Rejection {
    field(reason, usize::from(u16::MAX))
}

/// Of the field at `offset`.
pub(crate) fn field(reason: RejectReason, offset: usize) -> Rejection {
    Rejection {
        reason,
        field_offset: offset as u16,
        limit: 0,
        value: 0,
        order_id: OrderId::NONE,
        instrument: InstrumentId::NONE,
    }
}

/// A choice that this version does not know, or that does not go with another.
pub(crate) fn invalid_choice(offset: usize, value: impl TryInto<i64>) -> Rejection {
    field(RejectReason::InvalidChoice, offset).met(0, value)
}

impl Rejection {
    /// The limit that was met and the value that met it; what does not fit is cut to the largest that does.
    pub(crate) fn met(self, limit: impl TryInto<i64>, value: impl TryInto<i64>) -> Self {
        let (limit, value) = (limit.try_into().unwrap_or(i64::MAX), value.try_into().unwrap_or(i64::MAX));
        Self { limit, value, ..self }
    }

    pub(crate) fn of_order(self, order_id: OrderId) -> Self {
        Self { order_id, ..self }
    }

    pub(crate) fn of_instrument(self, instrument: InstrumentId) -> Self {
        Self { instrument, ..self }
    }
}

/// The rejections of several parts: the lowest code is the answer, among equals the first.
#[derive(Debug, Default)]
pub(crate) struct Lowest(Option<Rejection>);

impl Lowest {
    pub(crate) fn add(&mut self, checked: Checked) {
        if let Err(rejection) = checked
            && self.0.is_none_or(|lowest| rejection.reason < lowest.reason)
        {
            self.0 = Some(rejection);
        }
    }

    pub(crate) fn answer(self) -> Checked {
        match self.0 {
            Some(rejection) => Err(rejection),
            None => Ok(()),
        }
    }
}
