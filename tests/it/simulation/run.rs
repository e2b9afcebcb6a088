//! One run: processes are started, killed and started again, operators act, and when nothing moves any
//! more it is told what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;

use hookmirror::model::ledger::EventFilter;
use hookmirror::model::operator::{Operator, OperatorAction, Reason};
use hookmirror::model::outbox::Recipients;
use hookmirror::model::pause::SourceChange;
use hookmirror::model::replay::{ReplayOrder, ReplayRate, ReplayScope, ReplayState};
use hookmirror::model::source::Provider;
use hookmirror::model::time::Timestamp;
use hookmirror::store::{Pauses, Replays, Store};
use serde_json::json;
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::sleep_until;

use super::database::Database;
use super::history::{Fault, History, PROCESSES, Seam};
use super::part::Outside;
use super::process::Process;
use super::provider::{Providers, Standing};
use crate::convergence::crash::FakeClerk;
use crate::convergence::history::user_id;
use crate::convergence::reference::Mirror;
use crate::support::given::for_real;

/// How long a process that ended by itself is away.
const RESTART: u64 = 700;
/// How often somebody looks whether it is over.
const LOOK: u64 = 1_000;
/// What is due later than this from now is not waited for by processes that run: they are ended, and
/// started again in time. Nothing could happen meanwhile, and days go by in no time.
const SOON: u64 = 3_000;
/// The providers give up long before.
const LONGEST: u64 = 20 * 24 * 3_600 * 1000;
/// So often somebody looks, and there is something to do at once, each time. It is never a hundred times
/// where all is well.
const MOST_BUSY_LOOKS: u32 = 3_600;

/// What is there in the end.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) mirror: Mirror,
    pub(super) deliveries: Vec<Standing>,
    /// Messages in the queue.
    pub(super) queued: usize,
    /// Events in the ledger, by its own account.
    pub(super) accounted: u64,
    pub(super) replays: Vec<ReplayState>,
    /// How often each event was processed, and how often it came out of the queue.
    pub(super) attempts: BTreeMap<String, (i64, i64)>,
    /// How often a provider was told that it has been accepted.
    pub(super) acknowledged: BTreeMap<String, i64>,
    /// Of whom nobody can know what Clerk holds.
    pub(super) doubtful: BTreeSet<String>,
    /// What went wrong, at which calls.
    pub(super) happened: BTreeSet<(Seam, Fault)>,
    pub(super) steps: Vec<String>,
}

/// Something that is done at a time.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Start(usize),
    Kill(usize, u64),
    /// An orderly end and a new start, with the settings of now.
    Deploy(usize),
    Replay,
    Pause,
    Resume,
    Look,
}

/// Runs a history to its end. `is_told`: each step is printed when it is done.
///
/// # Panics
///
/// When it comes to none, or anything panics on the way.
pub(super) fn play(history: &History, database: &Arc<Database>, is_told: bool) -> Ending {
    database.clear();
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut run = Run::begin(history, database, is_told);
        run.until_it_is_over().await;
        run.ending()
    })
}

struct Run {
    outside: Arc<Outside>,
    providers: Arc<Providers>,
    processes: Vec<Option<Process>>,
    died: UnboundedReceiver<usize>,
    deeds: BTreeMap<(u64, usize), Deed>,
    planned: usize,
    busy_looks: u32,
    is_over: bool,
}

impl Run {
    fn begin(history: &History, database: &Arc<Database>, is_told: bool) -> Self {
        let users = (0..).zip(&history.world.users);
        let living = users.filter(|(_, story)| !story.deleted);
        let clerk = FakeClerk::knowing(living.map(|(user, _)| user_id(user)));
        let (dead, died) = unbounded_channel();
        let outside = Outside::new(history.clone(), Arc::clone(database), clerk, dead, is_told);
        let processes = if history.in_one_process { 1 } else { PROCESSES };
        let mut run = Self {
            providers: Providers::begin(&outside),
            outside,
            processes: (0..processes).map(|_| None).collect(),
            died,
            deeds: BTreeMap::new(),
            planned: 0,
            busy_looks: 0,
            is_over: false,
        };
        run.plan_all(history);
        run
    }

