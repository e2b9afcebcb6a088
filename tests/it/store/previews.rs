//! What processing would change, told without changing anything.

use std::collections::{BTreeMap, BTreeSet};

use hookmirror::model::changes::{Decision, Failure, Planned};
use hookmirror::model::event::{Event, EventKey};
use hookmirror::model::ledger::EventFilter;
use hookmirror::model::operator::Operator;
use hookmirror::model::payment::{CheckoutSession, Fact};
use hookmirror::model::preview::{EntityChange, EntityKind, EntityPreview};
use hookmirror::model::state::EventState;
use hookmirror::model::time::Timestamp;
use hookmirror::ops::preview::{Preview, Request, preview};
use hookmirror::store::Store;
use serde_json::{Value, json};

use super::{apply, everything, state_of};
use crate::support::database::Database;
use crate::support::given::{
    at, by_customer, charge, customer, delete, dispute, failing, ignore, invoice, key, mirror,
    received, record, refund, session, session_of, subscription, tell, user,
};

/// Where what people asked for is recorded.
const RECORD: &[&str] = &["operator_actions"];

/// The same event, as a version sees it that cannot use it.
fn bad(planned: &Planned) -> Planned {
    let kind = &planned.event.event_type;
    let failure = Failure::new("handler_broken", "a place", kind, "it is broken".to_owned());
    Planned {
        decision: Decision::Fail(failure),
        ..planned.clone()
    }
}

pub(super) fn request() -> Request {
    Request {
        filter: EventFilter::default(),
        limit: 1000,
        reveal: true,
        operator: Operator::parse("ann").unwrap(),
    }
}

/// What the events would do, decided as it is here.
pub(super) async fn preview_of(store: &dyn Store, plans: &[Planned], request: Request) -> Preview {
    let plans: BTreeMap<&EventKey, &Planned> = plans
        .iter()
        .map(|planned| (&planned.event.key, planned))
        .collect();
    let decide = |event: Event| Planned {
        event: event.clone(),
        ..plans[&event.key].clone()
    };
    preview(store, &decide, request, at(100)).await.unwrap()
}

fn in_order(plans: impl IntoIterator<Item = Planned>) -> Vec<Planned> {
    (0..)
        .zip(plans)
        .map(|(n, plan)| received(n, plan))
        .collect()
}

/// What is known from before.
fn before() -> Vec<Planned> {
    in_order([
        mirror("msg_old_a", user("user_a", 1, "Ann")),
        mirror("msg_old_b", user("user_b", 1, "Bob")),
        record("evt_old_1", session_of("cs_old", "user_a")),
        record("evt_old_2", by_customer("cus_w", session("cs_waiting"))),
        ignore("evt_old_3", "a.type"),
    ])
}

/// Something of everything.
fn later() -> Vec<Planned> {
    let paid = CheckoutSession {
        payment_intent: Some("pi_1".to_owned()),
        ..by_customer("cus_1", session_of("cs_1", "user_c"))
    };
    in_order([
        mirror("msg_1", user("user_a", 5, "Anna")),
        mirror("msg_2", user("user_a", 5, "Anna")),
        mirror("msg_3", user("user_a", 3, "Annie")),
        delete("msg_4", "user_b", 9),
        mirror("msg_5", user("user_c", 2, "Cid")),
        record("evt_1", paid),
        tell("evt_2", Fact::Charge(charge("ch_1", "pi_1"))),
        tell("evt_3", Fact::Refund(refund("re_1", "pi_1"))),
        tell("evt_4", Fact::Dispute(dispute("dp_1", "pi_1"))),
        tell("evt_5", Fact::Invoice(invoice("in_1"))),
        tell("evt_6", Fact::Subscription(subscription("sub_1"))),
        tell("evt_7", Fact::Customer(customer("cus_w", "user_d", 1))),
        ignore("evt_8", "b.type"),
    ])
}

fn all() -> Vec<Planned> {
    before().into_iter().chain(later()).collect()
}

/// What is known from before is applied; the rest has failed.
async fn given(store: &dyn Store) {
    apply(store, 10, &before()).await;
    let failed: Vec<Planned> = later().iter().map(bad).collect();
    apply(store, 11, &failed).await;
}

