//! The message table as documents: XML in the form of Simple Binary Encoding, byte tables, golden vectors.

use std::fmt::Write;

use crate::{
    CancelReason, CloseReason, FieldInfo, HEADER_BYTES, MessageInfo, Primitive, RejectReason, SCHEMA_ID,
};
use crate::{RequestStatus, Sender, TABLE, VERSION};

/// The first line of generated files.
const GENERATED: &str = "Generated from the message table: run `cargo xtask golden` after changing it.";

/// The schema as XML. Every field uses a named type, which some decoders need.
pub fn xml() -> String {
    let mut out = String::new();
    let w = &mut out;
    line(w, format_args!(r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>"#));
    line(w, format_args!("<!-- {GENERATED} -->"));
    line(
        w,
        format_args!(
            r#"<sbe:messageSchema xmlns:sbe="http://fixprotocol.io/2016/sbe" package="joulebook" id="{SCHEMA_ID}" version="{VERSION}" semanticVersion="joulebook/1" byteOrder="littleEndian">"#
        ),
    );
    line(w, format_args!("  <types>"));
    line(w, format_args!(r#"    <composite name="messageHeader">"#));
    for name in ["blockLength", "templateId", "schemaId", "version"] {
        line(w, format_args!(r#"      <type name="{name}" primitiveType="uint16"/>"#));
    }
    line(w, format_args!("    </composite>"));
    for (name, primitive, length) in named_types() {
        let length = if length == 1 { String::new() } else { format!(r#" length="{length}""#) };
        line(w, format_args!(r#"    <type name="{name}" primitiveType="{primitive}"{length}/>"#));
    }
    for field in composites() {
        line(w, format_args!(r#"    <composite name="{}">"#, field.composite));
        for part in field.parts {
            let (name, kind) = (part.name, part.primitive.sbe_name());
            let length = if part.count == 1 { String::new() } else { format!(r#" length="{}""#, part.count) };
            line(w, format_args!(r#"      <type name="{name}" primitiveType="{kind}"{length}/>"#));
        }
        line(w, format_args!("    </composite>"));
    }
    line(w, format_args!("  </types>"));
    for message in TABLE {
        let (id, name, block) = (message.template_id, message.name, message.block_len);
        let doc = escape(&sentence(message.doc));
        line(
            w,
            format_args!(
                r#"  <sbe:message name="{name}" id="{id}" blockLength="{block}" description="{doc}">"#
            ),
        );
        // The form has no fixed lists of composites: each element is a field of its own.
        let elements = message.fields.iter().flat_map(|field| {
            (0..if field.parts.is_empty() { 1 } else { field.count }).map(move |index| (field, index))
        });
        for (number, (field, index)) in elements.enumerate() {
            let is_list = !field.parts.is_empty() && field.count > 1;
            let name = if is_list { format!("{}_{index}", field.name) } else { field.name.into() };
            let (kind, offset) = (type_name(field), field.offset + index * field.element_bytes());
            line(
                w,
                format_args!(
                    r#"    <field name="{name}" id="{}" type="{kind}" offset="{offset}"/>"#,
                    number + 1
                ),
            );
        }
        line(w, format_args!("  </sbe:message>"));
    }
    line(w, format_args!("</sbe:messageSchema>"));
    out
}

/// Byte tables of every message, and every code.
pub fn markdown() -> String {
    let mut out = String::new();
    let w = &mut out;
    line(w, format_args!("<!-- {GENERATED} -->\n# Messages of `joulebook/1`\n"));
    line(
        w,
        format_args!(
            "Little-endian. Every message is an {HEADER_BYTES}-byte header (`block_len`, `template_id`, `schema_id` = \
             {SCHEMA_ID:#06x}, `version` = {VERSION}, each u16) and a block. Messages follow each other on a stream without anything \
             between. A longer block than the table's comes from a newer peer: skip the rest. A block may end early where the \
             table gives a range, at a multiple of eight bytes: what is missing is zero. Reserved bytes are zero.\n"
        ),
    );
    for message in TABLE {
        line(w, format_args!("## {} {}\n", message.template_id, message.name));
        line(
            w,
            format_args!(
                "{} *From: {}. Block: {} bytes.*\n",
                sentence(message.doc),
                sender(message),
                block_range(message)
            ),
        );
        line(w, format_args!("| offset | bytes | type | field | meaning |\n|---|---|---|---|---|"));
        for field in message.fields {
            table_row(w, "", field.offset, field);
            let prefix =
                if field.count > 1 { format!("{}[0].", field.name) } else { format!("{}.", field.name) };
            for part in field.parts {
                table_row(w, &prefix, field.offset + part.offset, part);
            }
        }
        line(w, format_args!(""));
    }
    let reject = RejectReason::ALL.iter().map(|code| (code.raw(), code.name(), code.explanation()));
    codes(w, "Reject reasons (first that applies, in this order)", reject);
    let cancel =
        CancelReason::ALL.iter().map(|code| (u16::from(code.raw()), code.name(), code.explanation()));
    codes(w, "Cancel reasons", cancel);
    let status =
        RequestStatus::ALL.iter().map(|code| (u16::from(code.raw()), code.name(), code.explanation()));
    codes(w, "Request statuses", status);
    let close = CloseReason::ALL.iter().map(|code| (code.raw(), code.name(), code.explanation()));
    codes(w, "Close reasons", close);
    while out.ends_with("\n\n") {
        out.pop();
    }
    out
}

/// One golden vector per message: a JSON document with the frame in hex and every field's value.
pub fn vectors() -> Vec<(String, String)> {
    TABLE
        .iter()
        .map(|message| (format!("{:03}-{}.json", message.template_id, message.name), vector(message)))
        .collect()
}

/// The frame of a message whose block counts its bytes up from the template id, so that no two fields look alike.
pub fn vector_frame(message: &MessageInfo) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER_BYTES + message.block_len);
    for part in [message.block_len as u16, message.template_id, SCHEMA_ID, VERSION] {
        frame.extend_from_slice(&part.to_le_bytes());
    }
    frame.extend((0..message.block_len).map(|index| (usize::from(message.template_id) + index) as u8));
    frame
}

fn vector(message: &MessageInfo) -> String {
    let frame = vector_frame(message);
    let mut out = String::new();
    let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
    line(
        &mut out,
        format_args!("{{\n  \"message\": \"{}\",\n  \"template_id\": {},", message.name, message.template_id),
    );
    line(&mut out, format_args!("  \"frame_hex\": \"{hex}\",\n  \"fields\": {{"));
    let block = &frame[HEADER_BYTES..];
    let mut rows = Vec::new();
    for field in message.fields {
        if field.parts.is_empty() {
            rows.push(format!("    \"{}\": {}", field.name, value(field, field.offset, block)));
        }
        for index in 0..field.count {
            let element =
                if field.count > 1 { format!("{}[{index}]", field.name) } else { field.name.into() };
            for part in field.parts {
                let offset = field.offset + index * field.element_bytes() + part.offset;
                let value = value(part, offset, block);
                rows.push(format!("    \"{element}.{}\": {value}", part.name));
            }
        }
    }
    line(&mut out, format_args!("{}\n  }}\n}}", rows.join(",\n")));
    out
}

/// Numbers as numbers up to 32 bits and as text above (JSON readers lose them), bytes as hex.
fn value(field: &FieldInfo, offset: usize, block: &[u8]) -> String {
    let bytes = &block[offset..offset + field.bytes()];
    if matches!(field.primitive, Primitive::Char) || (field.primitive == Primitive::U8 && field.count > 1) {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        return format!("\"{hex}\"");
    }
    let items: Vec<String> =
        bytes.chunks(field.primitive.bytes()).map(|chunk| number(field.primitive, chunk)).collect();
    if field.count == 1 { items[0].clone() } else { format!("[{}]", items.join(", ")) }
}

fn number(primitive: Primitive, bytes: &[u8]) -> String {
    let mut wide = [0; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    let unsigned = u64::from_le_bytes(wide);
    match primitive {
        Primitive::U64 => format!("\"{unsigned}\""),
        Primitive::I64 => format!("\"{}\"", unsigned as i64),
        Primitive::I32 => format!("{}", unsigned as u32 as i32),
        Primitive::U8 | Primitive::U16 | Primitive::U32 | Primitive::Char => unsigned.to_string(),
    }
}

fn type_name(field: &FieldInfo) -> String {
    match (field.parts.is_empty(), field.count) {
        (false, _) => field.composite.into(),
        (true, 1) => field.primitive.sbe_name().into(),
        (true, count) => format!("{}x{count}", field.primitive.sbe_name()),
    }
}

/// The first field of each composite.
fn composites() -> Vec<&'static FieldInfo> {
    let mut composites: Vec<&FieldInfo> = Vec::new();
    for field in TABLE.iter().flat_map(|message| message.fields).filter(|field| !field.parts.is_empty()) {
        if !composites.iter().any(|known| known.composite == field.composite) {
            composites.push(field);
        }
    }
    composites
}

fn block_range(message: &MessageInfo) -> String {
    match message.block_min {
        min if min == message.block_len => min.to_string(),
        min => format!("{min} to {}", message.block_len),
    }
}

/// Name, primitive and length of every type that a field uses, in the order of first use.
fn named_types() -> Vec<(String, &'static str, usize)> {
    let mut types = Vec::new();
    for field in TABLE.iter().flat_map(|message| message.fields).filter(|field| field.parts.is_empty()) {
        let named = (type_name(field), field.primitive.sbe_name(), field.count);
        if !types.contains(&named) {
            types.push(named);
        }
    }
    types
}

fn table_row(w: &mut String, prefix: &str, offset: usize, field: &FieldInfo) {
    let kind = match (field.parts.is_empty(), field.count) {
        (true, _) => type_name(field),
        (false, 1) => field.composite.into(),
        (false, count) => format!("{count} x {}", field.composite),
    };
    line(
        w,
        format_args!(
            "| {offset} | {} | {kind} | {prefix}{} | {} |",
            field.bytes(),
            field.name,
            sentence(field.doc)
        ),
    );
}

fn codes(w: &mut String, title: &str, rows: impl Iterator<Item = (u16, &'static str, &'static str)>) {
    line(w, format_args!("## {title}\n\n| code | name | meaning |\n|---|---|---|"));
    for (code, name, meaning) in rows {
        line(w, format_args!("| {code} | {name} | {} |", sentence(meaning)));
    }
    line(w, format_args!(""));
}

const fn sender(message: &MessageInfo) -> &'static str {
    match message.sender {
        Sender::Client => "client",
        Sender::Server => "server",
        Sender::Either => "either side",
        Sender::Internal => "the exchange itself; never on the wire",
    }
}

/// A doc comment as one line.
fn sentence(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

fn line(out: &mut String, text: core::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes everything");
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Frame;

    #[test]
    fn the_table_is_sound() {
        let ids: Vec<u16> = TABLE.iter().map(|message| message.template_id).collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "numbers rise and are unique");
        for message in TABLE {
            let end: usize = message.fields.iter().map(FieldInfo::bytes).sum();
            assert_eq!(end, message.block_len, "{}: the fields cover the block", message.name);
            assert_eq!(message.block_len % 8, 0, "{}: blocks are multiples of 8 bytes", message.name);
            assert!(message.block_len <= crate::BLOCK_BYTES_MAX);
            assert!(message.doc.len() > 10, "{} has a doc", message.name);
        }
    }

    #[test]
    fn vectors_decode_and_encode_to_themselves() {
        for message in TABLE {
            let bytes = vector_frame(message);
            let (frame, rest) = Frame::split(&bytes).unwrap().unwrap();
            assert!(rest.is_empty());
            let mut again = Vec::new();
            if let Ok(message) = crate::SessionMessage::decode(&frame) {
                message.encode(&mut again);
            } else if let Ok(message) = crate::Command::decode(&frame) {
                message.encode(&mut again);
            } else if let Ok(message) = crate::Event::decode(&frame) {
                message.encode(&mut again);
            } else if let Ok(message) = crate::PublicEvent::decode(&frame) {
                message.encode(&mut again);
            } else {
                crate::FeedMessage::decode(&frame).unwrap().encode(&mut again);
            }
            assert_eq!(again, bytes, "{}", message.name);
        }
    }

    #[test]
    fn trailing_zeros_are_cut_and_come_back() {
        use crate::Message;
        use crate::messages::{MassQuote, NewOrder};
        let frame_of = |message: &NewOrder| {
            let mut bytes = Vec::new();
            crate::encode(message, &mut bytes);
            bytes
        };
        let plain = NewOrder { qty: 5, side: 1, ..Default::default() };
        assert_eq!(frame_of(&plain).len(), HEADER_BYTES + 40, "as in the first version of the message");
        let shown = NewOrder { display_qty: 2, ..plain };
        let bytes = frame_of(&shown);
        let (frame, rest) = Frame::split(&bytes).unwrap().unwrap();
        assert!(rest.is_empty() && bytes.len() < HEADER_BYTES + size_of::<NewOrder>() + 1);
        assert_eq!(NewOrder::decode(frame.block), Ok(shown));
        let mut quote = MassQuote { count: 2, ..Default::default() };
        quote.pairs[1].ask_qty = 7;
        assert!(quote.block().len() <= 16 + 64, "a list is as long as what is used of it");
        assert_eq!(MassQuote::decode(quote.block()), Ok(quote));
    }

    #[test]
    fn appended_fields_are_skipped_and_short_blocks_refused() {
        for message in TABLE {
            let mut bytes = vector_frame(message);
            bytes.extend_from_slice(&[7; 16]);
            bytes[..2].copy_from_slice(&(message.block_len as u16 + 16).to_le_bytes());
            let (frame, _) = Frame::split(&bytes).unwrap().unwrap();
            let decoded = crate::Command::decode(&frame).is_ok();
            let is_command = (20..60).contains(&message.template_id);
            assert_eq!(decoded, is_command, "{}", message.name);
            for short in [message.block_len - 1, message.block_min - 8] {
                bytes[..2].copy_from_slice(&(short as u16).to_le_bytes());
                let (frame, _) = Frame::split(&bytes).unwrap().unwrap();
                assert!(crate::Command::decode(&frame).is_err(), "{}", message.name);
            }
        }
    }
}