    fn plan_all(&mut self, history: &History) {
        for process in 0..self.processes.len() {
            self.plan(0, Deed::Start(process));
            if history.stripe_known_at > 0 {
                // One after the other, as one does.
                let at = history.stripe_known_at + 500 * process as u64;
                self.plan(at, Deed::Deploy(process));
            }
        }
        for (process, span) in &history.kills {
            let process = history.process(*process);
            self.plan(span.from, Deed::Kill(process, span.lasts));
        }
        if let Some(at) = history.replayed_at {
            self.plan(at, Deed::Replay);
        }
        if let Some(span) = history.paused {
            self.plan(span.from, Deed::Pause);
            self.plan(span.end(), Deed::Resume);
        }
        let spans = history.outages.iter().map(|(_, span)| span);
        let spans = spans.chain(history.stops.iter().map(|(_, span)| span));
        let spans = spans.chain(history.wrong_clocks.iter().map(|(_, span, _)| span));
        let weather = spans.map(|span| span.end()).max().unwrap_or_default();
        let last = self.deeds.last_key_value().map(|((at, _), _)| *at);
        self.plan(weather.max(last.unwrap_or_default()) + LOOK, Deed::Look);
    }

    fn plan(&mut self, at: u64, deed: Deed) {
        self.planned += 1;
        self.deeds.insert((at, self.planned), deed);
    }

    async fn until_it_is_over(&mut self) {
        while !self.is_over {
            let ((at, place), deed) = self.deeds.pop_first().unwrap();
            assert!(at < LONGEST, "it comes to no end");
            tokio::select! {
                biased;
                Some(process) = self.died.recv() => {
                    self.deeds.insert((at, place), deed);
                    self.kill(process, RESTART);
                }
                () = sleep_until(self.outside.at(at)) => self.act(deed).await,
            }
        }
    }

    async fn act(&mut self, deed: Deed) {
        match deed {
            Deed::Look => {}
            deed => self.outside.note(|| format!("{deed:?}")),
        }
        match deed {
            Deed::Start(process) => self.start(process),
            Deed::Kill(process, away) => self.kill(process, away),
            Deed::Deploy(process) => {
                if self.processes[process].is_some() {
                    self.end(process).await;
                    self.start(process);
                }
            }
            Deed::Replay => self.replay(),
            Deed::Pause => self.change_stripe(SourceChange::Pause),
            Deed::Resume => self.change_stripe(SourceChange::Resume),
            Deed::Look => self.look().await,
        }
    }

    fn start(&mut self, process: usize) {
        if self.processes[process].is_none() {
            let started = Process::start(&self.outside, &self.providers, process);
            self.processes[process] = Some(started);
        }
    }

    fn kill(&mut self, process: usize, away: u64) {
        if self.processes[process].take().is_some() {
            self.outside.note(|| format!("process {process} is killed"));
            self.providers.shut(process);
            self.plan(self.outside.elapsed() + away, Deed::Start(process));
        }
    }

    /// Ends a process in good order, unless it dies of it; others may meanwhile.
    async fn end(&mut self, process: usize) {
        let Some(running) = self.processes[process].take() else {
            return;
        };
        self.providers.shut(process);
        let mut ending = pin!(running.end());
        loop {
            tokio::select! {
                biased;
                () = &mut ending => return,
                Some(dead) = self.died.recv() => {
                    if dead == process {
                        return;
                    }
                    self.kill(dead, RESTART);
                }
            }
        }
    }

    fn replay(&self) {
        let order = ReplayOrder {
            scope: ReplayScope {
                filter: EventFilter::default(),
                limit: None,
            },
            rate: ReplayRate::DEFAULT,
            operator: Operator::unknown(),
        };
        let reason = Reason::parse("chance").unwrap();
        let (database, now) = (&self.outside.database, self.outside.now());
        let started = database.call(database.store.start_replay(&order, &reason, now));
        started.unwrap();
    }

