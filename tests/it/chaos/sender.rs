//! Posts as the providers do: signed anew at each attempt, to either ingress in turn, until it gets
//! a 2xx.
//!
//! Pauses between attempts are the providers' own, 600 times shorter. Svix waits 5 s, 5 min, 30 min,
//! 2 h, 5 h, 10 h, 10 h: 8 ms, 0.5 s, 3 s, 12 s, … here. Stripe publishes only that its pauses grow
//! exponentially: 1 s, 2 s, 4 s, … here, for 10 min, 20 min, 40 min. Each is drawn out by up to a fifth.
//! Two things are not scaled. No pause is longer than that for two hours, and nobody gives up: what
//! a provider gave up on is sent again by hand, and the account asks what becomes of that too. And an
//! attempt may take six seconds; a scaled timeout would tell nothing.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use hookmirror::clock::{Clock, SystemClock};
use hookmirror::model::source::Provider;
use hookmirror::provider;
use hookmirror::sender::Delivery;
use secrecy::SecretString;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::story::key;
use super::tally::{Door, Tally};
use crate::cli::process::SECRETS;

const SVIX: [u64; 4] = [8, 500, 3000, 12_000];
const STRIPE: [u64; 5] = [1000, 2000, 4000, 8000, 12_000];
const TIMEOUT: Duration = Duration::from_secs(6);
/// Deliveries that wait for an answer or a next attempt. Beyond it nothing new is begun, so that a
/// history without an end cannot fill the memory.
const MOST_UNDER_WAY: usize = 1500;

pub(super) struct Sender {
    client: reqwest::Client,
    doors: [u16; 2],
    tally: Mutex<Tally>,
    room: Arc<Semaphore>,
}

impl Sender {
    /// One that knows the ports of both ingresses.
    pub(super) fn to(doors: [u16; 2]) -> Arc<Self> {
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Arc::new(Self {
            client,
            doors,
            tally: Mutex::new(Tally::new()),
            room: Arc::new(Semaphore::new(MOST_UNDER_WAY)),
        })
    }

    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap()
    }

    /// How many deliveries are not acknowledged yet.
    pub(super) fn under_way(&self) -> usize {
        MOST_UNDER_WAY - self.room.available_permits()
    }

    /// Begins so many deliveries in a second, whatever becomes of those before; `None` ends it. Ends
    /// when all of them are acknowledged.
    pub(super) async fn send(
        self: &Arc<Self>,
        per_second: u32,
        mut next: impl FnMut() -> Option<Delivery>,
    ) {
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut under_way = JoinSet::new();
        for number in 0.. {
            let Some(delivery) = next() else { break };
            ticks.tick().await;
            let room = Arc::clone(&self.room).acquire_owned().await.unwrap();
            let sender = Arc::clone(self);
            under_way.spawn(async move {
                sender.deliver(number, &delivery).await;
                drop(room);
            });
            while under_way.try_join_next().is_some_and(|ended| {
                ended.unwrap();
                true
            }) {}
        }
        while let Some(ended) = under_way.join_next().await {
            ended.unwrap();
        }
    }

    async fn deliver(&self, number: usize, delivery: &Delivery) {
        let event = key(delivery);
        for attempt in 0.. {
            self.tally().began(&event, attempt > 0);
            let door = (number + attempt) % self.doors.len();
            let begun = Instant::now();
            match self.attempt(door, delivery).await {
                Ok(()) => return self.tally().acknowledged(&event, begun.elapsed()),
                Err(because) => self.tally().refused(door, because),
            }
            tokio::time::sleep(pause(delivery.source.provider, attempt, number)).await;
        }
    }

    async fn attempt(&self, door: Door, delivery: &Delivery) -> Result<(), String> {
        let provider = delivery.source.provider;
        let secret = match provider {
            Provider::Clerk => SECRETS[0].1,
            Provider::Stripe => SECRETS[1].1,
        };
        let secret = SecretString::from(secret);
        let now = SystemClock.now();
        let headers = provider::sign(provider, &secret, &delivery.id, now, &delivery.body).unwrap();
        let url = format!(
            "http://127.0.0.1:{}/webhooks/{}",
            self.doors[door], delivery.source.name
        );
        let request = self
            .client
            .post(url)
            .headers(headers)
            .body(delivery.body.clone());
        let answer = request.send().await.map_err(|error| no_answer(&error))?;
        let status = answer.status();
        // An answer counts when it is there to its end.
        let body = answer.bytes().await.map_err(|error| no_answer(&error))?;
        if status.is_success() {
            return Ok(());
        }
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let code = body["error"]["code"].as_str().unwrap_or("no code");
        Err(format!("{} {code}", status.as_u16()))
    }
}

fn no_answer(error: &reqwest::Error) -> String {
    let what = match error {
        error if error.is_timeout() => "no answer in time",
        error if error.is_connect() => "no connection",
        _ => "connection broken",
    };
    what.to_owned()
}

/// Drawn out by something that is different for each delivery, and the same in each run.
fn pause(provider: Provider, attempt: usize, number: usize) -> Duration {
    let pauses: &[u64] = match provider {
        Provider::Clerk => &SVIX,
        Provider::Stripe => &STRIPE,
    };
    let pause = pauses[attempt.min(pauses.len() - 1)];
    let more = (number * 37 + attempt * 11) as u64 % 21;
    Duration::from_millis(pause + pause * more / 100)
}
