//! The checked-in schema, byte tables and vectors say what the code does. After a wanted change: `cargo xtask golden`.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use joulebook_protocol::schema;

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn assert_same(path: &Path, generated: &str) {
    let checked_in =
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(
        checked_in == generated,
        "{} is not what the table says: run `cargo xtask golden`",
        path.display()
    );
}

#[test]
fn schema_and_tables_are_up_to_date() {
    assert_same(&here().join("joulebook-1.xml"), &schema::xml());
    assert_same(&here().join("../../docs/reference/messages.md"), &schema::markdown());
}

#[test]
fn vectors_are_up_to_date_and_complete() {
    let generated: BTreeMap<String, String> = schema::vectors().into_iter().collect();
    for (name, text) in &generated {
        assert_same(&here().join("vectors").join(name), text);
    }
    let files = std::fs::read_dir(here().join("vectors")).unwrap();
    for file in files {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(generated.contains_key(&name), "{name} belongs to no message");
    }
}
