//! Promises P1, P3, P4, P5 and P7 on real engines, while everything is killed, stopped, cut off and
//! filled up.
//!
//! Actors: the [`world`](World) is an installation of five processes on RabbitMQ and Postgres, with a Clerk of the
//! test's own, and a proxy on every wire. The [`sender`] posts a [`history`] at a steady rate and retries as
//! the providers do; the [`faults`] of a [`schedule`] happen meanwhile, several at a time. Then all
//! faults are lifted, the sender comes to its end, everything drains, and the [`account`] compares what is there
//! with what the history says must be. It must be clean, whatever the seed.
//!
//! `tests/chaos` runs it; it is no part of an ordinary run of the tests. `CHAOS_SECONDS`, `CHAOS_SEED`
//! and `CHAOS_JSON` say how long, which, and where to write the account; `CHAOS_COMMIT` and `CHAOS_TREE` what is
//! tried.
//!
//! NOT shown: what a power cut does, as only processes die here; and the same order of steps for
//! the same seed: the faults come at the same times, everything else is up to the machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hookmirror::model::user::UserId;

use self::account::Account;
use self::faults::Faults;
use self::history::{History, Reference};
use self::observed::{Observed, Progress};
use self::report::Figures;
use self::sender::Sender;
use self::world::{SECOND_SERVE, World};

mod account;
mod disk;
mod faults;
mod history;
mod observed;
mod payloads;
mod processes;
mod report;
mod schedule;
mod sender;
mod story;
mod tally;
mod verdicts;
mod world;

const SEED: u64 = 1;
const SECONDS: u64 = 120;
/// Deliveries that are begun in a second, unless the run is so long that it would be too many.
const RATE: u64 = 150;
/// As many are kept in memory and on disk until the end.
const MOST_DELIVERIES: u64 = 400_000;
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What the run is told to do.
struct Options {
    duration: Duration,
    seed: u64,
    json: Option<String>,
    commit: String,
    tree: String,
}

impl Options {
    #[expect(
        clippy::disallowed_methods,
        reason = "settings of the test, not of the program"
    )]
    fn from_environment() -> Self {
        let number = |name, default| {
            std::env::var(name).map_or(default, |text| text.parse().expect("a whole number"))
        };
        let tried = |name| std::env::var(name).unwrap_or_else(|_| "not told".to_owned());
        Self {
            duration: Duration::from_secs(number("CHAOS_SECONDS", SECONDS)),
            seed: number("CHAOS_SEED", SEED),
            json: std::env::var("CHAOS_JSON").ok(),
            commit: tried("CHAOS_COMMIT"),
            tree: tried("CHAOS_TREE"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
#[ignore = "takes minutes: `tests/chaos` runs it"]
async fn nothing_is_lost_doubled_or_wrong() {
    let Options {
        duration,
        seed,
        json,
        commit,
        tree,
    } = Options::from_environment();
    println!("seed {seed}, {} s", duration.as_secs());
    // Each request through a proxy takes a few.
    rlimit::increase_nofile_limit(20_000).unwrap();
    let schedule = schedule::schedule(seed, duration);
    let world = Arc::new(World::start().await);
    let sender = Sender::to(world.doors());
    let faults = Faults::new(Arc::clone(&world), Arc::clone(&sender));
    let begun = Instant::now();
    let calm = Arc::new(AtomicBool::new(false));
    let rate = RATE.min(MOST_DELIVERIES / duration.as_secs().max(1));
    let sending = {
        let (sender, clerk) = (Arc::clone(&sender), Arc::clone(&world.clerk));
        let mut history = History::new(seed);
        let (rate, calm) = (u32::try_from(rate).unwrap(), Arc::clone(&calm));
        tokio::spawn(async move {
            let next = || {
                let goes_on = begun.elapsed() < duration || !calm.load(Ordering::Relaxed);
                history.next(goes_on, |user| clerk.lose(&UserId::parse(user).unwrap()))
            };
            sender.send(rate, next).await;
            history.reference
        })
    };
    faults.run(schedule).await;
    calm.store(true, Ordering::Relaxed);
    println!("{:>7.1} s  no more faults", begun.elapsed().as_secs_f64());
    let lifted = Instant::now();
    let reference = drain(&world, &sender, sending).await;
    let has_disk = world.processes[SECOND_SERVE].disk.is_some();
    let figures = Figures {
        commit,
        tree,
        seed,
        has_disk,
        lasted: begun.elapsed(),
        drained_in: lifted.elapsed(),
        happened: faults.happened.lock().unwrap().clone(),
        processes: world
            .processes
            .iter()
            .map(|process| {
                let (starts, by_itself) = (process.starts(), process.ended_by_itself());
                (process.name, starts, by_itself, process.peak_rss_kib())
            })
            .collect(),
    };
    let mut observed = Observed::of(&world, &reference).await;
    let mut tally = sender.tally();
    observed.crashes.extend(tally.crashes());
    let account = Account::of(&tally.acknowledged, &reference, &observed);
    let report = report::report(&account, &mut tally, &mut observed, &figures);
    drop(tally);
    report::print(&report);
    if let Some(path) = json {
        std::fs::write(path, format!("{report:#}\n")).unwrap();
    }
    assert!(account.is_clean(), "see the account above");
    let missed: Vec<_> = schedule::kinds(&world.names(), has_disk)
        .into_iter()
        .filter(|kind| !figures.happened.contains_key(kind))
        .collect();
    assert!(missed.is_empty(), "never happened: {missed:?}");
}

/// Waits until the sender is done and nothing is left to do. Goes on as long as something changes;
/// what hangs is for the account to tell.
async fn drain(
    world: &World,
    sender: &Sender,
    sending: tokio::task::JoinHandle<Reference>,
) -> Reference {
    let mut last = Progress::default();
    let mut changed = Instant::now();
    loop {
        let progress = Progress::of(world, sender.under_way()).await;
        let is_drained = sending.is_finished()
            && (progress.queued, progress.to_be_delivered) == (0, 0)
            && world.spools_are_empty();
        if progress != last {
            (last, changed) = (progress, Instant::now());
        } else if is_drained {
            break;
        }
        let hangs = changed.elapsed() > World::PATIENCE;
        if hangs {
            println!("nothing moves any more: {last:?}");
            for process in &world.processes {
                let log = process.log();
                let lines: Vec<_> = log.lines().rev().take(3).collect();
                println!("{}: {lines:#?}", process.name);
            }
            assert!(
                sending.is_finished(),
                "what was sent is not even acknowledged"
            );
            break;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    sending.await.unwrap()
}
