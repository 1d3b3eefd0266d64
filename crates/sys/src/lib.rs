//! Small safe wrappers over the system calls that the edges of the exchange need, and over what the hot path asks of the
//! processor and of its memory: prefetch, large pages. Linux only.
#![deny(unsafe_code)]

mod clock;
mod direct;
mod event;
mod file;
#[allow(unsafe_code)]
mod large_pages;
#[allow(unsafe_code)]
mod prefetch;
mod process;
mod thread;
mod watch;

pub use clock::{boottime_ns, monotonic_ns, process_cpu_ns, realtime_ns};
pub use direct::{DirectFile, forget_cached};
pub use event::{EventFd, PollSet, Readiness};
pub use file::{
    Advisory, free_bytes, lock_exclusive, lock_holder, reserve, sync_data, sync_directory, write_all_at,
    write_zeros_at,
};
pub use large_pages::{reserve_exact_in_large_pages, reserve_in_large_pages};
pub use prefetch::{prefetch_read, prefetch_write, prefetch_write_all_of, prefetch_write_at};
pub use process::resident_bytes;
pub use thread::{available_cores, lower_current_thread_priority, pin_current_thread};
pub use watch::FolderWatch;
