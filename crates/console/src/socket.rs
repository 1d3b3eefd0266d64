//! `/ws`: a frame every 250 ms for each client, with the book that it chose.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use joulebook_types::InstrumentId;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::routes::{Shared, error};
use crate::state::ConsoleState;

/// Pages open at once. Each costs a rendered book four times a second.
pub(crate) const CLIENTS_MAX: usize = 32;
const FRAME_EVERY: Duration = Duration::from_millis(250);
/// A client whose connection takes no frame for this long is dropped; it reconnects when it can read again.
const SEND_TIMEOUT: Duration = Duration::from_secs(2);
/// A choice of book is a few bytes.
const MESSAGE_BYTES_MAX: usize = 1_024;
/// Messages that a client may send between two frames; a page sends one per click.
const MESSAGES_PER_FRAME_MAX: usize = 32;

/// Places for WebSocket clients, and the word that the server stops.
#[derive(Clone)]
pub(crate) struct Sockets {
    places: Arc<Semaphore>,
    stopping: watch::Receiver<bool>,
}

/// What a client may send.
#[derive(Deserialize)]
struct Choice {
    book: u32,
}

impl Sockets {
    pub(crate) fn new(stopping: watch::Receiver<bool>) -> Self {
        Self { places: Arc::new(Semaphore::new(CLIENTS_MAX)), stopping }
    }

    /// When every client is gone.
    pub(crate) async fn closed(&self) {
        // The semaphore is never closed, so the only outcome is all places.
        let _all = self.places.acquire_many(CLIENTS_MAX as u32).await;
    }
}

pub(crate) async fn open(
    State(shared): State<Shared>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else {
        return error(
            StatusCode::UPGRADE_REQUIRED,
            "this address speaks WebSocket; /api/state is plain JSON",
        );
    };
    if !is_same_origin(&headers) {
        return error(StatusCode::FORBIDDEN, "a page from elsewhere may not read this");
    }
    let Ok(place) = Arc::clone(&shared.sockets.places).try_acquire_owned() else {
        return error(StatusCode::SERVICE_UNAVAILABLE, "too many pages are open");
    };
    let Shared { state, sockets } = shared;
    upgrade
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .on_upgrade(move |socket| serve(socket, state, sockets.stopping, place))
}

async fn serve(
    mut socket: WebSocket,
    state: Arc<ConsoleState>,
    mut stopping: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
) {
    let mut frames = interval(FRAME_EVERY);
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut chosen = None;
    let mut messages = 0;
    loop {
        tokio::select! {
            () = stopped(&mut stopping) => {
                let reason = CloseFrame { code: close_code::AWAY, reason: "the server stops".into() };
                let _ = timeout(SEND_TIMEOUT, socket.send(Message::Close(Some(reason)))).await;
                return;
            }
            _ = frames.tick() => {
                messages = 0;
                let frame = Message::Text(state.pushed_frame(chosen).into());
                if !matches!(timeout(SEND_TIMEOUT, socket.send(frame)).await, Ok(Ok(()))) {
                    return;
                }
            }
            message = socket.recv() => {
                messages += 1;
                match message {
                    Some(Ok(message)) if messages <= MESSAGES_PER_FRAME_MAX => choose(&message, &mut chosen),
                    Some(_) | None => return,
                }
            }
        }
    }
}

/// The order to stop, or the owner's end without one.
pub(crate) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// Anything that is no choice changes nothing; pings and closes are answered by the WebSocket itself.
fn choose(message: &Message, chosen: &mut Option<InstrumentId>) {
    if let Message::Text(text) = message
        && let Ok(choice) = serde_json::from_str::<Choice>(text)
    {
        *chosen = Some(InstrumentId::new(choice.book));
    }
}

/// Browsers name the page that opens a WebSocket, and no other rule of theirs keeps foreign pages out.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    match (text(header::ORIGIN), text(header::HOST)) {
        (None, _) => true,
        (Some(origin), Some(host)) => {
            origin.split_once("://").is_some_and(|(_, authority)| authority == host)
        }
        (Some(_), None) => false,
    }
}
