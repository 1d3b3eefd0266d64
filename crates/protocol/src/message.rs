//! The macros behind the message table, and what every message can do.

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::FieldInfo;
use crate::frame::{FrameHeader, SCHEMA_ID, VERSION};

/// A fixed-layout message.
pub trait Message: FromBytes + IntoBytes + Immutable + Copy {
    const TEMPLATE_ID: u16;
    const NAME: &'static str;
    const DOC: &'static str;
    const FIELDS: &'static [FieldInfo];
    /// The shortest block: what follows was appended later or is the rest of a list, and is zero when it is missing.
    const BLOCK_MIN: usize = size_of::<Self>();

    const HEADER: FrameHeader = FrameHeader {
        block_len: size_of::<Self>() as u16,
        template_id: Self::TEMPLATE_ID,
        schema_id: SCHEMA_ID,
        version: VERSION,
    };

    /// The header, as one number, of a frame that says no more than every version of the message does.
    const SHORT_HEADER: u64 = FrameHeader { block_len: Self::BLOCK_MIN as u16, ..Self::HEADER }.word();

    /// Reads the block of a frame, as [`Self::read`] does.
    #[inline]
    fn decode(block: &[u8]) -> Result<Self, DecodeError> {
        let mut message = Self::new_zeroed();
        message.read(block)?;
        Ok(message)
    }

    /// Becomes the message of a block. A longer block comes from a newer peer: what it appended is skipped. A shorter one,
    /// down to [`Message::BLOCK_MIN`] and in steps of eight bytes so that it splits no field, goes on with zeros. After an
    /// error the content is of no use.
    #[inline]
    fn read(&mut self, block: &[u8]) -> Result<(), DecodeError> {
        let message = self.as_mut_bytes();
        if let Some(known) = block.get(..size_of::<Self>()) {
            message.copy_from_slice(known);
            return Ok(());
        }
        // Most messages with an optional rest come without it: this copy has a length that the compiler knows.
        if block.len() == Self::BLOCK_MIN {
            message[..Self::BLOCK_MIN].copy_from_slice(block);
            message[Self::BLOCK_MIN..].fill(0);
            return Ok(());
        }
        if block.len() < Self::BLOCK_MIN || !block.len().is_multiple_of(BLOCK_STEP) {
            return Err(DecodeError::ShortBlock {
                template_id: Self::TEMPLATE_ID,
                block_len: block.len(),
                expected: Self::BLOCK_MIN,
            });
        }
        let (sent, rest) = message.split_at_mut(block.len());
        sent.copy_from_slice(block);
        rest.fill(0);
        Ok(())
    }

    /// The bytes of the block without the zeros that a reader fills in by itself.
    fn block(&self) -> &[u8] {
        let bytes = self.as_bytes();
        let mut len = bytes.len();
        while len >= Self::BLOCK_MIN + BLOCK_STEP && bytes[len - BLOCK_STEP..len] == [0; BLOCK_STEP] {
            len -= BLOCK_STEP;
        }
        &bytes[..len]
    }
}

/// Blocks are multiples of this many bytes.
const BLOCK_STEP: usize = 8;

/// Appends header and block of `message`.
pub fn encode<M: Message>(message: &M, out: &mut Vec<u8>) {
    let block = message.block();
    let header = FrameHeader { block_len: block.len() as u16, ..M::HEADER };
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(block);
}

/// Why a frame is no message of the expected kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// No message with this number, or none that may come from here.
    UnknownTemplate { template_id: u16 },
    /// Fewer bytes than the first version of the message has.
    ShortBlock { template_id: u16, block_len: usize, expected: usize },
}

impl core::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::UnknownTemplate { template_id } => write!(f, "no message {template_id} is expected here"),
            Self::ShortBlock { template_id, block_len, expected } => {
                write!(
                    f,
                    "message {template_id} has a block of {block_len} bytes, at least {expected} are needed"
                )
            }
        }
    }
}

impl core::error::Error for DecodeError {}

/// Who sends a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    Client,
    Server,
    Either,
    /// Never on the wire: between the parts of the exchange and in its journal.
    Internal,
}

/// One row of the message table.
#[derive(Clone, Copy, Debug)]
pub struct MessageInfo {
    pub template_id: u16,
    pub name: &'static str,
    pub doc: &'static str,
    pub sender: Sender,
    pub block_len: usize,
    /// As [`Message::BLOCK_MIN`].
    pub block_min: usize,
    pub fields: &'static [FieldInfo],
}

