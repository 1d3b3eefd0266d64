//! What a field of a message is on the wire, so that schema, byte tables and vectors come from the structs themselves.

use joulebook_types as types;

/// The wire's basic types, by their names in Simple Binary Encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Primitive {
    U8,
    U16,
    U32,
    U64,
    I32,
    I64,
    /// ASCII, zero padded.
    Char,
}

impl Primitive {
    pub const fn sbe_name(self) -> &'static str {
        match self {
            Self::U8 => "uint8",
            Self::U16 => "uint16",
            Self::U32 => "uint32",
            Self::U64 => "uint64",
            Self::I32 => "int32",
            Self::I64 => "int64",
            Self::Char => "char",
        }
    }

    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::Char => 1,
            Self::U16 => 2,
            Self::U32 | Self::I32 => 4,
            Self::U64 | Self::I64 => 8,
        }
    }
}

/// What the number in a field means, so that people can be shown more than a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// A count, a choice or a flag: the field's name says of what.
    Plain,
    /// Names something; never counted with.
    Id,
    Instrument,
    /// Micro-EC per accelerator-hour.
    Price,
    /// Micro-EC.
    Credits,
    /// Micro-EC per million tokens.
    TokenPrice,
    /// Nanoseconds since 1970.
    Time,
    /// Quarter hours since 1970.
    Quarter,
    /// Upper-case letters and digits.
    Code,
    /// Where an order lies in memory: nothing that people need.
    Slot,
}

/// A Rust type that may stand in a message.
pub trait WireField {
    const PRIMITIVE: Primitive;
    const KIND: FieldKind = FieldKind::Plain;
    /// Elements: 1 for a scalar.
    const COUNT: usize;
    /// Composite fields list their own parts; scalars and arrays have none.
    const PARTS: &'static [FieldInfo] = &[];
    /// The name of the composite; empty for scalars.
    const COMPOSITE: &'static str = "";
}

/// One field of a message.
#[derive(Clone, Copy, Debug)]
pub struct FieldInfo {
    pub name: &'static str,
    pub doc: &'static str,
    /// From the start of the block (the byte after the header).
    pub offset: usize,
    pub primitive: Primitive,
    pub kind: FieldKind,
    /// Elements, composites too: 1 for a field that is no list.
    pub count: usize,
    pub composite: &'static str,
    pub parts: &'static [FieldInfo],
}

impl FieldInfo {
    /// All elements together.
    pub const fn bytes(&self) -> usize {
        self.element_bytes() * self.count
    }

    pub const fn element_bytes(&self) -> usize {
        if self.parts.is_empty() {
            return self.primitive.bytes();
        }
        let mut total = 0;
        let mut index = 0;
        while index < self.parts.len() {
            total += self.parts[index].bytes();
            index += 1;
        }
        total
    }
}

macro_rules! wire_field {
    ($($name:ty => $primitive:ident x $count:literal $kind:ident;)*) => {
        $(impl WireField for $name {
            const PRIMITIVE: Primitive = Primitive::$primitive;
            const KIND: FieldKind = FieldKind::$kind;
            const COUNT: usize = $count;
        })*
    };
}

wire_field! {
    u8 => U8 x 1 Plain;
    u16 => U16 x 1 Plain;
    u32 => U32 x 1 Plain;
    u64 => U64 x 1 Plain;
    i32 => I32 x 1 Plain;
    i64 => I64 x 1 Plain;
    types::AccountId => U32 x 1 Id;
    types::SessionId => U32 x 1 Id;
    types::ConnectionId => U64 x 1 Id;
    types::InstrumentId => U32 x 1 Instrument;
    types::OrderId => U64 x 1 Id;
    types::TradeId => U64 x 1 Id;
    types::ClientOrderId => U64 x 1 Id;
    types::ModelId => U16 x 1 Id;
    types::ShardId => U16 x 1 Id;
    types::SlotHint => U32 x 1 Slot;
    types::SeqNum => U64 x 1 Id;
    types::Price => I64 x 1 Price;
    types::MicroEc => I64 x 1 Credits;
    types::TokenPrice => I64 x 1 TokenPrice;
    types::KiloTokens => U64 x 1 Plain;
    types::Yield => U32 x 1 Plain;
    types::TimeNs => U64 x 1 Time;
    types::QuarterSlot => U32 x 1 Quarter;
    types::ClassCode => Char x 8 Code;
    types::AreaCode => Char x 8 Code;
}

impl<const N: usize> WireField for [u8; N] {
    const PRIMITIVE: Primitive = Primitive::U8;
    const COUNT: usize = N;
}

impl<const N: usize> WireField for [types::InstrumentId; N] {
    const PRIMITIVE: Primitive = Primitive::U32;
    const KIND: FieldKind = FieldKind::Instrument;
    const COUNT: usize = N;
}

/// A composite that stands in messages alone or as a list.
macro_rules! composite {
    ($($name:ident)*) => { $(
        impl crate::WireField for $name {
            const PRIMITIVE: crate::Primitive = crate::Primitive::U8;
            const COUNT: usize = 1;
            const PARTS: &'static [crate::FieldInfo] = $name::FIELDS;
            const COMPOSITE: &'static str = stringify!($name);
        }

        impl<const N: usize> crate::WireField for [$name; N] {
            const PRIMITIVE: crate::Primitive = crate::Primitive::U8;
            const COUNT: usize = N;
            const PARTS: &'static [crate::FieldInfo] = $name::FIELDS;
            const COMPOSITE: &'static str = stringify!($name);
        }
    )* };
}

pub(crate) use composite;
