//! Whether anything grows: half of what the program can do, for half an hour, with a look at
//! everything every ten seconds.
//!
//! ```sh
//! cargo bench --bench soak -- [--minutes 30] [--csv FILE]      # serve, work, dispatch; RabbitMQ, Postgres
//! cargo bench --bench soak -- --embedded                       # one `run`, SQLite
//! ```
//!
//! First as many events come at once as may be under way later, so that memory that a burst takes, and
//! nobody gives back, is taken before anything is judged. Then the ceiling is measured: as many events
//! as are taken at once for some seconds, and how long it takes until all of them are applied. Then half
//! of that comes in, evenly, whatever becomes of what came before. The events are about the same thousand people, so that the mirror does not grow; the
//! ledger is swept all the time by the program's own sweeper, told to keep a sixth of the run, so that
//! it does not grow either. `HOOKMIRROR_KEEP_EVENTS_DAYS` knows days only.
//!
//! Prints each series as bars, with its verdict by the rule in `series`, and the account: every event
//! that was acknowledged is in the ledger or was swept. Ends with 1 if a series grows, the account does
//! not balance, a request was refused, or a process has ended.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use hookmirror::backoff::Backoff;
use hookmirror::clock::SystemClock;
use hookmirror::model::retention::RetentionPolicy;
use hookmirror::retention::Sweeper;
use hookmirror::store::Store;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::installation::Installation;
use self::load::{Failed, Load};
use self::sampling::sample;
use self::series::Table;

mod installation;
mod load;
mod sampling;
mod series;
#[expect(
    dead_code,
    clippy::unwrap_used,
    reason = "it is made for tests, which use more of it"
)]
mod support;

const SAMPLES_EVERY: u64 = 10;
const SWEEPS_EVERY: Duration = Duration::from_secs(5);
/// So many events are under way at once while the ceiling is measured.
const CLOSED_LOOP: usize = 64;
/// So many at most when they come at their own pace, and the machine stands still for a moment.
const OPEN_LOOP: usize = 512;
/// Events of one round of the ceiling.
const ROUND: u64 = 2000;
const MEASURED: Duration = Duration::from_secs(15);
/// Until everything that was sent is applied.
const PATIENCE: Duration = Duration::from_mins(3);

/// Looks for what grows.
#[derive(Debug, Parser)]
struct Options {
    /// For how long
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    /// One process, without RabbitMQ and Postgres
    #[arg(long)]
    embedded: bool,
    /// Where to write the data of the graph
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// What `cargo bench` says
    #[arg(long, hide = true)]
    bench: bool,
}

/// What was sent, and how it was answered.
#[derive(Debug, Default)]
struct Sent {
    accepted: u64,
    refused: u64,
    unanswered: u64,
}

