//! One listener: its driver, and the streams of its connections.

use joulebook_quic::{ConnKey, Driver, StreamId};

use crate::accounts::Endpoint;
use crate::config::ListenerConfig;
use crate::streams::StreamKey;
use joulebook_quic::QuicError;

pub(crate) struct Door {
    pub(crate) driver: Driver,
    pub(crate) endpoint: Endpoint,
    pub(crate) leaf_sha256: [u8; 32],
    /// By the connection's slot in the driver.
    connections: Vec<Option<Connection>>,
}

struct Connection {
    key: ConnKey,
    streams: Vec<(StreamId, StreamKey)>,
    has_large_window: bool,
}

impl Door {
    pub(crate) fn open(config: ListenerConfig, endpoint: Endpoint) -> Result<Self, QuicError> {
        let driver = Driver::server(config.driver, config.server)?;
        Ok(Self { driver, endpoint, leaf_sha256: config.leaf_sha256, connections: Vec::new() })
    }

    pub(crate) fn connected(&mut self, key: ConnKey) {
        if self.connections.len() <= key.slot() {
            self.connections.resize_with(key.slot() + 1, || None);
        }
        self.connections[key.slot()] = Some(Connection { key, streams: Vec::new(), has_large_window: false });
    }

    /// The connection is over: gives back a stream that it still had. Call until `None`.
    pub(crate) fn disconnected(&mut self, key: ConnKey) -> Option<StreamKey> {
        let connection = self.connection(key)?;
        let stream = connection.streams.pop();
        if stream.is_none() {
            self.connections[key.slot()] = None;
        }
        stream.map(|(_, key)| key)
    }

    pub(crate) fn streams(&mut self, key: ConnKey) -> usize {
        self.connection(key).map_or(0, |connection| connection.streams.len())
    }

    pub(crate) fn add_stream(&mut self, key: ConnKey, id: StreamId, stream: StreamKey) {
        if let Some(connection) = self.connection(key) {
            connection.streams.push((id, stream));
        }
    }

    pub(crate) fn remove_stream(&mut self, key: ConnKey, id: StreamId) {
        if let Some(connection) = self.connection(key) {
            connection.streams.retain(|(other, _)| *other != id);
        }
    }

    pub(crate) fn stream(&mut self, key: ConnKey, id: StreamId) -> Option<StreamKey> {
        let streams = &self.connection(key)?.streams;
        streams.iter().find(|(other, _)| *other == id).map(|(_, stream)| *stream)
    }

    /// Says once per connection that its window should grow.
    pub(crate) fn wants_large_window(&mut self, key: ConnKey) -> bool {
        self.connection(key)
            .is_some_and(|connection| !std::mem::replace(&mut connection.has_large_window, true))
    }

    pub(crate) fn has_large_window(&mut self, key: ConnKey) -> bool {
        self.connection(key).is_some_and(|connection| connection.has_large_window)
    }

    fn connection(&mut self, key: ConnKey) -> Option<&mut Connection> {
        self.connections.get_mut(key.slot())?.as_mut().filter(|connection| connection.key == key)
    }
}
