//! The exported functions. Pointers of callers are touched in `pointer` and `handle` only; the rest is safe code behind
//! exported names.
#![allow(unsafe_code, reason = "this is where C calls in")]

mod handle;
mod lifecycle;
mod pointer;
mod query;
mod send;
mod shorthand;
mod text;

use crate::declare::FunctionInfo;

/// All exported functions by subject.
pub fn groups() -> Vec<(&'static str, Vec<FunctionInfo>)> {
    vec![
        ("Engine, events, time", lifecycle::functions()),
        ("Commands, one function each: from session 1 of an account", send::functions()),
        ("Shorthands", shorthand::functions()),
        ("Questions: nothing changes", query::functions()),
        ("Names and texts", text::functions()),
    ]
}
