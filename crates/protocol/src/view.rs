//! Messages taken apart by the message table, so that tools can show every one of them, those included that are added
//! later: as a tree of named values, and as one line for people.

use joulebook_types::{
    InstrumentId, MicroEc, OrderType, Phase, Price, QuarterSlot, Role, SelfTradeMode, Side, TimeInForce,
    TimeNs, TokenPrice, Trigger,
};

use crate::messages::{BatchEntry, BookUpdate, KillSwitch, padded_text};
use crate::{
    CancelReason, CloseReason, Event, FieldInfo, FieldKind, Frame, MessageInfo, Primitive, Refusal,
    RejectReason, RequestStatus, TABLE,
};

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Number(u64),
    Signed(i64),
    Id(u64),
    Instrument(InstrumentId),
    Price(Price),
    Credits(MicroEc),
    TokenPrice(TokenPrice),
    Time(TimeNs),
    Quarter(QuarterSlot),
    /// One of a closed set, by its name.
    Word(&'static str),
    /// Some of a closed set.
    Words(Vec<&'static str>),
    Text(String),
    Bytes(Vec<u8>),
    /// A list, cut behind its last entry that is not all zero.
    List(Vec<Value>),
    Parts(Vec<(&'static str, Value)>),
}

/// A message of the table with its fields by name, in the order of the wire. Reserved fields and slots are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageView {
    pub name: &'static str,
    pub fields: Vec<(&'static str, Value)>,
    /// Why a request was refused, in words; of refusals only.
    refusal: Option<String>,
}

/// The symbol of an instrument, when it is known.
pub type Symbols<'a> = &'a dyn Fn(InstrumentId) -> Option<String>;

impl MessageView {
    /// `None` when the table has no such message. Bytes that a shorter block leaves out are zero.
    pub fn of(frame: &Frame<'_>) -> Option<Self> {
        let info = TABLE.iter().find(|info| info.template_id == frame.header.template_id)?;
        let mut block = frame.block.to_vec();
        block.resize(block.len().max(info.block_len), 0);
        let refusal = match Event::decode(frame) {
            Ok(Event::RequestRejected(event)) => Some(Refusal::from(&event).to_string()),
            Ok(Event::QuoteRejected(event)) => Some(Refusal::from(&event).to_string()),
            Ok(_) | Err(_) => None,
        };
        Some(Self { name: info.name, fields: parts(info, info.fields, &block), refusal })
    }

    /// A field by its name.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find_map(|(field, value)| (*field == name).then_some(value))
    }

    /// One line: what it is, how much of what at which price, and then every other field that is not zero.
    pub fn line(&self, symbols: Symbols<'_>) -> String {
        let details = self.details(symbols);
        if details.is_empty() { self.name.to_owned() } else { format!("{} {details}", self.name) }
    }

    /// The line without the message's name.
    pub fn details(&self, symbols: Symbols<'_>) -> String {
        match &self.refusal {
            Some(refusal) => {
                let ids =
                    self.fields.iter().filter(|(name, _)| matches!(*name, "client_order_id" | "order_id"));
                let ids: Vec<String> = ids.filter_map(|(name, value)| phrase(name, value, symbols)).collect();
                format!("{}: {refusal}", ids.join(", "))
            }
            None => sentence(&self.fields, symbols),
        }
    }
}

/// Side, lots, instrument and price make a phrase by themselves; the rest is listed.
const HEAD: [&str; 4] = ["side", "qty", "instrument", "price"];

fn sentence(fields: &[(&'static str, Value)], symbols: Symbols<'_>) -> String {
    let phrase_of = |(name, value): &(&'static str, Value)| phrase(name, value, symbols);
    let head = HEAD.iter().filter_map(|name| fields.iter().find(|(field, _)| field == name));
    let mut listed = vec![head.filter_map(phrase_of).collect::<Vec<_>>().join(" ")];
    listed.extend(fields.iter().filter(|(name, _)| !HEAD.contains(name)).filter_map(phrase_of));
    listed.retain(|phrase| !phrase.is_empty());
    listed.join(", ")
}

/// Fields that say something when they are zero.
const SHOWN_AT_ZERO: [&str; 11] = [
    "kept_priority",
    "leaves_qty",
    "level_qty",
    "canceled_orders",
    "free",
    "held",
    "accepted",
    "volume",
    "last_event_seq",
    "action",
    "trade_id",
];

/// A field as part of a line; `None` when it has nothing to say.
fn phrase(name: &str, value: &Value, symbols: Symbols<'_>) -> Option<String> {
    if let ("stamp", Value::Parts(stamp)) = (name, value) {
        // Its times are those of the batch and of the command.
        let (name, value) = stamp.first()?;
        return phrase(name, value, symbols);
    }
    if value.is_zero() && !SHOWN_AT_ZERO.contains(&name) || is_understood(name, value) {
        return None;
    }
    let label = label(name);
    Some(match value {
        Value::Word(word) if is_bare(name) => (*word).to_owned(),
        Value::Word(word) => format!("{label} {word}"),
        Value::Words(words) if is_bare(name) => words.join(", "),
        Value::Words(words) => format!("{label} {}", words.join("+")),
        Value::Number(number) => counted(name, &label, *number),
        Value::Signed(number) => format!("{label} {number}{}", unit(name)),
        Value::Id(id) => format!("{label} {id}"),
        Value::Instrument(id) => format!("of {}", symbol(*id, symbols)),
        Value::Price(price) if name == "price" => format!("at {price} EC/AH"),
        Value::Price(price) => format!("{label} {price} EC/AH"),
        Value::Credits(amount) => format!("{label} {amount} EC"),
        Value::TokenPrice(price) => format!("{label} {price} EC/Mtok"),
        Value::Time(TimeNs::MAX) => format!("{label} never"),
        Value::Time(time) => format!("{label} {time}"),
        Value::Quarter(quarter) => format!("{label} {quarter}"),
        Value::Text(text) => format!("{label} {text}"),
        Value::Bytes(bytes) => {
            let hex: String = bytes.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            format!("{label} {hex}…")
        }
        Value::List(values) => {
            let entries = values.iter().map(|value| match value {
                Value::Parts(fields) => sentence(fields, symbols),
                Value::Instrument(id) => symbol(*id, symbols),
                other => phrase(name, other, symbols).unwrap_or_default(),
            });
            format!("{label} [{}]", entries.collect::<Vec<_>>().join("; "))
        }
        Value::Parts(fields) => sentence(fields, symbols),
    })
}

/// The word says what it is the word for.
fn is_bare(name: &str) -> bool {
    matches!(name, "side" | "time_in_force" | "order_type" | "liquidity" | "action" | "kind" | "flags")
}

/// What an order is unless it says otherwise.
fn is_understood(name: &str, value: &Value) -> bool {
    let Value::Word(word) = value else { return false };
    match name {
        "order_type" => *word == OrderType::Limit.name(),
        "trigger" => *word == Trigger::None.name(),
        "self_trade" => *word == SelfTradeMode::CancelAggressor.name(),
        _ => false,
    }
}

fn label(name: &str) -> String {
    match name {
        "client_order_id" => "client order".to_owned(),
        "event_seq" => "event".to_owned(),
        "last_event_seq" => "last event".to_owned(),
        _ => {
            let name = ["_ms", "_bps", "_ppm", "_ktok", "_id", "_qty", "_minutes"]
                .iter()
                .find_map(|unit| name.strip_suffix(unit))
                .unwrap_or(name);
            name.replace('_', " ")
        }
    }
}

fn counted(name: &str, label: &str, number: u64) -> String {
    match name {
        "qty" => lots(number),
        "kept_priority" if number == 0 => "to the back of its price".to_owned(),
        "kept_priority" => "kept its place".to_owned(),
        "quantity" => format!("{number} ktok"),
        "filled_ktok_minutes" => format!("filled {} ktok", number / 60),
        _ if name.ends_with("_qty") => format!("{label} {}", lots(number)),
        _ if number == u64::MAX => format!("{label} all"),
        "start_minute" => {
            format!("start {}", TimeNs::from_minutes(u32::try_from(number).unwrap_or(u32::MAX)))
        }
        _ if name.ends_with("_ms") && number == u64::from(u32::MAX) => format!("{label} never"),
        _ => format!("{label} {number}{}", unit(name)),
    }
}

fn lots(number: u64) -> String {
    format!("{number} lot{}", if number == 1 { "" } else { "s" })
}

fn unit(name: &str) -> &'static str {
    let units =
        [("_ms", " ms"), ("_bps", " bp"), ("_ppm", " ppm"), ("_ktok", " ktok/AH"), ("_minutes", " min")];
    units.iter().find(|(suffix, _)| name.ends_with(suffix)).map_or("", |(_, unit)| unit)
}

fn symbol(id: InstrumentId, symbols: Symbols<'_>) -> String {
    symbols(id).unwrap_or_else(|| format!("instrument {id}"))
}

impl Value {
    fn is_zero(&self) -> bool {
        match self {
            Self::Number(0) | Self::Signed(0) | Self::Id(0) => true,
            Self::Number(_) | Self::Signed(_) | Self::Id(_) | Self::Word(_) => false,
            Self::Instrument(id) => id.is_none(),
            Self::Price(price) => *price == Price::ZERO,
            Self::Credits(amount) => *amount == MicroEc::ZERO,
            Self::TokenPrice(price) => *price == TokenPrice::ZERO,
            Self::Time(time) => *time == TimeNs::ZERO,
            Self::Quarter(quarter) => quarter.raw() == 0,
            Self::Words(words) => words.is_empty(),
            Self::Text(text) => text.is_empty(),
            Self::Bytes(bytes) => bytes.iter().all(|byte| *byte == 0),
            Self::List(values) => values.is_empty(),
            Self::Parts(fields) => fields.iter().all(|(_, value)| value.is_zero()),
        }
    }
}

/// Of the stamp: what only a gateway fills in, on the way out.
const OF_THE_GATEWAY: [&str; 3] = ["sent", "order_credits", "cancel_credits"];

fn parts(info: &MessageInfo, fields: &'static [FieldInfo], block: &[u8]) -> Vec<(&'static str, Value)> {
    let shown = fields.iter().filter(|field| {
        let stamp = fields[0].name == "event_seq";
        let hidden = field.name.starts_with("reserved") || stamp && OF_THE_GATEWAY.contains(&field.name);
        !hidden && field.kind != FieldKind::Slot
    });
    shown.map(|field| (field.name, value(info, field, &block[field.offset..][..field.bytes()]))).collect()
}

fn value(info: &MessageInfo, field: &'static FieldInfo, bytes: &[u8]) -> Value {
    let element = field.element_bytes();
    if !field.parts.is_empty() {
        if field.count == 1 {
            return Value::Parts(parts(info, field.parts, bytes));
        }
        let used = used(bytes, element);
        let entries = bytes.chunks_exact(element).take(used);
        return Value::List(entries.map(|entry| Value::Parts(parts(info, field.parts, entry))).collect());
    }
    match (field.primitive, field.count) {
        (Primitive::Char, _) => Value::Text(padded_text(bytes).to_owned()),
        (Primitive::U8, 2..) if matches!(field.name, "name" | "model_name") => {
            Value::Text(padded_text(bytes).to_owned())
        }
        (Primitive::U8, 2..) => Value::Bytes(bytes.to_vec()),
        (_, 1) => scalar(info, field, bytes),
        (_, _) => {
            let entries = bytes.chunks_exact(element).take(used(bytes, element));
            Value::List(entries.map(|entry| scalar(info, field, entry)).collect())
        }
    }
}

/// Entries of a list up to the last that is not all zero.
fn used(bytes: &[u8], element: usize) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last / element + 1)
}

fn scalar(info: &MessageInfo, field: &FieldInfo, bytes: &[u8]) -> Value {
    let mut wide = [0; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    let raw = u64::from_le_bytes(wide);
    let signed = match field.primitive {
        Primitive::I32 => i64::from((raw as u32).cast_signed()),
        Primitive::I64 => raw.cast_signed(),
        Primitive::U8 | Primitive::U16 | Primitive::U32 | Primitive::U64 | Primitive::Char => 0,
    };
    match field.kind {
        FieldKind::Id => Value::Id(raw),
        FieldKind::Instrument => Value::Instrument(InstrumentId::new(raw as u32)),
        FieldKind::Price => Value::Price(Price::new(signed)),
        FieldKind::Credits => Value::Credits(MicroEc::new(signed)),
        FieldKind::TokenPrice => Value::TokenPrice(TokenPrice::new(signed)),
        FieldKind::Time => Value::Time(TimeNs::new(raw)),
        FieldKind::Quarter => Value::Quarter(QuarterSlot::new(raw as u32)),
        FieldKind::Plain | FieldKind::Code | FieldKind::Slot => match field.primitive {
            Primitive::I32 | Primitive::I64 => Value::Signed(signed),
            Primitive::U8 | Primitive::U16 => choice(info, field, raw as u16),
            Primitive::U32 | Primitive::U64 | Primitive::Char => Value::Number(raw),
        },
    }
}

/// Small numbers are often choices from a closed set: which, follows from the field's name. A number that this version
/// does not know stays a number.
fn choice(info: &MessageInfo, field: &FieldInfo, raw: u16) -> Value {
    let number = Value::Number(raw.into());
    if field.name == "roles" {
        return Value::Words(roles(raw));
    }
    if field.name == "template_id" {
        let named = TABLE.iter().find(|message| message.template_id == raw);
        return named.map_or(number, |message| Value::Word(message.name));
    }
    if field.name == "reason" && field.primitive == Primitive::U16 {
        let word = match info.name {
            "SessionClosed" | "Terminate" => CloseReason::from_raw(raw).map(CloseReason::name),
            _ => RejectReason::from_raw(raw).map(RejectReason::name),
        };
        return word.map_or(number, Value::Word);
    }
    let Ok(raw) = u8::try_from(raw) else { return number };
    if field.name == "flags" && raw <= 1 {
        let flag = if info.name == "TokenOrder" { "overshoot" } else { "post-only" };
        return Value::Words(if raw == 1 { vec![flag] } else { Vec::new() });
    }
    let word = match field.name {
        "side" | "aggressor" if raw != 0 => Side::from_raw(raw).map(Side::name),
        "time_in_force" => TimeInForce::from_raw(raw).map(TimeInForce::name),
        "order_type" => OrderType::from_raw(raw).map(OrderType::name),
        "trigger" => Trigger::from_raw(raw).map(Trigger::name),
        "self_trade" => SelfTradeMode::from_raw(raw).map(SelfTradeMode::name),
        "phase" => Phase::from_raw(raw).map(Phase::name),
        "reason" => CancelReason::from_raw(raw).map(CancelReason::name),
        "status" => RequestStatus::from_raw(raw).map(RequestStatus::name),
        _ => constant(info.name, field.name, raw),
    };
    word.map_or(number, Value::Word)
}

/// Choices that are constants of their message.
fn constant(message: &str, field: &str, raw: u8) -> Option<&'static str> {
    Some(match (message, field, raw) {
        ("OrderFilled", "liquidity", 1) => "maker",
        ("OrderFilled", "liquidity", 2) => "taker",
        ("OrderFilled", "liquidity", 3) => "auction",
        ("BookUpdate", "action", BookUpdate::ADDED) => "added",
        ("BookUpdate", "action", BookUpdate::FILLED) => "filled",
        ("BookUpdate", "action", BookUpdate::REDUCED) => "reduced",
        ("BookUpdate", "action", BookUpdate::REMOVED) => "removed",
        ("OrderBatch", "kind", BatchEntry::NEW) => "new",
        ("OrderBatch", "kind", BatchEntry::CANCEL) => "cancel",
        ("OrderBatch", "kind", BatchEntry::REPLACE) => "replace",
        ("OrderBatch", "kind", BatchEntry::REDUCE) => "reduce",
        ("KillSwitch", "action", KillSwitch::KILL) => "kill",
        ("KillSwitch", "action", KillSwitch::ENABLE) => "enable",
        ("KillSwitch", "scope", KillSwitch::SCOPE_CLASS) => "class",
        ("KillSwitch", "scope", KillSwitch::SCOPE_EXCHANGE) => "exchange",
        ("MassCancel", "scope", 1) | ("KillSwitch", "scope", KillSwitch::SCOPE_SESSION) => "session",
        ("MassCancel", "scope", 2) | ("KillSwitch", "scope", KillSwitch::SCOPE_ACCOUNT) => "account",
        ("MassCancel", "side", 0) => "both",
        ("Trade" | "FeedTrade", "aggressor", 0) => "auction",
        _ => return None,
    })
}

fn roles(bits: u16) -> Vec<&'static str> {
    let has = |role: &Role| bits & 1 << (role.raw() - 1) != 0;
    Role::ALL.iter().filter(|role| has(role)).map(|role| role.name()).collect()
}

#[cfg(test)]
mod tests {
    use joulebook_types::{ClientOrderId, KiloTokens, OrderId, SlotHint, TradeId};
    use zerocopy::FromZeros;

    use super::*;
    use crate::messages::*;
    use crate::{Message, encode};

    fn view<M: Message>(message: &M) -> MessageView {
        let mut bytes = Vec::new();
        encode(message, &mut bytes);
        let (frame, _) = Frame::split(&bytes).expect("our own").expect("whole");
        MessageView::of(&frame).expect("in the table")
    }

    fn line<M: Message>(message: &M) -> String {
        view(message).line(&|id| (id.raw() == 1).then(|| "H200S.DE.20991224T1400.H".to_owned()))
    }

    #[test]
    fn orders_and_fills_read_like_sentences() {
        let order = NewOrder {
            client_order_id: ClientOrderId::new(5),
            instrument: InstrumentId::new(1),
            qty: 4,
            side: 1,
            price: Price::new(27_000_000),
            time_in_force: 2,
            flags: NewOrder::POST_ONLY,
            ..NewOrder::default()
        };
        assert_eq!(
            line(&order),
            "NewOrder buy 4 lots of H200S.DE.20991224T1400.H at 27.00 EC/AH, client order 5, ioc, post-only"
        );
        let fill = OrderFilled {
            stamp: Stamp { event_seq: 9, ..Stamp::default() },
            client_order_id: ClientOrderId::new(5),
            order_id: OrderId::new(17),
            trade_id: TradeId::new(3),
            instrument: InstrumentId::new(2),
            qty: 1,
            side: 2,
            liquidity: 1,
            fee: MicroEc::new(-125_000),
            price: Price::new(27_000_000),
            ..OrderFilled::default()
        };
        assert_eq!(
            line(&fill),
            "OrderFilled sell 1 lot of instrument 2 at 27.00 EC/AH, event 9, client order 5, order 17, trade 3, \
             fee -0.125 EC, leaves 0 lots, maker"
        );
        let (scope, side) = (1, 0);
        assert_eq!(
            line(&MassCancel { scope, side, ..MassCancel::default() }),
            "MassCancel both, scope session"
        );
        let trade = Trade { qty: 2, instrument: InstrumentId::new(1), ..Trade::default() };
        let text = "Trade 2 lots of H200S.DE.20991224T1400.H, trade 0, aggressor auction";
        assert_eq!(line(&trade), text);
        let instruments =
            core::array::from_fn(|index| InstrumentId::new(if index < 2 { index as u32 + 1 } else { 0 }));
        let tokens = TokenOrder {
            quantity: KiloTokens::new(9),
            flags: 1,
            count: 2,
            instruments,
            ..TokenOrder::default()
        };
        assert_eq!(
            line(&tokens),
            "TokenOrder 9 ktok, overshoot, count 2, instruments [H200S.DE.20991224T1400.H; instrument 2]"
        );
        assert_eq!(line(&AdvanceTime::default()), "AdvanceTime");
        assert_eq!(
            line(&OpenAccount { roles: 0b1101, ..OpenAccount::default() }),
            "OpenAccount roles operator+seller+buyer"
        );
    }

    #[test]
    fn lists_end_where_they_are_used_and_reserved_bytes_are_left_out() {
        let mut quote = MassQuote::new_zeroed();
        quote.count = 2;
        quote.pairs[1] = QuotePair {
            bid: Price::new(1_000_000),
            instrument: InstrumentId::new(1),
            bid_qty: 2,
            ..quote.pairs[0]
        };
        let view = view(&quote);
        let Some(Value::List(pairs)) = view.field("pairs") else { panic!("{view:?}") };
        assert_eq!(pairs.len(), 2);
        assert!(view.field("reserved").is_none());
        assert_eq!(
            line(&quote),
            "MassQuote count 2, pairs [; of H200S.DE.20991224T1400.H, bid 1.00 EC/AH, bid 2 lots]"
        );
    }

    #[test]
    fn a_refusal_says_rule_field_limit_and_value() {
        let rejected = RequestRejected {
            client_order_id: ClientOrderId::new(7),
            reason: RejectReason::PriceOffTick.raw(),
            template_id: NewOrder::TEMPLATE_ID,
            field_offset: core::mem::offset_of!(NewOrder, price) as u16,
            limit: 10_000,
            value: 29_005_000,
            ..RequestRejected::default()
        };
        assert_eq!(
            line(&rejected),
            "RequestRejected client order 7: PriceOffTick: The price is no multiple of the tick. Limit 0.01 EC, \
             value 29.005 EC. Field: price."
        );
        assert_eq!(view(&rejected).field("reason"), Some(&Value::Word("PriceOffTick")));
    }

    #[test]
    fn every_message_of_the_table_is_shown_whatever_its_bytes_are() {
        for info in TABLE {
            for fill in [0_u8, 1, 0x7f, 0xff] {
                let header = [info.block_len as u16, info.template_id, crate::SCHEMA_ID, crate::VERSION];
                let mut bytes: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
                bytes.resize(bytes.len() + info.block_len, fill);
                let (frame, _) = Frame::split(&bytes).expect("our own").expect("whole");
                let view = MessageView::of(&frame).expect("in the table");
                let line = view.line(&|_| None);
                assert!(line.starts_with(info.name) && !line.contains('\n'), "{line}");
                let hidden =
                    |field: &&FieldInfo| field.name.starts_with("reserved") || field.kind == FieldKind::Slot;
                assert_eq!(view.fields.len(), info.fields.iter().filter(|field| !hidden(field)).count());
            }
            // As short as the first version of the message, or shorter, is as good as zeros.
            let short = Frame {
                header: crate::FrameHeader {
                    block_len: 0,
                    template_id: info.template_id,
                    schema_id: crate::SCHEMA_ID,
                    version: 1,
                },
                block: &[],
            };
            assert!(MessageView::of(&short).is_some(), "{}", info.name);
        }
        let slot = OrderAccepted { slot: SlotHint::new(3), ..OrderAccepted::default() };
        assert!(!line(&slot).contains("slot"));
    }
}
