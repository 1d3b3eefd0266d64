//! A console with a hand-fed market, and just enough of an HTTP and WebSocket client to look at it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use joulebook_console::{AckMode, Console, ConsoleState, RunInfo, Wiring};
use joulebook_metrics::ServerMetrics;
use joulebook_protocol::PublicEvent;
use joulebook_protocol::messages::{
    AuctionIndication, BookUpdate, InstrumentDefinition, PhaseChanged, Trade, YieldDefinition,
};
use joulebook_types::{InstrumentId, ModelId, OrderId, Phase, Price, Side, Symbol, TimeNs, TradeId, Yield};
use serde_json::Value;

/// Longer than anything here takes on a busy machine; a hang fails instead of waiting for ever.
const PATIENCE: Duration = Duration::from_secs(20);

pub const H200: InstrumentId = InstrumentId::new(1);
pub const B200: InstrumentId = InstrumentId::new(2);
pub const TPU: InstrumentId = InstrumentId::new(3);

/// A console on a free port.
pub struct Bench {
    pub state: Arc<ConsoleState>,
    pub metrics: Arc<ServerMetrics>,
    pub console: Console,
}

impl Bench {
    pub fn start() -> Self {
        let metrics = Arc::new(ServerMetrics::new(1));
        let info = RunInfo {
            scenario: "demo: NVIDIA vs Google price war".to_owned(),
            seed: Some(42),
            ack_mode: AckMode::Durable,
            wiring: Wiring::Inline,
        };
        let state = ConsoleState::new(info, Arc::clone(&metrics));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let console = Console::start(listener, Arc::clone(&state)).unwrap();
        Self { state, metrics, console }
    }

    /// Encodes the events as the engine does and applies them as one batch.
    pub fn feed(&self, events: &[PublicEvent]) {
        let frames: Vec<Vec<u8>> = events
            .iter()
            .map(|event| {
                let mut frame = Vec::new();
                event.encode(&mut frame);
                frame
            })
            .collect();
        self.state.apply_public(frames.iter().map(Vec::as_slice));
    }

    pub fn get(&self, path: &str) -> Answer {
        request(self.console.address(), "GET", path)
    }

    pub fn json(&self, path: &str) -> Value {
        self.get(path).json()
    }
}

pub fn instrument(id: InstrumentId, symbol: &str, accelerators_per_lot: u16) -> PublicEvent {
    let symbol: Symbol = symbol.parse().unwrap();
    PublicEvent::from(InstrumentDefinition {
        class: symbol.class,
        area: symbol.area,
        tick: Price::new(10_000),
        band_low: Price::new(10_000),
        band_high: Price::new(1_000_000_000),
        gate: symbol.window.start(),
        instrument: id,
        start_minute: symbol.window.start_minute(),
        window_minutes: symbol.window.minutes(),
        accelerators_per_lot,
        qty_max: 1_000,
        phase: Phase::Open.raw(),
        ..InstrumentDefinition::default()
    })
}

pub fn yields(class: &str, model: u16, name: &str, yield_ktok: u32) -> PublicEvent {
    let mut model_name = [0; 24];
    model_name[..name.len()].copy_from_slice(name.as_bytes());
    PublicEvent::from(YieldDefinition {
        class: class.parse().unwrap(),
        yield_ktok: Yield::new(yield_ktok),
        model: ModelId::new(model),
        model_name,
        ..YieldDefinition::default()
    })
}

/// A single order comes to rest at a price where nothing is.
pub fn rest(instrument: InstrumentId, side: Side, price: &str, qty: u32) -> PublicEvent {
    PublicEvent::from(BookUpdate {
        time: now(),
        order_id: OrderId::new(1),
        price: price.parse().unwrap(),
        level_qty: u64::from(qty),
        instrument,
        leaves_qty: qty,
        level_orders: 1,
        side: side.raw(),
        action: BookUpdate::ADDED,
        ..BookUpdate::default()
    })
}

/// That order leaves.
pub fn remove(instrument: InstrumentId, side: Side, price: &str) -> PublicEvent {
    PublicEvent::from(BookUpdate {
        time: now(),
        order_id: OrderId::new(1),
        price: price.parse().unwrap(),
        instrument,
        side: side.raw(),
        action: BookUpdate::REMOVED,
        ..BookUpdate::default()
    })
}

pub fn trade(instrument: InstrumentId, aggressor: Side, price: &str, qty: u32) -> PublicEvent {
    PublicEvent::from(Trade {
        time: now(),
        trade_id: TradeId::new(1),
        price: price.parse().unwrap(),
        instrument,
        qty,
        aggressor: aggressor.raw(),
        ..Trade::default()
    })
}

/// Two orders that met in an auction.
pub fn auction_trade(instrument: InstrumentId, price: &str, qty: u32) -> PublicEvent {
    let (time, trade_id, price) = (now(), TradeId::new(1), price.parse().unwrap());
    PublicEvent::from(Trade { time, trade_id, price, instrument, qty, ..Trade::default() })
}

