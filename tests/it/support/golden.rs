//! Files that say what output looks like.

use std::path::Path;

/// Compares with a file of the repository; with `UPDATE_GOLDEN=1` in the environment, writes it.
pub(crate) fn compare(file: &str, seen: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if is_to_be_written() {
        std::fs::write(&path, seen).unwrap();
        return;
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        seen, wanted,
        "left: seen; right: {file}. If it is meant to be so: run this test with UPDATE_GOLDEN=1, \
         and look at the difference",
    );
}

#[expect(
    clippy::disallowed_methods,
    reason = "asks whoever runs the tests, not for a setting"
)]
fn is_to_be_written() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1")
}
