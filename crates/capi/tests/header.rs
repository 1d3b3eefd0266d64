//! The checked-in header says what the code does, and C and C++ take it. After a wanted change: `cargo xtask golden`.
#![forbid(unsafe_code)]

mod compiler;

use std::path::Path;

use compiler::Compiler;

fn path() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("include/joulebook.h")
}

#[test]
fn the_header_is_up_to_date() {
    let checked_in = std::fs::read_to_string(path()).unwrap();
    assert!(checked_in == joulebook_capi::header(), "joulebook.h is old: run `cargo xtask golden`");
}

#[test]
fn c_and_cpp_take_the_header_without_a_warning() {
    let takes = |compiler: &Compiler, language: &str, standard: &str| {
        let standard = format!("-std={standard}");
        compiler.run(&[&standard, "-fsyntax-only", "-x", language, path().to_str().unwrap()]);
    };
    let Some(c) = Compiler::c() else { return };
    for standard in ["c99", "c11"] {
        takes(&c, "c", standard);
    }
    if let Some(cpp) = Compiler::cpp() {
        for standard in ["c++11", "c++17"] {
            takes(&cpp, "c++", standard);
        }
    }
}