/// Defines the struct of a message: plain data, little-endian, without padding (the derive proves it).
macro_rules! message {
    ($($(#[doc = $doc:literal])+ $name:ident {
        $($(#[doc = $field_doc:literal])* $field:ident: $type:ty,)*
    })+) => { $(
        $(#[doc = $doc])+
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq,
            zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout, zerocopy::Immutable,
        )]
        #[repr(C)]
        pub struct $name { $($(#[doc = $field_doc])* pub $field: $type,)* }

        impl $name {
            #[allow(dead_code, reason = "a composite such as `Stamp` has a doc but no row in the table")]
            pub(crate) const DOC: &'static str = concat!($($doc, "\n",)+);
            pub(crate) const FIELDS: &'static [crate::FieldInfo] = &[$(crate::FieldInfo {
                name: stringify!($field),
                doc: concat!($($field_doc, "\n",)* ""),
                offset: core::mem::offset_of!($name, $field),
                primitive: <$type as crate::WireField>::PRIMITIVE,
                kind: <$type as crate::WireField>::KIND,
                composite: <$type as crate::WireField>::COMPOSITE,
                count: <$type as crate::WireField>::COUNT,
                parts: <$type as crate::WireField>::PARTS,
            },)*];
        }

        impl Default for $name {
            /// All fields zero: a start for `..Default::default()`.
            fn default() -> Self {
                zerocopy::FromZeros::new_zeroed()
            }
        }
    )+ };
}

/// The table: numbers, directions, and one enum per kind of message.
macro_rules! messages {
    ($($(#[$enum_doc:meta])* $enum:ident { $($id:literal $name:ident $sender:ident $(from $min:literal)?,)* })+) => {
        $(
            $(#[$enum_doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            #[allow(clippy::large_enum_variant, reason = "nothing is allocated; hot code reads into one place")]
            pub enum $enum { $($name($name),)* }

            impl $enum {
                /// The message in `frame`, if it is one of this kind.
                pub fn decode(frame: &crate::Frame<'_>) -> Result<Self, crate::DecodeError> {
                    match frame.header.template_id {
                        $($id => <$name as crate::Message>::decode(frame.block).map(Self::$name),)*
                        template_id => Err(crate::DecodeError::UnknownTemplate { template_id }),
                    }
                }

                /// Becomes the message in `frame`, if it is one of this kind. Writes only the bytes of that message, where
                /// [`Self::decode`] may move as many as the longest of all has.
                #[inline]
                pub fn read(&mut self, frame: &crate::Frame<'_>) -> Result<(), crate::DecodeError> {
                    match frame.header.template_id {
                        $($id => {
                            *self = Self::$name(zerocopy::FromZeros::new_zeroed());
                            let Self::$name(message) = self else { unreachable!("it has just become one") };
                            crate::Message::read(message, frame.block)
                        })*
                        template_id => Err(crate::DecodeError::UnknownTemplate { template_id }),
                    }
                }

                /// Appends header and block.
                pub fn encode(&self, out: &mut Vec<u8>) {
                    match self { $(Self::$name(message) => crate::encode(message, out),)* }
                }

                pub const fn template_id(&self) -> u16 {
                    match self { $(Self::$name(_) => $id,)* }
                }

                pub const fn name(&self) -> &'static str {
                    match self { $(Self::$name(_) => stringify!($name),)* }
                }
            }

            $(
                impl crate::Message for $name {
                    const TEMPLATE_ID: u16 = $id;
                    const NAME: &'static str = stringify!($name);
                    const DOC: &'static str = $name::DOC;
                    const FIELDS: &'static [crate::FieldInfo] = $name::FIELDS;
                    $(const BLOCK_MIN: usize = $min;)?
                }

                impl From<$name> for $enum {
                    fn from(message: $name) -> Self {
                        Self::$name(message)
                    }
                }
            )*
        )+

        /// Every message, in the order of its number.
        pub const TABLE: &[crate::MessageInfo] = &[$($(crate::MessageInfo {
            template_id: $id,
            name: stringify!($name),
            doc: $name::DOC,
            sender: crate::Sender::$sender,
            block_len: size_of::<$name>(),
            block_min: <$name as crate::Message>::BLOCK_MIN,
            fields: $name::FIELDS,
        },)*)+];
    };
}

pub(crate) use {message, messages};
