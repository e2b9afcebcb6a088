//! Where things are kept: the database and the data directory.

use std::fs::DirBuilder;
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{self, Component, Path, PathBuf};

use super::problems::{Fault, Problem, quoted};
use super::reader::Reader;
use super::setting::{AMQP_URL, DefaultValue, Setting};

const DEFAULT_DATA_DIR: &str = "hookmirror-data";
const DEFAULT_DATABASE: &str = "hookmirror-data/mirror.db";
/// How the names of the queue's files in the data directory begin.
const QUEUE_FILES: &str = "queue.";

pub(super) const DATABASE_URL: Setting = Setting {
    name: "DATABASE_URL",
    alias: None,
    default: DefaultValue::Text("sqlite:hookmirror-data/mirror.db"),
    meaning: "the mirror and its ledger: `sqlite:` and the path of a file",
};

pub(super) const DATA_DIR: Setting = Setting {
    name: "HOOKMIRROR_DATA_DIR",
    alias: None,
    default: DefaultValue::Text(DEFAULT_DATA_DIR),
    meaning: "directory of the embedded queue; created if it is missing",
};

/// Which engine holds the mirror, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file. The path is taken as it was written: nothing in it is percent-decoded.
    Sqlite(PathBuf),
}

impl DatabaseUrl {
    pub(super) fn read(reader: &mut Reader) -> Self {
        if let Some(written) = reader.written(&AMQP_URL) {
            let fault = Fault::new(
                "amqp_not_in_this_version",
                "is set, but this version has the embedded queue only",
                "unset it to use the embedded queue",
            );
            reader.report(&AMQP_URL, Some(written.origin), fault);
        }
        let default = Self::Sqlite(DEFAULT_DATABASE.into());
        reader.read(&DATABASE_URL, default, Self::parse)
    }

    fn parse(url: &str) -> Result<Self, Fault> {
        let scheme = url.split_once(':').map(|(scheme, _)| scheme);
        if matches!(scheme, Some("postgres" | "postgresql")) {
            return Err(Fault::new(
                "postgres_not_in_this_version",
                "names a Postgres database, but this version has SQLite only",
                "unset it to use SQLite, or write `sqlite:` and a path",
            ));
        }
        let invalid = |what| {
            Fault::new(
                "invalid_database_url",
                what,
                "write `sqlite:` and the path of a file, such as `sqlite:/var/lib/hookmirror/mirror.db`",
            )
        };
        let path = url
            .strip_prefix("sqlite:")
            .ok_or_else(|| invalid("does not begin with `sqlite:`"))?;
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.contains(":memory:") || path.contains("mode=memory") {
            return Err(Fault::new(
                "database_not_durable",
                "names a database in memory, but the mirror must survive a restart",
                "name a file",
            ));
        }
        if path.contains('?') {
            return Err(invalid("holds options after `?`, and there are none"));
        }
        if path.is_empty() || path.ends_with('/') {
            return Err(invalid("does not name a file"));
        }
        Ok(Self::Sqlite(path.into()))
    }
}

pub(super) fn read_data_dir(reader: &mut Reader) -> PathBuf {
    reader.read(&DATA_DIR, DEFAULT_DATA_DIR.into(), |path| Ok(path.into()))
}

/// Reports a database that would be one of the queue's own files. Two engines in one file would wait
/// for each other at every commit, and the queue could not be given up without the mirror.
///
/// By the words of the paths: what symbolic links make of them is not looked at.
pub(super) fn keep_apart(reader: &mut Reader, database: &DatabaseUrl, data_dir: &Path) {
    let DatabaseUrl::Sqlite(path) = database;
    let is_queues = path
        .file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.starts_with(QUEUE_FILES));
    let directory = path.parent().unwrap_or(Path::new(""));
    if !is_queues || plain(directory) != plain(data_dir) {
        return;
    }
    let fault = Fault::new(
        "database_is_the_queue",
        "names a file of the embedded queue, which needs one of its own",
        "name another file, such as `mirror.db` beside it",
    );
    let origin = reader.origin(&DATABASE_URL);
    reader.report(&DATABASE_URL, Some(origin), fault);
}

/// An absolute path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let absolute = path::absolute(Path::new(".").join(path)).unwrap_or_else(|_| path.into());
    let mut plain = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => {
                plain.push(component);
            }
        }
    }
    plain
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
