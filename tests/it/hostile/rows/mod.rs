//! Rows that somebody damaged: whoever reads them is told the table, the column and the row, and
//! nothing else comes to harm.
//!
//! An input is a value. Each is written into a column of a database in which every table has rows, one
//! column after the other; then everything is read that can be read.

use std::collections::BTreeSet;

use hookmirror::model::event::EventId;
use hookmirror::model::ledger::EventFilter;
use hookmirror::model::operator::Mode;
use hookmirror::model::outbox::{DeliveryOutcome, OutboxFilter, Recipients};
use hookmirror::model::pause::SourceChange;
use hookmirror::model::payment::{CheckoutSession, Fact, Invoice, Subscription};
use hookmirror::model::replay::{ReplayId, ReplayOrder, ReplayRate, ReplayScope};
use hookmirror::model::source::SourceName;
use hookmirror::store::{Store, StoreError};

use super::{Input, Inputs};
use crate::support::given::{
    asked, at, by_customer, charge, customer, delete, dispute, failing, for_real, invoice, key,
    mirror, record, refund, retry, session, session_of, subscription, tell, user, user_id,
};

mod postgres;
mod sqlite;

const WORDS: &[&str] = &[
    "2026-01-01T00:00:00.000Z",
    "+262142-12-31T23:59:59.999Z",
    "-262143-01-01T00:00:00Z",
    "9999-12-31T23:59:60Z",
    "infinity",
    "-infinity",
    "9223372036854775807",
    "-1",
    "{}",
    "[",
    "{\"status\":",
    "null",
    "user_a",
    "stripe/evt_1",
    "paid",
    "failed",
    "replay:",
    "\0",
    "\u{202e}",
    "é",
];

/// What is read under another name: it is computed, or joined, or the name of something else.
const DERIVED: &[(&str, &str)] = &[
    ("events.received_at", "events.latest"),
    ("events.received_at", "events.oldest"),
    ("events.received_at", "events.oldest_unapplied"),
    ("events.received_at", "events.payload"),
    ("events.received_at", "checkout_sessions.oldest"),
    ("events.source", "source_pauses.source"),
    ("events.subject", "checkout_sessions.id"),
    ("outbox.desired_at", "outbox.oldest"),
    ("replay_events.event_id", "events.event_id"),
    ("replay_events.source", "events.source"),
    ("replays.created_at", "replay_events.created_at"),
    ("replays.operator", "replay_events.operator"),
    ("replays.reason", "replay_events.reason"),
    ("user_tombstones.recorded_at", "events.deletion"),
];

/// Something in every table that is read.
async fn fill(store: &dyn Store) {
    let bought = CheckoutSession {
        payment_intent: Some("pi_a".to_owned()),
        ..by_customer("cus_1", session_of("cs_1", "user_a"))
    };
    let renewed = Subscription {
        customer: Some("cus_1".to_owned()),
        ..subscription("sub_1")
    };
    let billed = Invoice {
        subscription: Some("sub_1".to_owned()),
        payment_intent: Some("pi_b".to_owned()),
        ..invoice("in_1")
    };
    let batch = [
        mirror("msg_1", user("user_a", 1, "Ann")),
        delete("msg_2", "user_z", 1),
        record("evt_1", bought),
        tell("evt_2", Fact::Subscription(renewed)),
        tell("evt_3", Fact::Invoice(billed)),
        tell("evt_4", Fact::Charge(charge("ch_1", "pi_a"))),
        tell("evt_5", Fact::Refund(refund("re_1", "pi_a"))),
        tell("evt_6", Fact::Dispute(dispute("dp_1", "pi_b"))),
        tell("evt_7", Fact::Customer(customer("cus_1", "user_a", 1))),
        record("evt_8", session("cs_2")),
        failing("evt_9", "a.type", "data.object"),
        retry("msg_3"),
    ];
    store.apply(&batch, at(1)).await.unwrap();
    let everyone = Recipients::All;
    let leases = store
        .lease_outbox(&everyone, 1, at(2), at(60))
        .await
        .unwrap();
    let failed = DeliveryOutcome::Parked {
        error: "it was away".to_owned(),
    };
    store
        .settle_outbox(&leases[0], &failed, at(3))
        .await
        .unwrap();
    let order = ReplayOrder {
        scope: ReplayScope {
            filter: EventFilter {
                ids: vec![EventId::parse("evt_9").unwrap()],
                ..EventFilter::default()
            },
            limit: None,
        },
        rate: ReplayRate::new(1).unwrap(),
        operator: asked(Mode::DryRun).operator,
    };
    let Mode::Execute(reason) = for_real() else {
        unreachable!();
    };
    store.start_replay(&order, &reason, at(4)).await.unwrap();
    let sources = [SourceName::parse("clerk").unwrap()];
    let action = asked(for_real());
    let paused = store.change_sources(SourceChange::Pause, &sources, &action, at(5));
    paused.await.unwrap();
}

