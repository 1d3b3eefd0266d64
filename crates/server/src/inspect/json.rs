//! Commands and events as JSON: one object each, with the names of the message table as keys.
//!
//! Numbers are those of the wire, so nothing is rounded: prices and credits in millionths, times in nanoseconds since
//! 1970. Choices are words; a number that this version does not know stays a number.

use joulebook_engine::{Destination, Engine, Record};
use joulebook_protocol::{Frame, MessageView, SequencedCommand, Value as Field};
use joulebook_types::{SeqNum, TimeNs};
use serde_json::{Map, Value, json};

use super::steps::{Cause, Step};

/// `{"seq":…,"time_ns":…,"account":…,"session":…,"received_ns":…,"command":"NewOrder","fields":{…}}`
pub fn command_object(seq: SeqNum, time: TimeNs, command: &SequencedCommand) -> Value {
    let origin = command.origin;
    let mut frame = Vec::new();
    command.command.encode(&mut frame);
    json!({
        "seq": seq.raw(),
        "time_ns": time.raw(),
        "account": origin.account.raw(),
        "session": origin.session.raw(),
        "received_ns": origin.received.raw(),
        "command": command.command.name(),
        "fields": view_of(&frame).map_or(Value::Null, |view| message_object(&view)),
    })
}

/// `{"seq":…,"time_ns":…,"cause":"command","to":"public","event":"Trade","fields":{…}}`; an event of a session has its
/// account and session instead of `to`.
pub fn event_object(engine: &Engine, step: &Step<'_>, record: &Record<'_>) -> Value {
    let view = view_of(record.frame);
    let mut object = Map::new();
    object.insert("seq".into(), step.seq.raw().into());
    object.insert("time_ns".into(), step.time.raw().into());
    let cause = match step.cause {
        Cause::Timers => "timers",
        Cause::Command(_) => "command",
    };
    object.insert("cause".into(), cause.into());
    match (record.destination, engine.session_identity(record.session)) {
        (Destination::Public, _) => {
            object.insert("to".into(), "public".into());
        }
        (Destination::Connection(_), Some((account, session))) => {
            object.insert("account".into(), account.raw().into());
            object.insert("session".into(), session.raw().into());
        }
        (Destination::Connection(connection), None) => {
            object.insert("connection".into(), connection.raw().into());
        }
    }
    object.insert("event".into(), view.as_ref().map_or(Value::Null, |view| view.name.into()));
    object.insert("fields".into(), view.map_or(Value::Null, |view| message_object(&view)));
    Value::Object(object)
}

/// The fields of a message.
pub fn message_object(view: &MessageView) -> Value {
    object(&view.fields)
}

pub(super) fn view_of(frame: &[u8]) -> Option<MessageView> {
    let (frame, _) = Frame::split(frame).ok()??;
    MessageView::of(&frame)
}

fn object(fields: &[(&'static str, Field)]) -> Value {
    Value::Object(fields.iter().map(|(name, field)| ((*name).to_owned(), value(field))).collect())
}

fn value(field: &Field) -> Value {
    match field {
        Field::Number(number) | Field::Id(number) => (*number).into(),
        Field::Signed(number) => (*number).into(),
        Field::Instrument(id) => id.raw().into(),
        Field::Price(price) => price.raw().into(),
        Field::Credits(amount) => amount.raw().into(),
        Field::TokenPrice(price) => price.raw().into(),
        Field::Time(time) => time.raw().into(),
        Field::Quarter(quarter) => quarter.raw().into(),
        Field::Word(word) => (*word).into(),
        Field::Words(words) => words.clone().into(),
        Field::Text(text) => text.as_str().into(),
        Field::Bytes(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into(),
        Field::List(fields) => fields.iter().map(value).collect(),
        Field::Parts(fields) => object(fields),
    }
}
