//! A replay mends what somebody has damaged, and leaves alone what is right.

use std::collections::BTreeSet;

use hookmirror::model::changes::{Outcome, Planned};
use hookmirror::model::outbox::{DeliveryOutcome, Recipients};
use hookmirror::model::payment::{CheckoutSession, Fact, Invoice, Subscription};
use hookmirror::model::source::SourceName;
use hookmirror::store::Store;
use serde_json::Value;

use super::previews::{cells_of, differences, preview_of, request};
use super::replays::start;
use super::{apply, outcomes, report};
use crate::support::database::Database;
use crate::support::given::{
    at, by_customer, charge, customer, delete, dispute, invoice, mirror, received, record, refund,
    replayed, session_of, subscription, tell, user,
};
use crate::support::rows::Rows;

/// What a replay writes wherever it leads: who asked for it, and that it was processed.
const OF_REPLAYS: &[&str] = &[
    "events",
    "event_attempts",
    "replays",
    "replay_events",
    // How many rows there were.
    "sqlite_sequence",
    "operator_actions",
];

/// Each column of a user, and the damage. Not the revision: it decides whether a state is the one that
/// the mirror shows, and nothing vouches for it.
const OF_A_USER: [(&str, &str); 19] = [
    ("external_id", "UPDATE users SET external_id = NULL"),
    ("email", "UPDATE users SET email = 'eve@example.test'"),
    (
        "email_verified",
        "UPDATE users SET email_verified = (1 = 0)",
    ),
    ("phone", "UPDATE users SET phone = ''"),
    ("username", "UPDATE users SET username = 'Eve'"),
    ("first_name", "UPDATE users SET first_name = 'Eve'"),
    ("last_name", "UPDATE users SET last_name = NULL"),
    ("image_url", "UPDATE users SET image_url = NULL"),
    ("locale", "UPDATE users SET locale = 'de'"),
    ("banned", "UPDATE users SET banned = (1 = 1)"),
    ("locked", "UPDATE users SET locked = (1 = 0)"),
    (
        "public_metadata",
        "UPDATE users SET public_metadata = '{\"a\":1}'",
    ),
    (
        "private_metadata",
        "UPDATE users SET private_metadata = '{\"a\":1}'",
    ),
    (
        "unsafe_metadata",
        "UPDATE users SET unsafe_metadata = '{\"a\":1}'",
    ),
    ("created_at", "UPDATE users SET created_at = NULL"),
    (
        "updated_at",
        "UPDATE users SET updated_at = '2001-01-01T00:00:00.000Z'",
    ),
    (
        "last_sign_in_at",
        "UPDATE users SET last_sign_in_at = '2001-01-01T00:00:00.000Z'",
    ),
    ("data", "UPDATE users SET data = '{}'"),
    ("source", "UPDATE users SET source = 'elsewhere'"),
];

fn ann(event: &str) -> Planned {
    mirror(event, user("user_a", 5, "Ann"))
}

/// One purchase and one subscription of one user, told by all kinds of facts.
fn purchases() -> Vec<Planned> {
    let bought = CheckoutSession {
        payment_intent: Some("pi_1".to_owned()),
        ..by_customer("cus_1", session_of("cs_1", "user_a"))
    };
    let subscribed = Subscription {
        customer: Some("cus_1".to_owned()),
        ..subscription("sub_1")
    };
    let renewed = Invoice {
        subscription: Some("sub_1".to_owned()),
        payment_intent: Some("pi_2".to_owned()),
        ..invoice("in_1")
    };
    let told = [
        record("evt_1", bought),
        tell("evt_2", Fact::Charge(charge("ch_1", "pi_1"))),
        tell("evt_3", Fact::Refund(refund("re_1", "pi_1"))),
        tell("evt_4", Fact::Dispute(dispute("dp_1", "pi_2"))),
        tell("evt_5", Fact::Subscription(subscribed)),
        tell("evt_6", Fact::Invoice(renewed)),
        tell("evt_7", Fact::Customer(customer("cus_1", "user_a", 1))),
    ];
    (0..)
        .zip(told)
        .map(|(n, planned)| received(n, planned))
        .collect()
}