pub(super) async fn a_preview_leaves_every_row_as_it_was(database: &Database) {
    let store = &*database.store;
    given(store).await;
    let before = database.rows(RECORD).await;
    assert!(before.len() > 30, "{before:?}");
    let shown = preview_of(store, &all(), request()).await;
    assert!(!shown.is_without_effect());
    assert_eq!(database.rows(RECORD).await, before);

    let actions = store.operator_actions(10).await.unwrap();
    assert_eq!(actions, [shown.action]);
    let action = &actions[0];
    assert_eq!(action.action, "events preview");
    assert_eq!(action.operator.as_str(), "ann");
    let counts = (action.matched, action.changed, action.dry_run);
    assert_eq!(counts, (18, 0, true));
}

/// Each kind, its table, and what names a row.
const TABLES: [(EntityKind, &str, &str); 11] = [
    (EntityKind::User, "users", "id"),
    (EntityKind::UserTombstone, "user_tombstones", "id"),
    (EntityKind::CheckoutSession, "checkout_sessions", "id"),
    (EntityKind::Subscription, "subscriptions", "id"),
    (EntityKind::Invoice, "invoices", "id"),
    (EntityKind::Charge, "charges", "id"),
    (EntityKind::Refund, "refunds", "id"),
    (EntityKind::Dispute, "disputes", "id"),
    (EntityKind::Customer, "customers", "id"),
    (EntityKind::Entitlement, "entitlements", "user_id"),
    (EntityKind::Metadata, "outbox", "user_id"),
];

/// Whether a preview leaves a column out, or only sums it up.
fn is_left_out(kind: EntityKind, column: &str) -> bool {
    match kind {
        EntityKind::User => ["id", "data", "synced_at"].contains(&column),
        // When the deletion was recorded is of the moment in which that is done.
        EntityKind::UserTombstone => ["id", "recorded_at"].contains(&column),
        EntityKind::Entitlement => ["user_id", "updated_at"].contains(&column),
        EntityKind::Metadata => !["state", "desired"].contains(&column),
        _ => column == "id",
    }
}

/// What differs: by kind, row and column.
pub(super) type Cells = BTreeMap<(EntityKind, String, String), [String; 2]>;

/// One value in one way, whichever engine it comes from.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(flag) => u8::from(*flag).to_string(),
        Value::String(text) => match Timestamp::parse_rfc3339(text) {
            Some(time) => time.to_string(),
            None => match serde_json::from_str(text) {
                Ok(json @ Value::Object(_)) => json.to_string(),
                _ => text.clone(),
            },
        },
        value => value.to_string(),
    }
}

/// What two looks at all tables tell, in the terms of a preview.
pub(super) fn differences(before: &[(String, Value)], after: &[(String, Value)]) -> Cells {
    let mut cells = Cells::new();
    for (kind, table, id) in TABLES {
        let rows_of = |rows: &[(String, Value)]| -> BTreeMap<String, Value> {
            let rows = rows.iter().filter(|(of, _)| of == table);
            let keyed = rows.map(|(_, row)| (row[id].as_str().unwrap().to_owned(), row.clone()));
            keyed.collect()
        };
        let (before, after) = (rows_of(before), rows_of(after));
        let ids: BTreeSet<_> = before.keys().chain(after.keys()).collect();
        for id in ids {
            let rows = [before.get(id), after.get(id)];
            let columns = rows.iter().flatten().next().unwrap().as_object().unwrap();
            for column in columns.keys().filter(|column| !is_left_out(kind, column)) {
                let values = rows.map(|row| row.map_or(String::new(), |row| plain(&row[column])));
                if values[0] != values[1] {
                    cells.insert((kind, id.clone(), column.clone()), values);
                }
            }
        }
    }
    cells
}

pub(super) fn cells_of(entities: &[EntityPreview]) -> Cells {
    let mut cells = Cells::new();
    for entity in entities {
        for column in &entity.columns {
            if !is_left_out(entity.entity, column.column) {
                let values = [plain(&column.before), plain(&column.after)];
                let of = (entity.entity, entity.id.clone(), column.column.to_owned());
                cells.insert(of, values);
            }
        }
    }
    cells
}

