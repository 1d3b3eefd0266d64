//! Writes the generated header: `cargo xtask golden` runs it.
#![forbid(unsafe_code)]

fn main() -> std::io::Result<()> {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::write(here.join("include/joulebook.h"), joulebook_capi::header())
}
