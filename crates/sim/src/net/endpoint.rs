//! One process's end of all its connections, as a gateway and a client see it.

use std::collections::{BTreeMap, VecDeque};

use joulebook_gateway::{Network, NetworkEvent, NetworkTotals, ReadOutcome, WriteOutcome};
use joulebook_types::TimeNs;

use crate::net::channel::{Channel, Frame};
use crate::net::fabric::{Body, Datagram, Fabric, Host};
use crate::net::stream::{InputEnd, OutputEnd, Stream};

/// Names a stream within its connection.
pub type StreamNumber = u32;

/// Names a connection for as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnectionKey {
    slot: u32,
    serial: u64,
}

/// What an endpoint is like.
#[derive(Clone, Copy, Debug)]
pub struct EndpointConfig {
    pub host: Host,
    /// A server takes connections.
    pub accepts: bool,
    pub connections_max: usize,
    /// Bytes of a stream that the peer may send before they are read.
    pub window_bytes: u32,
    /// A connection ends when nothing was heard for so long.
    pub idle_ns: u64,
    /// How long a client waits for the server's first word.
    pub handshake_ns: u64,
}

impl EndpointConfig {
    pub fn new(host: Host, accepts: bool) -> Self {
        Self {
            host,
            accepts,
            connections_max: 64,
            window_bytes: 64 << 10,
            idle_ns: 15_000_000_000,
            handshake_ns: 3_000_000_000,
        }
    }
}

/// Connections over a [`Fabric`].
#[derive(Debug)]
pub struct Endpoint {
    fabric: Fabric,
    config: EndpointConfig,
    connections: Vec<Option<Connection>>,
    by_name: BTreeMap<(Host, u64), u32>,
    events: VecDeque<Event>,
    /// Streams that were left with something to read.
    read_again: Vec<(ConnectionKey, StreamNumber)>,
    is_accepting: bool,
    now: u64,
    totals: NetworkTotals,
}

type Event = NetworkEvent<ConnectionKey, StreamNumber>;

#[derive(Debug)]
struct Connection {
    key: ConnectionKey,
    peer: Host,
    name: u64,
    token: u64,
    channel: Channel,
    streams: BTreeMap<StreamNumber, Stream>,
    window: u64,
    state: State,
    heard_at: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A client that waits for the server's first word.
    Dialing,
    Open,
    /// Over, which the owner has not taken notice of yet.
    Closed,
}

/// Datagrams taken by one call.
const RECEIVE_MAX: usize = 32;
/// Frames that wait for the peer's word, beyond which no more is taken from the owner.
const UNACKNOWLEDGED_MAX: usize = 256;
/// The window before anything was granted: both sides begin with it.
const FIRST_CREDIT: u64 = 16 << 10;

impl Endpoint {
    pub fn new(fabric: Fabric, config: EndpointConfig) -> Self {
        Self {
            fabric,
            config,
            connections: Vec::new(),
            by_name: BTreeMap::new(),
            events: VecDeque::new(),
            read_again: Vec::new(),
            is_accepting: config.accepts,
            now: 0,
            totals: NetworkTotals::default(),
        }
    }

    /// Begins a connection; `Connected` or `Closed` follows.
    pub fn connect(&mut self, server: Host, now: TimeNs) -> ConnectionKey {
        self.now = self.now.max(now.raw());
        let name = self.fabric.fresh_number();
        let key = self.insert(server, name, 0, State::Dialing);
        self.connection(key).expect("it was just made").channel.push(Frame::Hello);
        key
    }

    /// Opens a stream.
    pub fn open_stream(&mut self, connection: ConnectionKey) -> Option<StreamNumber> {
        let connection = self.open(connection)?;
        let number = connection.streams.last_key_value().map_or(0, |(last, _)| last + 1);
        connection.add_stream(number);
        Some(number)
    }