    fn change_stripe(&self, change: SourceChange) {
        let action = OperatorAction {
            operator: Operator::unknown(),
            action: "sources",
            target: json!({}),
            mode: for_real(),
        };
        let sources = [Provider::Stripe.into()];
        let (database, now) = (&self.outside.database, self.outside.now());
        let changing = database
            .store
            .change_sources(change, &sources, &action, now);
        database.call(changing).unwrap();
    }

    /// Ends everything once nothing is to be done soon; begins again when something is.
    async fn look(&mut self) {
        for process in self.processes.iter_mut().flatten() {
            process.check();
        }
        let now = self.outside.elapsed();
        let all_run = self.processes.iter().all(Option::is_some);
        if !all_run || self.is_busy() {
            self.busy_looks += 1;
            assert!(self.busy_looks < MOST_BUSY_LOOKS, "it comes to no end");
            self.plan(now + LOOK, Deed::Look);
            return;
        }
        self.busy_looks = 0;
        for process in 0..self.processes.len() {
            self.end(process).await;
        }
        let next = match self.is_busy() {
            true => Some(now),
            false => self.next_due(),
        };
        let Some(next) = next else {
            self.is_over = true;
            return;
        };
        let next = next.saturating_sub(50).max(self.outside.elapsed());
        for process in 0..self.processes.len() {
            self.plan(next, Deed::Start(process));
        }
        self.plan(next + LOOK, Deed::Look);
    }

    fn is_busy(&self) -> bool {
        let soon = self.outside.elapsed() + SOON;
        let (database, queue) = (&self.outside.database, &self.outside.queue);
        let standings = self.providers.standings();
        let on_the_way = |standing: &Standing| *standing == Standing::UnderWay;
        let store = &database.store;
        queue.len() > 0
            || self.outside.is_awaited()
            || standings.iter().any(on_the_way)
            || self.next_due().is_some_and(|due| due <= soon)
            || !database.call(store.running_replays()).unwrap().is_empty()
            || {
                let standings = database.call(store.source_standings()).unwrap();
                standings.iter().any(|standing| standing.parked > 0)
            }
    }

    /// When the next thing is to be done, of those that are planned.
    fn next_due(&self) -> Option<u64> {
        let database = &self.outside.database;
        let store = &database.store;
        let retry = database.call(store.next_retry_due()).unwrap();
        let delivery = database.call(store.next_outbox_due(&Recipients::All));
        let due = retry.into_iter().chain(delivery.unwrap());
        let due = due.map(|due| self.millis(due));
        let standings = self.providers.standings();
        let sent = standings.into_iter().filter_map(|standing| match standing {
            Standing::Due(at) => Some(at),
            _ => None,
        });
        due.chain(sent).min()
    }

    fn millis(&self, at: Timestamp) -> u64 {
        let (now, elapsed) = (self.outside.now(), self.outside.elapsed());
        let wait = u64::try_from(at.since(now).as_millis()).unwrap();
        elapsed + wait
    }

    fn ending(&self) -> Ending {
        let database = &self.outside.database;
        let store = &database.store;
        let counts = database.call(store.count_events(&[])).unwrap();
        let replays = database.call(store.list_replays(10)).unwrap();
        Ending {
            mirror: Mirror {
                at_clerk: self.outside.clerk.metadata(),
                ..database.read()
            },
            deliveries: self.providers.standings(),
            queued: self.outside.queue.len(),
            accounted: counts.states.iter().map(|state| state.events).sum(),
            attempts: database.attempts(),
            acknowledged: self.providers.acknowledged(),
            doubtful: self.outside.doubtful(),
            happened: self.outside.happened(),
            replays: replays.into_iter().map(|replay| replay.state).collect(),
            steps: self.outside.steps(),
        }
    }
}
