//! Makes the faults of a schedule happen, tells of each, and lifts it.
//!
//! Each has a task of its own, so that they overlap. Two about the same victim come one after the
//! other: what lifted the first would lift the second.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::task::JoinSet;

use super::schedule::{ALARM, DISK_FULL, Damage, Fault, Mood, Planned, SPOOL_FULL, Victim};
use super::sender::Sender;
use super::tally::Door;
use super::world::{FIRST_SERVE, SECOND_SERVE, TO_BROKER, World};
use crate::support::clerk::Answer;
use crate::support::proxy::{Felt, Wire};

/// How long an ingress may take to be full, and to say so. Its files have room inside from before,
/// which is used first.
const UNTIL_FULL: Duration = Duration::from_secs(40);
/// How long it may take until somebody feels a fault: nobody does who is away, or calls nobody
/// because nothing is applied.
const UNTIL_FELT: Duration = Duration::from_mins(2);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Whose turn it is with a victim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Victim(Victim),
    Line(usize),
    Clerk,
}

/// Waits until there is something to break; `None` if that takes too long.
async fn soon<T>(mut there: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    while begun.elapsed() < UNTIL_FELT {
        if let Some(there) = there() {
            return Some(there);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    None
}

/// Everyone who breaks something.
pub(super) struct Faults {
    world: Arc<World>,
    sender: Arc<Sender>,
    begun: Instant,
    turns: Mutex<BTreeMap<Turn, Arc<AsyncMutex<()>>>>,
    /// How often each kind had its effect.
    pub(super) happened: Mutex<BTreeMap<String, u32>>,
}

impl Faults {
    pub(super) fn new(world: Arc<World>, sender: Arc<Sender>) -> Arc<Self> {
        Arc::new(Self {
            world,
            sender,
            begun: Instant::now(),
            turns: Mutex::default(),
            happened: Mutex::default(),
        })
    }

    /// Lets all of them happen. In the end none is left.
    pub(super) async fn run(self: &Arc<Self>, schedule: Vec<Planned>) {
        let mut under_way = JoinSet::new();
        for Planned { at, fault, lasts } in schedule {
            tokio::time::sleep(at.saturating_sub(self.begun.elapsed())).await;
            let faults = Arc::clone(self);
            under_way.spawn(async move { faults.happen(fault, lasts).await });
        }
        while let Some(ended) = under_way.join_next().await {
            ended.unwrap();
        }
    }

    async fn turn(&self, turn: Turn) -> OwnedMutexGuard<()> {
        let known = Arc::clone(self.turns.lock().unwrap().entry(turn).or_default());
        known.lock_owned().await
    }

    fn tell(&self, what: &str) {
        println!("{:>7.1} s  {what}", self.begun.elapsed().as_secs_f64());
    }

    fn count(&self, kind: &str) {
        *self
            .happened
            .lock()
            .unwrap()
            .entry(kind.to_owned())
            .or_default() += 1;
    }

    async fn happen(&self, fault: Fault, lasts: Duration) {
        match fault {
            Fault::Kill(victim) => {
                let _turn = self.turn(Turn::Victim(victim)).await;
                self.kill(victim, lasts).await;
            }
            Fault::Stop(victim) => {
                let _turn = self.turn(Turn::Victim(victim)).await;
                self.stop(victim, lasts).await;
            }
            Fault::Wire(line, damage) => {
                let _turn = self.turn(Turn::Line(line)).await;
                self.damage(line, damage, lasts).await;
            }
            Fault::Clerk(mood) => {
                let _turn = self.turn(Turn::Clerk).await;
                self.upset(mood, lasts).await;
            }
            Fault::SpoolFull => self.fill(FIRST_SERVE).await,
            Fault::DiskFull => self.fill(SECOND_SERVE).await,
            Fault::Alarm => {
                let _turn = self.turn(Turn::Victim(Victim::Broker)).await;
                self.alarm(lasts).await;
            }
        }
    }

    fn name(&self, victim: Victim) -> &'static str {
        match victim {
            Victim::Process(place) => self.world.processes[place].name,
            Victim::Broker => "RabbitMQ",
            Victim::Database => "Postgres",
        }
    }

    async fn kill(&self, victim: Victim, away: Duration) {
        let name = self.name(victim);
        self.tell(&format!("kill -9 {name}, away for {} ms", away.as_millis()));
        match victim {
            Victim::Process(place) => {
                let process = &self.world.processes[place];
                let Some(killed) = soon(|| process.kill(away)).await else {
                    return self.tell(&format!("{name} is away: nobody was killed"));
                };
                tokio::time::sleep(away).await;
                while process.starts() == killed {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            }
            Victim::Broker => {
                self.world.rabbitmq.kill();
                tokio::time::sleep(away).await;
                self.world.rabbitmq.restart().await;
            }
            Victim::Database => {
                let mut postgres = self.world.postgres.lock().await;
                assert!(postgres.is_running(), "Postgres ended by itself");
                postgres.kill();
                tokio::time::sleep(away).await;
                postgres.restart().await;
            }
        }
        self.count(&format!("kill {name}"));
        self.tell(&format!("{name} is started again"));
    }

    async fn stop(&self, victim: Victim, lasts: Duration) {
        let name = self.name(victim);
        self.tell(&format!("SIGSTOP {name} for {} ms", lasts.as_millis()));
        match victim {
            Victim::Process(place) => {
                let process = &self.world.processes[place];
                if soon(|| process.signal("STOP")).await.is_none() {
                    return self.tell(&format!("{name} is away: nobody was stopped"));
                }
                tokio::time::sleep(lasts).await;
                process.signal("CONT");
            }
            Victim::Broker => {
                self.world.rabbitmq.pause();
                tokio::time::sleep(lasts).await;
                self.world.rabbitmq.resume();
            }
            Victim::Database => {
                let postgres = self.world.postgres.lock().await;
                assert!(postgres.is_running(), "Postgres ended by itself");
                postgres.pause();
                tokio::time::sleep(lasts).await;
                postgres.resume();
            }
        }
        self.count(&format!("stop {name}"));
    }

    async fn damage(&self, line: usize, damage: Damage, lasts: Duration) {
        let line = &self.world.lines[line];
        let proxy = &line.proxy;
        // A wire without connections is no wire yet.
        let _ = soon(|| (proxy.connections() > 0).then_some(())).await;
        self.tell(&format!(
            "{damage:?} {} for {} ms",
            line.name,
            lasts.as_millis()
        ));
        let before = proxy.felt();
        let is_felt = || effect(damage, proxy.felt()) > effect(damage, before);
        let (wire, cut_first, cut_last) = match damage {
            Damage::Cut => (Wire::Open, true, false),
            Damage::Stall => (Wire::Still, false, false),
            Damage::HalfOpenThere => (Wire::Deaf, false, true),
            Damage::HalfOpenBack => (Wire::Mute, false, true),
            Damage::Slow => (Wire::Slow, false, false),
            Damage::Refuse => (Wire::Refusing, true, false),
        };
        proxy.set(wire);
        if cut_first {
            proxy.cut();
        }
        let begun = Instant::now();
        while begun.elapsed() < lasts || (!is_felt() && begun.elapsed() < UNTIL_FELT) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        if is_felt() {
            self.count(&format!("{damage:?}"));
        }
        if cut_last {
            // What was held back is lost with the connections.
            proxy.cut();
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        proxy.set(Wire::Open);
    }

    async fn upset(&self, mood: Mood, lasts: Duration) {
        self.tell(&format!("Clerk is {mood:?} for {} ms", lasts.as_millis()));
        let calls = || self.world.clerk.calls().len();
        let before = calls();
        let answer = match mood {
            Mood::Throttling => Answer::Throttled(Some(Duration::from_secs(1))),
            Mood::Failing => Answer::Status(503),
            Mood::Silent => Answer::Silence,
            Mood::Breaking => Answer::CutOff,
        };
        self.world.clerk.answer_everyone(Some(answer));
        let begun = Instant::now();
        // Whoever calls nobody sees nothing of it.
        while begun.elapsed() < lasts || (calls() == before && begun.elapsed() < UNTIL_FELT) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        self.world.clerk.answer_everyone(None);
        if calls() > before {
            self.count(&format!("Clerk {mood:?}"));
        }
    }

    /// Lets RabbitMQ block whoever publishes.
    async fn alarm(&self, lasts: Duration) {
        self.tell(&format!("{ALARM} for {} ms", lasts.as_millis()));
        let rabbitmq = &self.world.rabbitmq;
        let blocked = || {
            let lines = TO_BROKER.map(|line| self.world.lines[line].proxy.felt().blocked);
            lines.iter().sum::<u64>()
        };
        let before = blocked();
        rabbitmq.set_alarm(true).await;
        let begun = Instant::now();
        while begun.elapsed() < lasts || (blocked() == before && begun.elapsed() < UNTIL_FELT) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        rabbitmq.set_alarm(false).await;
        if blocked() > before {
            self.count(ALARM);
        }
        self.tell("RabbitMQ takes everything again");
    }

    /// Takes RabbitMQ from an ingress until it refuses for want of room.
    async fn fill(&self, door: Door) {
        let line = TO_BROKER[door];
        let disk = self.world.processes[door].disk.as_ref();
        let disk = disk.filter(|_| door == SECOND_SERVE);
        let what = match (door, disk) {
            (FIRST_SERVE, _) => SPOOL_FULL,
            (_, Some(_)) => DISK_FULL,
            (_, None) => return self.tell("no disk to fill: mounting is not allowed here"),
        };
        let _turns = (
            // The one from the sender: without requests nothing is refused.
            self.turn(Turn::Line(door)).await,
            self.turn(Turn::Line(line)).await,
            self.turn(Turn::Victim(Victim::Process(door))).await,
        );
        let name = self.world.processes[door].name;
        self.tell(&format!("{what}: {name} without RabbitMQ"));
        let proxy = &self.world.lines[line].proxy;
        proxy.set(Wire::Refusing);
        proxy.cut();
        let refused = || self.sender.tally().not_durable[door];
        let before = refused();
        if let Some(disk) = disk {
            disk.fill();
        }
        let begun = Instant::now();
        while refused() == before && begun.elapsed() < UNTIL_FULL {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        // It goes on being refused for a while.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let refusals = refused() - before;
        if refusals > 0 {
            self.count(what);
        }
        if let Some(disk) = disk {
            disk.make_room();
        }
        proxy.set(Wire::Open);
        self.tell(&format!("{name} has room again, after {refusals} refusals"));
    }
}

/// How much of a damage somebody has felt.
fn effect(damage: Damage, felt: Felt) -> u64 {
    match damage {
        Damage::Cut | Damage::Refuse => felt.cut,
        Damage::Stall | Damage::HalfOpenThere | Damage::HalfOpenBack => felt.held_back,
        Damage::Slow => felt.slowed,
    }
}
