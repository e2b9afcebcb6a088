//! Where tests put their databases.

use std::path::Path;

use tempfile::TempDir;

/// A directory of its own, in memory where the system offers that: an fsync costs nothing there, and
/// no test can cut the power anyway.
pub(crate) fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir()
        && let Ok(directory) = TempDir::new_in(memory)
    {
        return directory;
    }
    TempDir::new().unwrap()
}
