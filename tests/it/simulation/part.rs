//! A process's way to everything outside of it: each call takes its time, and goes wrong where the
//! history says so.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookmirror::clock::Clock;
use hookmirror::model::time::Timestamp;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, sleep_until};

use super::database::Database;
use super::history::{Engine, Fault, History, Seam, Span};
use crate::convergence::crash::FakeClerk;
use crate::convergence::history::{RECEIVED_AT, Told};
use crate::support::memory_queue::MemoryQueue;

/// More calls than this are no progress.
const MOST_CALLS: usize = 100_000;
/// How late what comes late comes.
const LATE: Duration = Duration::from_secs(8);
/// How long a caller waits for an answer, if it does not say: as our client of Clerk does.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a lease of the outbox lasts, in milliseconds.
const LEASE: u64 = 30_000;
/// Less than a write has left of its lease when it has come, however late.
const SHORT: u64 = 10_000;

/// An effect that nobody waits for.
pub(super) type Late = Box<dyn FnOnce() + Send>;

/// What all processes of one run share.
#[derive(Debug)]
pub(super) struct Outside {
    pub(super) history: History,
    pub(super) told: Told,
    pub(super) database: Arc<Database>,
    pub(super) queue: MemoryQueue,
    pub(super) clerk: Arc<FakeClerk>,
    began: Instant,
    calls: Mutex<BTreeMap<Seam, usize>>,
    /// Processes that came to their end in a call.
    died: UnboundedSender<usize>,
    /// What has been sent and has not arrived yet.
    awaited: AtomicUsize,
    happened: Mutex<BTreeSet<(Seam, Fault)>>,
    /// Users of whom nobody can know what Clerk holds: see [`Limbo`].
    doubtful: Mutex<BTreeSet<String>>,
    /// Whether each step is told at once.
    is_told: bool,
    steps: Mutex<Vec<String>>,
}

impl Outside {
    pub(super) fn new(
        history: History,
        database: Arc<Database>,
        clerk: Arc<FakeClerk>,
        died: UnboundedSender<usize>,
        is_told: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            told: history.world.told(),
            history,
            database,
            queue: MemoryQueue::default(),
            clerk,
            began: Instant::now(),
            calls: Mutex::default(),
            died,
            awaited: AtomicUsize::new(0),
            happened: Mutex::default(),
            doubtful: Mutex::default(),
            is_told,
            steps: Mutex::default(),
        })
    }

    /// Milliseconds since the beginning.
    pub(super) fn elapsed(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap()
    }

    pub(super) fn at(&self, millis: u64) -> Instant {
        self.began + Duration::from_millis(millis)
    }

    /// The time, by a clock that is right.
    pub(super) fn now(&self) -> Timestamp {
        RECEIVED_AT.plus(self.began.elapsed())
    }

    /// Whether an engine is away.
    pub(super) fn is_away(&self, engine: Engine) -> bool {
        let now = self.elapsed();
        let mut outages = self.history.outages.iter();
        outages.any(|(away, span)| *away == engine && span.holds(now))
    }

    /// Whether something is still to have its effect, though nobody waits for it.
    pub(super) fn is_awaited(&self) -> bool {
        self.awaited.load(Ordering::Relaxed) > 0
    }

    /// Writes down what happened.
    pub(super) fn note(&self, what: impl FnOnce() -> String) {
        let (now, what) = (self.elapsed(), what());
        let step = format!("{:>9.3} {what}", now as f64 / 1000.0);
        if self.is_told {
            println!("{step}");
        }
        self.steps.lock().unwrap().push(step);
    }

    pub(super) fn happened(&self) -> BTreeSet<(Seam, Fault)> {
        self.happened.lock().unwrap().clone()
    }

    pub(super) fn doubtful(&self) -> BTreeSet<String> {
        self.doubtful.lock().unwrap().clone()
    }

    pub(super) fn steps(&self) -> Vec<String> {
        self.steps.lock().unwrap().clone()
    }

    /// Something by chance, the same for the same call.
    fn chance(&self, seam: Seam, place: usize, what: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.history.pace, seam as usize, place, what).hash(&mut hasher);
        hasher.finish()
    }

    fn pause(&self, seam: Seam, place: usize, what: &str) -> Duration {
        let chance = self.chance(seam, place, what);
        let most = match chance >> 60 {
            0 => 10 * self.history.slowness,
            _ => self.history.slowness,
        };
        Duration::from_millis(chance % (most + 1))
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) outside: Arc<Outside>,
    pub(super) process: usize,
}

/// Who makes a call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Caller {
    /// Somebody who waits for the answer.
    Alive,
    /// Somebody who will not see it.
    Dying,
}

/// One call, before it is made.
struct Turn {
    seam: Seam,
    place: usize,
    fault: Option<Fault>,
}

