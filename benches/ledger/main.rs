//! How long it takes to find something in a ledger of a million events.
//!
//! `cargo bench --bench ledger -- --rows 1000000` fills one on each engine (`--engine sqlite`,
//! `--engine postgres`: on one), asks every question there is 20 times, and prints a line for each:
//! engine, question, what it met, the median and the longest time in milliseconds. Ends with 1 if an
//! answer took 300 ms or more. `--failed 100`: so many of a thousand events fail. `--payload 3500`:
//! bytes of each. `--apply`: what the index that all listings rely on costs those who write.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use hookmirror::model::ledger::{EventFilter, Position};
use hookmirror::model::time::Timestamp;
use hookmirror::store::postgres::PostgresStore;
use hookmirror::store::sqlite::SqliteStore;
use hookmirror::store::{Store, StoreError};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};

mod questions;
mod rows;
#[expect(
    dead_code,
    clippy::unwrap_used,
    reason = "it is made for tests, which use more of it"
)]
mod support;
mod writing;

const RUNS: usize = 20;
const TOO_LONG: Duration = Duration::from_millis(300);
const PAGE: u32 = 50;

type Failed = Box<dyn std::error::Error>;

struct Options {
    rows: u64,
    failed: u64,
    payload: usize,
    engine: Option<String>,
    apply: bool,
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Failed> {
        let mut options = Self {
            rows: 1_000_000,
            failed: 5,
            payload: 350,
            engine: None,
            apply: false,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--rows" => options.rows = value()?.parse()?,
                "--failed" => options.failed = value()?.parse()?,
                "--payload" => options.payload = value()?.parse()?,
                "--engine" => options.engine = Some(value()?),
                "--apply" => options.apply = true,
                // What cargo adds.
                "--bench" => {}
                other => return Err(format!("what is {other}?").into()),
            }
        }
        Ok(options)
    }

    fn wants(&self, engine: &str) -> bool {
        self.engine.as_deref().is_none_or(|wanted| wanted == engine)
    }
}

#[tokio::main]
async fn main() -> Result<ExitCode, Failed> {
    let options = Options::parse(std::env::args().skip(1))?;
    let mut is_slow = false;
    if options.wants("sqlite") {
        let directory = support::directory::directory();
        let path = directory.path().join("mirror.db");
        let store = SqliteStore::open(&path).await?;
        store.migrate().await?;
        let file = SqliteConnectOptions::new().filename(&path);
        let mut direct = SqliteConnection::connect_with(&file).await?;
        rows::fill_sqlite(&mut direct, options.rows, options.failed, options.payload).await?;
        is_slow |= ask("sqlite", &store, &options).await?;
        if options.apply {
            writing::on_sqlite(&store, &mut direct).await?;
        }
        store.close().await;
    }
    if options.wants("postgres") {
        let server = support::postgres::Postgres::start().await;
        let url = server.url("postgres");
        let store = PostgresStore::connect(&url)?;
        store.migrate().await?;
        rows::fill_postgres(&url, options.rows, options.failed, options.payload).await?;
        is_slow |= ask("postgres", &store, &options).await?;
        if options.apply {
            writing::on_postgres(&store, &url).await?;
        }
        store.close().await;
    }
    Ok(if is_slow {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Answers whether one of the answers took too long.
async fn ask(engine: &str, store: &dyn Store, options: &Options) -> Result<bool, Failed> {
    let mut is_slow = false;
    let mut say = |question: &str, met: u64, mut took: Vec<Duration>| {
        took.sort_unstable();
        let millis = |time: Duration| time.as_secs_f64() * 1000.0;
        let (median, longest) = (took[took.len() / 2], took[took.len() - 1]);
        is_slow |= longest >= TOO_LONG;
        println!(
            "{engine:<9} {question:<42} {met:>8} {:>8.1} {:>8.1}",
            millis(median),
            millis(longest)
        );
    };
    println!(
        "{:<9} {:<42} {:>8} {:>8} {:>8}",
        "engine", "question", "met", "p50 ms", "max ms"
    );
    let middle = Position {
        received_at: Timestamp::from_seconds(rows::NEWEST - 45 * 86_400),
        key: store
            .list_events(&EventFilter::default(), 1)
            .await?
            .remove(0)
            .key,
    };
    for (question, filter) in questions::questions(options.rows) {
        let (met, took) =
            measure(async || Ok(store.page_events(&filter, None, PAGE).await?.len())).await?;
        say(&format!("list {question}"), met as u64, took);
        let (met, took) =
            measure(async || Ok(store.page_events(&filter, Some(&middle), PAGE).await?.len()))
                .await?;
        say(&format!("page {question}"), met as u64, took);
        let (met, took) = measure(async || Ok(store.survey(&filter).await?.matched)).await?;
        say(&format!("count {question}"), met, took);
    }
    let (met, took) = measure(async || Ok(store.list_failures(&[], 50).await?.len())).await?;
    say("failures", met as u64, took);
    let (met, took) =
        measure(async || Ok(store.timeline("user_4711", 200).await?.entries.len())).await?;
    say("timeline", met as u64, took);
    Ok(is_slow)
}

async fn measure<T>(
    question: impl AsyncFn() -> Result<T, StoreError>,
) -> Result<(T, Vec<Duration>), StoreError> {
    let mut answer = question().await?;
    let mut took = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let begun = Instant::now();
        answer = question().await?;
        took.push(begun.elapsed());
    }
    Ok((answer, took))
}