/// Has Clerk take what is due.
async fn deliver(store: &dyn Store, now: i64) {
    let due = store.lease_outbox(&Recipients::All, 10, at(now), at(now + 60));
    for lease in due.await.unwrap() {
        let delivered = store.settle_outbox(&lease, &DeliveryOutcome::Delivered, at(now));
        delivered.await.unwrap();
    }
}

async fn replay(store: &dyn Store, now: i64, planned: &Planned) -> Outcome {
    let id = start(store, now, &[planned.event.key.id.as_str()]).await;
    let [outcome] = outcomes(store, now, &[replayed(id, planned.clone())]).await[..] else {
        panic!("one outcome for one event");
    };
    outcome
}

/// The mirror, without when its rows were written or became due.
async fn mirrored(database: &Database) -> Rows {
    let mut rows = database.rows(OF_REPLAYS).await;
    for (_, row) in &mut rows {
        for column in ["synced_at", "updated_at", "desired_at", "next_attempt_at"] {
            let is_of_user = column == "updated_at" && row.get("revision").is_some();
            if let Some(columns) = row.as_object_mut().filter(|_| !is_of_user) {
                columns.remove(column);
            }
        }
    }
    rows
}

/// Damages the mirror, lets a preview tell how a replay of this event would mend it, and replays it.
async fn mend(database: &Database, now: i64, damage: &'static str, planned: &Planned) -> Outcome {
    let store = &*database.store;
    let right = mirrored(database).await;
    database.execute(damage).await;
    let damaged = database.rows(OF_REPLAYS).await;
    assert_ne!(mirrored(database).await, right, "{damage}");
    let mut of_one = request();
    of_one.filter.ids = vec![planned.event.key.id.clone()];
    let shown = preview_of(store, std::slice::from_ref(planned), of_one).await;
    assert!(!shown.is_without_effect(), "{damage}");
    assert_eq!(database.rows(OF_REPLAYS).await, damaged);

    let outcome = replay(store, now, planned).await;
    let mended = database.rows(OF_REPLAYS).await;
    let done = differences(&damaged, &mended);
    assert_eq!(cells_of(&shown.entities), done, "{damage}");
    assert_eq!(mirrored(database).await, right, "{damage}");
    assert_eq!(shown.events[0].after.state.as_str(), "applied");
    outcome
}

pub(super) async fn every_column_of_a_user_is_mended(database: &Database) {
    let store = &*database.store;
    apply(store, 0, &[ann("msg_1")]).await;
    let rows = database.rows(OF_REPLAYS).await;
    let (_, row) = rows.iter().find(|(table, _)| table == "users").unwrap();
    let columns: BTreeSet<&str> = row.as_object().unwrap().keys().map(|c| &c[..]).collect();
    let damaged = OF_A_USER.iter().map(|(column, _)| *column);
    let vouched = damaged.chain(["id", "revision", "synced_at"]);
    assert_eq!(vouched.collect::<BTreeSet<_>>(), columns);

    for (now, (column, damage)) in (1..).zip(OF_A_USER) {
        let outcome = mend(database, now, damage, &ann("msg_1")).await;
        assert_eq!(outcome, Outcome::UserMirrored, "{column}");
        assert_eq!(
            report(store, "user_a").await.user.unwrap().synced_at,
            at(now)
        );
    }
    let outcome = mend(database, 50, "DELETE FROM users", &ann("msg_1")).await;
    assert_eq!(outcome, Outcome::UserMirrored);
    let outcome = replay(store, 60, &ann("msg_1")).await;
    assert_eq!(outcome, Outcome::UserUnchanged);
}