    /// Ends a connection at once.
    pub fn close(&mut self, connection: ConnectionKey) {
        if let Some(open) = self.connection(connection).filter(|open| open.state != State::Closed) {
            let (peer, name, token) = (open.peer, open.name, open.token);
            self.send(peer, name, token, Body::Close);
            self.over(connection);
        }
    }

    /// Bytes of our writing that the peer may not have.
    pub fn is_quiet(&self) -> bool {
        self.connections.iter().flatten().all(|connection| connection.channel.unacknowledged() == 0)
    }

    fn insert(&mut self, peer: Host, name: u64, token: u64, state: State) -> ConnectionKey {
        let slot = self.connections.iter().position(Option::is_none).unwrap_or(self.connections.len());
        let key = ConnectionKey { slot: slot as u32, serial: name };
        let connection = Connection {
            key,
            peer,
            name,
            token,
            channel: Channel::new(),
            streams: BTreeMap::new(),
            window: u64::from(self.config.window_bytes),
            state,
            heard_at: self.now,
        };
        if slot == self.connections.len() {
            self.connections.push(None);
        }
        self.connections[slot] = Some(connection);
        self.by_name.insert((peer, name), key.slot);
        key
    }

    fn connection(&mut self, key: ConnectionKey) -> Option<&mut Connection> {
        let connection = self.connections.get_mut(key.slot as usize)?.as_mut();
        connection.filter(|connection| connection.key == key)
    }

    fn open(&mut self, key: ConnectionKey) -> Option<&mut Connection> {
        self.connection(key).filter(|connection| connection.state == State::Open)
    }

    fn stream(&mut self, key: ConnectionKey, stream: StreamNumber) -> Option<&mut Stream> {
        self.connection(key)?.streams.get_mut(&stream)
    }

    fn send(&mut self, to: Host, connection: u64, token: u64, body: Body) {
        self.totals.datagrams_out += 1;
        self.fabric.send(Datagram { from: self.config.host, to, connection, token, body });
    }

    /// The connection exchanges nothing more; its owner learns it.
    fn over(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.connection(key).filter(|connection| connection.state != State::Closed)
        {
            connection.state = State::Closed;
            let name = (connection.peer, connection.name);
            self.by_name.remove(&name);
            self.events.push_back(Event::Closed { connection: key });
        }
    }

    fn on_datagram(&mut self, datagram: Datagram) {
        self.totals.datagrams_in += 1;
        let Datagram { from, connection: name, token, body, .. } = datagram;
        let known = self.by_name.get(&(from, name)).copied();
        let Some(slot) = known else { return self.on_stray(from, name, token, body) };
        let now = self.now;
        let Some(connection) = self.connections[slot as usize].as_mut() else { return };
        let key = connection.key;
        match body {
            Body::Close if connection.token == token => self.over(key),
            Body::Unknown => self.over(key),
            Body::Frames { first, frames, ack } => {
                if token != connection.token && !connection.may_learn(token, &frames) {
                    return;
                }
                connection.heard_at = now;
                if connection.state == State::Dialing && token != 0 {
                    connection.token = token;
                }
                let (mut came, mut done) = (Vec::new(), Vec::new());
                connection.channel.on_ack(ack, &mut done);
                connection.channel.on_frames(first, frames, &mut came);
                came.into_iter().for_each(|frame| self.on_frame(key, frame));
                self.on_delivered(key, done);
            }
            Body::Close => {}
        }
    }

    /// Of no connection that we know: a new one, or one of an earlier life of this process.
    fn on_stray(&mut self, from: Host, name: u64, token: u64, body: Body) {
        let Body::Frames { first, frames, ack } = body else { return };
        let is_new = token == 0 && first == 0 && matches!(frames[..], [Frame::Hello]);
        if !is_new || !self.config.accepts {
            return self.send(from, name, token, Body::Unknown);
        }
        let open = self.open_connections();
        if !self.is_accepting || self.config.connections_max <= open {
            self.totals.refused += 1;
            return self.send(from, name, 0, Body::Unknown);
        }
        self.totals.accepted += 1;
        let token = self.fabric.fresh_number();
        let key = self.insert(from, name, token, State::Open);
        self.connection(key).expect("it was just made").channel.push(Frame::Welcome);
        self.events.push_back(Event::Connected { connection: key });
        let (mut came, connection) = (Vec::new(), self.connection(key).expect("it was just made"));
        connection.channel.on_ack(ack, &mut Vec::new());
        connection.channel.on_frames(first, frames, &mut came);
    }

