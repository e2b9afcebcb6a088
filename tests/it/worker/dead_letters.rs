//! Dead letters on their way into the ledger.

use std::sync::Arc;

use hookmirror::clock::Clock;
use hookmirror::metrics::WorkerMetrics;
use hookmirror::model::changes::{Outcome, Planned};
use hookmirror::model::ledger::{EventFilter, EventRecord};
use hookmirror::model::operator::{Operator, Reason};
use hookmirror::model::replay::{ReplayOrder, ReplayRate, ReplayScope, ReplayStep};
use hookmirror::model::source::Provider;
use hookmirror::model::source::Sources;
use hookmirror::model::state::EventState;
use hookmirror::queue::{CauseOfDeath, DeadLetter};
use hookmirror::store::Store;
use hookmirror::worker::{DeadLetterDrain, WorkError};
use tokio_util::sync::CancellationToken;

use super::{PATIENCE, PATIENT, fixture};
use crate::support::clock::FixedClock;
use crate::support::database::{self, Database};
use crate::support::dead_letters::MemoryDeadLetters;
use crate::support::faults::{Call, Faults, FaultyStore, When};
use crate::support::given::{
    at, event, failing, ignore, key, record, replayed, session_of, user_id,
};

/// A drain and all that it works with.
struct Bench {
    letters: MemoryDeadLetters,
    faults: Arc<Faults>,
    store: Arc<dyn Store>,
    _database: Database,
}

impl Bench {
    async fn new() -> Self {
        let database = database::sqlite().await;
        let faults = Faults::new();
        Self {
            letters: MemoryDeadLetters::new(&faults),
            faults,
            store: Arc::clone(&database.store),
            _database: database,
        }
    }

    fn drain(&self) -> DeadLetterDrain {
        DeadLetterDrain {
            letters: Box::new(self.letters.clone()),
            store: Arc::new(FaultyStore {
                inner: Arc::clone(&self.store),
                faults: Arc::clone(&self.faults),
            }),
            clock: Arc::new(FixedClock(at(100))) as Arc<dyn Clock>,
            patience: PATIENT,
            metrics: WorkerMetrics::default(),
            sources: Sources::default(),
        }
    }

    fn put(&self, id: &str, event_type: &str, cause: CauseOfDeath) {
        let event = event(id, event_type);
        self.letters.put(DeadLetter { event, cause });
    }

    /// Drains what is there, and answers what became of it.
    async fn outcomes(&self) -> Vec<Outcome> {
        let mut drain = self.drain();
        let batch = drain.take().await.unwrap();
        let never = CancellationToken::new();
        let applied = drain.record(batch, &never).await.unwrap();
        applied.iter().map(|applied| applied.outcome).collect()
    }

    async fn record(&self, id: &str) -> EventRecord {
        self.store.find_event(&key(id)).await.unwrap().unwrap()
    }

    async fn apply(&self, planned: Planned) {
        self.store.apply(&[planned], at(0)).await.unwrap();
    }

    /// Lets a drain run by itself until the test is over, and checks that it ends then.
    async fn running(&self, test: impl Future<Output = ()>) {
        let stop = CancellationToken::new();
        let run = tokio::spawn(self.drain().run(stop.clone()));
        tokio::time::timeout(PATIENCE, test).await.unwrap();
        stop.cancel();
        tokio::time::timeout(PATIENCE, run).await.unwrap().unwrap();
    }
}

const TOO_MANY: CauseOfDeath = CauseOfDeath::TooManyDeliveries;

#[tokio::test]
async fn each_cause_is_recorded_with_what_to_do_about_it() {
    let bench = Bench::new().await;
    let unreadable = CauseOfDeath::Unreadable("the header x is missing".to_owned());
    let removed = CauseOfDeath::Removed("maxlen".to_owned());
    bench.put("evt_1", "a.type", TOO_MANY);
    bench.put("evt_2", "a.type", unreadable);
    bench.put("evt_3", "a.type", removed);
    let kinds = ["delivery_limit", "message_unreadable", "message_removed"];
    assert_eq!(bench.outcomes().await, kinds.map(Outcome::Failed));
    assert_eq!(bench.letters.waiting(), 0);
    let told = [
        ("evt_1", "let the provider send"),
        ("evt_2", "the header x is missing"),
        ("evt_3", "maxlen"),
    ];
    for (id, text) in told {
        let record = bench.record(id).await;
        assert_eq!(record.summary.state, EventState::Failed);
        assert_eq!(record.summary.subject, None, "nobody looked into it");
        assert_eq!(record.payload.unwrap(), event(id, "a.type").body);
        let error = record.summary.last_error.unwrap();
        assert!(error.contains(text), "{error}");
        assert_eq!(record.attempts.len(), 1);
    }
}

#[tokio::test]
async fn failures_are_grouped_by_cause_and_type() {
    let bench = Bench::new().await;
    let unreadable = |what: &str| CauseOfDeath::Unreadable(what.to_owned());
    bench.put("evt_1", "a.type", unreadable("this"));
    bench.put("evt_2", "a.type", unreadable("that"));
    bench.put("evt_3", "b.type", unreadable("this"));
    bench.put("evt_4", "a.type", TOO_MANY);
    bench.outcomes().await;
    let mut fingerprints = Vec::new();
    for id in ["evt_1", "evt_2", "evt_3", "evt_4"] {
        fingerprints.push(bench.record(id).await.summary.fingerprint.unwrap());
    }
    assert_eq!(fingerprints[0], fingerprints[1]);
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), 3);
}

