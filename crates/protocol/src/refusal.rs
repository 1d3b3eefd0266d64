//! Refusals as people read them: the rule, the field, and limit and value in its unit.

use core::fmt;

use joulebook_types::{MicroEc, Phase, TimeNs};

use crate::messages::{KillSwitch, MassQuote, QuoteRejected, RequestRejected};
use crate::{Message, Primitive, RejectReason, TABLE};

/// What limit and value of a refusal count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalUnit {
    /// Lots, orders, entries: the field says what.
    Count,
    Accelerators,
    /// Micro-EC, and micro-EC per accelerator-hour.
    Credits,
    /// Nanoseconds since 1970.
    Time,
    /// A [`Phase`].
    Phase,
}

impl RejectReason {
    /// Most reasons speak in the unit of their field; some of more than the field, or of none. `field` is that
    /// field's type.
    pub const fn unit(self, field: Option<Primitive>) -> RefusalUnit {
        let is_money = matches!(
            self,
            Self::InsufficientCredits
                | Self::PostOnlyWouldTrade
                | Self::QuoteCrossed
                | Self::OrderValueCap
                | Self::OpenValueCap
                | Self::AveragePriceNotMet
        );
        if is_money || matches!(field, Some(Primitive::I64)) {
            RefusalUnit::Credits
        } else if matches!(self, Self::InsufficientCapacity | Self::WindowCap) {
            RefusalUnit::Accelerators
        } else if matches!(
            self,
            Self::ExpiryPassed | Self::GateClosed | Self::InvalidGate | Self::SlotStillTrading
        ) {
            RefusalUnit::Time
        } else if matches!(self, Self::NotOpen | Self::InvalidTransition) {
            RefusalUnit::Phase
        } else {
            RefusalUnit::Count
        }
    }

    /// Whether nothing was exceeded: the value is wrong by itself, and the limit of the refusal is zero.
    pub const fn has_no_limit(self) -> bool {
        matches!(
            self,
            Self::InvalidChoice
                | Self::InvalidTrigger
                | Self::UnknownInstrument
                | Self::GateClosed
                | Self::DuplicateInstrument
                | Self::NoYield
        )
    }
}

/// A refusal; what it says when displayed is meant for people and may change.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    reason: u16,
    template_id: u16,
    field_offset: u16,
    limit: i64,
    value: i64,
}

impl From<&RequestRejected> for Refusal {
    fn from(event: &RequestRejected) -> Self {
        let RequestRejected { reason, template_id, field_offset, limit, value, .. } = *event;
        Self { reason, template_id, field_offset, limit, value }
    }
}

impl From<&QuoteRejected> for Refusal {
    fn from(event: &QuoteRejected) -> Self {
        let QuoteRejected { reason, field_offset, limit, value, .. } = *event;
        Self { reason, template_id: MassQuote::TEMPLATE_ID, field_offset, limit, value }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(reason) = RejectReason::from_raw(self.reason) else {
            return write!(f, "reason {}, unknown to this version", self.reason);
        };
        write!(f, "{reason}: {}", reason.explanation().trim().replace('\n', ""))?;
        let field = field(self.template_id, self.field_offset);
        let unit = reason.unit(field.as_ref().map(|field| field.primitive));
        let show = |number| show(unit, number);
        if reason == RejectReason::EntryDisabled {
            write!(f, " Scope: {}.", scope(self.limit))?;
        } else if reason == RejectReason::NotOpen {
            write!(f, " Phase: {}.", show(self.value))?;
        } else if field.as_ref().is_some_and(|field| field.path == "start_minute") && self.value != 0 {
            write!(f, " Value {}.", TimeNs::from_minutes(u32::try_from(self.value).unwrap_or(u32::MAX)))?;
        } else if self.limit == 0 && reason.has_no_limit() {
            if self.value != 0 {
                write!(f, " Value {}.", show(self.value))?;
            }
        } else if self.limit != 0 || self.value != 0 {
            write!(f, " Limit {}, value {}.", show(self.limit), show(self.value))?;
        }
        field.map_or(Ok(()), |field| write!(f, " Field: {}.", field.path))
    }
}

fn show(unit: RefusalUnit, number: i64) -> String {
    match unit {
        RefusalUnit::Count => number.to_string(),
        RefusalUnit::Accelerators => format!("{number} accelerators"),
        RefusalUnit::Credits => format!("{} EC", MicroEc::new(number)),
        RefusalUnit::Time => TimeNs::new(number.cast_unsigned()).to_string(),
        RefusalUnit::Phase => {
            let phase = u8::try_from(number).ok().and_then(Phase::from_raw);
            phase.map_or_else(|| number.to_string(), |phase| phase.to_string())
        }
    }
}