    fn on_frame(&mut self, key: ConnectionKey, frame: Frame) {
        self.meet_stream(key, &frame);
        let Some(connection) = self.connection(key) else { return };
        match frame {
            Frame::Hello => {}
            Frame::Welcome => {
                connection.state = State::Open;
                self.events.push_back(Event::Connected { connection: key });
            }
            Frame::Data { stream: number, bytes, fin } => {
                let Some(stream) = self.stream(key, number) else { return };
                if stream.input_end == InputEnd::Open {
                    assert!(!stream.is_overrun(bytes.len()), "the simulated peer keeps to its window");
                    stream.input.extend(bytes.iter());
                    stream.input_end = if fin { InputEnd::Finished } else { InputEnd::Open };
                    self.announce(key, number);
                }
            }
            Frame::Reset { stream: number } => {
                let Some(stream) = self.stream(key, number) else { return };
                if stream.input_end != InputEnd::Stopped {
                    stream.input.clear();
                    stream.input_end = InputEnd::Reset;
                    self.announce(key, number);
                }
            }
            Frame::Credit { stream: number, upto } => {
                if let Some(stream) = connection.streams.get_mut(&number) {
                    stream.on_credit(upto);
                }
                self.unblock(key);
            }
            Frame::Stop { stream: number } => {
                let Some(stream) = connection.streams.get_mut(&number) else { return };
                if stream.output_end == OutputEnd::Open {
                    stream.output_end = OutputEnd::Over;
                    self.events.push_back(Event::Stopped { connection: key, stream: number });
                }
            }
        }
    }

    /// A client opens streams by speaking of them.
    fn meet_stream(&mut self, key: ConnectionKey, frame: &Frame) {
        let (Frame::Data { stream, .. } | Frame::Credit { stream, .. }) = frame else { return };
        let accepts = self.config.accepts;
        let Some(connection) = self.connection(key) else { return };
        if accepts && !connection.streams.contains_key(stream) {
            connection.add_stream(*stream);
            self.events.push_back(Event::StreamOpened { connection: key, stream: *stream });
        }
    }

    fn announce(&mut self, connection: ConnectionKey, number: StreamNumber) {
        let Some(stream) = self.stream(connection, number) else { return };
        if core::mem::take(&mut stream.is_armed) {
            self.events.push_back(Event::Readable { connection, stream: number });
        }
    }

    /// The peer has these frames.
    fn on_delivered(&mut self, key: ConnectionKey, frames: Vec<Frame>) {
        for frame in frames {
            if let Frame::Data { stream, fin: true, .. } = frame {
                self.events.push_back(Event::Delivered { connection: key, stream });
            }
        }
        self.unblock(key);
    }

    fn unblock(&mut self, key: ConnectionKey) {
        let Some(connection) = self.connection(key) else { return };
        if connection.channel.unacknowledged() >= UNACKNOWLEDGED_MAX {
            return;
        }
        let ready: Vec<StreamNumber> = connection
            .streams
            .iter_mut()
            .filter(|(_, stream)| stream.is_blocked && stream.room() > 0)
            .map(|(number, stream)| {
                stream.is_blocked = false;
                *number
            })
            .collect();
        let events = ready.into_iter().map(|stream| Event::Writable { connection: key, stream });
        self.events.extend(events);
    }

