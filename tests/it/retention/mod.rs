//! The sweeper's own loop, with a real database and a clock that is set by hand.

use std::sync::Arc;
use std::time::Duration;

use hookmirror::backoff::Backoff;
use hookmirror::clock::Clock;
use hookmirror::model::changes::Planned;
use hookmirror::model::retention::RetentionPolicy;
use hookmirror::retention::{Sweeper, Swept};
use hookmirror::store::Store;
use tokio_util::sync::CancellationToken;

use crate::support::clock::ManualClock;
use crate::support::database::{self, Database};
use crate::support::faults::{Call, Faults, FaultyStore, When};
use crate::support::given::{at, delete, ignore, key, mirror, received, user};

const DAY: Duration = Duration::from_secs(86_400);
const MILLISECOND: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(20);

struct Bench {
    clock: Arc<ManualClock>,
    faults: Arc<Faults>,
    store: Arc<FaultyStore>,
    _database: Database,
}

impl Bench {
    async fn new(batch: &[Planned]) -> Self {
        let database = database::sqlite().await;
        let faults = Faults::new();
        let bench = Self {
            clock: Arc::new(ManualClock::new(at(0))),
            store: Arc::new(FaultyStore {
                inner: Arc::clone(&database.store),
                faults: Arc::clone(&faults),
            }),
            faults,
            _database: database,
        };
        bench.store.apply(batch, at(0)).await.unwrap();
        bench
    }

    fn sweeper(&self, policy: RetentionPolicy) -> Sweeper {
        Sweeper {
            store: Arc::clone(&self.store) as Arc<dyn Store>,
            policy,
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            backoff: Backoff {
                first: MILLISECOND,
                longest: Duration::from_millis(10),
                seed: 7,
            },
        }
    }

    async fn sweep(&self, policy: RetentionPolicy) -> Swept {
        let stop = CancellationToken::new();
        self.sweeper(policy).sweep(&stop).await.unwrap()
    }

    async fn has_payload(&self, event: &str) -> bool {
        let record = self.store.find_event(&key(event)).await.unwrap().unwrap();
        record.payload.is_some()
    }
}

fn swept(erased: u64, pruned: u64, deleted: u64) -> Swept {
    Swept {
        erased,
        pruned,
        deleted,
    }
}

#[tokio::test]
async fn everything_goes_at_its_own_time() {
    let bench = Bench::new(&[
        received(0, ignore("evt_1", "a.type")),
        mirror("msg_1", user("user_a", 0, "Ann")),
        delete("msg_2", "user_a", 0),
    ])
    .await;
    let policy = RetentionPolicy {
        payloads: Some(90 * DAY),
        events: Some(365 * DAY),
        deleted: Some(30 * DAY),
    };
    assert_eq!(bench.sweep(policy).await, Swept::default());
    bench.clock.advance(30 * DAY - MILLISECOND);
    assert_eq!(bench.sweep(policy).await, Swept::default());
    bench.clock.advance(MILLISECOND);
    assert_eq!(bench.sweep(policy).await, swept(2, 0, 0));
    bench.clock.set(at(0).plus(90 * DAY));
    assert_eq!(bench.sweep(policy).await, Swept::default());
    bench.clock.advance(MILLISECOND);
    assert_eq!(bench.sweep(policy).await, swept(0, 1, 0));
    bench.clock.set(at(0).plus(365 * DAY + MILLISECOND));
    assert_eq!(bench.sweep(policy).await, swept(0, 0, 3));

    let recorded = bench.store.operator_actions(10).await.unwrap();
    let told: Vec<_> = recorded
        .iter()
        .map(|action| {
            (
                action.action.as_str(),
                action.operator.as_str(),
                action.changed,
            )
        })
        .collect();
    let by = "hookmirror";
    assert_eq!(
        told,
        [
            ("retention delete", by, 3),
            ("retention prune", by, 1),
            ("retention erase", by, 2)
        ]
    );
    let reason = recorded[1].reason.as_deref();
    assert_eq!(reason, Some("payloads are kept for 90 days"));
}

#[tokio::test]
async fn what_is_kept_for_ever_is_not_touched() {
    let bench = Bench::new(&[
        mirror("msg_1", user("user_a", 0, "Ann")),
        delete("msg_2", "user_a", 0),
    ])
    .await;
    bench.clock.advance(10_000 * DAY);
    let policy = RetentionPolicy::default();
    assert_eq!(bench.sweep(policy).await, Swept::default());
    let at_once = RetentionPolicy {
        deleted: Some(Duration::ZERO),
        ..policy
    };
    assert_eq!(bench.sweep(at_once).await, swept(2, 0, 0));
}

/// A crash between two steps, and a stop in the middle: what was done stays, and the rest goes on.
#[tokio::test]
async fn a_sweep_that_was_cut_off_is_gone_on_with() {
    let ids: Vec<String> = (0..1200).map(|number| format!("evt_{number}")).collect();
    let batch: Vec<Planned> = ids.iter().map(|id| ignore(id, "a.type")).collect();
    let bench = Bench::new(&batch).await;
    bench.clock.advance(91 * DAY);
    let policy = RetentionPolicy {
        payloads: Some(90 * DAY),
        ..RetentionPolicy::default()
    };
    // The second step has done its work, and nobody learns it.
    bench.faults.fail_nth(2, Call::Sweep, When::After);
    let stop = CancellationToken::new();
    bench.sweeper(policy).sweep(&stop).await.unwrap_err();
    stop.cancel();
    assert_eq!(
        bench.sweeper(policy).sweep(&stop).await.unwrap(),
        Swept::default()
    );
    assert_eq!(bench.sweep(policy).await, swept(0, 200, 0));
    let recorded = bench.store.operator_actions(10).await.unwrap();
    let changed: Vec<_> = recorded.iter().map(|action| action.changed).collect();
    assert_eq!(
        changed,
        [200, 1000],
        "each step is recorded with what it did"
    );
}

#[tokio::test]
async fn it_outlives_a_database_that_is_away_and_stops_promptly() {
    let bench = Bench::new(&[ignore("evt_1", "a.type")]).await;
    bench.clock.advance(91 * DAY);
    bench.faults.break_down(Call::Sweep, When::Before);
    let policy = RetentionPolicy {
        payloads: Some(90 * DAY),
        ..RetentionPolicy::default()
    };
    let stop = CancellationToken::new();
    let run = tokio::spawn(bench.sweeper(policy).run(stop.clone()));
    let gone = async {
        bench.faults.until_ended(Call::Sweep, 3).await;
        assert!(bench.has_payload("evt_1").await);
        bench.faults.mend(Call::Sweep);
        while bench.has_payload("evt_1").await {
            tokio::time::sleep(MILLISECOND).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.unwrap();
    // It would sleep for an hour now.
    stop.cancel();
    tokio::time::timeout(PATIENCE, run).await.unwrap().unwrap();
}