impl Part {
    /// Makes a call. `late` is what is left to have its effect after the caller has given up, where
    /// there is such a thing.
    pub(super) async fn call<T, E, F: Future<Output = Result<T, E>>>(
        &self,
        seam: Seam,
        effect: impl FnOnce(Caller) -> F,
        late: Option<Late>,
        failed: fn(io::Error) -> E,
    ) -> Result<T, E> {
        let turn = self.begin(seam);
        let engine = seam.engine();
        self.takes(&turn, "before").await;
        let refused = match turn.fault {
            Some(Fault::Dies) => {
                // What was sent to Clerk arrives without its sender.
                if seam == Seam::Patch {
                    self.comes_late(&turn, late);
                }
                self.die(&turn).await
            }
            Some(Fault::Late) => {
                self.comes_late(&turn, late);
                tokio::time::sleep(PATIENCE).await;
                Some("is waited for in vain")
            }
            Some(Fault::Refused) => Some("is refused"),
            _ if self.outside.is_away(engine) => Some("finds nobody"),
            _ => None,
        };
        if let Some(refused) = refused {
            self.note(&turn, refused);
            self.takes(&turn, "after").await;
            return Err(failed(io::Error::other(refused)));
        }
        let caller = match turn.fault {
            Some(Fault::DiesAfter) => Caller::Dying,
            _ => Caller::Alive,
        };
        let result = effect(caller).await;
        self.note(&turn, if result.is_ok() { "is done" } else { "fails" });
        self.takes(&turn, "after").await;
        match turn.fault {
            Some(Fault::DiesAfter) => self.die(&turn).await,
            Some(Fault::Lost) => {}
            // Who goes away does not answer any more.
            _ if self.outside.is_away(engine) => {}
            _ => return result,
        }
        self.note(&turn, "gets no answer");
        result.and_then(|_| Err(failed(io::Error::other("the answer is lost"))))
    }

    fn begin(&self, seam: Seam) -> Turn {
        let mut calls = self.outside.calls.lock().unwrap();
        let place = calls.entry(seam).or_default();
        *place += 1;
        let place = *place - 1;
        let made: usize = calls.values().sum();
        assert!(made < MOST_CALLS, "so many calls, and no end");
        let fault = self.outside.history.faults.get(&(seam, place)).copied();
        let fault = fault.map(|fault| fault.at(seam));
        let happens = fault.map(|fault| (seam, fault));
        self.outside.happened.lock().unwrap().extend(happens);
        Turn { seam, place, fault }
    }

    /// Time goes by; a process that stands still notices nothing until it goes on.
    async fn takes(&self, turn: &Turn, what: &str) {
        let pause = self.outside.pause(turn.seam, turn.place, what);
        tokio::time::sleep(pause).await;
        self.goes_on().await;
    }

    /// Waits until the process does not stand still.
    pub(super) async fn goes_on(&self) {
        let outside = &self.outside;
        loop {
            let now = outside.elapsed();
            let history = &outside.history;
            let stops = history.stops.iter();
            let mut stops = stops.filter(|(process, span)| {
                history.process(*process) == self.process && span.holds(now)
            });
            let Some((_, span)) = stops.next() else {
                return;
            };
            sleep_until(outside.at(span.end())).await;
        }
    }

    fn comes_late(&self, turn: &Turn, late: Option<Late>) {
        let Some(late) = late else {
            return;
        };
        let outside = Arc::clone(&self.outside);
        outside.awaited.fetch_add(1, Ordering::Relaxed);
        let (seam, place) = (turn.seam, turn.place);
        tokio::spawn(async move {
            tokio::time::sleep(LATE).await;
            late();
            outside.note(|| format!("{seam:?} {place} has its effect after all"));
            outside.awaited.fetch_sub(1, Ordering::Relaxed);
        });
    }

    async fn die<T>(&self, turn: &Turn) -> T {
        self.note(turn, "is where the process ends");
        // Nobody listens once the run is over.
        let _ = self.outside.died.send(self.process);
        std::future::pending().await
    }

    fn note(&self, turn: &Turn, what: &str) {
        self.outside.note(|| {
            let Turn { seam, place, .. } = turn;
            format!("process {}: {seam:?} {place} {what}", self.process)
        });
    }
}

/// A write to Clerk from when it is begun until its dispatcher knows how it ended.
///
/// If the process ends meanwhile, and the write comes when its lease is over, because the process stood
/// still or a clock was wrong, it may undo a newer one, and nobody can know of it. That the outbox does not
/// promise to make good (`outbox`, "NOT guaranteed"), so nothing is asked of such a user.
pub(super) struct Limbo {
    outside: Arc<Outside>,
    user: String,
    began: u64,
    is_over: bool,
}

impl Limbo {
    pub(super) fn begin(outside: &Arc<Outside>, user: &str) -> Self {
        Self {
            outside: Arc::clone(outside),
            user: user.to_owned(),
            began: outside.elapsed(),
            is_over: false,
        }
    }

    /// Its process knows.
    pub(super) fn end(mut self) {
        self.is_over = true;
    }

    /// Whether its lease may have been over when it came, if that was up to eight seconds from now.
    fn may_outlive_its_lease(&self) -> bool {
        let now = self.outside.elapsed();
        let reach = Span {
            from: self.began.saturating_sub(LEASE),
            lasts: now - self.began + 2 * LEASE,
        };
        let clocks = &self.outside.history.wrong_clocks;
        let is_wrong = |(_, span, by): &(usize, Span, i64)| {
            by.unsigned_abs() > SHORT && span.from < reach.end() && reach.from < span.end()
        };
        now - self.began > SHORT || clocks.iter().any(is_wrong)
    }
}

impl Drop for Limbo {
    fn drop(&mut self) {
        if !self.is_over && self.may_outlive_its_lease() {
            let user = std::mem::take(&mut self.user);
            self.outside.doubtful.lock().unwrap().insert(user);
        }
    }
}

/// The clock of a process: wrong at times.
impl Clock for Part {
    fn now(&self) -> Timestamp {
        let outside = &self.outside;
        let now = outside.elapsed();
        let history = &outside.history;
        let wrong = history.wrong_clocks.iter();
        let wrong = wrong.filter(|(process, span, _)| {
            history.process(*process) == self.process && span.holds(now)
        });
        let wrong: i64 = wrong.map(|(_, _, by)| by).sum();
        Timestamp::from_millis(outside.now().as_millis() + wrong)
    }
}
