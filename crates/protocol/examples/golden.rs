//! Writes the generated files of the message table: `cargo xtask golden` runs it.
#![forbid(unsafe_code)]

use std::path::Path;

fn main() -> std::io::Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.join("../..");
    std::fs::write(here.join("joulebook-1.xml"), joulebook_protocol::schema::xml())?;
    std::fs::create_dir_all(root.join("docs/reference"))?;
    std::fs::write(root.join("docs/reference/messages.md"), joulebook_protocol::schema::markdown())?;
    let vectors = here.join("vectors");
    if vectors.exists() {
        std::fs::remove_dir_all(&vectors)?;
    }
    std::fs::create_dir(&vectors)?;
    for (name, text) in joulebook_protocol::schema::vectors() {
        std::fs::write(vectors.join(name), text)?;
    }
    Ok(())
}