    fn keep_time(&mut self) {
        let (now, config) = (self.now, self.config);
        let silent: Vec<ConnectionKey> = self
            .connections
            .iter()
            .flatten()
            .filter(|connection| connection.gives_up_at(&config).is_some_and(|at| at <= now))
            .map(|connection| connection.key)
            .collect();
        silent.into_iter().for_each(|key| self.over(key));
        for connection in self.connections.iter_mut().flatten() {
            connection.channel.on_time(now);
        }
    }

    fn flush(&mut self) {
        for slot in 0..self.connections.len() {
            while let Some(connection) = self.connections[slot].as_mut()
                && connection.state != State::Closed
                && let Some((first, frames)) = connection.channel.next_datagram()
            {
                let ack = connection.channel.acknowledges();
                let (peer, name, token) = (connection.peer, connection.name, connection.token);
                self.send(peer, name, token, Body::Frames { first, frames, ack });
            }
            if let Some(connection) = self.connections[slot].as_mut() {
                connection.channel.start_retry(self.now);
            }
        }
    }
}

impl Connection {
    fn add_stream(&mut self, number: StreamNumber) {
        let mut stream = Stream::new(FIRST_CREDIT, FIRST_CREDIT);
        stream.grow_window(self.window);
        if let Some(upto) = stream.take_credit() {
            self.channel.push(Frame::Credit { stream: number, upto });
        }
        self.streams.insert(number, stream);
    }

    /// A client learns the server's token with its first word; a server hears the first word of a client again.
    fn may_learn(&self, token: u64, frames: &[Frame]) -> bool {
        match self.state {
            State::Dialing => true,
            State::Open | State::Closed => token == 0 && matches!(frames, [Frame::Hello]),
        }
    }

    fn gives_up_at(&self, config: &EndpointConfig) -> Option<u64> {
        match self.state {
            State::Dialing => Some(self.heard_at.saturating_add(config.handshake_ns)),
            State::Open => Some(self.heard_at.saturating_add(config.idle_ns)),
            State::Closed => None,
        }
    }
}

impl Network for Endpoint {
    type Connection = ConnectionKey;
    type Stream = StreamNumber;

    fn slot(connection: ConnectionKey) -> usize {
        connection.slot as usize
    }

    fn receive(&mut self, now: TimeNs) -> bool {
        self.now = self.now.max(now.raw());
        for (connection, stream) in core::mem::take(&mut self.read_again) {
            self.announce(connection, stream);
        }
        let mut any = false;
        for _ in 0..RECEIVE_MAX {
            let Some(datagram) = self.fabric.receive(self.config.host) else { break };
            any = true;
            self.on_datagram(datagram);
        }
        any
    }