/// Whom a kill switch keeps out.
fn scope(number: i64) -> &'static str {
    match u8::try_from(number) {
        Ok(KillSwitch::SCOPE_ACCOUNT) => "account",
        Ok(KillSwitch::SCOPE_SESSION) => "session",
        Ok(KillSwitch::SCOPE_CLASS) => "class",
        Ok(KillSwitch::SCOPE_EXCHANGE) => "exchange",
        _ => "unknown",
    }
}

struct Found {
    /// Such as `price` or `legs[1].qty`.
    path: String,
    primitive: Primitive,
}

/// The field at an offset of a request's block; `None` for the request as a whole.
fn field(template_id: u16, offset: u16) -> Option<Found> {
    let message = TABLE.iter().find(|message| message.template_id == template_id)?;
    let offset = usize::from(offset);
    if message.block_len <= offset {
        return None;
    }
    let field = message.fields.iter().rev().find(|field| field.offset <= offset)?;
    if field.parts.is_empty() {
        return Some(Found { path: field.name.to_owned(), primitive: field.primitive });
    }
    let (index, within) =
        ((offset - field.offset) / field.element_bytes(), (offset - field.offset) % field.element_bytes());
    let part = field.parts.iter().rev().find(|part| part.offset <= within)?;
    let path = match field.count {
        1 => format!("{}.{}", field.name, part.name),
        _ => format!("{}[{index}].{}", field.name, part.name),
    };
    Some(Found { path, primitive: part.primitive })
}

#[cfg(test)]
mod tests {
    use core::mem::offset_of;

    use super::*;
    use crate::messages::{Basket, BasketLeg, BlockSweep, NewOrder};

    #[test]
    fn refusals_say_field_limit_and_value_in_their_unit() {
        use RejectReason::*;
        let (order, whole) = (NewOrder::TEMPLATE_ID, u16::MAX);
        let leg = offset_of!(Basket, legs) + size_of::<BasketLeg>() + offset_of!(BasketLeg, qty);
        let noon = 1_795_521_600_000_000_000;
        let cases = [
            (
                PriceOffTick,
                order,
                offset_of!(NewOrder, price),
                (10_000, 29_005_000),
                "Limit 0.01 EC, value 29.005 EC. Field: price.",
            ),
            (
                InsufficientCredits,
                order,
                offset_of!(NewOrder, qty),
                (0, 232_000_000),
                "Limit 0.00 EC, value 232.00 EC. Field: qty.",
            ),
            (
                InsufficientCapacity,
                Basket::TEMPLATE_ID,
                leg,
                (8, 16),
                "Limit 8 accelerators, value 16 accelerators. Field: legs[1].qty.",
            ),
            (
                ExpiryPassed,
                order,
                offset_of!(NewOrder, expires),
                (noon, noon - 1),
                "Limit 20261124T120000Z, value 20261124T115959.999Z. Field: expires.",
            ),
            (
                UnknownInstrument,
                BlockSweep::TEMPLATE_ID,
                offset_of!(BlockSweep, start_minute),
                (0, 29_925_360),
                "Value 20261124T120000Z. Field: start_minute.",
            ),
            (InvalidChoice, order, offset_of!(NewOrder, side), (0, 3), "Value 3. Field: side."),
            (NotOpen, order, whole.into(), (3, 4), "Phase: halted."),
            (EntryDisabled, order, whole.into(), (2, 0), "Scope: session."),
            (OpenOrderCap, order, whole.into(), (1, 2), "Limit 1, value 2."),
        ];
        for (reason, template_id, offset, (limit, value), tail) in cases {
            let (reason, field_offset) = (reason.raw(), offset as u16);
            let text = Refusal { reason, template_id, field_offset, limit, value }.to_string();
            assert!(text.ends_with(&format!(". {tail}")), "{text}");
        }
        assert_eq!(
            Refusal { reason: 999, template_id: 9_999, field_offset: 0, limit: 0, value: 0 }.to_string(),
            "reason 999, unknown to this version"
        );
    }

    #[test]
    fn a_field_is_named_by_its_offset() {
        assert!(field(NewOrder::TEMPLATE_ID, u16::MAX).is_none());
        assert!(field(9_999, 0).is_none());
    }
}
