//! The data directory.

use std::fs::DirBuilder;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::problems::{Fault, Problem, quoted};
use super::reader::Reader;
use super::setting::{DefaultValue, Setting};

const DEFAULT_DATA_DIR: &str = "hookmirror-data";

pub(super) const DATA_DIR: Setting = Setting {
    name: "HOOKMIRROR_DATA_DIR",
    alias: None,
    default: DefaultValue::Text(DEFAULT_DATA_DIR),
    meaning: "directory of the embedded queue, or of the spool; created if it is missing",
};

pub(super) fn read(reader: &mut Reader) -> PathBuf {
    reader.read(&DATA_DIR, DEFAULT_DATA_DIR.into(), |path| Ok(path.into()))
}

/// Says it of a file, too, for which the system has odd words.
fn why_not(path: &Path, error: &io::Error) -> String {
    let name = quoted(&path.to_string_lossy());
    if path.exists() && !path.is_dir() {
        format!("is {name}, which is not a directory")
    } else {
        format!("is {name}, which cannot be written to: {error}")
    }
}

/// Creates the data directory if it is missing and proves by writing a file that it can be used. A
/// new one is open to its owner only: it will hold what users told Clerk about themselves.
pub fn check_data_dir(path: &Path) -> Option<Problem> {
    let error = write_into(path).err()?;
    let fault = Fault::new(
        "data_dir_not_writable",
        why_not(path, &error),
        "name a directory on a local disk that this process may write to",
    );
    Some(fault.of(DATA_DIR.name, None))
}

fn write_into(directory: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let mut file = tempfile::Builder::new()
        .prefix(".hookmirror-write-check-")
        .tempfile_in(directory)?;
    file.write_all(b"hookmirror was here\n")?;
    file.as_file().sync_all()?;
    file.close()
}
