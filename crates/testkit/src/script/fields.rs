//! Fields of messages by name: to set any of them, and to say which one was refused.

use joulebook_protocol::messages::MassQuote;
use joulebook_protocol::{
    Command, FieldInfo, Frame, FrameHeader, HEADER_BYTES, Message, MessageInfo, Primitive, RefusalUnit,
    RejectReason, SCHEMA_ID, TABLE, VERSION,
};
use joulebook_types::{MicroEc, Phase, TimeNs, decimal};

use super::names::show_time;
use super::words::Parsed;

/// `code`, then the field with its value and the limit that it met.
pub(super) fn refusal(reason: u16, template_id: u16, offset: u16, limit: i64, value: i64) -> String {
    let Some(reason) = RejectReason::from_raw(reason) else { return format!("for unknown reason {reason}") };
    let field = field_at(template_id, offset);
    if limit == 0 && value == 0 {
        return field.map_or(reason.to_string(), |field| format!("{reason}: {}", field.path));
    }
    let unit = reason.unit(field.as_ref().map(|field| field.primitive));
    let named = field.map_or("value".to_owned(), |field| field.path);
    let value = show(unit, value);
    if limit == 0 && reason.has_no_limit() {
        return format!("{reason}: {named} {value}");
    }
    format!("{reason}: {named} {value} (limit {})", show(unit, limit))
}

/// The same for a pair of a mass quote.
pub(super) fn quote_refusal(reason: u16, offset: u16, limit: i64, value: i64) -> String {
    refusal(reason, MassQuote::TEMPLATE_ID, offset, limit, value)
}

/// The pages say in words what a number counts.
fn show(unit: RefusalUnit, number: i64) -> String {
    match unit {
        RefusalUnit::Count | RefusalUnit::Accelerators => number.to_string(),
        RefusalUnit::Credits => MicroEc::new(number).to_string(),
        RefusalUnit::Time => show_time(TimeNs::new(number.cast_unsigned())),
        RefusalUnit::Phase => u8::try_from(number)
            .ok()
            .and_then(Phase::from_raw)
            .map_or(number.to_string(), |phase| phase.to_string()),
    }
}

struct Found {
    path: String,
    offset: usize,
    primitive: Primitive,
    bytes: usize,
}

fn info(template_id: u16) -> Option<&'static MessageInfo> {
    TABLE.iter().find(|info| info.template_id == template_id)
}

/// Every scalar and text of a message, lists element by element.
fn fields_of(fields: &'static [FieldInfo], prefix: &str, base: usize) -> Vec<Found> {
    let mut found = Vec::new();
    for field in fields {
        let element = field.element_bytes();
        let is_text =
            field.primitive == Primitive::Char || (field.primitive == Primitive::U8 && field.count > 4);
        let (count, bytes) =
            if is_text && field.parts.is_empty() { (1, field.bytes()) } else { (field.count, element) };
        for index in 0..count {
            let path = if count == 1 { field.name.to_owned() } else { format!("{}[{index}]", field.name) };
            let offset = base + field.offset + index * element;
            if field.parts.is_empty() {
                found.push(Found {
                    path: format!("{prefix}{path}"),
                    offset,
                    primitive: field.primitive,
                    bytes,
                });
            } else {
                found.extend(fields_of(field.parts, &format!("{prefix}{path}."), offset));
            }
        }
    }
    found
}

fn field_at(template_id: u16, offset: u16) -> Option<Found> {
    let fields = fields_of(info(template_id)?.fields, "", 0);
    fields.into_iter().find(|field| field.offset == usize::from(offset))
}

/// Sets the field called `name`, such as `side` or `legs[1].qty`, whatever the rest of the line made of it.
pub(super) fn set_field(command: &Command, name: &str, value: &str) -> Parsed<Command> {
    let info = info(command.template_id()).ok_or("the command is not in the table")?;
    let mut fields = fields_of(info.fields, "", 0).into_iter();
    let field = fields
        .find(|field| field.path == name)
        .ok_or_else(|| format!("{} has no field '{name}'", info.name))?;
    let mut frame = Vec::new();
    command.encode(&mut frame);
    let mut block = frame.split_off(HEADER_BYTES);
    // The codec leaves zeros at the end out.
    block.resize(info.block_len, 0);
    block[field.offset..field.offset + field.bytes].copy_from_slice(&field.bytes_of(value)?);
    let header = FrameHeader {
        block_len: info.block_len as u16,
        template_id: info.template_id,
        schema_id: SCHEMA_ID,
        version: VERSION,
    };
    Command::decode(&Frame { header, block: &block }).map_err(|error| error.to_string())
}

impl Found {
    /// Whole numbers are raw; in 64 signed bits a decimal point makes an amount of them.
    fn bytes_of(&self, value: &str) -> Parsed<Vec<u8>> {
        let bad = || format!("'{value}' does not fit the field '{}'", self.path);
        if self.bytes != self.primitive.bytes() || self.primitive == Primitive::Char {
            let mut text = value.as_bytes().to_vec();
            text.resize(text.len().max(self.bytes), 0);
            return if text.len() == self.bytes { Ok(text) } else { Err(bad()) };
        }
        let number: i128 = match value.parse() {
            Ok(number) => number,
            Err(_) if self.primitive == Primitive::I64 => {
                decimal::parse_micro(value).map_err(|_| bad())?.into()
            }
            Err(_) => return Err(bad()),
        };
        let bits = 8 * self.bytes as u32;
        let range = match self.primitive {
            Primitive::I32 | Primitive::I64 => -(1_i128 << (bits - 1))..1 << (bits - 1),
            Primitive::U8 | Primitive::U16 | Primitive::U32 | Primitive::U64 | Primitive::Char => {
                0..1 << bits
            }
        };
        if !range.contains(&number) {
            return Err(bad());
        }
        Ok(number.to_le_bytes()[..self.bytes].to_vec())
    }
}