/// All that reads; answers what went wrong, by who said it.
async fn read_everything(store: &dyn Store) -> Vec<StoreError> {
    let all = EventFilter::default();
    let outbox = OutboxFilter::default();
    let ann = user_id("user_a");
    let mut wrong = Vec::new();
    macro_rules! read {
        ($($call:expr;)+) => {
            $(if let Err(error) = $call.await {
                wrong.push(error);
            })+
        };
    }
    read! {
        store.list_events(&all, 100);
        store.find_event(&key("evt_9"));
        store.find_event(&key("msg_3"));
        store.count_events(&[]);
        store.survey(&all);
        store.timeline("user_a", 100);
        store.find_user(&ann);
        store.find_user(&user_id("user_z"));
        store.find_ownership("cs_1");
        store.waiting_payments(100);
        store.next_retry_due();
        store.list_outbox(&outbox, 100);
        store.find_outbox(&ann, 100);
        store.count_outbox();
        store.operator_actions(100);
        store.list_failures(&[], 100);
        store.list_replays(100);
        store.running_replays();
        store.replays_of(&key("evt_9"));
        store.source_standings();
        store.oldest_unapplied();
        store.overdue(at(0));
        store.recall_events(&all, 100);
    }
    if let Some(id) = ReplayId::parse("1") {
        read! {
            store.find_replay(id);
            store.replayed_events(id, 0, 100);
        }
    }
    wrong
}

/// What a column holds, as far as this test is concerned.
struct Column {
    table: String,
    name: String,
    kind: String,
}

/// A database with a row in every table that is read, and a way to damage it.
trait Damaged {
    fn store(&self) -> &dyn Store;
    async fn columns(&mut self) -> Vec<Column>;
    /// Puts a value of the column's own type there, in every row, if one can be made of these bytes.
    async fn damage(&mut self, column: &Column, bytes: &[u8]) -> bool;
    /// Takes it back.
    async fn mend(&mut self, column: &Column);
}

/// Shows all inputs to all columns in turn.
async fn tells_what_is_damaged(mut database: impl Damaged, inputs: Inputs) {
    fill(database.store()).await;
    assert_eq!(
        read_everything(database.store()).await.len(),
        0,
        "nothing is damaged yet"
    );
    let columns = database.columns().await;
    let mut told = BTreeSet::new();
    let mut places = columns.iter().cycle();
    let mut damages = 0;
    for input in inputs {
        let Some(column) = places.next() else {
            panic!("no columns");
        };
        damages += usize::from(shows(&mut database, column, &input, &mut told).await);
        input.survived();
    }
    assert!(damages > 100, "only {damages} values could be written");
    assert!(told.len() > 20, "only told of {told:?}");
    assert_eq!(
        read_everything(database.store()).await.len(),
        0,
        "all was mended"
    );
}

/// Whether the value could be written at all.
async fn shows(
    database: &mut impl Damaged,
    damaged: &Column,
    input: &Input,
    told: &mut BTreeSet<String>,
) -> bool {
    if !database.damage(damaged, &input.bytes).await {
        return false;
    }
    for error in read_everything(database.store()).await {
        let StoreError::Inconsistent { table, column, key } = &error else {
            panic!("{}.{}: {error:?}", damaged.table, damaged.name);
        };
        let place = format!("{table}.{column}");
        let damage = format!("{}.{}", damaged.table, damaged.name);
        let is_known = DERIVED.contains(&(damage.as_str(), place.as_str()));
        assert!(place == damage || is_known, "{damage} is told as {error}");
        // A row is called by what identifies it, which may be what is damaged.
        assert!(
            !key.is_empty() || damage.ends_with("id") || damage.ends_with("source"),
            "{error}"
        );
        told.insert(place);
    }
    database.mend(damaged).await;
    true
}
