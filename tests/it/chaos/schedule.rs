//! Which fault begins when: decided by the seed, before anything runs.
//!
//! Faults are dealt as a deck of cards is: each kind once, each process, engine and wire as a victim,
//! in an order by chance; then the deck is shuffled again. So every kind occurs in any run that is not
//! shorter than one deck.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use super::world::{LINES, PROCESSES};

/// Who can be killed or stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Victim {
    /// One of the processes, by its place.
    Process(usize),
    Broker,
    Database,
}

/// What happens to a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Damage {
    /// Connections end.
    Cut,
    /// Nothing passes, then everything does.
    Stall,
    /// One direction is dead, and in the end the connections are.
    HalfOpenThere,
    HalfOpenBack,
    Slow,
    /// Connections end, and no new one is taken.
    Refuse,
}

/// How Clerk answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Mood {
    Throttling,
    Failing,
    /// It does as it is asked, and never says so.
    Silent,
    /// It does as it is asked, and the connection breaks.
    Breaking,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Fault {
    Kill(Victim),
    Stop(Victim),
    /// Of the wire at this place.
    Wire(usize, Damage),
    Clerk(Mood),
    /// RabbitMQ is away for the first ingress until its spool is as full as it may be.
    SpoolFull,
    /// RabbitMQ is away for the second ingress, and its disk is full.
    DiskFull,
    /// RabbitMQ takes no more from anyone, as it does when its memory runs out.
    Alarm,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Planned {
    /// After the beginning.
    pub(super) at: Duration,
    pub(super) fault: Fault,
    pub(super) lasts: Duration,
}

/// As they are counted.
pub(super) const SPOOL_FULL: &str = "spool full";
pub(super) const DISK_FULL: &str = "disk full";
pub(super) const ALARM: &str = "alarm of RabbitMQ";

/// The mean time between two faults, unless a short run has to make do with less.
const SPACING: Duration = Duration::from_millis(3600);
const SHORTEST: u64 = 1000;
/// Longer than a sender waits for an answer.
const LONGEST: u64 = 8000;

const DAMAGES: [Damage; 6] = [
    Damage::Cut,
    Damage::Stall,
    Damage::HalfOpenThere,
    Damage::HalfOpenBack,
    Damage::Slow,
    Damage::Refuse,
];
const MOODS: [Mood; 4] = [
    Mood::Throttling,
    Mood::Failing,
    Mood::Silent,
    Mood::Breaking,
];

fn victims() -> impl Iterator<Item = Victim> {
    let processes = (0..PROCESSES).map(Victim::Process);
    processes.chain([Victim::Broker, Victim::Database])
}

/// Every kind of fault, and every victim.
fn deck(chance: &mut StdRng) -> Vec<Fault> {
    let mut damages: Vec<Damage> = DAMAGES.into_iter().cycle().take(LINES).collect();
    damages.shuffle(chance);
    let mut deck: Vec<Fault> = victims()
        .flat_map(|victim| [Fault::Kill(victim), Fault::Stop(victim)])
        .chain(
            (0..LINES)
                .zip(damages)
                .map(|(line, damage)| Fault::Wire(line, damage)),
        )
        .chain(MOODS.map(Fault::Clerk))
        .chain([Fault::SpoolFull, Fault::DiskFull, Fault::Alarm])
        .collect();
    deck.shuffle(chance);
    deck
}

/// What must have happened in a run, as it is counted; `names` are those of the processes. A disk
/// cannot be full where there is none to fill.
pub(super) fn kinds(names: &[&str], has_disk: bool) -> Vec<String> {
    let victims = names.iter().copied().chain(["RabbitMQ", "Postgres"]);
    victims
        .flat_map(|name| [format!("kill {name}"), format!("stop {name}")])
        .chain(DAMAGES.map(|damage| format!("{damage:?}")))
        .chain(MOODS.map(|mood| format!("Clerk {mood:?}")))
        .chain([SPOOL_FULL, ALARM].map(str::to_owned))
        .chain(has_disk.then(|| DISK_FULL.to_owned()))
        .collect()
}

/// What happens in so much time.
pub(super) fn schedule(seed: u64, duration: Duration) -> Vec<Planned> {
    let mut chance = StdRng::seed_from_u64(seed);
    let mut planned = Vec::new();
    let mut deal = deck(&mut chance);
    let one_deck = u32::try_from(deal.len()).unwrap();
    // The last fault of the last deck has time to end.
    let spacing = SPACING.min(duration.saturating_sub(2 * SPACING) / one_deck);
    let mut at = spacing;
    while at + spacing < duration {
        let fault = match deal.pop() {
            Some(fault) => fault,
            None => {
                deal = deck(&mut chance);
                continue;
            }
        };
        planned.push(Planned {
            at: at - spacing + spacing.mul_f64(chance.random_range(0.1..1.9)),
            fault,
            lasts: Duration::from_millis(chance.random_range(SHORTEST..LONGEST)),
        });
        at += spacing;
    }
    planned.sort_by_key(|planned| planned.at);
    planned
}

#[test]
fn a_deck_has_every_kind_and_every_victim_and_fits_into_two_minutes() {
    use std::collections::BTreeSet;
    for seed in 0..50 {
        let planned = schedule(seed, Duration::from_mins(2));
        let faults: BTreeSet<Fault> = planned.iter().map(|planned| planned.fault).collect();
        let has = |fault| assert!(faults.contains(&fault), "{fault:?} with seed {seed}");
        victims().for_each(|victim| has(Fault::Kill(victim)));
        victims().for_each(|victim| has(Fault::Stop(victim)));
        MOODS.map(Fault::Clerk).into_iter().for_each(has);
        has(Fault::SpoolFull);
        has(Fault::DiskFull);
        has(Fault::Alarm);
        let wires = faults.iter().filter_map(|fault| match fault {
            Fault::Wire(line, damage) => Some((*line, *damage)),
            _ => None,
        });
        let (lines, damages): (BTreeSet<_>, BTreeSet<_>) = wires.unzip();
        assert_eq!((lines.len(), damages.len()), (LINES, DAMAGES.len()));
        let overlapping = planned
            .windows(2)
            .filter(|pair| pair[0].at + pair[0].lasts > pair[1].at);
        assert!(overlapping.count() > 5, "they never meet");
        assert!(
            planned
                .iter()
                .all(|planned| planned.at < Duration::from_mins(2))
        );
    }
}

#[test]
fn the_seed_decides_everything() {
    let tell = |seed| format!("{:?}", schedule(seed, Duration::from_mins(5)));
    assert_eq!(tell(1), tell(1));
    assert_ne!(tell(1), tell(2));
}

#[test]
fn a_full_disk_is_demanded_where_there_is_one() {
    let mut with = kinds(&["serve"], true);
    let without = kinds(&["serve"], false);
    assert!(!without.iter().any(|kind| kind == DISK_FULL), "{without:?}");
    with.retain(|kind| kind != DISK_FULL);
    assert_eq!(with, without, "and nothing else is left out");
}
