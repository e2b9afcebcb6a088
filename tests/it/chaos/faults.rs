//! Makes the faults of a schedule happen, tells of each, and lifts it.
//!
//! Each has a task of its own, so that they overlap. Two about the same victim come one after the
//! other: what lifted the first would lift the second.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::task::JoinSet;

use super::schedule::{Damage, Fault, Mood, Planned, Victim};
use super::sender::Sender;
use super::tally::Door;
use super::world::{FIRST_SERVE, SECOND_SERVE, TO_BROKER, World};
use crate::support::clerk::Answer;
use crate::support::proxy::Wire;

/// How long an ingress may take to be full, and to say so.
/// What it has room for again, having had more before, is used first.
const UNTIL_FULL: Duration = Duration::from_secs(40);
/// How long it may take until Clerk is called: nothing is, while nothing is applied.
const UNTIL_CALLED: Duration = Duration::from_mins(2);

/// Whose turn it is with a victim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Victim(Victim),
    Line(usize),
    Clerk,
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
        self.count(&format!("kill {name}"));
        match victim {
            Victim::Process(place) => {
                let process = &self.world.processes[place];
                let starts = process.starts();
                process.kill(away);
                tokio::time::sleep(away).await;
                while process.starts() == starts {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            Victim::Broker => {
                self.world.rabbitmq.kill();
                tokio::time::sleep(away).await;
                self.world.rabbitmq.restart().await;
            }
            Victim::Database => {
                let mut postgres = self.world.postgres.lock().await;
                postgres.kill();
                tokio::time::sleep(away).await;
                postgres.restart().await;
            }
        }
        self.tell(&format!("{name} is started again"));
    }

    async fn stop(&self, victim: Victim, lasts: Duration) {
        let name = self.name(victim);
        self.tell(&format!("SIGSTOP {name} for {} ms", lasts.as_millis()));
        self.count(&format!("stop {name}"));
        match victim {
            Victim::Process(place) => {
                let process = &self.world.processes[place];
                process.signal("STOP");
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
                postgres.pause();
                tokio::time::sleep(lasts).await;
                postgres.resume();
            }
        }
    }

    async fn damage(&self, line: usize, damage: Damage, lasts: Duration) {
        let line = &self.world.lines[line];
        self.tell(&format!(
            "{damage:?} {} for {} ms",
            line.name,
            lasts.as_millis()
        ));
        self.count(&format!("{damage:?}"));
        let (wire, cut_first, cut_last) = match damage {
            Damage::Cut => (Wire::Open, true, false),
            Damage::Stall => (Wire::Still, false, false),
            Damage::HalfOpenThere => (Wire::Deaf, false, true),
            Damage::HalfOpenBack => (Wire::Mute, false, true),
            Damage::Slow => (Wire::Slow, false, false),
            Damage::Refuse => (Wire::Refusing, true, false),
        };
        line.proxy.set(wire);
        if cut_first {
            line.proxy.cut();
        }
        tokio::time::sleep(lasts).await;
        if cut_last {
            // What was held back is lost with the connections.
            line.proxy.cut();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        line.proxy.set(Wire::Open);
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
        while begun.elapsed() < lasts || (calls() == before && begun.elapsed() < UNTIL_CALLED) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.world.clerk.answer_everyone(None);
        if calls() > before {
            self.count(&format!("Clerk {mood:?}"));
        }
    }

    /// Takes RabbitMQ from an ingress until it refuses for want of room.
    async fn fill(&self, door: Door) {
        let line = TO_BROKER[door];
        let _turns = (
            // The one from the sender: without requests nothing is refused.
            self.turn(Turn::Line(door)).await,
            self.turn(Turn::Line(line)).await,
            self.turn(Turn::Victim(Victim::Process(door))).await,
        );
        let disk = self.world.processes[door].disk.as_ref();
        let disk = disk.filter(|_| door == SECOND_SERVE);
        let what = match (door, disk) {
            (FIRST_SERVE, _) => "spool full",
            (_, Some(_)) => "disk full",
            (_, None) => "disk full (cannot be had: mounting is not allowed here)",
        };
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
        while (disk.is_some() || door == FIRST_SERVE)
            && refused() == before
            && begun.elapsed() < UNTIL_FULL
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
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
