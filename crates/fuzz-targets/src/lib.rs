//! Every decoder of joulebook, fed with bytes that nobody should send.
//!
//! A [`Target`] reads an input with one decoder and asserts more than that it survives: what decodes encodes back, what
//! was taken apart is progress, states that a peer must not reach are not reached, memory stays within a bound. The same
//! functions run in three places: under `cargo test` over the checked-in corpus, in the runner behind `cargo xtask fuzz`
//! on mutations of the corpus, and in `crates/fuzz` under libFuzzer with coverage.
//!
//! Where a checksum would end every attempt at once, a bit of the input asks for checksums to be made right first.
#![forbid(unsafe_code)]

mod client_session;
mod config;
mod conversation;
pub mod corpus;
mod disk;
mod feed;
mod frames;
mod input;
mod journal;
mod market;
mod mutate;
mod pipe;
mod reseal;
mod seeds;
mod server_session;
mod snapshot;
mod state;
mod traits;
mod values;

/// The daemon's own file: to build all of the daemon for it would take minutes.
#[path = "../../server/src/config.rs"]
#[allow(dead_code, reason = "what needs a file system is for the daemon")]
mod daemon_config;
/// The binary's own file: a span of time is read by nobody else.
#[path = "../../joulebook/src/span.rs"]
#[allow(dead_code, reason = "what needs a clock is for the binary")]
mod span;

use joulebook_testkit::peak_bytes;

pub use mutate::{Mutator, Shape};
pub use seeds::seeds;
pub use traits::Traits;

/// One decoder and how to feed it.
pub struct Target {
    /// Also the name of its folder in the corpus.
    pub name: &'static str,
    /// Reads an input and panics when the decoder did what it must not.
    pub run: fn(&[u8], &mut Traits),
    pub shape: Shape,
    /// Of a thousand executions over all targets: cheap targets get more.
    pub permille: u64,
    /// The longest input that is worth a try.
    pub input_bytes_max: usize,
    /// What an input may make the decoder hold at once, besides [`MEMORY_PER_INPUT_BYTE`].
    pub memory_bytes_max: usize,
}

/// Sessions keep what they sent until it is taken, receivers keep books: so many bytes per byte of input at most.
pub const MEMORY_PER_INPUT_BYTE: usize = 64;

pub const TARGETS: &[Target] = &[
    Target {
        name: "frames",
        run: frames::run,
        shape: Shape::Frames,
        permille: 400,
        input_bytes_max: 8 << 10,
        memory_bytes_max: 16 << 10,
    },
    Target {
        name: "pipe",
        run: pipe::run,
        shape: Shape::Frames,
        permille: 140,
        input_bytes_max: 8 << 10,
        memory_bytes_max: 64 << 10,
    },
    Target {
        name: "server_session",
        run: server_session::run,
        shape: Shape::Conversation,
        permille: 150,
        input_bytes_max: 8 << 10,
        memory_bytes_max: 512 << 10,
    },
    Target {
        name: "client_session",
        run: client_session::run,
        shape: Shape::Conversation,
        permille: 115,
        input_bytes_max: 8 << 10,
        memory_bytes_max: 512 << 10,
    },
    Target {
        name: "feed",
        run: feed::run,
        shape: Shape::Feed,
        permille: 115,
        input_bytes_max: 8 << 10,
        memory_bytes_max: 128 << 10,
    },
    Target {
        name: "journal",
        run: journal::run,
        shape: Shape::Journal,
        permille: 15,
        input_bytes_max: 16 << 10,
        memory_bytes_max: 4 << 20,
    },
    Target {
        name: "snapshot",
        run: snapshot::run,
        shape: Shape::Journal,
        permille: 20,
        input_bytes_max: 24 << 10,
        memory_bytes_max: 4 << 20,
    },
    Target {
        name: "state",
        run: state::run,
        shape: Shape::Numbers,
        permille: 10,
        input_bytes_max: 32 << 10,
        memory_bytes_max: 8 << 20,
    },
    Target {
        name: "config",
        run: config::run,
        shape: Shape::Text(config::WORDS),
        permille: 5,
        input_bytes_max: 2 << 10,
        memory_bytes_max: 1 << 20,
    },
    Target {
        name: "values",
        run: values::run,
        shape: Shape::Text(values::WORDS),
        permille: 28,
        input_bytes_max: 128,
        memory_bytes_max: 16 << 10,
    },
    Target {
        name: "market",
        run: market::run,
        shape: Shape::Text(market::WORDS),
        permille: 2,
        input_bytes_max: 2 << 10,
        memory_bytes_max: 8 << 20,
    },
];

impl Target {
    pub fn of_name(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }

    /// Runs an input, and asserts the bound of memory where the program counts allocations.
    pub fn check(&self, input: &[u8], traits: &mut Traits) {
        traits.clear();
        let ((), peak) = peak_bytes(|| (self.run)(input, traits));
        let allowed = self.memory_bytes_max + MEMORY_PER_INPUT_BYTE * input.len();
        assert!(
            peak <= allowed,
            "{} bytes of input took {peak} bytes of memory, {allowed} are allowed",
            input.len()
        );
    }
}