pub(super) async fn a_preview_shows_what_processing_then_does(database: &Database) {
    let store = &*database.store;
    given(store).await;
    let shown = preview_of(store, &all(), request()).await;
    let known: BTreeMap<EventKey, EventState> = everything(store)
        .await
        .into_iter()
        .map(|event| (event.key, event.state))
        .collect();
    let before = database.rows(RECORD).await;
    apply(store, 100, &later()).await;
    let after = database.rows(RECORD).await;

    let done = differences(&before, &after);
    assert!(done.len() > 80, "{done:?}");
    let kinds: BTreeSet<_> = done.keys().map(|(kind, ..)| *kind).collect();
    assert_eq!(kinds.len(), TABLES.len(), "something of everything");
    assert_eq!(cells_of(&shown.entities), done);
    for event in everything(store).await {
        let (key, was) = (&event.key, known[&event.key]);
        let shown = shown.events.iter().find(|shown| shown.key == *key).unwrap();
        assert_eq!(
            (shown.before.state, shown.after.state),
            (was, event.state),
            "{key}"
        );
        if was != event.state {
            assert_eq!(shown.after.outcome, event.outcome, "{key}");
        }
    }
    assert!(shown.released.is_empty(), "they are previewed themselves");

    // Now that it is done, doing it again does nothing.
    let again = preview_of(store, &all(), request()).await;
    assert!(again.is_without_effect(), "{again:?}");
    assert_eq!(again.events.len(), 18);
}

pub(super) async fn what_the_mirror_lost_is_shown_as_mended(database: &Database) {
    let store = &*database.store;
    let plans = in_order([
        mirror("msg_1", user("user_a", 5, "Ann")),
        mirror("msg_2", user("user_b", 5, "Bob")),
        record("evt_1", session_of("cs_1", "user_a")),
    ]);
    apply(store, 10, &plans).await;
    for sql in [
        "DELETE FROM users WHERE id = 'user_b'",
        "UPDATE users SET first_name = 'Eve', revision = '0' WHERE id = 'user_a'",
        "DELETE FROM checkout_sessions",
        "DELETE FROM entitlements",
    ] {
        database.execute(sql).await;
    }
    let shown = preview_of(store, &plans, request()).await;
    let told: Vec<_> = shown
        .entities
        .iter()
        .map(|entity| (entity.entity, entity.id.as_str(), entity.change))
        .collect();
    let expected = [
        (EntityKind::User, "user_a", EntityChange::Changed),
        (EntityKind::User, "user_b", EntityChange::Created),
        (EntityKind::CheckoutSession, "cs_1", EntityChange::Created),
        (EntityKind::Entitlement, "user_a", EntityChange::Created),
    ];
    assert_eq!(told, expected);
    let mended = &shown.entities[0].columns;
    let names: Vec<_> = mended.iter().map(|column| column.column).collect();
    assert_eq!(names, ["first_name", "revision"]);
    let name = (&mended[0].before, &mended[0].after);
    assert_eq!(name, (&json!("Eve"), &json!("Ann")));
}

pub(super) async fn what_would_fail_does_not_become_worse(database: &Database) {
    let store = &*database.store;
    let plans = in_order([
        mirror("msg_1", user("user_a", 5, "Ann")),
        record("evt_1", session("cs_1")),
        ignore("evt_2", "a.type"),
        failing("evt_3", "a.type", "a place"),
    ]);
    apply(store, 10, &plans).await;
    let broken: Vec<Planned> = plans.iter().map(bad).collect();
    let shown = preview_of(store, &broken, request()).await;
    let states = [
        EventState::Applied,
        EventState::Waiting,
        EventState::Ignored,
        EventState::Failed,
    ];
    assert_eq!(shown.events.len(), states.len());
    for (event, state) in shown.events.iter().zip(states) {
        assert_eq!((event.before.state, event.after.state), (state, state));
        assert_eq!(event.error.as_deref(), Some("it is broken"));
    }
    assert_eq!(shown.events[3].after.outcome, "handler_broken");
    assert!(shown.is_without_effect());
}

