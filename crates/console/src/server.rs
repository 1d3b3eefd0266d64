//! The thread that serves.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::listener::BoundedListener;
use crate::routes::{Shared, router};
use crate::socket::{Sockets, stopped};
use crate::state::ConsoleState;

/// Pages, scrapers and a few curious people.
const CONNECTIONS_MAX: usize = 256;
/// How long a stop waits for requests in progress.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_secs(1);

/// The running HTTP server: one thread, one runtime.
///
/// While nobody is connected it wakes once a second, for a point of the history. Dropping it stops it too, but does not
/// wait.
pub struct Console {
    thread: JoinHandle<()>,
    stop: watch::Sender<bool>,
    address: SocketAddr,
}

impl Console {
    /// Serves on a listener that is bound already, so that a port in use is the caller's to report.
    pub fn start(listener: std::net::TcpListener, state: Arc<ConsoleState>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (stop, stopping) = watch::channel(false);
        let thread = std::thread::Builder::new()
            .name("console".to_owned())
            .spawn(move || run(&runtime, listener, state, stopping))?;
        Ok(Self { thread, stop, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no further connection, tells WebSocket clients that the server goes away, lets requests in progress end
    /// for at most two seconds each way, and waits for the thread.
    pub fn stop(self) {
        self.stop.send_replace(true);
        if self.thread.join().is_err() {
            tracing::error!("the console's thread panicked");
        }
    }
}

fn run(
    runtime: &Runtime,
    listener: tokio::net::TcpListener,
    state: Arc<ConsoleState>,
    stopping: watch::Receiver<bool>,
) {
    runtime.block_on(async {
        let sockets = Sockets::new(stopping.clone());
        let ticks = tokio::spawn(tick(Arc::clone(&state)));
        serve(listener, Shared { state, sockets: sockets.clone() }, stopping).await;
        if timeout(STOP_TIMEOUT, sockets.closed()).await.is_err() {
            tracing::warn!("dropped WebSocket clients that did not close");
        }
        ticks.abort();
    });
}

async fn serve(listener: tokio::net::TcpListener, shared: Shared, mut stopping: watch::Receiver<bool>) {
    let listener = BoundedListener::new(listener, CONNECTIONS_MAX);
    let mut heard = stopping.clone();
    let serving = axum::serve(listener, router(shared))
        .with_graceful_shutdown(async move { stopped(&mut heard).await });
    let overdue = async {
        stopped(&mut stopping).await;
        tokio::time::sleep(STOP_TIMEOUT).await;
    };
    tokio::select! {
        served = async { serving.await } => {
            if let Err(error) = served {
                tracing::error!(%error, "the console stopped serving");
            }
        }
        () = overdue => tracing::warn!("dropped HTTP requests that did not end"),
    }
}

async fn tick(state: Arc<ConsoleState>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        state.tick();
    }
}
