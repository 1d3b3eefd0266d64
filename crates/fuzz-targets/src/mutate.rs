//! New inputs out of old ones, by somebody who knows what the bytes mean.

use core::ops::Range;

use joulebook_protocol::{FieldInfo, Frame, FrameHeader, MessageInfo, SCHEMA_ID, TABLE, VERSION};
use joulebook_testkit::Xoshiro256pp;
use zerocopy::IntoBytes;

use crate::conversation::Step;
use crate::disk::NEXT_SEGMENT;
use crate::input::Input;

/// What an input consists of.
#[derive(Clone, Copy)]
pub enum Shape {
    /// Frames, one after another.
    Frames,
    /// A byte of choices, then steps, some of which send frames.
    Conversation,
    /// A byte of choices, then frames that a publisher sends.
    Feed,
    /// A byte of choices, then blocks with their lengths.
    Journal,
    /// Numbers of 32 and 64 bits at multiples of their length.
    Numbers,
    /// Lines with such words.
    Text(&'static [&'static str]),
}

/// Draws from a seed: the same seed and the same parents give the same inputs for ever.
pub struct Mutator {
    random: Xoshiro256pp,
}

/// What breaks programs: ends of ranges and their neighbours.
const EDGES: &[u64] = &[
    0,
    1,
    2,
    3,
    7,
    8,
    63,
    64,
    127,
    128,
    255,
    256,
    4_095,
    4_096,
    32_767,
    32_768,
    65_535,
    65_536,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
    0x1_0000_0000,
    0x7FFF_FFFF_FFFF_FFFF,
    0x8000_0000_0000_0000,
    0xFFFF_FFFF_FFFF_FFFE,
    0xFFFF_FFFF_FFFF_FFFF,
];

impl Mutator {
    pub fn new(seed: u64) -> Self {
        Self { random: Xoshiro256pp::from_seed(seed) }
    }

    /// A number below `bound`, for whoever chooses parents.
    pub fn below(&mut self, bound: usize) -> usize {
        self.random.below(bound as u64) as usize
    }

    /// `parent` with a few changes, some of which take pieces from `other`.
    pub fn mutate(&mut self, shape: Shape, parent: &[u8], other: &[u8], bytes_max: usize) -> Vec<u8> {
        let mut input = parent.to_vec();
        for _ in 0..1 + self.below(4).min(self.below(6)) {
            match self.below(10) {
                // Where every place means something, bytes that move are all alike.
                0..3 if !matches!(shape, Shape::Numbers) || self.below(8) == 0 => {
                    self.change_bytes(&mut input)
                }
                3..6 => self.change_pieces(shape, &mut input, other),
                6 => self.insert_new(shape, &mut input),
                0..3 | 7.. => self.change_inside(shape, &mut input),
            }
        }
        input.truncate(bytes_max);
        input
    }

    /// Without regard to what they mean.
    fn change_bytes(&mut self, input: &mut Vec<u8>) {
        if input.is_empty() {
            input.push(self.below(256) as u8);
            return;
        }
        let at = self.below(input.len());
        match self.below(7) {
            0 => input[at] ^= 1 << self.below(8),
            1 => input[at] = self.below(256) as u8,
            2 => input[at] = input[at].wrapping_add(self.below(9) as u8).wrapping_sub(4),
            3 => self.write_number(input, at),
            4 => _ = input.drain(at..(at + 1 + self.below(16)).min(input.len())),
            5 => {
                let end = (at + 1 + self.below(16)).min(input.len());
                let copy = input[at..end].to_vec();
                let to = self.below(input.len() + 1);
                input.splice(to..to, copy);
            }
            _ => input.truncate(at),
        }
    }

    fn write_number(&mut self, input: &mut [u8], at: usize) {
        let width = 1 << self.below(4);
        let old = input[at..].iter().take(8).rev().fold(0, |old, byte| old << 8 | u64::from(*byte));
        let value = self.number(old);
        let room = &mut input[at..];
        let width = room.len().min(width);
        room[..width].copy_from_slice(&value.to_le_bytes()[..width]);
    }

    fn number(&mut self, old: u64) -> u64 {
        match self.below(8) {
            0..3 => EDGES[self.below(EDGES.len())],
            3 => old.wrapping_add(self.random.below(5)).wrapping_sub(2),
            4 => old.wrapping_mul(EDGES[self.below(EDGES.len())]),
            5 => self.random.below(10),
            6 => self.random.below(1_000) * 10_000,
            _ => self.random.next_u64(),
        }
    }