pub(super) async fn what_follows_from_a_payment_is_mended(database: &Database) {
    let store = &*database.store;
    apply(store, 0, &purchases()).await;
    deliver(store, 1).await;
    let mut now = 10;
    for planned in purchases() {
        for damage in [
            "UPDATE entitlements SET paid = NOT paid",
            "UPDATE entitlements SET reason = 'because', checkout_session_id = NULL",
            "DELETE FROM entitlements",
            // What Clerk holds is known, and right.
            "UPDATE outbox SET desired = '{}'",
        ] {
            now += 1;
            let outcome = mend(database, now, damage, &planned).await;
            assert_eq!(outcome, Outcome::PaymentRecorded);
            let due = store.next_outbox_due(&Recipients::All).await.unwrap();
            assert_eq!(due, None, "{damage}");
        }
    }
    // Clerk was told what is wrong: it is told what is right.
    database
        .execute("UPDATE outbox SET desired = '{}', delivered = '{}'")
        .await;
    replay(store, 100, &purchases()[6]).await;
    let due = store.next_outbox_due(&Recipients::All).await.unwrap();
    assert_eq!(due, Some(at(100)));
}

pub(super) async fn what_is_right_is_not_written(database: &Database) {
    let store = &*database.store;
    let mut again = ann("msg_again");
    again.event.key.source = SourceName::parse("clerk-eu").unwrap();
    let mut all = vec![
        mirror("msg_old", user("user_a", 1, "Anna")),
        ann("msg_1"),
        again,
        mirror("msg_2", user("user_b", 1, "Bob")),
        delete("msg_3", "user_b", 9),
        record("evt_8", session_of("cs_8", "user_b")),
    ];
    all.extend(purchases());
    apply(store, 0, &all).await;
    deliver(store, 1).await;
    let right = database.rows(OF_REPLAYS).await;
    let shown = preview_of(store, &all, request()).await;
    assert!(shown.is_without_effect(), "{:?}", shown.entities);

    for planned in &all {
        let before = match planned.event.key.id.as_str() {
            "msg_old" => Outcome::UserStale,
            "msg_1" | "msg_again" => Outcome::UserUnchanged,
            "msg_2" | "msg_3" => Outcome::UserGone,
            _ => Outcome::PaymentRecorded,
        };
        assert_eq!(replay(store, 20, planned).await, before);
    }
    let ids: Vec<&str> = all.iter().map(|plan| plan.event.key.id.as_str()).collect();
    let id = start(store, 30, &ids).await;
    let batch = all.into_iter().map(|planned| replayed(id, planned));
    apply(store, 31, &batch.collect::<Vec<_>>()).await;
    assert_eq!(database.rows(OF_REPLAYS).await, right);
    let due = store.next_outbox_due(&Recipients::All).await.unwrap();
    assert_eq!(due, None);
}

pub(super) async fn an_older_event_mends_nothing_and_breaks_nothing(database: &Database) {
    let store = &*database.store;
    let old = mirror("msg_old", user("user_a", 1, "Anna"));
    apply(store, 0, &[old.clone(), ann("msg_1")]).await;
    let right = mirrored(database).await;
    database
        .execute("UPDATE users SET first_name = 'Eve'")
        .await;
    let damaged = database.rows(OF_REPLAYS).await;
    let mut of_old = request();
    of_old.filter.ids = vec![old.event.key.id.clone()];
    let shown = preview_of(store, std::slice::from_ref(&old), of_old).await;
    assert!(shown.is_without_effect());
    assert_eq!(replay(store, 1, &old).await, Outcome::UserStale);
    assert_eq!(database.rows(OF_REPLAYS).await, damaged);

    // The newer one mends it, and the older one leaves that alone.
    assert_eq!(replay(store, 2, &ann("msg_1")).await, Outcome::UserMirrored);
    assert_eq!(replay(store, 3, &old).await, Outcome::UserStale);
    assert_eq!(mirrored(database).await, right);
}

