//! Where threads run, and how eagerly.

use std::io;

use rustix::{
    process::{getpriority_process, setpriority_process},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

/// Processors that this thread may run on, lowest first. A container may allow fewer than the machine has.
pub fn available_cores() -> io::Result<Vec<usize>> {
    let allowed = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect())
}

/// Keeps the calling thread on one processor.
pub fn pin_current_thread(cpu: usize) -> io::Result<()> {
    if cpu >= CpuSet::MAX_CPU {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("there is no processor {cpu}")));
    }
    let mut only = CpuSet::new();
    only.set(cpu);
    Ok(sched_setaffinity(None, &only)?)
}

/// Lets other threads go first: `nice` from 1 (a little) to 19 (only what nobody else wants). Threads that the
/// calling thread starts afterwards inherit it; it cannot be undone without privilege.
pub fn lower_current_thread_priority(nice: u8) -> io::Result<()> {
    // Linux applies this to the calling thread, not to its process. Going up would need a privilege.
    let now = getpriority_process(None)?;
    Ok(setpriority_process(None, now.max(i32::from(nice.min(19))))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_stays_where_it_was_put() {
        let all = available_cores().unwrap();
        assert!(!all.is_empty());
        let last = *all.last().unwrap();
        std::thread::spawn(move || {
            pin_current_thread(last).unwrap();
            assert_eq!(available_cores().unwrap(), [last]);
            assert_eq!(rustix::thread::sched_getcpu(), last);
        })
        .join()
        .unwrap();
        assert_eq!(available_cores().unwrap(), all, "other threads are not moved");
        assert!(pin_current_thread(usize::MAX).is_err());
    }

    #[test]
    fn only_the_calling_thread_steps_back() {
        let before = getpriority_process(None).unwrap();
        std::thread::spawn(|| {
            lower_current_thread_priority(19).unwrap();
            assert_eq!(getpriority_process(None).unwrap(), 19);
            lower_current_thread_priority(1).unwrap();
            assert_eq!(getpriority_process(None).unwrap(), 19);
        })
        .join()
        .unwrap();
        assert_eq!(getpriority_process(None).unwrap(), before);
    }
}
