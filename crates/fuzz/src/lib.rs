//! The targets of `joulebook-fuzz-targets` as programs of libFuzzer, which follows what code an input reaches.
//!
//! `cargo xtask fuzz --coverage TARGET` builds and starts one of them on the stable toolchain.
#![forbid(unsafe_code)]

pub use joulebook_fuzz_targets as targets;
pub use libfuzzer_sys;

use joulebook_fuzz_targets::{Mutator, Target};

/// The program of one target.
#[macro_export]
macro_rules! target {
    ($name:literal) => {
        $crate::libfuzzer_sys::fuzz_target!(|input: &[u8]| $crate::run($name, input));
        $crate::libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
            $crate::mutate($name, data, size, max_size, seed)
        });
    };
}

fn named(name: &str) -> &'static Target {
    Target::of_name(name).expect("each program has a target of its name")
}

/// Memory is bounded by libFuzzer itself here.
pub fn run(name: &str, input: &[u8]) {
    named(name).check(input, &mut Default::default());
}

/// Half of the new inputs come from libFuzzer's own mutations, which know what comparisons failed; the others from
/// ours, which know what the bytes mean.
pub fn mutate(name: &str, data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    if seed % 2 == 0 {
        return libfuzzer_sys::fuzzer_mutate(data, size, max_size);
    }
    let target = named(name);
    let parent = data[..size].to_vec();
    let input = Mutator::new(seed.into()).mutate(target.shape, &parent, &parent, max_size);
    data[..input.len()].copy_from_slice(&input);
    input.len()
}