pub(super) async fn what_is_told_again_gives_way_to_what_is_newer(database: &Database) {
    let store = &*database.store;
    for newer_first in [false, true] {
        let [told, newer] = [5, 6].map(|time| {
            let name = format!("at {time}");
            mirror(
                &format!("msg_{time}_{newer_first}"),
                user("user_a", time, &name),
            )
        });
        database.execute("DELETE FROM users").await;
        apply(store, 0, std::slice::from_ref(&told)).await;
        database.execute("UPDATE users SET email = NULL").await;
        let id = start(store, 1, &[told.event.key.id.as_str()]).await;
        let mut batch = [replayed(id, told), newer];
        if newer_first {
            batch.reverse();
        }
        apply(store, 2, &batch).await;
        let found = report(store, "user_a").await.user.unwrap();
        assert_eq!(found.first_name.as_deref(), Some("at 6"));
        assert!(found.email.is_some());
    }
}

pub(super) async fn a_user_who_should_be_gone_is_removed(database: &Database) {
    let store = &*database.store;
    let gone = delete("msg_gone", "user_a", 9);
    let batch = [
        mirror("msg_b", user("user_b", 5, "Bob")),
        record("evt_1", session_of("cs_1", "user_a")),
        gone.clone(),
    ];
    apply(store, 0, &batch).await;
    let row_of = |rows: &Rows, of: &str| -> Option<Value> {
        let mut rows = rows.iter().filter(|(table, _)| table == "users");
        let found = rows.find(|(_, row)| row["id"] == of);
        found.map(|(_, row)| row.clone())
    };
    database
        .execute("UPDATE users SET id = 'user_a' WHERE id = 'user_b'")
        .await;
    assert_eq!(replay(store, 1, &batch[0]).await, Outcome::UserMirrored);
    let damaged = database.rows(OF_REPLAYS).await;
    assert!(row_of(&damaged, "user_a").is_some());
    let mut of_one = request();
    of_one.filter.ids = vec![gone.event.key.id.clone()];
    let shown = preview_of(store, std::slice::from_ref(&gone), of_one).await;

    // A delivery as any other finds the user gone, and looks no further.
    let late = delete("msg_late", "user_a", 9);
    assert_eq!(outcomes(store, 2, &[late]).await, [Outcome::UserGone]);
    assert_eq!(database.rows(OF_REPLAYS).await, damaged);

    assert_eq!(replay(store, 3, &gone).await, Outcome::UserDeleted);
    let mended = database.rows(OF_REPLAYS).await;
    assert_eq!(cells_of(&shown.entities), differences(&damaged, &mended));
    assert_eq!(row_of(&mended, "user_a"), None);
    assert!(row_of(&mended, "user_b").is_some());
    assert_eq!(mended.len(), damaged.len() - 1, "and nothing else");
    assert_eq!(replay(store, 4, &gone).await, Outcome::UserGone);
    assert_eq!(database.rows(OF_REPLAYS).await, mended);

    // Nor is what was wanted for them delivered.
    let wake = "UPDATE outbox SET state = 'pending', next_attempt_at = updated_at";
    mend(database, 5, wake, &gone).await;
    let due = store.next_outbox_due(&Recipients::All).await.unwrap();
    assert_eq!(due, None);
}

pub(super) async fn other_deliveries_look_at_revisions_only(database: &Database) {
    let store = &*database.store;
    let bought = || record("evt_1", session_of("cs_1", "user_a"));
    apply(store, 0, &[ann("msg_1"), bought()]).await;
    deliver(store, 1).await;
    for sql in [
        "UPDATE users SET first_name = 'Eve'",
        "DELETE FROM entitlements",
        "UPDATE outbox SET desired = '{}'",
    ] {
        database.execute(sql).await;
    }
    let damaged = database.rows(OF_REPLAYS).await;
    let again = record("evt_2", session_of("cs_1", "user_a"));
    let batch = [ann("msg_1"), ann("msg_2"), bought(), again];
    let unchanged = [
        Outcome::Duplicate,
        Outcome::UserUnchanged,
        Outcome::Duplicate,
        Outcome::PaymentRecorded,
    ];
    assert_eq!(outcomes(store, 2, &batch).await, unchanged);
    assert_eq!(database.rows(OF_REPLAYS).await, damaged);
}
