//! A source is paused and resumed while events of it, and a replay, are under way.

use serde_json::{Value, json};

use super::Fleet;
use crate::cli::convergence::{rehearse, send, words};
use crate::cli::process::{CREATED, PAID, Patience, UPDATED};

const WHY: [&str; 4] = ["--execute", "--reason", "OPS-9", "--json"];
/// People who pay before the pause, and as many during it: two events of Clerk's and one of Stripe's
/// each.
const PEOPLE: i64 = 80;

fn story(people: i64) -> Vec<String> {
    let options = format!("--count {} --shuffle --seed 61", 3 * people);
    send(&[CREATED, UPDATED, PAID], &options)
}

impl Fleet {
    async fn until(&self, sql: &'static str, figure: i64) {
        let mut patience = Patience::new();
        while self.count(sql).await != Some(figure) {
            patience.look_again().await;
        }
    }

    fn change(&self, words: &[&str]) -> Value {
        self.home.json(words.iter().copied().chain(WHY))
    }

    fn replay(&self) -> Value {
        self.home.json(["replay", "status", "1", "--json"])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_source_is_acknowledged_put_aside_and_taken_up_with_its_replay() {
    let fleet = Fleet::new().await;
    let (before, meanwhile) = (story(PEOPLE), story(2 * PEOPLE));
    let reference = rehearse(&fleet.home, &fleet.clerk, &[&before, &meanwhile]);
    let _serve = fleet.home.listen("serve");
    let _dispatch = fleet.start("dispatch");
    let workers = ["work", "work"].map(|role| fleet.start(role));
    fleet.home.output(words(&before));
    let applied = "SELECT COUNT(*) FROM events WHERE state = 'applied'";
    fleet.until(applied, 3 * PEOPLE).await;
    assert_eq!(
        fleet.change(&["sources", "pause", "stripe"])["action"]["changed"],
        1
    );

    // Everything is taken from the queue; what is new and Stripe's has no effect.
    let report = fleet.home.json(words(&meanwhile).chain(["--json"]));
    assert_eq!(report["accepted"], 6 * PEOPLE, "{report}");
    fleet.recorded(6 * PEOPLE).await;
    fleet.until(applied, 5 * PEOPLE).await;
    let parked = "SELECT COUNT(*) FROM events WHERE source = 'stripe' AND state = 'queued' \
         AND outcome = 'paused' AND attempts = 0";
    assert_eq!(fleet.count(parked).await, Some(PEOPLE));
    let sessions = "SELECT COUNT(*) FROM checkout_sessions";
    assert_eq!(fleet.count(sessions).await, Some(PEOPLE));

    // Of a replay, what is Clerk's is processed, and the rest waits.
    fleet.change(&["replay", "--all", "--rate", "1000"]);
    let done = "SELECT COUNT(*) FROM replay_events WHERE state = 'done'";
    fleet.until(done, 4 * PEOPLE).await;
    // All of them end: what they had not acknowledged would be at the broker again.
    for work in workers {
        work.stop();
    }
    assert_eq!(fleet.waiting_at_the_broker().await, 0);
    let status = fleet.replay();
    assert_eq!(
        (&status["state"], &status["pending"], &status["queued"]),
        (&json!("running"), &json!(2 * PEOPLE), &json!(0))
    );
    assert_eq!(fleet.count(parked).await, Some(PEOPLE));
    let sources = fleet.home.json(["sources", "list", "--json"]);
    assert_eq!(
        (&sources[1]["source"], &sources[1]["parked"]),
        (&json!("stripe"), &json!(PEOPLE))
    );

    // Processes that begin during the pause keep to it.
    let _workers = ["work", "work"].map(|role| fleet.start(role));
    assert_eq!(
        fleet.change(&["sources", "resume", "stripe"])["action"]["changed"],
        1
    );
    fleet.until(applied, 6 * PEOPLE).await;
    fleet.until(done, 6 * PEOPLE).await;
    let ended = "SELECT COUNT(*) FROM replays WHERE state = 'done'";
    fleet.until(ended, 1).await;
    fleet.come_to_rest(&reference).await;
    fleet.check(&reference).await;
    let well = "SELECT COUNT(*) FROM replay_events WHERE state_after = 'applied' AND error IS NULL";
    assert_eq!(fleet.count(well).await, Some(6 * PEOPLE));
    // Each message was taken once: of the provider, and of the replay. What was put aside needs no
    // message of its own if its replay was faster.
    let of_clerk = "SELECT SUM(deliveries)::bigint FROM events WHERE source = 'clerk'";
    fleet.until(of_clerk, (3 + 2) * 2 * PEOPLE).await;
    let too_few_or_many = "SELECT COUNT(*) FROM events WHERE deliveries NOT BETWEEN 2 AND 3";
    fleet.until(too_few_or_many, 0).await;
    let again = "SELECT COUNT(*) FROM events WHERE attempts = 2";
    assert!(fleet.count(again).await >= Some(5 * PEOPLE), "the replay");
    let most = "SELECT MAX(attempts)::bigint FROM events";
    assert_eq!(fleet.count(most).await, Some(2));
}
