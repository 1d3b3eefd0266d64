//! Fields of commands, filled with what nobody should send.

use joulebook_protocol::{Command, FieldInfo, Frame, HEADER_BYTES, TABLE};
use joulebook_types::ClientOrderId;
use proptest::prelude::*;

/// What a field holds instead of what it should.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    Is(u64),
    /// Of the field's own type, or close to its end.
    Max {
        less: u64,
        signed: bool,
    },
    Min {
        more: u64,
    },
    /// A value that another field of the same size held, or its neighbour.
    Near {
        index: usize,
        more: i64,
    },
    /// The field's value times something.
    Times(u64),
}

pub fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => (0..3u64).prop_map(Value::Is),
        2 => (3..200u64).prop_map(Value::Is),
        1 => any::<u64>().prop_map(Value::Is),
        3 => (0..3u64, any::<bool>()).prop_map(|(less, signed)| Value::Max { less, signed }),
        2 => (0..1_200u64, any::<bool>()).prop_map(|(less, signed)| Value::Max { less, signed }),
        2 => (0..3u64).prop_map(|more| Value::Min { more }),
        4 => (any::<usize>(), -1..2i64).prop_map(|(index, more)| Value::Near { index, more }),
        2 => (0..63u32).prop_map(|power| Value::Times(1 << power)),
        2 => (1..9_000_000_000_000u64).prop_map(Value::Times),
    ]
}

/// Values that fields of one, two, four and eight bytes held lately.
#[derive(Default)]
pub struct Pool {
    held: [Vec<u64>; 9],
}

const HELD_MAX: usize = 64;

impl Pool {
    fn hold(&mut self, bytes: usize, value: u64) {
        let held = &mut self.held[bytes];
        if held.len() == HELD_MAX {
            held.remove(0);
        }
        held.push(value);
    }

    fn near(&self, bytes: usize, index: usize) -> u64 {
        let held = &self.held[bytes];
        held.get(index % held.len().max(1)).copied().unwrap_or(0)
    }
}

/// A field without parts: where it begins, and its length. Texts are one field.
#[derive(Clone, Copy)]
struct Leaf {
    offset: usize,
    bytes: usize,
}

fn leaves(fields: &[FieldInfo], start: usize, out: &mut Vec<Leaf>) {
    for field in fields {
        let bytes = field.element_bytes();
        let text = bytes == 1 && field.count > 1;
        let (count, bytes) = if text { (field.count.div_ceil(8), 8) } else { (field.count, bytes) };
        for element in 0..count {
            let offset = start + field.offset + element * bytes;
            if field.parts.is_empty() {
                let bytes = if text { bytes.min(field.count - element * 8) } else { bytes };
                out.push(Leaf { offset, bytes });
            } else {
                leaves(field.parts, offset, out);
            }
        }
    }
}

/// The command with other values in some of its fields, by their numbers.
pub fn spoil(command: Command, spoiled: &[(u32, Value)], pool: &mut Pool) -> Command {
    let info = TABLE.iter().find(|info| info.template_id == command.template_id()).unwrap();
    let mut bytes = bytes_of(&command, info.block_len);
    let mut all = Vec::new();
    leaves(info.fields, HEADER_BYTES, &mut all);
    // Elements of long lists that are not used are not worth a try each.
    all.truncate(40);
    let filled = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0);
    all.retain(|leaf| leaf.offset <= filled.max(HEADER_BYTES + 60));
    for (number, value) in spoiled {
        let leaf = all[*number as usize % all.len()];
        // A session whose numbers are used up says nothing new any more.
        let names_itself = leaf.offset == HEADER_BYTES && number % 7 != 0;
        if names_itself {
            continue;
        }
        let old = read(&bytes, leaf);
        write(&mut bytes, leaf, wild(*value, old, leaf, pool));
    }
    for leaf in &all {
        pool.hold(leaf.bytes, read(&bytes, *leaf));
    }
    decode(&bytes)
}

/// The command with another number.
pub fn renumber(command: Command, id: ClientOrderId) -> Command {
    let info = TABLE.iter().find(|info| info.template_id == command.template_id()).unwrap();
    if info.fields[0].name != "client_order_id" {
        return command;
    }
    let mut bytes = bytes_of(&command, info.block_len);
    write(&mut bytes, Leaf { offset: HEADER_BYTES, bytes: 8 }, id.raw());
    decode(&bytes)
}

fn wild(value: Value, old: u64, leaf: Leaf, pool: &Pool) -> u64 {
    let bits = 8 * leaf.bytes as u32;
    let top = u64::MAX >> (64 - bits);
    match value {
        Value::Is(value) => value,
        Value::Max { less, signed: true } => (top >> 1).wrapping_sub(less),
        Value::Max { less, signed: false } => top.wrapping_sub(less),
        Value::Min { more } => (1 << (bits - 1)) + more,
        Value::Near { index, more } => pool.near(leaf.bytes, index).wrapping_add_signed(more),
        Value::Times(factor) => old.wrapping_mul(factor),
    }
}

/// The frame with the whole block.
fn bytes_of(command: &Command, block_len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    command.encode(&mut bytes);
    bytes.resize(HEADER_BYTES + block_len, 0);
    bytes
}

fn decode(bytes: &[u8]) -> Command {
    let (mut frame, _) = Frame::split(bytes).unwrap().unwrap();
    frame.block = &bytes[HEADER_BYTES..];
    Command::decode(&frame).unwrap()
}

fn read(bytes: &[u8], leaf: Leaf) -> u64 {
    let mut value = [0; 8];
    value[..leaf.bytes].copy_from_slice(&bytes[leaf.offset..][..leaf.bytes]);
    u64::from_le_bytes(value)
}

fn write(bytes: &mut [u8], leaf: Leaf, value: u64) {
    bytes[leaf.offset..][..leaf.bytes].copy_from_slice(&value.to_le_bytes()[..leaf.bytes]);
}
