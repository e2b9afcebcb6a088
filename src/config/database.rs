//! The database: which engine, and where.

use std::fmt;
use std::path::{self, Component, Path, PathBuf};

use super::problems::Fault;
use super::reader::Reader;
use super::service_url::ServiceUrl;
use super::setting::{DefaultValue, Setting};

const DEFAULT_DATABASE: &str = "hookmirror-data/mirror.db";
/// How the names of the queue's files in the data directory begin.
const QUEUE_FILES: &str = "queue.";

pub(super) const DATABASE_URL: Setting = Setting {
    name: "DATABASE_URL",
    alias: None,
    default: DefaultValue::Text("sqlite:hookmirror-data/mirror.db"),
    meaning: "the mirror and its ledger: `sqlite:` and the path of a file, or `postgres://user:password@host/database`",
};

/// Which engine holds the mirror, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file. The path is taken as it was written: nothing in it is percent-decoded.
    Sqlite(PathBuf),
    /// A server.
    Postgres(ServiceUrl),
}

impl fmt::Display for DatabaseUrl {
    /// Without what is secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(f),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

impl DatabaseUrl {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let default = Self::Sqlite(DEFAULT_DATABASE.into());
        reader.read(&DATABASE_URL, default, Self::parse)
    }

    fn parse(url: &str) -> Result<Self, Fault> {
        let scheme = url.split_once(':').map(|(scheme, _)| scheme);
        if matches!(scheme, Some("postgres" | "postgresql")) {
            let invalid = |what| {
                Fault::new(
                    "invalid_database_url",
                    what,
                    "write it like `postgres://user:password@host:5432/database`",
                )
            };
            let url = ServiceUrl::parse(url, &["postgres", "postgresql"], invalid)?;
            return Ok(Self::Postgres(url));
        }
        let invalid = |what| {
            Fault::new(
                "invalid_database_url",
                what,
                "write `sqlite:` and the path of a file, such as \
                 `sqlite:/var/lib/hookmirror/mirror.db`, or `postgres://user:password@host/database`",
            )
        };
        let path = url
            .strip_prefix("sqlite:")
            .ok_or_else(|| invalid("begins with neither `sqlite:` nor `postgres:`"))?;
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

/// Reports a database that would be one of the queue's own files. Two engines in one file would wait
/// for each other at every commit, and the queue could not be given up without the mirror.
///
/// By the words of the paths: what symbolic links make of them is not looked at.
pub(super) fn keep_apart(reader: &mut Reader, database: &DatabaseUrl, data_dir: &Path) {
    let DatabaseUrl::Sqlite(path) = database else {
        return;
    };
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
