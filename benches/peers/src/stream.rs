//! Messages for a matching engine, and what a right engine makes of them.

use std::fs;
use std::io;
use std::path::Path;

use joulebook_types::Side;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A limit order: trades, then rests.
    Add,
    /// A limit order that does not rest.
    Ioc,
    Cancel,
    /// A new price and new open lots under the same id: the order goes to the back, and may trade.
    Replace,
    /// Fewer open lots in the same place.
    Reduce,
}

/// One message. Ids are dense, rising and never used again; every cancel, replace and reduce names an open order.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    pub kind: Kind,
    pub side: Side,
    pub book: u16,
    pub id: u32,
    /// In ticks.
    pub price: u32,
    /// Open lots afterwards, as far as they do not trade.
    pub lots: u32,
}

/// What an engine did, in a form that is cheap to keep and differs when any fill or their order does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fills {
    pub count: u64,
    pub lots: u64,
    pub hash: u64,
}

impl Fills {
    #[inline(always)]
    pub fn add(&mut self, maker: u32, taker: u32, price: u32, lots: u32) {
        self.count += 1;
        self.lots += u64::from(lots);
        let fill =
            (u64::from(maker) << 32 | u64::from(taker)) ^ u64::from(price) << 40 ^ u64::from(lots) << 16;
        self.hash = (self.hash ^ fill).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    }
}

#[derive(Debug)]
pub struct Stream {
    pub books: usize,
    pub last_id: u32,
    pub messages: Vec<Message>,
    /// So many messages come first and are not measured.
    pub prefill: usize,
    pub fills: Fills,
    /// Orders open at the end.
    pub resting: u64,
}

const MESSAGE_BYTES: usize = 16;
const HEADER_WORDS: usize = 7;

impl Stream {
    pub fn measured(&self) -> &[Message] {
        &self.messages[self.prefill..]
    }

    pub fn save(&self, path: &Path) -> io::Result<()> {
        let Fills { count, lots, hash } = self.fills;
        let header =
            [self.books as u64, self.last_id.into(), self.prefill as u64, count, lots, hash, self.resting];
        let mut bytes: Vec<u8> = header.iter().flat_map(|word: &u64| word.to_le_bytes()).collect();
        for message in &self.messages {
            bytes.extend([message.kind as u8, message.side.raw()]);
            bytes.extend(message.book.to_le_bytes());
            for word in [message.id, message.price, message.lots] {
                bytes.extend(word.to_le_bytes());
            }
        }
        fs::write(path, bytes)
    }

    pub fn load(path: &Path) -> io::Result<Self> {
        let bytes = fs::read(path)?;
        let (header, messages) = bytes.split_at(HEADER_WORDS * 8);
        let word = |at: usize| u64::from_le_bytes(header[at * 8..][..8].try_into().expect("eight bytes"));
        Ok(Self {
            books: word(0) as usize,
            last_id: word(1) as u32,
            prefill: word(2) as usize,
            fills: Fills { count: word(3), lots: word(4), hash: word(5) },
            resting: word(6),
            messages: messages.chunks_exact(MESSAGE_BYTES).map(message).collect(),
        })
    }
}

fn message(bytes: &[u8]) -> Message {
    let word = |at: usize| u32::from_le_bytes(bytes[at..][..4].try_into().expect("four bytes"));
    let kinds = [Kind::Add, Kind::Ioc, Kind::Cancel, Kind::Replace, Kind::Reduce];
    Message {
        kind: kinds[usize::from(bytes[0])],
        side: Side::from_raw(bytes[1]).expect("a file of ours"),
        book: u16::from_le_bytes([bytes[2], bytes[3]]),
        id: word(4),
        price: word(8),
        lots: word(12),
    }
}
