//! `events erase`, and what the other commands say of what is gone.

use hookmirror::store::Store;
use serde_json::{Value, json};

use super::process::Home;
use crate::support::given::{at, by_customer, delete, failing, mirror, record, session_of, user};

const REASON: [&str; 4] = ["--execute", "--reason", "request 12", "--operator=ada"];

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_erased_and_that_is_recorded() {
    let home = Home::new();
    let store = home.store().await;
    let mut failed = failing("evt_2", "charge.refunded", "a place");
    failed.subject = Some("cus_1".to_owned());
    let batch = [
        mirror("msg_1", user("user_a", 0, "Ada")),
        record("evt_1", by_customer("cus_1", session_of("cs_1", "user_a"))),
        failed,
        record("evt_3", by_customer("cus_2", session_of("cs_2", "user_a"))),
        record("evt_4", by_customer("cus_2", session_of("cs_3", "user_b"))),
    ];
    store.apply(&batch, at(0)).await.unwrap();
    store.close().await;

    let erase = ["events", "erase", "user_a"];
    let dry = home.run(erase);
    assert_eq!((dry.code, dry.stderr.as_str()), (Some(3), ""), "{dry:?}");
    for words in [
        "with cs_1, cs_2, cus_1",
        "without cus_2, which is also of user_b",
        "1 event is not finished",
        "would erase 4 payloads",
    ] {
        assert!(dry.stdout.contains(words), "no {words:?} in {}", dry.stdout);
    }
    home.run(erase.into_iter().chain(["--execute"]))
        .failed_with(2, &["--reason"]);
    home.run(["events", "erase", "ada@example.com"])
        .failed_with(2, &["not what events are filed under"]);

    let done = home.output(erase.into_iter().chain(REASON));
    assert!(
        done.contains("erased 4 payloads; recorded as action 2 of ada"),
        "{done}"
    );
    let shown = home.output(["events", "show", "msg_1"]);
    assert!(shown.contains("erased at 20"), "{shown}");
    assert!(shown.contains("its SHA-256 was "), "{shown}");
    let shown = home.json(["events", "show", "evt_2", "--json", "--reveal"]);
    assert_eq!(shown["state"], "failed");
    assert_eq!(
        (&shown["payload_bytes"], shown.get("payload")),
        (&Value::Null, None)
    );
    assert_eq!(shown["payload_gone"]["why"], "erased");
    assert_eq!(shown["payload_gone"]["sha256"].as_str().unwrap().len(), 64);
    assert!(
        home.output(["events", "show", "evt_4"])
            .contains("bytes, masked (--reveal")
    );

    let again = home.output(erase.into_iter().chain(REASON));
    assert!(again.contains("there is no payload to erase"), "{again}");
    let again = home.json(erase.into_iter().chain(["--json"]));
    assert_eq!(
        (&again["types"], &again["action"]),
        (&json!([]), &Value::Null)
    );
    let recorded = home
        .count("SELECT COUNT(*) FROM operator_actions WHERE target = '{\"subjects\":[\"user_a\"]}'")
        .await;
    assert_eq!(recorded, 2);
}

/// `run` sweeps at its start, by the clock of this machine.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_lets_go_of_what_is_overdue_and_doctor_tells_when_none_does() {
    let home = Home::new();
    let store = home.store().await;
    let mut failed = failing("evt_1", "a.type", "a place");
    failed.event.body = "{}".into();
    let batch = [
        mirror("msg_1", user("user_a", 0, "Ada")),
        mirror("msg_2", user("user_b", 0, "Bob")),
        delete("msg_3", "user_a", 5),
        failed,
    ];
    store.apply(&batch, at(0)).await.unwrap();
    store.close().await;
    home.change(
        "UPDATE events SET received_at = '2020-01-01T00:00:00.000Z' WHERE event_id <> 'msg_1'",
    )
    .await;
    home.change("UPDATE user_tombstones SET recorded_at = '2020-01-01T00:00:00.000Z'")
        .await;
    let found = || {
        let findings = home.json(["doctor", "--json"]);
        let findings = findings.as_array().unwrap().clone();
        let of = findings
            .into_iter()
            .filter(|one| one["check"] == "retention");
        of.map(|one| format!("{}: {}", one["level"], one["message"]))
            .collect::<Vec<_>>()
    };
    let overdue = found();
    assert_eq!(overdue.len(), 3, "{overdue:?}");
    for (said, words) in overdue.iter().zip([
        "the oldest payload of a finished event",
        "payloads about a user whose deletion",
        "1 event is not finished",
    ]) {
        assert!(said.contains("warning") && said.contains(words), "{said}");
    }

    let service = home.serve();
    super::process::wait_until("it has swept", || found().len() == 1);
    assert!(found()[0].contains("1 event is not finished"));
    assert!(
        service.stderr().contains("let go: "),
        "{}",
        service.stderr()
    );
    let left = home
        .count("SELECT COUNT(*) FROM events WHERE payload IS NOT NULL")
        .await;
    assert_eq!(left, 1);
    let gone = home
        .count("SELECT COUNT(*) FROM events WHERE payload_gone = 'erased'")
        .await;
    assert_eq!(gone, 2);
}
