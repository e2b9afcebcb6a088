//! What is told, and where it is read. What is in memory is read at once; what is in the database, once
//! in a while.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::clock::Clock;
use crate::error_chain::ErrorChain;
use crate::metrics::Counted;
use crate::model::ledger::EventCounts;
use crate::model::replay::ReplayProgress;
use crate::model::source::SourceName;
use crate::model::time::Timestamp;
use crate::ops::outbox::{Summary, summary};
use crate::outbox::DeliveryStats;
use crate::store::{Store, StoreError};

/// For how long what the database said is told again, at least. Scrapers ask every few seconds, and
/// there may be several.
const FRESH: Duration = Duration::from_secs(5);
/// How many times as long as the answer took it is told again. Counting a long ledger is work, and goes
/// on in the database when nobody waits for it any more.
const REST: u32 = 10;
/// How long the database may take for one answer. Scrapers give up after ten seconds.
const PATIENCE: Duration = Duration::from_secs(3);

/// How much a queue of this process holds, by its name.
pub type QueueDepth = (&'static str, u64);

/// How much the spool of this process holds.
#[derive(Clone, Copy, Debug)]
pub struct SpoolDepth {
    /// Messages that wait for the broker.
    pub messages: u64,
    /// What they take.
    pub bytes: u64,
    /// What they may take.
    pub limit: u64,
}

/// Where figures come from. What this process has no part in is not there.
pub struct Sources {
    /// The database.
    pub store: Option<Arc<dyn Store>>,
    /// The sources that are configured.
    pub names: Vec<SourceName>,
    /// What the roles of this process count.
    pub counted: Vec<Box<dyn Counted>>,
    /// What queues in the data directory hold; costs nothing to ask.
    pub queues: Box<dyn Fn() -> Vec<QueueDepth> + Send + Sync>,
    /// How much the spool holds, where there is one.
    pub spool: Box<dyn Fn() -> Option<SpoolDepth> + Send + Sync>,
    /// When what has been in the queue or spool of the data directory the longest was received.
    pub oldest: Box<dyn Fn() -> Option<Timestamp> + Send + Sync>,
    /// What the dispatchers say of themselves.
    pub dispatchers: Vec<Arc<DeliveryStats>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("store", &self.store)
            .field("counted", &self.counted)
            .field("dispatchers", &self.dispatchers)
            .finish_non_exhaustive()
    }
}

/// The figures of this process.
#[derive(Debug)]
pub struct Figures {
    sources: Sources,
    started_at: Timestamp,
    /// What the database said, and until when that is told. Held while the database is read, so that of
    /// many who ask at once one reads.
    cache: Mutex<Option<(Instant, FromDatabase)>>,
}

/// What the database said.
#[derive(Clone, Debug, Default)]
pub(super) struct FromDatabase {
    pub(super) events: Option<EventCounts>,
    pub(super) outbox: Option<Summary>,
    /// When the latest event of each source was received.
    pub(super) latest: Option<Vec<(SourceName, Option<Timestamp>)>>,
    /// When the oldest event was that should be applied and is not; there may be none.
    pub(super) oldest_unapplied: Option<Option<Timestamp>>,
    /// The replays that run, and how far they are.
    pub(super) replays: Option<Vec<ReplayProgress>>,
    /// Questions that were not answered.
    pub(super) errors: u64,
}

/// All figures of one page.
#[derive(Debug)]
pub(super) struct Reading<'f> {
    pub(super) database: FromDatabase,
    pub(super) has_database: bool,
    pub(super) queues: Vec<QueueDepth>,
    pub(super) spool: Option<SpoolDepth>,
    pub(super) oldest_queued: Option<Timestamp>,
    pub(super) counted: &'f [Box<dyn Counted>],
    pub(super) started_at: Timestamp,
    pub(super) dispatchers: &'f [Arc<DeliveryStats>],
    pub(super) now: Timestamp,
}

impl Figures {
    /// Reads nothing yet.
    pub fn new(sources: Sources) -> Self {
        Self {
            started_at: sources.clock.now(),
            sources,
            cache: Mutex::new(None),
        }
    }

    pub(super) async fn read(&self) -> Reading<'_> {
        let Sources {
            store,
            names,
            counted,
            queues,
            spool,
            oldest,
            dispatchers,
            clock,
        } = &self.sources;
        Reading {
            database: match store {
                Some(store) => self.database(&**store, names).await,
                None => FromDatabase::default(),
            },
            has_database: store.is_some(),
            queues: queues(),
            spool: spool(),
            oldest_queued: oldest(),
            counted,
            started_at: self.started_at,
            dispatchers,
            now: clock.now(),
        }
    }

    async fn database(&self, store: &dyn Store, names: &[SourceName]) -> FromDatabase {
        let mut cache = self.cache.lock().await;
        if let Some((until, known)) = &*cache
            && Instant::now() < *until
        {
            return known.clone();
        }
        let begun = Instant::now();
        let (events, outbox, latest, oldest_unapplied, replays) = tokio::join!(
            in_time("count events", store.count_events(&[])),
            in_time("add up the outbox", summary(store)),
            in_time("look for the latest events", store.last_received(names)),
            in_time("look for the oldest event", store.oldest_unapplied()),
            in_time("look for replays", store.running_replays())
        );
        let unanswered = [
            events.is_none(),
            outbox.is_none(),
            latest.is_none(),
            oldest_unapplied.is_none(),
            replays.is_none(),
        ];
        let errors = unanswered.into_iter().map(u64::from).sum();
        let read = FromDatabase {
            events,
            outbox,
            latest: latest.map(|latest| names.iter().cloned().zip(latest).collect()),
            oldest_unapplied,
            replays,
            errors,
        };
        let fresh = FRESH.max(begun.elapsed() * REST);
        *cache = Some((Instant::now() + fresh, read.clone()));
        read
    }
}

/// The answer, if there is one in time. Why not is told at a level that is off by default: the worker
/// says that the database is away.
async fn in_time<T>(
    what: &'static str,
    answer: impl Future<Output = Result<T, StoreError>>,
) -> Option<T> {
    match timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => Some(answer),
        Ok(Err(error)) => {
            tracing::debug!(error = %ErrorChain(&error), "metrics: could not {what}");
            None
        }
        Err(_) => {
            tracing::debug!("metrics: could not {what} in time");
            None
        }
    }
}