/// Another delivery of it was lucky, or its worker ended after the commit.
#[tokio::test]
async fn what_is_settled_stays_settled() {
    let bench = Bench::new().await;
    bench
        .apply(record("evt_1", session_of("cs_1", "user_a")))
        .await;
    bench.apply(ignore("evt_2", "a.type")).await;
    let before = bench.store.find_user(&user_id("user_a")).await.unwrap();
    bench.put("evt_1", "checkout.session.completed", TOO_MANY);
    bench.put("evt_2", "a.type", TOO_MANY);
    assert_eq!(bench.outcomes().await, [Outcome::Duplicate; 2]);
    assert_eq!(bench.letters.waiting(), 0);
    let (applied, ignored) = (bench.record("evt_1").await, bench.record("evt_2").await);
    assert_eq!(applied.summary.state, EventState::Applied);
    assert_eq!(ignored.summary.state, EventState::Ignored);
    assert_eq!(applied.summary.last_error, None);
    assert_eq!(applied.summary.deliveries, 2);
    let after = bench.store.find_user(&user_id("user_a")).await.unwrap();
    assert_eq!(after, before);
}

/// A body that handlers would act on is recorded, and not acted on.
#[tokio::test]
async fn no_handler_sees_it() {
    let bench = Bench::new().await;
    let event = fixture(Provider::Clerk, "user.updated", "msg_1");
    bench.letters.put(DeadLetter {
        event,
        cause: TOO_MANY,
    });
    assert_eq!(bench.outcomes().await, [Outcome::Failed("delivery_limit")]);
    let user = user_id(crate::fixtures::USER);
    assert_eq!(bench.store.find_user(&user).await.unwrap(), None);
}

#[tokio::test]
async fn one_time_codes_are_not_kept() {
    let bench = Bench::new().await;
    bench.put("msg_1", "sms.created", TOO_MANY);
    bench.outcomes().await;
    assert_eq!(bench.record("msg_1").await.payload, None);
}

#[tokio::test]
async fn a_letter_is_acknowledged_after_the_commit_and_only_then() {
    for when in [When::Before, When::After] {
        let bench = Bench::new().await;
        bench.put("evt_1", "a.type", TOO_MANY);
        bench.faults.fail_nth(1, Call::Ack, when);
        let mut drain = bench.drain();
        let batch = drain.take().await.unwrap();
        let never = CancellationToken::new();
        let error = drain.record(batch, &never).await.unwrap_err();
        assert!(matches!(error, WorkError::Queue(_)), "{error:?}");
        assert_eq!(
            bench.record("evt_1").await.summary.state,
            EventState::Failed
        );
        let back = if when == When::Before { 1 } else { 0 };
        assert_eq!(bench.letters.waiting(), back, "{when:?}");
    }
}

#[tokio::test]
async fn a_database_that_is_away_loses_no_letter() {
    let bench = Bench::new().await;
    bench.faults.break_down(Call::Apply, When::Before);
    bench.faults.break_down(Call::Ping, When::Before);
    bench.put("evt_1", "a.type", TOO_MANY);
    bench.running(bench.faults.until_ended(Call::Ping, 3)).await;
    assert_eq!(bench.letters.waiting(), 1, "given back when told to stop");
    assert_eq!(bench.store.find_event(&key("evt_1")).await.unwrap(), None);

    bench
        .running(async {
            bench.faults.until_ended(Call::Ping, 6).await;
            bench.faults.mend(Call::Apply);
            bench.faults.mend(Call::Ping);
            bench.faults.until_ended(Call::Ack, 1).await;
        })
        .await;
    assert_eq!(bench.letters.waiting(), 0);
    assert_eq!(bench.record("evt_1").await.attempts.len(), 1);
}

#[tokio::test]
async fn a_queue_that_is_away_is_asked_again() {
    let bench = Bench::new().await;
    bench.faults.break_down(Call::Take, When::After);
    bench.put("evt_1", "a.type", TOO_MANY);
    bench
        .running(async {
            bench.faults.until_ended(Call::Take, 4).await;
            bench.faults.mend(Call::Take);
            bench.faults.until_ended(Call::Ack, 1).await;
            bench.put("evt_2", "a.type", TOO_MANY);
            bench.faults.until_ended(Call::Ack, 2).await;
        })
        .await;
    let all = EventFilter::default();
    assert_eq!(bench.store.list_events(&all, 10).await.unwrap().len(), 2);
}

/// Else the replay would wait for it for ever.
#[tokio::test]
async fn a_replay_learns_what_became_of_its_event() {
    for (given, state) in [
        (ignore("evt_1", "a.type"), EventState::Ignored),
        (failing("evt_1", "a.type", "a place"), EventState::Failed),
    ] {
        let bench = Bench::new().await;
        bench.apply(given).await;
        let order = ReplayOrder {
            scope: ReplayScope::default(),
            rate: ReplayRate::DEFAULT,
            operator: Operator::unknown(),
        };
        let reason = Reason::parse("a test").unwrap();
        let started = bench
            .store
            .start_replay(&order, &reason, at(1))
            .await
            .unwrap();
        let id = started.id.unwrap();
        let event = replayed(id, ignore("evt_1", "a.type")).event;
        let cause = TOO_MANY;
        bench.letters.put(DeadLetter { event, cause });
        assert_eq!(bench.outcomes().await, [Outcome::Failed("delivery_limit")]);
        let events = bench.store.replayed_events(id, 0, 9).await.unwrap();
        assert_eq!(events[0].step, ReplayStep::Done);
        assert_eq!(events[0].outcome.as_deref(), Some("delivery_limit"));
        assert_eq!(events[0].state, Some(state));
        let summary = bench.record("evt_1").await.summary;
        assert_eq!((summary.state, summary.attempts), (state, 2));
    }
}