/// What was done is not undone by ignoring it now.
pub(super) async fn what_is_applied_stays_so_if_it_would_be_ignored_now(database: &Database) {
    let store = &*database.store;
    let done = mirror("msg_1", user("user_a", 5, "Ann"));
    apply(store, 10, std::slice::from_ref(&done)).await;
    let shown = preview_of(store, &[ignore("msg_1", "user.updated")], request()).await;
    let event = &shown.events[0];
    assert_eq!(event.after, event.before);
    assert_eq!(event.after.outcome, "user_mirrored");
    assert!(shown.is_without_effect());
}

pub(super) async fn what_the_database_refuses_fails_alone(database: &Database) {
    let store = &*database.store;
    let refused = CheckoutSession {
        id: "x".repeat(300),
        ..session_of("cs", "user_r")
    };
    let plans = in_order([
        mirror("msg_1", user("user_a", 5, "Ann")),
        record("evt_1", refused),
        record("evt_2", session_of("cs_1", "user_a")),
        mirror("msg_2", user("user_b", 5, "Bob")),
    ]);
    let failed: Vec<Planned> = plans.iter().map(bad).collect();
    apply(store, 10, &failed).await;
    let before = database.rows(RECORD).await;
    let shown = preview_of(store, &plans, request()).await;
    let outcomes: Vec<_> = shown
        .events
        .iter()
        .map(|event| event.after.outcome.as_str())
        .collect();
    let expected = [
        "user_mirrored",
        "data_refused",
        "payment_recorded",
        "user_mirrored",
    ];
    assert_eq!(outcomes, expected);
    let failing: Vec<_> = shown
        .events
        .iter()
        .map(|event| event.error.is_some())
        .collect();
    assert_eq!(failing, [false, true, false, false]);
    let kinds: Vec<_> = shown.entities.iter().map(|entity| entity.entity).collect();
    let expected = [
        EntityKind::User,
        EntityKind::User,
        EntityKind::CheckoutSession,
        EntityKind::Entitlement,
        EntityKind::Metadata,
    ];
    assert_eq!(kinds, expected, "nothing of what was undone");
    assert_eq!(database.rows(RECORD).await, before);
}

pub(super) async fn others_that_would_no_longer_wait_are_told(database: &Database) {
    let store = &*database.store;
    let plans = in_order([
        record("evt_1", by_customer("cus_1", session("cs_1"))),
        tell("evt_2", Fact::Customer(customer("cus_1", "user_a", 1))),
    ]);
    apply(store, 10, &[plans[0].clone(), bad(&plans[1])]).await;
    let mut of_failed = request();
    of_failed.filter.states = vec![EventState::Failed];
    let shown = preview_of(store, &plans, of_failed).await;
    assert_eq!(shown.released, [key("evt_1")]);
    assert_eq!(state_of(store, "evt_1").await, EventState::Waiting);
}

pub(super) async fn only_the_first_received_and_those_with_bytes_are_previewed(
    database: &Database,
) {
    let store = &*database.store;
    let mut plans = in_order((0..5).map(|n| {
        let id = format!("user_{n}");
        mirror(&format!("msg_{n}"), user(&id, 5, "Ann"))
    }));
    plans[0].keep_payload = false;
    let failed: Vec<Planned> = plans.iter().map(bad).collect();
    apply(store, 10, &failed).await;
    let few = Request {
        limit: 2,
        reveal: false,
        ..request()
    };
    let shown = preview_of(store, &plans, few).await;
    assert_eq!((shown.matched, shown.without_payload), (4, 1));
    let keys: Vec<_> = shown.events.iter().map(|event| event.key.clone()).collect();
    assert_eq!(keys, [key("msg_1"), key("msg_2")]);

    let text = serde_json::to_string(&shown.entities).unwrap();
    for personal in [
        "Ann",
        "@example.test",
        "15555550100",
        "name-of",
        "img.example",
    ] {
        assert!(!text.contains(personal), "{personal} in {text}");
    }
    let columns = &shown.entities[0].columns;
    let email = columns.iter().find(|column| column.column == "email");
    assert_eq!(email.unwrap().after, json!("xxxx_0@xxxxxxx.xxxx"));
    let all = preview_of(store, &plans, request()).await;
    assert_eq!(all.events.len(), 4);
}
