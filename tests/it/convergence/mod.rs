//! Promises P3, P4, P5 and P7 for everything that exists: whatever the order, the duplicates, the
//! batches and the crashes, the mirror, the entitlements and Clerk's metadata end the same.
//!
//! A case is a small world (`history`): users with their states and deletions, checkouts with what
//! Stripe tells of them, and of customers, subscriptions, invoices, refunds, disputes and charges
//! (`payments`), events that nobody can use. Its events are delivered in any order, some
//! several times, in batches of any size, to the real worker, store, scheduler and dispatcher
//! (`pipeline`). The workers may learn of Stripe only after some batches: until then its events are
//! tried again. And any call at a seam may be the last thing a process does, before or after it took
//! effect (`crash`). What must come of it is computed from the world by a model so simple that it can
//! be read (`reference`); every fact must end as it says, and every event in the state that it says.
//! The cases of a run must together come to every verdict there is.
//!
//! 10,000 cases in an ordinary run. `CONVERGENCE_CASES=1000000` runs more.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::thread::available_parallelism;
use std::time::Duration;

use hookmirror::model::entitlement::Rule;
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestRunner};

use self::history::World;
use self::pipeline::{Pipeline, Schedule};
use self::reference::Mirror;

pub(crate) mod crash;
pub(crate) mod history;
mod payments;
mod pipeline;
pub(crate) mod reference;
pub(crate) mod tables;
pub(crate) mod worlds;

const CASES: u32 = 10_000;
/// A case takes milliseconds; one that takes this long will never end.
const STUCK: Duration = Duration::from_secs(20);
const REGRESSIONS: &str = "tests/it/convergence/regressions.txt";

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a setting of the test, not of the program"
)]
fn any_order_any_batches_any_crash_the_same_end() {
    let cases = std::env::var("CONVERGENCE_CASES")
        .map_or(CASES, |cases| cases.parse().expect("a number of cases"));
    let threads = available_parallelism().map_or(1, |threads| threads.get() as u32);
    let verdicts = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| explore(cases.div_ceil(threads))))
            .collect();
        let runs = runs.into_iter().flat_map(|run| run.join().unwrap());
        runs.collect::<BTreeSet<String>>()
    });
    // The other policy has none of its own.
    let all = Rule::ALL
        .iter()
        .filter(|rule| **rule != Rule::SubscriptionPastDue);
    let missed: Vec<_> = all
        .filter(|rule| !verdicts.contains(rule.as_str()))
        .collect();
    assert!(missed.is_empty() || cases < CASES, "never seen: {missed:?}");
}

/// Answers which rules gave a verdict.
fn explore(cases: u32) -> BTreeSet<String> {
    let verdicts = RefCell::new(BTreeSet::new());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let pipeline = runtime.block_on(Pipeline::set_up());
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
        max_shrink_iters: 4096,
        ..Config::default()
    });
    let cases = worlds::worlds().prop_flat_map(|world| {
        let events = world.events().len();
        (Just(world), pipeline::schedules(events))
    });
    let result = runner.run(&cases, |(world, schedule)| {
        let seen = runtime.block_on(check(&pipeline, &world, &schedule))?;
        let rules = seen
            .entitlements
            .into_values()
            .map(|entitled| entitled.rule);
        verdicts.borrow_mut().extend(rules);
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
    verdicts.into_inner()
}

async fn check(
    pipeline: &Pipeline,
    world: &World,
    schedule: &Schedule,
) -> Result<Mirror, TestCaseError> {
    let seen = tokio::time::timeout(STUCK, pipeline.play(world, schedule))
        .await
        .map_err(|_| TestCaseError::fail("the pipeline came to no end"))?;
    let expected = reference::of(world);
    prop_assert_eq!(&seen.users, &expected.users);
    prop_assert_eq!(&seen.members, &expected.members);
    prop_assert_eq!(&seen.facts, &expected.facts);
    prop_assert_eq!(&seen.entitlements, &expected.entitlements);
    prop_assert_eq!(&seen.at_clerk, &expected.at_clerk);
    prop_assert_eq!(&seen.states, &expected.states);
    Ok(seen)
}
