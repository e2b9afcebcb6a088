//! What happens in one run of the simulation: a world, and the weather that it lives in.
//!
//! Everything is written out, so that a run can be told in words, repeated, and made smaller piece by
//! piece. Only how long each single step takes is left to `pace`.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::convergence::history::World;
use crate::convergence::worlds;

/// A call from one part to another, at which something can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Seam {
    /// The provider's request to ingress.
    Request,
    /// To the queue, from ingress and from the schedulers.
    Publish,
    Take,
    Ack,
    /// The transaction of a batch.
    Apply,
    LeaseRetries,
    RetriesQueued,
    LeaseReplays,
    ReplaysQueued,
    LeaseOutbox,
    SettleOutbox,
    /// The call of Clerk.
    Patch,
    /// Whatever else the database is asked.
    Ask,
}

impl Seam {
    pub(super) const ALL: [Self; 13] = [
        Self::Request,
        Self::Publish,
        Self::Take,
        Self::Ack,
        Self::Apply,
        Self::LeaseRetries,
        Self::RetriesQueued,
        Self::LeaseReplays,
        Self::ReplaysQueued,
        Self::LeaseOutbox,
        Self::SettleOutbox,
        Self::Patch,
        Self::Ask,
    ];

    /// Which engine is asked.
    pub(super) fn engine(self) -> Engine {
        match self {
            Self::Request => Engine::Network,
            Self::Publish | Self::Take | Self::Ack => Engine::Queue,
            Self::Patch => Engine::Clerk,
            _ => Engine::Database,
        }
    }
}

/// What can be away for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    Network,
    Queue,
    Database,
    Clerk,
}

/// How one call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// It fails, without effect.
    Refused,
    /// It has its effect, and the caller hears of a failure.
    Lost,
    /// The caller waits in vain, and meanwhile, or some seconds later, it has its effect after all.
    Late,
    /// The caller's process ends before the effect.
    Dies,
    /// The caller's process ends between the effect and the answer.
    DiesAfter,
}

impl Fault {
    pub(super) const ALL: [Self; 5] = [
        Self::Refused,
        Self::Lost,
        Self::Late,
        Self::Dies,
        Self::DiesAfter,
    ];

    /// What it comes to at this seam.
    pub(super) fn at(self, seam: Seam) -> Self {
        match self {
            // The network does not die.
            Self::Dies if seam == Seam::Request => Self::Refused,
            Self::DiesAfter if seam == Seam::Request => Self::Lost,
            // What a database or a network is asked does not wait to be done.
            Self::Late if !matches!(seam, Seam::Publish | Seam::Patch) => Self::Refused,
            fault => fault,
        }
    }
}

/// From when, for how long; in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) from: u64,
    pub(super) lasts: u64,
}

impl Span {
    pub(super) fn holds(self, now: u64) -> bool {
        (self.from..self.from + self.lasts).contains(&now)
    }

    pub(super) fn end(self) -> u64 {
        self.from + self.lasts
    }
}

/// See the module. Times are milliseconds from the beginning.
#[derive(Clone, Debug)]
pub(super) struct History {
    pub(super) world: World,
    /// One process with all roles, and not two of each.
    pub(super) in_one_process: bool,
    /// When each event of the world is sent.
    pub(super) sent: Vec<u64>,
    /// Events that are sent once more, and when.
    pub(super) sent_again: Vec<(usize, u64)>,
    /// Which call at a seam goes wrong, counted over all processes.
    pub(super) faults: BTreeMap<(Seam, usize), Fault>,
    pub(super) outages: Vec<(Engine, Span)>,
    /// Processes that are killed, and how long they are away.
    pub(super) kills: Vec<(usize, Span)>,
    /// Processes that stand still.
    pub(super) stops: Vec<(usize, Span)>,
    /// When and by how much a process's clock is wrong.
    pub(super) wrong_clocks: Vec<(usize, Span, i64)>,
    /// Until then the workers do not know of Stripe.
    pub(super) stripe_known_at: u64,
    /// When everything that there is then is replayed.
    pub(super) replayed_at: Option<u64>,
    /// While this the processing of Stripe's events is paused.
    pub(super) paused: Option<Span>,
    /// What a step takes at most, most of the time.
    pub(super) slowness: u64,
    /// Decides how long each step takes.
    pub(super) pace: u64,
}

/// Events are sent within this time.
const SENDING: u64 = 15_000;
/// A process of the larger installation.
pub(super) const PROCESSES: usize = 6;

impl History {
    /// The process that this one is in a history with fewer.
    pub(super) fn process(&self, process: usize) -> usize {
        if self.in_one_process { 0 } else { process }
    }
}

fn spans(longest: u64) -> impl Strategy<Value = Span> {
    (0..SENDING * 2, 1..longest).prop_map(|(from, lasts)| Span { from, lasts })
}

fn faults() -> impl Strategy<Value = BTreeMap<(Seam, usize), Fault>> {
    let seam = prop::sample::select(Seam::ALL.to_vec());
    let fault = prop::sample::select(Fault::ALL.to_vec());
    prop::collection::btree_map((seam, 0..12_usize), fault, 0..8)
}

/// Any history.
pub(super) fn histories() -> impl Strategy<Value = History> {
    worlds::worlds().prop_flat_map(|world| {
        let events = world.events().len();
        (Just(world), weather(events)).prop_map(|(world, weather)| History { world, ..weather })
    })
}

/// A history whose world is still to come, for so many events.
fn weather(events: usize) -> impl Strategy<Value = History> {
    let sent = prop::collection::vec(0..SENDING, events);
    // A millisecond apart, and long after.
    let later = prop_oneof![Just(1_u64), 0..SENDING];
    let again = prop::collection::vec((0..events.max(1), later), 0..=events.min(4));
    let engine = prop_oneof![
        Just(Engine::Network),
        Just(Engine::Queue),
        Just(Engine::Database),
        Just(Engine::Clerk),
    ];
    let process = || 0..PROCESSES;
    // Mostly shorter than a lease.
    let still = prop_oneof![4 => spans(15_000), 1 => spans(90_000)];
    let wrong = prop_oneof![-5_000..5_000_i64, -400_000..400_000_i64];
    let sending = (any::<bool>(), sent, again);
    let breaking = (
        faults(),
        prop::collection::vec((engine, spans(20_000)), 0..3),
        prop::collection::vec((process(), spans(5_000)), 0..3),
        prop::collection::vec((process(), still), 0..3),
        prop::collection::vec((process(), spans(30_000), wrong), 0..2),
    );
    let operating = (
        prop_oneof![2 => Just(0), 1 => 0..SENDING],
        prop::option::weighted(0.2, SENDING / 3..SENDING * 2),
        prop::option::weighted(0.2, spans(20_000)),
    );
    let pacing = (prop_oneof![Just(0_u64), Just(20), Just(300)], any::<u64>());
    (sending, breaking, operating, pacing).prop_map(
        |(sending, breaking, operating, (slowness, pace))| {
            let (in_one_process, sent, again) = sending;
            let (faults, outages, kills, stops, wrong_clocks) = breaking;
            let (stripe_known_at, replayed_at, paused) = operating;
            let sent_again = again
                .into_iter()
                .filter_map(|(event, later)| Some((event, sent.get(event)? + later)))
                .collect();
            History {
                world: World::default(),
                in_one_process,
                sent,
                sent_again,
                faults,
                outages,
                kills,
                stops,
                wrong_clocks,
                stripe_known_at,
                replayed_at,
                paused,
                slowness,
                pace,
            }
        },
    )
}