pub fn indication(instrument: InstrumentId, price: &str, volume: u64, surplus: i64) -> PublicEvent {
    let (time, price) = (now(), price.parse().unwrap());
    PublicEvent::from(AuctionIndication { time, price, volume, surplus, instrument, reserved: 0 })
}

pub fn phase(instrument: InstrumentId, phase: Phase) -> PublicEvent {
    PublicEvent::from(PhaseChanged { time: now(), instrument, phase: phase.raw(), reserved: [0; 3] })
}

pub fn now() -> TimeNs {
    TimeNs::new(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64)
}

/// H200 at 13.00 and B200 at 45.00 against a TPU at 12.00: per token the B200 wait behind the H200.
pub fn price_war() -> Vec<PublicEvent> {
    vec![
        instrument(H200, "H200S.DE.20261124T1400.H", 8),
        instrument(B200, "B200S.DE.20261124T1400.H", 8),
        instrument(TPU, "TPU6E.DE.20261124T1400.H", 8),
        yields("H200S", 2, "other-model", 1),
        yields("H200S", 1, "llama2-70b/server", 15_387),
        yields("B200S", 1, "llama2-70b/server", 45_724),
        yields("TPU6E", 1, "llama2-70b/server", 13_000),
        rest(H200, Side::Sell, "13.50", 4),
        rest(H200, Side::Sell, "13.00", 12),
        rest(H200, Side::Buy, "12.90", 7),
        rest(B200, Side::Sell, "45.00", 3),
        rest(TPU, Side::Sell, "12.00", 9),
    ]
}

/// An HTTP response, read to its end.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json", "{}", self.text());
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// One request on a connection of its own.
pub fn request(address: SocketAddr, method: &str, path: &str) -> Answer {
    let mut stream = connect(address);
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    let (status, headers) = head(&mut reader);
    let mut body = Vec::new();
    reader.read_to_end(&mut body).unwrap();
    Answer { status, headers, body }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn head(reader: &mut impl BufRead) -> (u16, Vec<(String, String)>) {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_owned(), value.to_owned())),
            None => return (status, headers),
        }
    }
}

/// The client end of a WebSocket.
pub struct WebSocket(BufReader<TcpStream>);

/// What a server sends.
#[derive(Debug)]
pub enum Pushed {
    Json(Value),
    /// With its code.
    Close(u16),
    /// The connection ended without a close, perhaps in the middle of a frame.
    End,
}

impl WebSocket {
    /// Shakes hands with the key and the answer that RFC 6455 gives as its example.
    pub fn open(address: SocketAddr) -> Self {
        let (status, headers, socket) = Self::try_open(address, None);
        assert_eq!(status, 101);
        let accept =
            headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-accept")).unwrap();
        assert_eq!(accept.1, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        socket
    }

    /// With an `Origin` as a browser sends it. The socket is only good when the status is 101.
    pub fn try_open(address: SocketAddr, origin: Option<&str>) -> (u16, Vec<(String, String)>, Self) {
        let mut stream = connect(address);
        let origin = origin.map_or(String::new(), |origin| format!("Origin: {origin}\r\n"));
        write!(
            stream,
            "GET /ws HTTP/1.1\r\nHost: {address}\r\n{origin}Connection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        .unwrap();
        let mut reader = BufReader::new(stream);
        let (status, headers) = head(&mut reader);
        (status, headers, Self(reader))
    }

    /// Sends a text frame, masked as clients must; a mask of zeros leaves the text as it is.
    pub fn send(&mut self, text: &str) {
        assert!(text.len() < 126);
        let mut frame = vec![0x81, 0x80 | text.len() as u8, 0, 0, 0, 0];
        frame.extend_from_slice(text.as_bytes());
        self.0.get_mut().write_all(&frame).unwrap();
    }

    pub fn receive(&mut self) -> Pushed {
        let mut start = [0; 2];
        if self.0.read_exact(&mut start).is_err() {
            return Pushed::End;
        }
        let length = match start[1] {
            126 => u64::from(u16::from_be_bytes(self.array())),
            127 => u64::from_be_bytes(self.array()),
            short => u64::from(short),
        };
        let mut payload = vec![0; length as usize];
        if self.0.read_exact(&mut payload).is_err() {
            return Pushed::End;
        }
        match start[0] {
            0x81 => Pushed::Json(serde_json::from_slice(&payload).unwrap()),
            0x88 => Pushed::Close(u16::from_be_bytes([payload[0], payload[1]])),
            other => panic!("unexpected frame {other:#x}"),
        }
    }

    pub fn json(&mut self) -> Value {
        match self.receive() {
            Pushed::Json(value) => value,
            other => panic!("expected a frame, got {other:?}"),
        }
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }
}
