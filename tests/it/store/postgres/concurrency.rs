//! Many writers and any order: the mirror is what one writer would have made of the same events.
//!
//! Histories of two kinds: some with many events about users and checkouts, and the small worlds of
//! the convergence test, with everything that there is at Stripe.

use std::collections::BTreeSet;
use std::sync::Arc;

use hookmirror::model::changes::Planned;
use hookmirror::model::ledger::UserReport;
use hookmirror::model::payment::Facts;
use hookmirror::model::state::EventState;
use hookmirror::store::Store;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use crate::convergence::worlds::worlds;
use crate::store::everything;
use crate::support::database;
use crate::support::given::{
    at, by_customer, delete, failing, mirror, opened, record, session, session_of, unpaid, user,
    user_id,
};
use crate::support::postgres::TestDatabase;

const ROUNDS: u64 = 25;
const WORLDS: u64 = 40;
const USERS: i64 = 6;
const WRITERS: usize = 4;

fn name(user: i64) -> String {
    format!("user_{user}")
}

/// Few users, customers and sessions, so that everything meets everything.
fn history(rng: &mut StdRng) -> Vec<Planned> {
    let mut events = Vec::new();
    for number in 0..40 {
        let id = name(rng.random_range(0..USERS));
        let event = match rng.random_range(0..10) {
            0 => delete(&format!("msg_{number}"), &id, rng.random_range(0..50)),
            1 => failing(&format!("msg_{number}"), "user.updated", "data.id"),
            2..=4 => {
                let state = user(&id, rng.random_range(0..50), &format!("name {number}"));
                mirror(&format!("msg_{number}"), state)
            }
            _ => {
                let checkout = rng.random_range(0..8);
                let mut fact = if rng.random_bool(0.4) {
                    session_of(&format!("cs_{checkout}"), &id)
                } else {
                    session(&format!("cs_{checkout}"))
                };
                if rng.random_bool(0.6) {
                    fact = by_customer(&format!("cus_{}", checkout % 3), fact);
                }
                if rng.random_bool(0.5) {
                    fact = unpaid(fact);
                }
                record(&format!("evt_{number}"), opened(checkout, fact))
            }
        };
        events.push(event);
    }
    events
}

/// What must be the same however the events came.
async fn end(store: &dyn Store) -> Vec<Option<UserReport>> {
    let mut reports = Vec::new();
    for user in 0..USERS {
        let mut report = store.find_user(&user_id(&name(user))).await.unwrap();
        if let Some(report) = &mut report {
            if let Some(user) = &mut report.user {
                user.synced_at = at(0);
            }
            if let Some(entry) = &mut report.outbox {
                entry.updated_at = at(0);
                entry.next_attempt_at = entry.next_attempt_at.map(|_| at(0));
            }
            // Who lost the last fact is told so; who never had one in this order is not.
            if report.entitlement.is_none() {
                report.outbox = None;
            }
        }
        let nothing = report.as_ref().is_some_and(|report| {
            let no_facts = report.facts == Facts::default();
            report.user.is_none() && report.deleted_at.is_none() && no_facts
        });
        reports.push(report.filter(|_| !nothing));
    }
    reports
}

async fn states(store: &dyn Store) -> BTreeSet<(String, EventState)> {
    let events = everything(store).await;
    events
        .into_iter()
        .map(|event| (event.key.to_string(), event.state))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_make_the_same_mirror_as_one() {
    let mut met = 0;
    for seed in 0..ROUNDS {
        let mut rng = StdRng::seed_from_u64(seed);
        let events = history(&mut rng);
        met += compare(&events, &mut rng, &format!("seed {seed}")).await;
    }
    assert!(met > 0, "the writers never met");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_make_the_same_mirror_of_all_payments() {
    for seed in 0..WORLDS {
        let mut rng = StdRng::seed_from_u64(seed);
        let chance = TestRng::from_seed(RngAlgorithm::ChaCha, &rng.random::<[u8; 32]>());
        let mut runner = TestRunner::new_with_rng(Config::default(), chance);
        let world = worlds().new_tree(&mut runner).unwrap().current();
        compare(&world.planned(), &mut rng, &format!("{seed}: {world:?}")).await;
    }
}

/// Lets one writer and many write the same events. Answers how many events came too late for the many.
async fn compare(events: &[Planned], rng: &mut StdRng, which: &str) -> usize {
    let alone = database::sqlite().await;
    for batch in events.chunks(7) {
        alone.store.apply(batch, at(0)).await.unwrap();
    }

    // Each event two or three times, dealt to writers of two processes.
    let mut deliveries = events.to_vec();
    deliveries.extend(events.iter().cloned());
    deliveries.extend(events.iter().filter(|_| rng.random_bool(0.3)).cloned());
    deliveries.shuffle(rng);
    let all = deliveries.len();
    let database = TestDatabase::migrated().await;
    let processes = [Arc::new(database.store()), Arc::new(database.store())];
    let mut writers = Vec::new();
    for (number, share) in deliveries
        .chunks(all.div_ceil(WRITERS).max(1))
        .map(<[_]>::to_vec)
        .enumerate()
    {
        let store = Arc::clone(&processes[number % 2]);
        let size = rng.random_range(1..20);
        writers.push(tokio::spawn(async move {
            let mut answered = 0;
            for batch in share.chunks(size) {
                answered += store.apply(batch, at(0)).await.unwrap().len();
            }
            answered
        }));
    }
    let mut answered = 0;
    for writer in writers {
        answered += writer.await.unwrap();
    }
    assert_eq!(answered, all, "{which}");

    let store = &*processes[0];
    assert_eq!(end(store).await, end(&*alone.store).await, "{which}");
    assert_eq!(states(store).await, states(&*alone.store).await, "{which}");
    let counted: u64 = everything(store).await.iter().map(|e| e.deliveries).sum();
    assert_eq!(counted, all as u64, "{which}");
    let late = everything(store).await;
    let late = late
        .iter()
        .filter(|event| event.outcome == "user_gone" || event.outcome == "user_stale");
    late.count()
}
