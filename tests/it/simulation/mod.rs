//! Promises P1, P3, P4, P5 and P7, in a simulation that can be repeated: the real ingress handler, worker,
//! scheduler, replayer and dispatcher and the real store run on one thread, on a clock that jumps from
//! one thing to the next, and a seed decides everything that chance decides elsewhere.
//!
//! A run is a [`History`](history::History): a small world (that of `convergence`), when its events are
//! sent, and sent again, and the weather: calls that fail before or after their effect, come late or end
//! their process; engines that are away; processes that are killed or stand still; wrong clocks;
//! deployments, replays and pauses. The providers try again as the real ones do (`provider`), for days if
//! need be. In the end everything must be acknowledged, and be what the reference says that it is.
//!
//! The queue is in memory and passes the suite of the real queues; the database is the SQLite engine
//! itself, on a file in memory. Not simulated: the spool, retention, a Clerk that throttles or refuses, and
//! what the engines do inside of a call, such as a commit that comes when nobody waits for it any more;
//! those are the business of other tests.
//!
//! 2,000 seeds in an ordinary run. `SIMULATION_SEEDS=1000000` runs more, `SIMULATION_FROM=2000` others.
//! A seed that fails is made smaller and told; `SIMULATION_SEED=17` repeats it alone, step by step.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::available_parallelism;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use self::database::Database;
use self::history::{Fault, History, Seam, histories};
use self::run::{Ending, play};
use self::verdict::judge;

mod database;
mod history;
mod part;
mod process;
mod provider;
mod run;
mod seams;
mod verdict;

const SEEDS: u64 = 2_000;
/// Attempts to make a failing history smaller.
const SHRINKING: usize = 400;

#[test]
fn whatever_goes_wrong_nothing_is_lost_and_everything_is_done_once() {
    if let Some(seed) = setting("SIMULATION_SEED") {
        let database = Arc::new(Database::new());
        let history = history_of(seed).current();
        println!("{history:#?}");
        let ending = play(&history, &database, true);
        judge(&history, &ending).unwrap();
        return;
    }
    let (from, seeds) = (
        setting("SIMULATION_FROM").unwrap_or_default(),
        setting("SIMULATION_SEEDS").unwrap_or(SEEDS),
    );
    let (next, failed) = (AtomicU64::new(from), AtomicBool::new(false));
    let threads = available_parallelism().map_or(1, |threads| threads.get());
    let happened: BTreeSet<(Seam, Fault)> = std::thread::scope(|scope| {
        let explore = || {
            let database = Arc::new(Database::new());
            let mut happened = BTreeSet::new();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= from + seeds || failed.load(Ordering::Relaxed) {
                    return happened;
                }
                if seed > from && (seed - from).is_multiple_of(10_000) {
                    println!("{} of {seeds} seeds", seed - from);
                }
                match try_seed(seed, &database) {
                    Ok(faults) => happened.extend(faults),
                    Err(tree) => {
                        failed.store(true, Ordering::Relaxed);
                        tell(seed, tree, &database);
                    }
                }
            }
        };
        let runs: Vec<_> = (0..threads).map(|_| scope.spawn(explore)).collect();
        runs.into_iter()
            .flat_map(|run| run.join().unwrap())
            .collect()
    });
    let all = Seam::ALL.into_iter().flat_map(|seam| {
        let faults = Fault::ALL.into_iter();
        faults.map(move |fault| (seam, fault.at(seam)))
    });
    let missed: BTreeSet<_> = all.filter(|fault| !happened.contains(fault)).collect();
    assert!(missed.is_empty() || seeds < SEEDS, "never seen: {missed:?}");
}

#[test]
fn a_seed_repeats_step_by_step() {
    let (one, other) = (Arc::new(Database::new()), Arc::new(Database::new()));
    for seed in 0..20 {
        let history = history_of(seed).current();
        let (first, second) = (play(&history, &one, false), play(&history, &other, false));
        let steps = first.steps.iter().zip(&second.steps);
        let differing = steps.enumerate().find(|(_, (one, other))| one != other);
        assert_eq!(differing, None, "seed {seed}");
        assert_eq!(first.steps.len(), second.steps.len(), "seed {seed}");
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a setting of the test, not of the program"
)]
fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("a number"))
}

/// The history of a seed, and how it can be made smaller.
fn history_of(seed: u64) -> impl ValueTree<Value = History> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let chance = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), chance);
    histories().new_tree(&mut runner).unwrap()
}

/// Plays a history; answers what is wrong with its end.
fn try_history(history: &History, database: &Arc<Database>) -> Result<Ending, String> {
    let played = catch_unwind(AssertUnwindSafe(|| play(history, database, false)));
    let ending = played.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        text.unwrap_or_else(|| "something panicked".to_owned())
    })?;
    judge(history, &ending)?;
    Ok(ending)
}

/// Answers what went wrong on the way to an end that is right.
fn try_seed(
    seed: u64,
    database: &Arc<Database>,
) -> Result<BTreeSet<(Seam, Fault)>, Box<impl ValueTree<Value = History>>> {
    let tree = history_of(seed);
    match try_history(&tree.current(), database) {
        Ok(ending) => Ok(ending.happened),
        Err(_) => Err(Box::new(tree)),
    }
}

/// Makes a history smaller that fails, as long as it does, and tells it.
fn tell(seed: u64, mut tree: impl ValueTree<Value = History>, database: &Arc<Database>) -> ! {
    let mut smallest = tree.current();
    let mut wrong = String::new();
    let mut is_another = true;
    for _ in 0..SHRINKING {
        if !is_another {
            break;
        }
        is_another = match try_history(&tree.current(), database) {
            Ok(_) => tree.complicate(),
            Err(still) => {
                (smallest, wrong) = (tree.current(), still);
                tree.simplify()
            }
        };
    }
    panic!(
        "seed {seed} fails, and so does this part of its history:\n{smallest:#?}\n{wrong}\n\
         The whole of it again, step by step:\n\
         SIMULATION_SEED={seed} cargo test --locked --test it simulation::whatever -- --nocapture"
    );
}
