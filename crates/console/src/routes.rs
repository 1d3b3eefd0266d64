//! Addresses and their answers. Only GET and HEAD: nothing here changes anything.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use joulebook_types::InstrumentId;
use serde_json::json;

use crate::assets::{ASSETS, Asset};
use crate::openmetrics;
use crate::socket::{self, Sockets};
use crate::state::{self, ConsoleState};

/// Scripts, styles and data come from here or not at all.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What every answer says besides its content. `no-cache`: after an upgrade the page must fit the server.
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

/// What handlers share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) state: Arc<ConsoleState>,
    pub(crate) sockets: Sockets,
}

pub(crate) fn router(shared: Shared) -> Router {
    let mut router = Router::new();
    for asset in ASSETS {
        router = router.route(asset.path, get(move || async move { asset.response() }));
    }
    router
        .route("/ws", get(socket::open))
        .route("/api/state", get(overview))
        .route("/api/history", get(history))
        .route("/api/instruments", get(instruments))
        .route("/api/book/{id}", get(book))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .fallback(async || error(StatusCode::NOT_FOUND, "no such address"))
        .method_not_allowed_fallback(async || error(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD"))
        .layer(map_response(with_headers))
        .with_state(shared)
}

async fn overview(State(shared): State<Shared>) -> Response {
    json_text(shared.state.frame())
}

async fn history(State(shared): State<Shared>) -> Response {
    json_text(state::json(&shared.state.history()))
}

async fn instruments(State(shared): State<Shared>) -> Response {
    json_text(state::json(&json!({ "instruments": shared.state.instruments() })))
}

async fn book(State(shared): State<Shared>, Path(id): Path<String>) -> Response {
    let book = id.parse().ok().and_then(|id| shared.state.book(InstrumentId::new(id)));
    match book {
        Some(book) => json_text(state::json(&book)),
        None => error(StatusCode::NOT_FOUND, "no such instrument; /api/instruments lists them"),
    }
}

async fn metrics(State(shared): State<Shared>) -> Response {
    let text = openmetrics::render(shared.state.families());
    ([(header::CONTENT_TYPE, openmetrics::CONTENT_TYPE)], text).into_response()
}

/// The process answers, whatever state the exchange is in.
async fn healthz(State(shared): State<Shared>) -> Response {
    let uptime_s = shared.state.uptime().as_secs();
    json_text(state::json(&json!({ "ok": true, "version": env!("CARGO_PKG_VERSION"), "uptime_s": uptime_s })))
}

async fn readyz(State(shared): State<Shared>) -> Response {
    let health = shared.state.health();
    let ready = health.is_ready();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, json_text(state::json(&json!({ "ready": ready, "checks": health })))).into_response()
}

pub(crate) fn error(status: StatusCode, message: &str) -> Response {
    (status, json_text(state::json(&json!({ "error": message })))).into_response()
}

fn json_text(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

impl Asset {
    fn response(&'static self) -> Response {
        ([(header::CONTENT_TYPE, self.content_type)], self.bytes).into_response()
    }
}

async fn with_headers(mut response: Response) -> Response {
    response.headers_mut().extend(HEADERS);
    response
}