impl Sent {
    fn add(&mut self, report: &hookmirror::sender::Report) {
        self.accepted += report.accepted;
        self.refused += report.refused_total();
        self.unanswered += report.gave_up;
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match soak(&Options::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the soak could not be run: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn soak(options: &Options) -> Result<bool, Failed> {
    let duration = Duration::from_secs(options.minutes * 60);
    let mut installation = Installation::start(options.embedded).await?;
    let mut load = Load::to(installation.base())?;
    let mut sent = Sent::default();
    let burst = load.events(4 * OPEN_LOOP as u64);
    sent.add(&Load::post(load.base(), burst, OPEN_LOOP, None).await?);
    let ceiling = ceiling(&installation, &mut load, &mut sent).await?;
    let rate = (ceiling / 2.0).floor().max(1.0);
    println!(
        "ceiling {ceiling:.0} events a second; {rate:.0} for {} minutes",
        options.minutes
    );

    let stop = CancellationToken::new();
    let sweeping = tokio::spawn(sweep(
        Arc::clone(&installation.store),
        duration / 6,
        stop.clone(),
    ));
    let mut table = Table::default();
    let mut posting = JoinSet::new();
    let mut all_ran = true;
    let begun = Instant::now();
    for round in 1..=duration.as_secs() / SAMPLES_EVERY {
        let count = (rate * SAMPLES_EVERY as f64) as u64;
        let (base, events) = (load.base().to_owned(), load.events(count));
        // Those of ten seconds; if they are held up, those of the next do not wait for them.
        posting.spawn(async move { Load::post(&base, events, OPEN_LOOP, Some(rate)).await });
        let next = Duration::from_secs(round * SAMPLES_EVERY);
        tokio::time::sleep(next.saturating_sub(begun.elapsed())).await;
        table.add(
            begun.elapsed().as_secs_f64(),
            sample(&installation, SAMPLES_EVERY).await?,
        );
        all_ran &= installation.processes.iter_mut().all(|p| p.runs());
        while let Some(ended) = posting.try_join_next() {
            sent.add(&ended??);
        }
    }
    while let Some(ended) = posting.join_next().await {
        sent.add(&ended??);
    }
    drain(&installation).await?;
    stop.cancel();
    let swept = sweeping.await??;

    let growing = table.print();
    let recorded = recorded(&installation).await?;
    println!(
        "sent {}, accepted {}, refused {}, unanswered {}; in the ledger {recorded}, swept {swept}",
        load.made(),
        sent.accepted,
        sent.refused,
        sent.unanswered
    );
    let csv = options
        .csv
        .clone()
        .unwrap_or_else(|| std::env::temp_dir().join("hookmirror-soak.csv"));
    std::fs::write(&csv, table.csv())?;
    println!("the data: {}", csv.display());
    let balances = recorded + swept == sent.accepted && sent.accepted == load.made();
    println!(
        "{growing} series grow; the account {}; {}",
        if balances {
            "balances"
        } else {
            "DOES NOT BALANCE"
        },
        if all_ran {
            "every process ran to the end"
        } else {
            "A PROCESS ENDED"
        }
    );
    Ok(growing == 0 && balances && all_ran)
}

/// How many events a second come in and are applied.
async fn ceiling(
    installation: &Installation,
    load: &mut Load,
    sent: &mut Sent,
) -> Result<f64, Failed> {
    let before = load.made();
    let begun = Instant::now();
    while begun.elapsed() < MEASURED {
        let events = load.events(ROUND);
        sent.add(&Load::post(load.base(), events, CLOSED_LOOP, None).await?);
    }
    let taken = (load.made() - before) as f64 / begun.elapsed().as_secs_f64();
    drain(installation).await?;
    let applied = (load.made() - before) as f64 / begun.elapsed().as_secs_f64();
    println!("taken {taken:.0} a second, applied {applied:.0}");
    Ok(applied)
}

async fn recorded(installation: &Installation) -> Result<u64, Failed> {
    let counts = installation.store.count_events(&[]).await?;
    Ok(counts.states.iter().map(|count| count.events).sum())
}

/// Waits until the queue is empty, and what was in hand is in the ledger.
async fn drain(installation: &Installation) -> Result<(), Failed> {
    let begun = Instant::now();
    let mut last = None;
    while begun.elapsed() < PATIENCE {
        let recorded = recorded(installation).await?;
        if installation.queued().await? == 0 && last == Some(recorded) {
            return Ok(());
        }
        last = Some(recorded);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err("what was sent is not applied in time".into())
}

/// Lets go of finished events that are older than this; answers how many.
async fn sweep(
    store: Arc<dyn Store>,
    kept: Duration,
    stop: CancellationToken,
) -> Result<u64, Failed> {
    let sweeper = Sweeper {
        store,
        policy: RetentionPolicy {
            events: Some(kept),
            ..RetentionPolicy::default()
        },
        clock: Arc::new(SystemClock),
        backoff: Backoff {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(1),
            seed: 1,
        },
    };
    let mut deleted = 0;
    while !stop.is_cancelled() {
        deleted += sweeper.sweep(&stop).await?.deleted;
        stop.run_until_cancelled(tokio::time::sleep(SWEEPS_EVERY))
            .await;
    }
    Ok(deleted)
}
