//! One listener: its network, and the streams of its connections.

use crate::accounts::Endpoint;
use crate::config::Listener;
use crate::network::Network;
use crate::streams::StreamKey;

pub(crate) struct Door<N: Network> {
    pub(crate) network: N,
    pub(crate) endpoint: Endpoint,
    pub(crate) leaf_sha256: [u8; 32],
    /// By the connection's slot in the network.
    connections: Vec<Option<Connection<N>>>,
}

struct Connection<N: Network> {
    key: N::Connection,
    streams: Vec<(N::Stream, StreamKey)>,
    has_large_window: bool,
}

impl<N: Network> Door<N> {
    pub(crate) fn new(listener: Listener<N>, endpoint: Endpoint) -> Self {
        let Listener { network, leaf_sha256 } = listener;
        Self { network, endpoint, leaf_sha256, connections: Vec::new() }
    }

    pub(crate) fn connected(&mut self, key: N::Connection) {
        let slot = N::slot(key);
        if self.connections.len() <= slot {
            self.connections.resize_with(slot + 1, || None);
        }
        self.connections[slot] = Some(Connection { key, streams: Vec::new(), has_large_window: false });
    }

    /// The connection is over: gives back a stream that it still had. Call until `None`.
    pub(crate) fn disconnected(&mut self, key: N::Connection) -> Option<StreamKey> {
        let connection = self.connection(key)?;
        let stream = connection.streams.pop();
        if stream.is_none() {
            self.connections[N::slot(key)] = None;
        }
        stream.map(|(_, key)| key)
    }

    pub(crate) fn streams(&mut self, key: N::Connection) -> usize {
        self.connection(key).map_or(0, |connection| connection.streams.len())
    }

    pub(crate) fn add_stream(&mut self, key: N::Connection, id: N::Stream, stream: StreamKey) {
        if let Some(connection) = self.connection(key) {
            connection.streams.push((id, stream));
        }
    }

    pub(crate) fn remove_stream(&mut self, key: N::Connection, id: N::Stream) {
        if let Some(connection) = self.connection(key) {
            connection.streams.retain(|(other, _)| *other != id);
        }
    }

    pub(crate) fn stream(&mut self, key: N::Connection, id: N::Stream) -> Option<StreamKey> {
        let streams = &self.connection(key)?.streams;
        streams.iter().find(|(other, _)| *other == id).map(|(_, stream)| *stream)
    }

    /// Says once per connection that its window should grow.
    pub(crate) fn wants_large_window(&mut self, key: N::Connection) -> bool {
        self.connection(key)
            .is_some_and(|connection| !std::mem::replace(&mut connection.has_large_window, true))
    }

    pub(crate) fn has_large_window(&mut self, key: N::Connection) -> bool {
        self.connection(key).is_some_and(|connection| connection.has_large_window)
    }

    fn connection(&mut self, key: N::Connection) -> Option<&mut Connection<N>> {
        self.connections.get_mut(N::slot(key))?.as_mut().filter(|connection| connection.key == key)
    }
}
