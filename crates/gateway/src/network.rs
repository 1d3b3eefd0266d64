//! What a gateway asks of the network below it.

use std::fmt;

use joulebook_types::TimeNs;

/// One listener: connections that peers make to it, and the two-way byte streams that they open on them.
///
/// The daemon's is QUIC ([`QuicNetwork`](crate::QuicNetwork)); a simulator has its own, and runs the same gateway. Nothing
/// here blocks. Times are readings of the steady clock, the same that [`Gateway::turn`](crate::Gateway::turn) gets; an
/// implementation has no clock of its own.
///
/// # A turn
///
/// ```text
/// receive(now)                  takes what has arrived, a bounded part of it
/// next_event() until None       with read, write, finish, reset and stop_sending in between
/// (other work, more writes)
/// transmit(now)                 serves the timers that are due, then sends what was written
/// ```
///
/// # Events
///
/// Events of one connection come in the order in which things happened; between connections any order will do.
///
/// - [`Connected`](NetworkEvent::Connected) is a connection's first event, [`Closed`](NetworkEvent::Closed) its last.
///   Both come exactly once for each connection that was ever connected, whoever ended it and however. When `Closed`
///   has been handed out, the key names nothing any more, and the slot may be used again.
/// - [`StreamOpened`](NetworkEvent::StreamOpened) comes once per stream, before any other event of it, and is followed by
///   `Readable`.
/// - [`Readable`](NetworkEvent::Readable) is **edge-triggered**: it is said once, when bytes, the end or a reset came to a
///   stream that was read until [`ReadOutcome::Blocked`]. A stream that is not read then is not announced again,
///   however much comes. After [`ReadOutcome::More`] it is said again by itself, once, after the next `receive`.
/// - [`Writable`](NetworkEvent::Writable) is **edge-triggered** as well: it is said once after a write came back with
///   [`WriteOutcome::Blocked`], when there is room again.
/// - [`Delivered`](NetworkEvent::Delivered) comes once after [`Self::finish`], when the peer has every byte; then our half
///   of the stream is over. It may never come: the peer may reset, stop, or go.
/// - [`Stopped`](NetworkEvent::Stopped): the peer reads no more of this stream. Comes at most once.
///
/// An event may be late: the stream or connection that it names may be gone by then as far as the gateway is concerned,
/// and a call for a stream or connection that is gone does nothing and says so. At most one `Readable` and one `Writable`
/// wait per stream, so that no peer makes the queue grow by what it sends.
///
/// # What is promised to the bytes
///
/// A stream hands over the bytes that the peer wrote, each once, in order, up to some point: a connection that ends may
/// take the rest with it. How much may be on the way unread is bounded by the implementation, per connection; how much a
/// write takes, too.
pub trait Network {
    /// Names a connection while it lives; compares unequal to every other one, also of the same slot.
    type Connection: Copy + Eq + fmt::Debug;
    /// Names a stream within its connection.
    type Stream: Copy + Eq + fmt::Debug;

    /// A small number that no other living connection has: an index for tables.
    fn slot(connection: Self::Connection) -> usize;

    /// Takes what has arrived, at most one batch, without blocking. True when anything had.
    fn receive(&mut self, now: TimeNs) -> bool;

    /// What happened; to be called until `None`. A call in between may make more.
    fn next_event(&mut self) -> Option<NetworkEvent<Self::Connection, Self::Stream>>;

    /// Hands at most `budget_bytes`, which is not zero, of what has arrived on a stream to `out`, in as many pieces as it
    /// likes, and says why it ended. What the peer sent before it closed the connection can be read until `Closed` was
    /// handed out.
    fn read(
        &mut self,
        connection: Self::Connection,
        stream: Self::Stream,
        budget_bytes: usize,
        out: impl FnMut(&[u8]),
    ) -> ReadOutcome;

    /// Queues as many of `bytes` as there is room for. They leave with the next [`Self::transmit`].
    fn write(&mut self, connection: Self::Connection, stream: Self::Stream, bytes: &[u8]) -> WriteOutcome;

    /// No more will be written. False if there is no such stream, and then `Delivered` will not come.
    fn finish(&mut self, connection: Self::Connection, stream: Self::Stream) -> bool;

    /// Gives up what was written and not delivered yet; the peer sees `code` if it is still there.
    fn reset(&mut self, connection: Self::Connection, stream: Self::Stream, code: u32);

    /// Nothing more will be read; the peer sees `code` if it is still there.
    fn stop_sending(&mut self, connection: Self::Connection, stream: Self::Stream, code: u32);

    /// Lets the peer have `bytes` on the way unread, over all streams of the connection. Never less than before.
    fn grow_window(&mut self, connection: Self::Connection, bytes: u32);

    /// Refuses new connections from now on.
    fn stop_accepting(&mut self);

    /// Refuses new connections and ends all others at once; the peers see `code` and `reason`. What they have not
    /// received yet is lost. A `Closed` follows for each.
    fn close_all(&mut self, code: u32, reason: &[u8], now: TimeNs);

    /// No connection is left, not even one that only waits for what may still be on its way.
    fn is_drained(&self) -> bool;

    /// Serves timers that are due, then sends what was written as far as there is room to send. Nothing is lost for want
    /// of room.
    fn transmit(&mut self, now: TimeNs);

    /// When [`Self::transmit`] must be called at the latest, if nothing else happens.
    fn next_timeout(&self) -> Option<TimeNs>;

    /// A turn would do something without anything new arriving: events wait, or bytes that can be sent.
    fn has_work(&self) -> bool;

    /// Connections that are open or being opened.
    fn open_connections(&self) -> usize;

    /// Since the start. Asked a few times a second.
    fn totals(&self) -> NetworkTotals;
}

/// What happened on a network; [`Network`] says what comes when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkEvent<C, S> {
    /// A peer is there, and may open streams.
    Connected {
        connection: C,
    },
    StreamOpened {
        connection: C,
        stream: S,
    },
    /// Bytes, the end or a reset wait to be read.
    Readable {
        connection: C,
        stream: S,
    },
    /// A write that was cut short can go on.
    Writable {
        connection: C,
        stream: S,
    },
    /// The peer has everything up to our `finish`.
    Delivered {
        connection: C,
        stream: S,
    },
    /// The peer no longer reads.
    Stopped {
        connection: C,
        stream: S,
    },
    Closed {
        connection: C,
    },
}

/// Why a read ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// All that has arrived was handed over; `Readable` announces more.
    Blocked,
    /// The budget is used up; `Readable` comes again after the next `receive`, so that others get their turn.
    More,
    /// The peer has ended its half, and all of it was handed over.
    Finished,
    /// The peer abandoned the stream, or there is no such stream or connection any more.
    Lost,
}

/// How much of a write was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    All,
    /// The first `taken` bytes only, perhaps none; `Writable` will come.
    Blocked {
        taken: usize,
    },
    /// The peer no longer reads, or there is no such stream or connection any more.
    Lost,
}

/// Counters of a network since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkTotals {
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub datagrams_in: u64,
    pub datagrams_out: u64,
    /// Connections that peers began.
    pub accepted: u64,
    /// Those that a limit turned away, and those whose handshake was never completed.
    pub refused: u64,
}
