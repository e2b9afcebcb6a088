//! Every step of every scenario fails once, in every way; in the end all is as if nothing had failed.
//!
//! Actors: a [`World`](world::World) is one run of a scenario, with the real roles on a real database;
//! its [`Steps`](steps::Steps) count the calls at all seams and let one of them go wrong; the
//! [`Comparison`] holds its end against that of the undisturbed run, by THE table in [`leeway`].
//!
//! No step is chosen by hand. A scenario is run with its first call failing, then its second, and so on
//! until a run in which none fails; and that for each [`Fault`]. A role whose call failed does what it
//! does then; one that is gone is built anew, as a supervisor would; leases run out by a clock that is
//! set by hand. Guaranteed by that: a single failure at any call loses nothing and doubles nothing,
//! promises P1 and P3 to P8, and delays by no more than a lease and a wait. NOT tried here: two
//! failures in one run (the convergence tests do), and what happens inside of a call: that is tried in
//! [`wires`] and [`broker`], where connections to real servers are cut at every message.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use self::end::{Comparison, End};
use self::steps::{Fault, Trip};
use self::world::{Run, World};
use crate::support::rows::Rows;

mod broker;
mod clerk;
mod deeds;
mod end;
mod events;
mod leeway;
mod loops;
mod operators;
mod replays;
mod retention;
mod roles;
mod seams;
mod server;
mod sources;
mod spool;
mod steps;
mod told;
mod wires;
mod world;

/// Each is a test of its own; and what all of them call is told.
macro_rules! scenarios {
    ($($area:ident: $($scenario:ident)+;)+) => {
        $($(#[tokio::test]
        async fn $scenario() {
            survive(stringify!($scenario), $area::$scenario).await;
        })+)+

        async fn calls_of_all() -> BTreeSet<&'static str> {
            let mut calls = BTreeSet::new();
            $($(
                let run = undisturbed(stringify!($scenario), &$area::$scenario).await;
                calls.extend(run.calls);
            )+)+
            calls
        }
    };
}

scenarios! {
    events:
        two_providers_are_let_in
        a_batch_of_all_sorts
        an_unknown_source_is_known_later
        a_payment_waits_for_its_user
        a_dead_letter_is_recorded
        the_database_is_away_for_a_moment;
    clerk:
        metadata_is_delivered_or_not
        a_key_is_refused_for_a_while;
    replays:
        a_replay_goes_to_its_end
        two_events_are_replayed
        a_replay_is_cancelled;
    sources:
        a_source_is_paused_and_resumed;
    operators:
        events_are_retried_and_discarded
        metadata_is_sent_again_or_given_up
        failures_are_acknowledged_and_resolved
        a_payment_is_given_to_a_user
        a_look_ahead_is_recorded
        a_person_is_erased;
    retention:
        what_is_old_goes
        all_that_is_old_goes_at_once;
    spool:
        what_is_spooled_is_relayed;
    loops:
        the_scheduler_runs_by_itself
        the_dispatcher_runs_by_itself
        another_policy_is_heeded;
}

/// The run in which nothing goes wrong.
struct Undisturbed {
    end: End,
    deeds: Arc<Vec<Rows>>,
    steps: usize,
    calls: BTreeSet<&'static str>,
}

async fn undisturbed(scenario: &'static str, play: &impl AsyncFn(&World)) -> Undisturbed {
    let world = World::new(Run {
        scenario,
        trip: None,
        wanted: Arc::default(),
    })
    .await;
    play(&world).await;
    let seen = world.steps.seen();
    Undisturbed {
        end: world.end().await,
        steps: seen.made.len(),
        calls: seen.names(),
        deeds: Arc::new(world.deeds.into_inner().unwrap()),
    }
}

/// See the module.
async fn survive(scenario: &'static str, play: impl AsyncFn(&World)) {
    let undisturbed = undisturbed(scenario, &play).await;
    let mut comparison = Comparison::of(scenario);
    let mut failures = Vec::new();
    for fault in Fault::ALL {
        for step in 1.. {
            let run = Run {
                scenario,
                trip: Some(Trip { step, fault }),
                wanted: Arc::clone(&undisturbed.deeds),
            };
            let world = World::new(run).await;
            play(&world).await;
            if world.steps.seen().tripped.is_none() {
                assert_eq!(step, undisturbed.steps + 1, "{scenario}, {fault:?}");
                break;
            }
            let differences = comparison.differences(&undisturbed.end, &world.end().await);
            failures.extend(differences.iter().map(|what| world.tell(what)));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    let unneeded = comparison.unneeded();
    assert!(unneeded.is_empty(), "no run needs {unneeded:?}");
}

/// What only operators and dashboards ask, and what changes nothing: it is tried again by whoever asks.
const ONLY_READ: &[&str] = &[
    "count_events",
    "count_outbox",
    "find_event",
    "find_outbox",
    "find_replay",
    "last_received",
    "list_actions",
    "list_failures",
    "oldest_unapplied",
    "operator_actions",
    "overdue",
    "page_events",
    "replayed_events",
    "replays_of",
    "running_replays",
    "survey",
    "timeline",
    "waiting_payments",
];
/// What a process does before it has roles: it ends if that fails.
const BEFORE_THE_START: [&str; 2] = ["migrate", "pending_migrations"];

/// A method of the store that roles or deeds call, and that no scenario reaches, is never tried.
#[tokio::test]
async fn every_call_of_the_store_is_tripped_or_only_reads() {
    let calls = calls_of_all().await;
    let methods = methods_of_the_store();
    assert!(methods.len() > 50, "{methods:?}");
    let untried: Vec<_> = methods
        .iter()
        .filter(|method| !calls.contains(method.as_str()))
        .map(String::as_str)
        .filter(|method| !BEFORE_THE_START.contains(method))
        .collect();
    assert_eq!(untried, ONLY_READ);
    // Those of the other seams.
    for call in [
        "publish",
        "publish_in_order",
        "ready",
        "take",
        "ack",
        "take_dead",
        "ack_dead",
        "merge_public_metadata",
    ] {
        assert!(calls.contains(call), "{call}");
    }
}

/// What each trait of the store declares, without those methods that are made of others.
fn methods_of_the_store() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let mut methods = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_file() {
            continue;
        }
        let text = fs::read_to_string(path).unwrap();
        let traits = text.split("\npub trait ").skip(1);
        for body in traits.map(|rest| rest.split("\n}\n").next().unwrap()) {
            let signatures = body.split("    async fn ").skip(1);
            let declared = signatures.filter(|it| it.find(';') < it.find('{').or(Some(usize::MAX)));
            let name = |it: &str| it.split(['(', '<']).next().unwrap().to_owned();
            methods.extend(declared.map(name));
        }
    }
    methods
}
