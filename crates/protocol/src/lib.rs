//! Every message of joulebook in one table: what clients send, what the engine says, what the feed publishes.
//!
//! Little-endian, fixed layout, an 8-byte header as in FIX Simple Binary Encoding. The same bytes travel on the wire,
//! lie in the journal and come out as events, so there is one codec. [`schema`] renders the table as XML, as byte
//! tables and as golden vectors; the rendered files are checked in and a test compares them.
#![forbid(unsafe_code)]

mod field;
mod frame;
mod message;
pub mod messages;
mod origin;
pub mod pipe;
mod refusal;
mod reject;
mod request_id;
pub mod schema;
mod view;

pub use field::{FieldInfo, FieldKind, Primitive, WireField};
pub use frame::{
    BLOCK_BYTES_MAX, FRAME_BYTES_MAX, Frame, FrameError, FrameHeader, HEADER_BYTES, SCHEMA_ID, VERSION,
};
pub use message::{DecodeError, Message, MessageInfo, Sender, encode};
pub use messages::{Command, Event, FeedMessage, PublicEvent, SessionMessage, TABLE};
pub use origin::{Origin, RecordError, SequencedCommand};
pub use refusal::{Refusal, RefusalUnit};
pub use reject::{CancelReason, CloseReason, RejectReason, RequestStatus};
pub use view::{MessageView, Symbols, Value};

/// The ALPN protocol name of this version.
pub const ALPN: &[u8] = b"joulebook/1";
