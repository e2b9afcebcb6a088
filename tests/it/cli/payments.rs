//! `payments`, and what `users show`, `doctor` and `events` say of them.

use hookmirror::model::changes::Planned;
use hookmirror::model::payment::{Customer, DisputeStatus, Fact, NamedUser};
use hookmirror::store::Store;
use serde_json::json;

use super::process::Home;
use crate::support::facts::{dispute, invoice, refund, subscription};
use crate::support::given::{
    at, by_customer, delete, mirror, opened, record, session, session_of, tell, unpaid, user,
    user_id,
};

const REASON: [&str; 4] = ["--execute", "--reason", "asked support", "--operator=ada"];

async fn home_with(batch: &[Planned]) -> Home {
    let home = Home::new();
    let store = home.store().await;
    store.apply(batch, at(0)).await.unwrap();
    store.close().await;
    home
}

/// Everything in one column, so that tests do not depend on its width.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_found_given_and_recorded() {
    let first = by_customer("cus_1", session("cs_1"));
    let second = opened(5, by_customer("cus_1", unpaid(session("cs_2"))));
    let home = home_with(&[
        mirror("msg_1", user("user_a", 0, "Ada")),
        record("evt_1", first),
        record("evt_2", second),
    ])
    .await;

    // Their times are long ago by the clock of this machine, or far ahead: both are told.
    home.change("UPDATE events SET received_at = '2026-01-01T00:00:00.000Z'")
        .await;
    let listed = home.output(["payments", "waiting"]);
    let line = listed.lines().nth(1).unwrap();
    let line = squeezed(line);
    assert!(line.starts_with("cs_1 "), "{listed}");
    assert!(
        line.ends_with("days cus_1 4900 eur complete, paid 1"),
        "{line}"
    );
    let listed = home.json(["payments", "waiting", "--json"]);
    assert_eq!(listed[0]["id"], "cs_1");
    assert_eq!(listed[0]["oldest_received_at"], "2026-01-01T00:00:00.000Z");
    assert_eq!(listed[0]["amount"], 4900);
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let listed = home.output(["events", "list", "--state=waiting"]);
    assert!(listed.contains("hookmirror payments waiting"), "{listed}");
    let stats = home.output(["events", "stats"]);
    assert!(
        stats.contains("2 payments without a user, waiting for up to "),
        "{stats}"
    );
    let stats = home.json(["events", "stats", "--json"]);
    assert_eq!(
        stats["waiting"],
        json!({"payments": 2, "events": 2, "oldest_received_at": "2026-01-01T00:00:00.000Z"})
    );
    let said = home.output(["doctor"]);
    let finding = said
        .lines()
        .find(|line| line.contains(" payments "))
        .unwrap();
    for word in [
        "!",
        "2 payments wait for their users",
        "days",
        "payments attribute",
    ] {
        assert!(finding.contains(word), "no {word:?} in {finding}");
    }

    let give = ["payments", "attribute", "cs_1", "user_a"];
    let dry = home.run(give);
    assert_eq!((dry.code, dry.stderr.as_str()), (Some(3), ""), "{dry:?}");
    for words in [
        "cs_1 belongs to nobody",
        "customer cus_1",
        "cs_1 nobody → user_a cs_2 nobody → user_a",
        "user_a without any payment → paid: checkout cs_1 is paid",
        "would move 2 payments; with --execute --reason TEXT it does",
    ] {
        let text = squeezed(&dry.stdout);
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    let shown = home.json(["users", "show", "user_a", "--json"]);
    assert_eq!(shown["entitlement"], serde_json::Value::Null);
    home.run(give.into_iter().chain(["--execute"]))
        .failed_with(2, &["--reason"]);

    let done = home.output(give.into_iter().chain(REASON));
    assert!(
        done.contains("moved 2 payments; recorded as action 2 of ada"),
        "{done}"
    );
    assert_eq!(
        home.output(["payments", "waiting"]),
        "no payment waits for its user\n"
    );
    assert_eq!(
        home.json(["events", "stats", "--json"])["waiting"]["payments"],
        0
    );
    let shown = home.output(["users", "show", "user_a"]);
    for words in [
        "→ paid, checkout_paid: checkout cs_1 is paid",
        "checkout, complete, paid, 4900 eur, given by hand",
        "customer cus_1 is this user's, known by cs_1",
        "rule checkout_paid; the only one that gives access",
    ] {
        assert!(squeezed(&shown).contains(words), "no {words:?} in {shown}");
    }

    // Asked for again, there is nothing to do, and that is no finding.
    let again = home.output(give.into_iter().chain(REASON));
    assert!(
        again.contains("whom somebody gave it to: there is nothing to do"),
        "{again}"
    );
    let recorded = home
        .count("SELECT COUNT(*) FROM operator_actions WHERE action = 'payments attribute'")
        .await;
    assert_eq!(recorded, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_should_not_be_given_is_refused_with_its_reason() {
    let home = home_with(&[
        mirror("msg_1", user("user_a", 0, "Ada")),
        mirror("msg_2", user("user_gone", 0, "Gone")),
        delete("msg_3", "user_gone", 5),
        record("evt_1", session_of("cs_1", "user_b")),
        record("evt_2", session("cs_2")),
    ])
    .await;
    let attribute = |session, user, more: &[&'static str]| {
        let words = ["payments", "attribute", session, user].into_iter();
        home.run(words.chain(more.iter().copied()))
    };
    attribute("cs_9", "user_a", &[])
        .failed_with(1, &["no Checkout Session", "cs_9", "payments waiting"]);
    attribute("cs_1", "user_a", &REASON).failed_with(
        1,
        &["cs_1 belongs to user_b", "whom it names", "--reassign"],
    );
    attribute("cs_2", "user_c", &REASON)
        .failed_with(1, &["user_c is not mirrored", "--unmirrored"]);
    attribute("cs_2", "user_gone", &["--unmirrored"]).failed_with(1, &["user_gone was deleted at"]);
    attribute("pi_2", "user_a", &[]).failed_with(2, &["neither a Checkout Session"]);
    attribute("cs_2", "ada@example.com", &[]).failed_with(2, &["not a user id"]);
    let recorded = home.count("SELECT COUNT(*) FROM operator_actions").await;
    assert_eq!(recorded, 0, "what is refused changes nothing");

    let taken = attribute("cs_1", "user_a", &["--reassign", "--json"]);
    assert_eq!(taken.code, Some(3), "{taken:?}");
    let taken: serde_json::Value = serde_json::from_str(&taken.stdout).unwrap();
    assert_eq!(taken["before"]["owner"], "user_b");
    assert_eq!(taken["because"], "named");
    assert_eq!(taken["verdicts"][1]["user"], "user_b");
    assert_eq!(taken["verdicts"][1]["before"]["paid"], true);
    assert_eq!(taken["verdicts"][1]["after"], serde_json::Value::Null);
    assert_eq!(taken["action"]["dry_run"], true);
    assert_eq!(taken["action"]["target"]["from"], "user_b");

    let early = attribute(
        "cs_2",
        "user_c",
        &["--unmirrored"]
            .into_iter()
            .chain(REASON)
            .collect::<Vec<_>>(),
    );
    assert_eq!(early.code, Some(0), "{early:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_explained_purchase_by_purchase() {
    let mut bought = opened(1, by_customer("cus_1", session_of("cs_1", "user_a")));
    bought.payment_intent = Some("pi_1".to_owned());
    let mut begun = opened(2, by_customer("cus_1", session_of("cs_2", "user_a")));
    begun.subscription = Some("sub_1".to_owned());
    let mut subscribed = subscription("sub_1");
    subscribed.created_at = at(2);
    subscribed.customer = Some("cus_1".to_owned());
    let mut partial = refund("re_2", "pi_2", 900);
    partial.created_at = at(30);
    let customer = Customer {
        id: "cus_1".to_owned(),
        named_user: NamedUser {
            at: at(-9),
            id: user_id("user_b"),
        },
    };
    let home = home_with(&[
        mirror("msg_1", user("user_a", 0, "Ada")),
        record("evt_1", bought),
        tell("evt_2", Fact::Refund(refund("re_1", "pi_1", 4900))),
        record("evt_3", begun),
        tell("evt_4", Fact::Subscription(subscribed)),
        tell("evt_5", Fact::Invoice(invoice("in_1", "sub_1", "pi_2"))),
        tell("evt_6", Fact::Refund(partial)),
        tell(
            "evt_7",
            Fact::Dispute(dispute("dp_1", "pi_2", DisputeStatus::Won)),
        ),
        tell("evt_8", Fact::Customer(customer)),
        tell("evt_9", Fact::Refund(refund("re_9", "pi_9", 1))),
    ])
    .await;
    let shown = home.output(["users", "show", "user_a"]);
    let places: Vec<_> = [
        "cs_1 checkout",
        "re_1 refund",
        "sub_1 is active",
        "cs_2 checkout",
        "sub_1 subscription",
        "in_1 invoice",
        "dp_1 dispute",
        "re_2 refund",
    ]
    .map(|words| {
        squeezed(&shown)
            .find(words)
            .unwrap_or_else(|| panic!("no {words:?} in {shown}"))
    })
    .to_vec();
    assert!(places.is_sorted_by(|a, b| a < b), "{shown}");
    for words in [
        "not paid, refunded_in_full: the payment of checkout cs_1 was refunded in full",
        "→ paid, subscription_active: subscription sub_1 is active",
        "invoice, paid, 1900 eur, subscription_cycle",
        "dispute, won, 1900 eur, fraudulent",
        "customer cus_1 is user_b's, known by cus_1",
        "paid: subscription sub_1 is active rule subscription_active; the only one that gives access",
    ] {
        assert!(squeezed(&shown).contains(words), "no {words:?} in {shown}");
    }
    assert!(
        !shown.contains("re_9"),
        "a refund of nobody's purchase is not this user's"
    );

    let shown = home.json(["users", "show", "user_a", "--json"]);
    for (list, ids) in [
        ("checkout_sessions", json!(["cs_1", "cs_2"])),
        ("subscriptions", json!(["sub_1"])),
        ("invoices", json!(["in_1"])),
        ("refunds", json!(["re_1", "re_2"])),
        ("disputes", json!(["dp_1"])),
        ("customers", json!(["cus_1"])),
        ("charges", json!([])),
    ] {
        let found: Vec<_> = shown[list]
            .as_array()
            .unwrap()
            .iter()
            .map(|fact| &fact["id"])
            .collect();
        assert_eq!(json!(found), ids, "{list}");
    }
    assert_eq!(
        shown["customer_links"],
        json!([{"customer": "cus_1", "user": "user_b", "known_by": "cus_1"}])
    );
    assert_eq!(shown["purchases"][0]["rule"], "refunded_in_full");
    assert_eq!(shown["purchases"][1]["paid"], true);
    assert_eq!(shown["entitlement"]["rule"], "subscription_active");
}
