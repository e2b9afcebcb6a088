//! Nights on call, from the first failure to the proof that it is over: with the real binary, as an
//! operator types it.

use serde_json::Value;

use crate::cli::process::Home;

mod bad_release;
mod cancelled;
mod story;

/// Runs a dry run that must find something, and reads its JSON.
fn planned<'a>(home: &Home, arguments: impl IntoIterator<Item = &'a str>) -> Value {
    let ran = home.run(arguments);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(3), ""), "{ran:?}");
    serde_json::from_str(&ran.stdout).unwrap()
}

/// How often an entry has this under this name.
fn with<'v>(entries: &'v Value, name: &str, value: &str) -> Vec<&'v Value> {
    let entries = entries.as_array().unwrap().iter();
    entries.filter(|entry| entry[name] == value).collect()
}