    fn next_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        if let Event::Closed { connection } = event {
            self.connections[connection.slot as usize] = None;
        }
        Some(event)
    }

    fn read(
        &mut self,
        connection: ConnectionKey,
        number: StreamNumber,
        budget_bytes: usize,
        out: impl FnMut(&[u8]),
    ) -> ReadOutcome {
        let Some(stream) = self.stream(connection, number) else { return ReadOutcome::Lost };
        if matches!(stream.input_end, InputEnd::Reset | InputEnd::Stopped) {
            return ReadOutcome::Lost;
        }
        let count = stream.read(budget_bytes, out);
        let outcome = match (stream.input.is_empty(), stream.input_end) {
            (true, InputEnd::Finished) => ReadOutcome::Finished,
            (true, _) => ReadOutcome::Blocked,
            (false, _) => ReadOutcome::More,
        };
        stream.is_armed = outcome != ReadOutcome::Finished;
        let credit = stream.take_credit();
        self.totals.bytes_in += count as u64;
        if outcome == ReadOutcome::More {
            self.read_again.push((connection, number));
        }
        if let Some((upto, open)) = credit.zip(self.open(connection)) {
            open.channel.push(Frame::Credit { stream: number, upto });
        }
        outcome
    }

    fn write(&mut self, connection: ConnectionKey, number: StreamNumber, bytes: &[u8]) -> WriteOutcome {
        let Some(open) = self.open(connection) else { return WriteOutcome::Lost };
        let is_full = open.channel.unacknowledged() >= UNACKNOWLEDGED_MAX;
        let Some(stream) = open.streams.get_mut(&number) else { return WriteOutcome::Lost };
        if stream.output_end != OutputEnd::Open {
            return WriteOutcome::Lost;
        }
        let taken = if is_full { 0 } else { bytes.len().min(stream.room()) };
        stream.wrote(taken);
        stream.is_blocked = taken < bytes.len();
        let is_blocked = stream.is_blocked;
        open.channel.push_data(number, &bytes[..taken]);
        self.totals.bytes_out += taken as u64;
        if is_blocked { WriteOutcome::Blocked { taken } } else { WriteOutcome::All }
    }

    fn finish(&mut self, connection: ConnectionKey, number: StreamNumber) -> bool {
        let Some(open) = self.open(connection) else { return false };
        let Some(stream) = open.streams.get_mut(&number) else { return false };
        if stream.output_end != OutputEnd::Open {
            return false;
        }
        stream.output_end = OutputEnd::Finished;
        open.channel.push(Frame::Data { stream: number, bytes: Default::default(), fin: true });
        true
    }

    fn reset(&mut self, connection: ConnectionKey, number: StreamNumber, _code: u32) {
        let Some(open) = self.open(connection) else { return };
        let Some(stream) = open.streams.get_mut(&number) else { return };
        if stream.output_end != OutputEnd::Over {
            stream.output_end = OutputEnd::Over;
            open.channel.push(Frame::Reset { stream: number });
        }
    }

    fn stop_sending(&mut self, connection: ConnectionKey, number: StreamNumber, _code: u32) {
        let Some(open) = self.open(connection) else { return };
        let Some(stream) = open.streams.get_mut(&number) else { return };
        if stream.input_end == InputEnd::Open {
            stream.input_end = InputEnd::Stopped;
            stream.input.clear();
            open.channel.push(Frame::Stop { stream: number });
        }
    }

    fn grow_window(&mut self, connection: ConnectionKey, bytes: u32) {
        let Some(open) = self.open(connection) else { return };
        open.window = open.window.max(u64::from(bytes));
        let window = open.window;
        let mut credits = Vec::new();
        for (number, stream) in &mut open.streams {
            stream.grow_window(window);
            credits.extend(stream.take_credit().map(|upto| Frame::Credit { stream: *number, upto }));
        }
        credits.into_iter().for_each(|frame| open.channel.push(frame));
    }

    fn stop_accepting(&mut self) {
        self.is_accepting = false;
    }

    fn close_all(&mut self, _code: u32, _reason: &[u8], now: TimeNs) {
        self.now = self.now.max(now.raw());
        self.is_accepting = false;
        let keys: Vec<ConnectionKey> =
            self.connections.iter().flatten().map(|connection| connection.key).collect();
        keys.into_iter().for_each(|key| self.close(key));
    }

    fn is_drained(&self) -> bool {
        self.open_connections() == 0
    }

    fn transmit(&mut self, now: TimeNs) {
        self.now = self.now.max(now.raw());
        self.keep_time();
        self.flush();
    }

    fn next_timeout(&self) -> Option<TimeNs> {
        let connections = self.connections.iter().flatten();
        let deadlines = connections.flat_map(|connection| {
            let retry = connection.channel.deadline().filter(|_| connection.state != State::Closed);
            [retry, connection.gives_up_at(&self.config)]
        });
        deadlines.flatten().min().map(TimeNs::new)
    }

    fn has_work(&self) -> bool {
        !self.events.is_empty()
            || !self.read_again.is_empty()
            || self.fabric.has_mail(self.config.host)
            || self
                .connections
                .iter()
                .flatten()
                .any(|connection| connection.state != State::Closed && connection.channel.has_work())
    }

    fn open_connections(&self) -> usize {
        self.connections.iter().flatten().filter(|connection| connection.state != State::Closed).count()
    }

    fn totals(&self) -> NetworkTotals {
        self.totals
    }
}
