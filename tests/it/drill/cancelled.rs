//! A replay that turns out to be a mistake is stopped half way.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::Row;

use super::bad_release::BadRelease;
use super::with;
use crate::cli::convergence::{send, words};
use crate::cli::process::{CREATED, Home, PAID, Patience, fixture};

const BROKEN: &str = "checkout.session.completed";
const EVENTS: u64 = 300;
/// What an operator may be kept waiting.
const SOON: Duration = Duration::from_secs(2);

async fn texts(home: &Home, sql: &'static str) -> BTreeSet<String> {
    let mut database = home.database().await;
    let rows = sqlx::query(sql).fetch_all(&mut database).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// What of the replay was done or not, and what the mirror has of it.
#[derive(Debug, PartialEq)]
struct Standing {
    report: Value,
    applied: BTreeSet<String>,
    failed: BTreeSet<String>,
    mirrored: BTreeSet<String>,
    paid: i64,
}

async fn standing(home: &Home) -> Standing {
    let every = ["--events", "--limit=1000", "--json"];
    let told = home.json(["replay", "status", "1"].into_iter().chain(every));
    let applied = "SELECT event_id FROM events WHERE state = 'applied' AND source = 'stripe'";
    let failed = "SELECT event_id FROM events WHERE state = 'failed'";
    Standing {
        report: told,
        applied: texts(home, applied).await,
        failed: texts(home, failed).await,
        mirrored: texts(home, "SELECT id FROM checkout_sessions").await,
        paid: home
            .count("SELECT COUNT(*) FROM entitlements WHERE paid")
            .await,
    }
}

/// The ids or subjects of those events of the replay that ended like this.
fn ended(report: &Value, step: &str, name: &str) -> BTreeSet<String> {
    let events = with(&report["events"], "step", step).into_iter();
    events
        .map(|event| event[name].as_str().unwrap().to_owned())
        .collect()
}

async fn until_done(home: &Home, id: &str, events: u64) {
    let mut patience = Patience::new();
    while home.json(["replay", "status", id, "--json"])["done"].as_u64() < Some(events) {
        patience.look_again().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_cancelled_half_way_stops_and_tells_what_was_done() {
    let home = Home::new();
    let bad = BadRelease::start(&home, BROKEN).await;
    let story = send(&[PAID], &format!("--count {EVENTS} --seed 52"));
    home.output(words(&story));
    assert_eq!(bad.work_through(EVENTS as usize).await as u64, EVENTS);
    bad.stop().await;
    let _service = home.serve();
    let why = ["--execute", "--json", "--reason", "OPS-8"];
    let failed = ["replay", "--state=failed", "--rate=50"].into_iter();
    home.json(failed.chain(why));
    until_done(&home, "1", EVENTS / 2).await;

    let asked = Instant::now();
    let cancelled = home.json(["replay", "cancel", "1"].into_iter().chain(why));
    assert_eq!(cancelled["state"], "cancelled");
    let of = |name: &str| cancelled[name].as_u64().unwrap();
    let (done, left) = (of("done"), of("cancelled"));
    assert_eq!((done + left, of("total")), (EVENTS, EVENTS), "{cancelled}");
    assert!((EVENTS / 2..EVENTS).contains(&done), "{cancelled}");
    assert_eq!(cancelled["action"]["changed"], left);

    // From the answer on; messages that are still on their way only count.
    let then = standing(&home).await;
    let report = &then.report;
    assert_eq!(
        (&report["done"], &report["cancelled"]),
        (&json!(done), &json!(left))
    );
    for open in ["held", "pending", "queued"] {
        assert_eq!(report[open], 0, "{report}");
    }
    assert_eq!(ended(report, "done", "event_id"), then.applied);
    assert_eq!(ended(report, "done", "subject"), then.mirrored);
    assert_eq!(ended(report, "cancelled", "event_id"), then.failed);
    let sizes = [then.applied.len(), then.mirrored.len()].map(|len| len as u64);
    assert_eq!((sizes, then.failed.len() as u64), ([done, done], left));
    assert_eq!(then.paid, i64::try_from(done).unwrap());
    let mut patience = Patience::new();
    while home.json(["events", "stats", "--json"])["queue"]["messages"] != 0 {
        patience.look_again().await;
    }
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());

    // The workers and what hands out the events of replays have long come by again.
    home.output(["send", &fixture(CREATED)]);
    let mut patience = Patience::new();
    while home.count("SELECT COUNT(*) FROM users").await == 0 {
        patience.look_again().await;
    }
    home.json(["replay", "--source=clerk"].into_iter().chain(why));
    until_done(&home, "2", 1).await;
    assert_eq!(standing(&home).await, then);
    let again = home.json(["replay", "cancel", "1"].into_iter().chain(why));
    assert_eq!(
        (&again["done"], &again["action"]["matched"]),
        (&json!(done), &json!(0))
    );
}
