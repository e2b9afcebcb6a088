//! What is looked at every ten seconds.

use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection, Row, SqliteConnection};

use crate::installation::{Engines, Installation, Process, size_of};
use crate::load::Failed;
use crate::series::Bound;

pub(crate) type Sample = Vec<(String, &'static str, Bound, f64)>;

const MIB: f64 = 1024.0 * 1024.0;
/// Memory is given back late, if at all, and what has settled still moves by some MiB. So it takes a
/// leak of 4 MiB from the middle third of a run to its last, and of a twentieth of all, to be seen: in half
/// an hour at 1000 events per second, 7 KiB for each thousand events. A smaller one takes a longer run.
const MEMORY: Bound = Bound {
    share: 0.05,
    floor: 4.0,
};
const FILES: Bound = Bound {
    share: 0.1,
    floor: 8.0,
};
const THREADS: Bound = Bound {
    share: 0.0,
    floor: 2.0,
};
/// Tables that have a row for each event of the last minutes, or for each of the same thousand people.
const STORED: Bound = Bound {
    share: 0.15,
    floor: 4.0,
};
/// What fills up between two checkpoints.
const LOG: Bound = Bound {
    share: 0.5,
    floor: 48.0,
};
/// What piles up between two vacuums.
const DEAD: Bound = Bound {
    share: 1.0,
    floor: 20_000.0,
};
const DEPTH: Bound = Bound {
    share: 1.0,
    floor: 1000.0,
};
const LAG: Bound = Bound {
    share: 1.0,
    floor: 500.0,
};

/// Tables that must stay as large as they are.
const TABLES: [&str; 7] = [
    "events",
    "event_attempts",
    "outbox",
    "outbox_attempts",
    "users",
    "entitlements",
    "subscriptions",
];

/// Everything once; `seconds` since the last time.
pub(crate) async fn sample(installation: &Installation, seconds: u64) -> Result<Sample, Failed> {
    let mut sample = Sample::new();
    for process in &installation.processes {
        let is_ingress = ["serve", "run"].contains(&process.name);
        let connections = match is_ingress {
            true => installation.connections()?,
            false => 0,
        };
        of_process(process, connections, &mut sample)?;
    }
    match &installation.engines {
        Engines::Servers { url, .. } => of_postgres(url, seconds, &mut sample).await?,
        Engines::Embedded => of_files(installation, seconds, &mut sample).await?,
    }
    let queued = installation.queued().await?;
    sample.push(("queue".to_owned(), "messages", DEPTH, queued as f64));
    Ok(sample)
}

/// Its files are those that it has open of its own accord, not for the `connections` of others.
fn of_process(process: &Process, connections: usize, sample: &mut Sample) -> Result<(), Failed> {
    let folder = format!("/proc/{}", process.id());
    let status = std::fs::read_to_string(format!("{folder}/status"))?;
    let figure = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let figure = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
        figure.ok_or_else(|| Failed::from(format!("no {name} of {}", process.name)))
    };
    let name = process.name;
    let files = std::fs::read_dir(format!("{folder}/fd"))?.count();
    let files = files.saturating_sub(connections);
    sample.extend([
        (
            format!("{name} memory"),
            "MiB",
            MEMORY,
            figure("VmRSS:")? / 1024.0,
        ),
        (format!("{name} files"), "open", FILES, files as f64),
        (
            format!("{name} threads"),
            "threads",
            THREADS,
            figure("Threads:")?,
        ),
    ]);
    Ok(())
}

async fn of_postgres(url: &str, seconds: u64, sample: &mut Sample) -> Result<(), Failed> {
    let mut database = PgConnection::connect(url).await?;
    let row = sqlx::query(
        "SELECT (SELECT SUM(size) FROM pg_ls_waldir())::float8 AS wal, \
         pg_database_size(current_database())::float8 AS size, \
         (SELECT SUM(n_dead_tup) FROM pg_stat_user_tables)::float8 AS dead",
    )
    .fetch_one(&mut database)
    .await?;
    let mib = |name: &str| row.get::<f64, _>(name) / MIB;
    sample.extend([
        ("Postgres WAL".to_owned(), "MiB", LOG, mib("wal")),
        ("Postgres database".to_owned(), "MiB", STORED, mib("size")),
        (
            "Postgres dead rows".to_owned(),
            "rows",
            DEAD,
            row.get("dead"),
        ),
    ]);
    for table in TABLES {
        let row = sqlx::query(
            "SELECT pg_table_size($1::regclass)::float8 AS rows, \
             pg_indexes_size($1::regclass)::float8 AS indexes",
        )
        .bind(table)
        .fetch_one(&mut database)
        .await?;
        for part in ["rows", "indexes"] {
            let size = row.get::<f64, _>(part) / MIB;
            sample.push((format!("{table} {part}"), "MiB", STORED, size));
        }
    }
    let lag = sqlx::query(
        "SELECT COALESCE(percentile_cont(0.99) WITHIN GROUP (ORDER BY EXTRACT(EPOCH FROM \
         applied_at - received_at) * 1000), 0)::float8 AS lag FROM events \
         WHERE received_at > now() - make_interval(secs => $1::float8) AND applied_at IS NOT NULL",
    )
    .bind(seconds as f64)
    .fetch_one(&mut database)
    .await?;
    sample.push(("lag p99".to_owned(), "ms", LAG, lag.get("lag")));
    database.close().await?;
    Ok(())
}

async fn of_files(
    installation: &Installation,
    seconds: u64,
    sample: &mut Sample,
) -> Result<(), Failed> {
    let data = installation.data_dir();
    for (file, bound) in [
        ("mirror.db", STORED),
        ("mirror.db-wal", LOG),
        ("queue.db", STORED),
        ("queue.db-wal", LOG),
    ] {
        let size = size_of(&data.join(file)) as f64 / MIB;
        sample.push((file.to_owned(), "MiB", bound, size));
    }
    let options = SqliteConnectOptions::new()
        .filename(data.join("mirror.db"))
        .read_only(true)
        .busy_timeout(Duration::from_secs(10));
    let mut database: SqliteConnection = options.connect().await?;
    let lags: Vec<f64> = sqlx::query_scalar(
        "SELECT (julianday(applied_at) - julianday(received_at)) * 86400000.0 FROM events \
         WHERE received_at > strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-' || $1 || ' seconds') \
         AND applied_at IS NOT NULL ORDER BY 1",
    )
    .bind(i64::try_from(seconds)?)
    .fetch_all(&mut database)
    .await?;
    let lag = lags.get(lags.len() * 99 / 100).copied().unwrap_or_default();
    sample.push(("lag p99".to_owned(), "ms", LAG, lag));
    let rows: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM events")
        .fetch_one(&mut database)
        .await?;
    sample.push((
        "events rows".to_owned(),
        "rows",
        Bound {
            share: 0.15,
            floor: 5000.0,
        },
        rows as f64,
    ));
    database.close().await?;
    Ok(())
}