    /// Whole pieces come, go and change places.
    fn change_pieces(&mut self, shape: Shape, input: &mut Vec<u8>, other: &[u8]) {
        let pieces = shape.pieces(input);
        let Some(piece) = self.one_of(&pieces) else { return self.insert_new(shape, input) };
        match self.below(5) {
            0 => _ = input.drain(piece),
            1 => {
                let copy = input[piece.clone()].to_vec();
                input.splice(piece.start..piece.start, copy);
            }
            2 => {
                let second = self.one_of(&pieces).expect("there is one");
                let copy = input[second.clone()].to_vec();
                input.splice(piece, copy);
            }
            _ => {
                let Some(theirs) = self.one_of(&shape.pieces(other)) else { return };
                let replaces = self.below(2) == 0;
                let place = if replaces { piece } else { piece.start..piece.start };
                input.splice(place, other[theirs].iter().copied());
            }
        }
    }

    fn one_of(&mut self, ranges: &[Range<usize>]) -> Option<Range<usize>> {
        (!ranges.is_empty()).then(|| ranges[self.below(ranges.len())].clone())
    }

    fn insert_new(&mut self, shape: Shape, input: &mut Vec<u8>) {
        if input.is_empty() && shape.has_choices() {
            input.push(self.below(256) as u8);
        }
        let new = self.piece(shape);
        let place = self.one_of(&shape.pieces(input)).map_or(input.len(), |piece| piece.end);
        input.splice(place..place, new);
    }

    fn piece(&mut self, shape: Shape) -> Vec<u8> {
        let mut piece = Vec::new();
        match shape {
            Shape::Frames => self.frame(0..u16::MAX, &mut piece),
            Shape::Feed => self.frame(80..u16::MAX, &mut piece),
            Shape::Conversation if self.below(3) > 0 => {
                let mut frames = Vec::new();
                for _ in 0..1 + self.below(3) {
                    self.frame(0..u16::MAX, &mut frames);
                }
                Step::encode_bytes(&frames, &mut piece);
            }
            Shape::Conversation => {
                let count = self.below(12);
                piece.extend([self.below(256) as u8, count as u8]);
                piece.extend((0..count).map(|_| self.below(8) as u8));
            }
            Shape::Journal => match self.below(3) {
                0 => piece.extend(NEXT_SEGMENT.to_le_bytes()),
                1 => piece.extend([0, 0]),
                _ => piece.extend([8, 0, 1, 2, 3, 4, 5, 6, 7, 8]),
            },
            Shape::Numbers => piece.extend(self.number(0).to_le_bytes()),
            Shape::Text(words) => {
                for _ in 0..1 + self.below(3) {
                    piece.extend(words[self.below(words.len())].bytes());
                }
            }
        }
        piece
    }

    /// A frame with a number in the range, its fields mostly zero.
    fn frame(&mut self, templates: Range<u16>, out: &mut Vec<u8>) {
        let infos: Vec<&MessageInfo> =
            TABLE.iter().filter(|info| templates.contains(&info.template_id)).collect();
        let info = infos[self.below(infos.len())];
        let mut block = vec![0; info.block_len];
        for _ in 0..self.below(6) {
            self.set_field(info, &mut block);
        }
        match self.below(8) {
            0 => block.resize(info.block_min, 0),
            1 => block.resize(info.block_len + 8, 5),
            2 => block.resize(self.below(info.block_len + 16), 1),
            _ => {}
        }
        let header = FrameHeader {
            block_len: block.len() as u16,
            template_id: info.template_id,
            schema_id: SCHEMA_ID,
            version: VERSION + u16::from(self.below(16) == 0),
        };
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(&block);
    }

    fn set_field(&mut self, info: &MessageInfo, block: &mut [u8]) {
        let field = &info.fields[self.below(info.fields.len())];
        // Elements at the front of a list are the ones that are used.
        let element = self.below(field.count).min(self.below(field.count));
        let start = field.offset + element * field.element_bytes();
        let place = if field.parts.is_empty() {
            start..start + field.element_bytes()
        } else {
            let part: &FieldInfo = &field.parts[self.below(field.parts.len())];
            start + part.offset..start + part.offset + part.element_bytes()
        };
        let Some(place) = block.get_mut(place) else { return };
        let value = match field.name {
            "instrument" | "side" if self.below(8) > 0 => self.random.below(3),
            "seq" if self.below(2) > 0 => self.random.below(6),
            _ => self.number(place.iter().rev().fold(0, |old, byte| old << 8 | u64::from(*byte))),
        };
        let width = place.len().min(8);
        place[..width].copy_from_slice(&value.to_le_bytes()[..width]);
    }

