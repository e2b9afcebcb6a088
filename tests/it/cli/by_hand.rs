//! What an operator does about events and sources: told, done, recorded, and seen everywhere.

use hookmirror::model::changes::Planned;
use hookmirror::model::event::EventType;
use hookmirror::store::Store;
use serde_json::json;

use super::process::{CREATED, Home, PAID, fixture, wait_until};
use crate::support::given::{at, failing, received, record, retry, session};

const REASON: [&str; 4] = ["--execute", "--reason", "OPS-123", "--operator=ada"];

async fn home_with(batch: &[Planned]) -> Home {
    let home = Home::new();
    let store = home.store().await;
    store.apply(batch, at(0)).await.unwrap();
    store.close().await;
    home
}

fn with_reason<'a>(words: &[&'a str]) -> Vec<&'a str> {
    words.iter().copied().chain(REASON).collect()
}

/// A user's event that a broken version could not use.
fn misread() -> Planned {
    let body = std::fs::read(fixture(CREATED)).unwrap();
    let mut planned = failing("msg_1", "user.created", "a place");
    planned.event.body = body.into();
    planned.event.event_type = EventType::parse("user.created").unwrap();
    planned
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_change_is_told_without_names() {
    let home = home_with(&[
        misread(),
        received(1, failing("msg_2", "user.updated", "p")),
        received(2, failing("msg_3", "user.updated", "p")),
    ])
    .await;
    let shown = home.run(["events", "preview"]);
    assert_eq!(
        (shown.code, shown.stderr.as_str()),
        (Some(3), ""),
        "{shown:?}"
    );
    for fact in [
        "clerk/msg_1",
        "applied, user_mirrored",
        "2 × user.updated, such as clerk/msg_2",
        "would fail, stays failed: the payload cannot be used",
        "would be created",
        "first_name           Xxx",
        "previewed 3 of 3 events; nothing was changed",
    ] {
        assert!(shown.stdout.contains(fact), "no {fact:?} in {shown:?}");
    }
    let body: serde_json::Value = serde_json::from_slice(&misread().event.body).unwrap();
    let name = body["data"]["first_name"].as_str().unwrap();
    assert!(!shown.stdout.contains(name), "{shown:?}");
    let shown = home.run(["events", "preview", "--reveal", "--limit=1", "--json"]);
    assert_eq!(shown.code, Some(3));
    assert!(shown.stdout.contains(name), "{shown:?}");
    let told: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(told["matched"], 3);
    assert_eq!(told["events"].as_array().unwrap().len(), 1);

    let nothing = home.output(["events", "preview", "--type", "invoice.*"]);
    assert_eq!(nothing, "no events match\n");
    let listed = home.json(["events", "list", "--state=failed", "--json"]);
    assert_eq!(listed.as_array().unwrap().len(), 3, "nothing was changed");
    let looked = home.json(["actions", "list", "--action=events preview", "--json"]);
    assert_eq!(looked.as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_given_up_or_tried_again() {
    let waits = record("evt_1", session("cs_1"));
    let home = home_with(&[misread(), retry("msg_2"), waits]).await;
    home.run(["events", "discard"]).failed_with(2, &["--all"]);
    home.run(["events", "discard", "--all", "--execute"])
        .failed_with(2, &["--reason"]);
    let plan = home.run(["events", "discard", "--state=failed"]);
    assert_eq!(plan.code, Some(3), "{plan:?}");
    for fact in [
        "failed",
        "user.created",
        "would give up on 1 event",
        "clerk/msg_1",
    ] {
        assert!(plan.stdout.contains(fact), "no {fact:?} in {plan:?}");
    }
    let done = home.output(with_reason(&["events", "discard", "--state=failed"]));
    assert!(
        done.starts_with("gave up on 1 event; recorded as action"),
        "{done}"
    );
    let again = home.output(["events", "discard", "--state=failed"]);
    assert!(again.starts_with("there is nothing to do"), "{again}");

    let none = home.output(["events", "retry", "--id=msg_1"]);
    assert!(
        none.contains("1 discarded; to process these again, replay"),
        "{none}"
    );
    let due = home.json(with_reason(&["events", "retry", "--json"]));
    assert_eq!(
        (&due["action"]["matched"], &due["action"]["changed"]),
        (&json!(0), &json!(0))
    );
    let plan = home.json(with_reason(&["events", "discard", "--all", "--json"]));
    assert_eq!(
        (&plan["action"]["changed"], &plan["tally"][0]["state"]),
        (&json!(2), &json!("retrying"))
    );

    let listed = home.output(["actions", "list"]);
    let actions: Vec<&str> = listed.lines().skip(1).collect();
    assert_eq!(actions.len(), 6, "{listed}");
    for fact in ["ada", "events discard", "2 of 2", "OPS-123", "{}"] {
        assert!(actions[0].contains(fact), "no {fact:?} in {listed}");
    }
    assert!(actions[5].contains("dry run of 1"), "{listed}");
    assert!(actions[5].contains(r#"{"state":["failed"]}"#), "{listed}");
    let page = home.output(["actions", "list", "--limit=2"]);
    let next = "there may be more: hookmirror actions list --limit 2 --after 5";
    assert!(page.contains(next), "{page}");
    let page = home.json(["actions", "list", "--limit=2", "--after=5", "--json"]);
    assert_eq!((&page[0]["id"], &page[1]["id"]), (&json!(4), &json!(3)));
    let none = home.output(["actions", "list", "--operator=nobody"]);
    assert_eq!(none, "no actions match\n");
}

#[test]
fn a_paused_source_is_accepted_put_aside_shown_and_taken_up() {
    let home = Home::new();
    let _service = home.serve();
    home.run(["sources", "pause", "strype"])
        .failed_with(2, &["strype", "clerk, stripe"]);
    let plan = home.run(["sources", "pause", "stripe"]);
    assert_eq!(plan.code, Some(3), "{plan:?}");
    let done = home.output(with_reason(&["sources", "pause", "stripe"]));
    assert!(done.starts_with("paused 1 source; recorded"), "{done}");

    home.output(["send", &fixture(CREATED), &fixture(PAID)]);
    wait_until("both are recorded", || {
        home.json(["events", "stats", "--json"])["recorded"] == 2
    });
    let listed = home.json(["sources", "list", "--json"]);
    assert_eq!(listed[0]["source"], "clerk");
    assert_eq!(
        (&listed[0]["parked"], &listed[0]["pause"]),
        (&json!(0), &json!(null))
    );
    let stripe = &listed[1];
    assert_eq!(
        (&stripe["provider"], &stripe["parked"]),
        (&json!("stripe"), &json!(1))
    );
    assert_eq!(stripe["pause"]["operator"], "ada");
    let stats = home.output(["events", "stats"]);
    assert!(
        stats.contains("1 event of stripe put aside: it is paused"),
        "{stats}"
    );
    let doctor = home.run(["doctor"]).stdout;
    for fact in [
        "stripe has been paused for",
        "by ada (OPS-123)",
        "1 event waits",
    ] {
        assert!(doctor.contains(fact), "no {fact:?} in {doctor}");
    }
    let parked = home.json(["events", "list", "--state=queued", "--json"]);
    assert_eq!(
        (&parked[0]["outcome"], &parked[0]["attempts"]),
        (&json!("paused"), &json!(0))
    );

    let done = home.output(with_reason(&["sources", "resume", "stripe"]));
    assert!(
        done.starts_with("resumed 1 source, with 1 event put aside"),
        "{done}"
    );
    wait_until("it is applied", || {
        let listed = home.json(["events", "list", "--state=applied", "--json"]);
        listed.as_array().unwrap().len() == 2
    });
    assert!(!home.run(["doctor"]).stdout.contains("paused"));
    let table = home.output(["sources", "list"]);
    assert_eq!(table.matches("processed").count(), 2, "{table}");
}