    /// A value that means something takes another one.
    fn change_inside(&mut self, shape: Shape, input: &mut Vec<u8>) {
        if shape.has_choices() && !input.is_empty() && self.below(8) == 0 {
            input[0] = self.below(256) as u8;
            return;
        }
        let Some(piece) = self.one_of(&shape.pieces(input)) else { return };
        match shape {
            Shape::Frames | Shape::Feed => self.change_frame(&mut input[piece]),
            Shape::Conversation => {
                // After the step's kind and length its frames begin, if it sends some.
                let inner = input.get(piece.start + 3..piece.end).map_or(Vec::new(), frames_of);
                match self.one_of(&inner) {
                    Some(frame) => {
                        let start = piece.start + 3;
                        self.change_frame(&mut input[start + frame.start..start + frame.end]);
                    }
                    None => self.write_number(input, piece.start),
                }
            }
            Shape::Journal => {
                let words = piece.len().saturating_sub(2) / 4;
                // Headers are at the front of a block and hold what a reader looks at first.
                let word = if words == 0 { 0 } else { self.below(words).min(self.below(words)) };
                let at = (piece.start + 2 + 4 * word).min(piece.end - 1);
                self.write_number(&mut input[..piece.end], at);
            }
            Shape::Numbers => {
                let at = piece.start + 4 * self.below(2).min(piece.len() / 4 - 1);
                self.write_number(input, at);
            }
            Shape::Text(words) => {
                let at = piece.start + self.below(piece.len().max(1));
                let word = words[self.below(words.len())];
                let end = at + word.len().min(piece.end - at) * self.below(2);
                input.splice(at..end, word.bytes());
            }
        }
    }

    fn change_frame(&mut self, frame: &mut [u8]) {
        let Ok(Some((split, _))) = Frame::split(frame) else { return };
        let id = split.header.template_id;
        let start = frame.len() - split.block.len();
        if let Some(info) = TABLE.iter().find(|info| info.template_id == id) {
            self.set_field(info, &mut frame[start..]);
        }
    }
}

impl Shape {
    fn has_choices(self) -> bool {
        matches!(self, Self::Conversation | Self::Feed | Self::Journal)
    }

    /// Where the pieces of an input lie. A rest that is no piece belongs to none.
    fn pieces(self, input: &[u8]) -> Vec<Range<usize>> {
        let start = usize::from(self.has_choices()).min(input.len());
        let body = &input[start..];
        let pieces = match self {
            Self::Frames | Self::Feed => frames_of(body),
            Self::Conversation => steps_of(body),
            Self::Journal => blocks_of(body),
            Self::Numbers => (0..body.len() / 8).map(|number| 8 * number..8 * number + 8).collect(),
            Self::Text(_) => {
                let mut at = 0;
                let lines = body.split_inclusive(|byte| *byte == b'\n');
                lines.map(|line| (at, at += line.len(), at)).map(|(start, (), end)| start..end).collect()
            }
        };
        pieces.into_iter().map(|piece| start + piece.start..start + piece.end).collect()
    }
}

fn frames_of(bytes: &[u8]) -> Vec<Range<usize>> {
    let (mut frames, mut at) = (Vec::new(), 0);
    while let Ok(Some((frame, _))) = Frame::split(&bytes[at..]) {
        frames.push(at..at + frame.bytes_len());
        at += frame.bytes_len();
    }
    frames
}

fn steps_of(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut input = Input::new(bytes);
    let (mut steps, mut at) = (Vec::new(), 0);
    while Step::read(&mut input).is_some() {
        let end = bytes.len() - input.left();
        steps.push(at..end);
        at = end;
    }
    steps
}

fn blocks_of(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut input = Input::new(bytes);
    let (mut blocks, mut at) = (Vec::new(), 0);
    while !input.is_empty() {
        let count = input.u16();
        if count != NEXT_SEGMENT {
            input.take(count.into());
        }
        let end = bytes.len() - input.left();
        blocks.push(at..end);
        at = end;
    }
    blocks
}
