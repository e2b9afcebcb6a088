//! The providers: they sign at each attempt, and try again as they are known to until they see a 2xx.
//!
//! Svix: at once, after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h and 10 h (Svix docs, "Retry schedule").
//! Stripe says "up to three days with an exponential back off"; the steps are not published.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use hookmirror::model::event::Event;
use hookmirror::model::source::Provider;
use hookmirror::provider::sign;
use http::{Request, StatusCode};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, sleep_until, timeout};

use super::history::Seam;
use super::part::{Outside, Part};

const SVIX: [u64; 7] = [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];
const STRIPE: [u64; 8] = [60, 300, 1_800, 7_200, 18_000, 43_200, 86_400, 86_400];
/// Svix waits that long for an answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// The process that stands for the network: it is not one of ours.
const NETWORK: usize = usize::MAX;

pub(super) const SECRET: &str = "whsec_c2ltdWxhdGlvbnNpbXVsYXRpb24=";

/// A request on its way into a process.
pub(super) type Posted = (Request<Body>, oneshot::Sender<StatusCode>);

/// How one delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// To be attempted at this time, in milliseconds.
    Due(u64),
    UnderWay,
    Acknowledged,
    GivenUp,
}

/// All that the providers send in a run.
#[derive(Debug)]
pub(super) struct Providers {
    outside: Arc<Outside>,
    standings: Mutex<Vec<Standing>>,
    acknowledged: Mutex<BTreeMap<String, i64>>,
    /// Where each process listens, if it does now.
    doors: Mutex<Vec<Option<mpsc::UnboundedSender<Posted>>>>,
}

impl Providers {
    /// Begins to send.
    pub(super) fn begin(outside: &Arc<Outside>) -> Arc<Self> {
        let history = &outside.history;
        let events = history.world.events();
        let first = events.iter().zip(&history.sent);
        let first = first.map(|(event, at)| (event.clone(), *at));
        let again = history.sent_again.iter();
        let again = again.filter_map(|(event, at)| Some((events.get(*event)?.clone(), *at)));
        let deliveries: Vec<(Event, u64)> = first.chain(again).collect();
        let providers = Arc::new(Self {
            outside: Arc::clone(outside),
            standings: Mutex::new(
                deliveries
                    .iter()
                    .map(|(_, at)| Standing::Due(*at))
                    .collect(),
            ),
            acknowledged: Mutex::default(),
            doors: Mutex::default(),
        });
        for (delivery, (event, at)) in deliveries.into_iter().enumerate() {
            tokio::spawn(Arc::clone(&providers).deliver(delivery, event, at));
        }
        providers
    }

    /// How often they were told of each event that it is accepted.
    pub(super) fn acknowledged(&self) -> BTreeMap<String, i64> {
        self.acknowledged.lock().unwrap().clone()
    }

    pub(super) fn standings(&self) -> Vec<Standing> {
        self.standings.lock().unwrap().clone()
    }

    /// Opens the door of a process.
    pub(super) fn listen(&self, process: usize) -> mpsc::UnboundedReceiver<Posted> {
        let (door, posted) = mpsc::unbounded_channel();
        let mut doors = self.doors.lock().unwrap();
        if doors.len() <= process {
            doors.resize(process + 1, None);
        }
        doors[process] = Some(door);
        posted
    }

    /// Shuts it.
    pub(super) fn shut(&self, process: usize) {
        if let Some(door) = self.doors.lock().unwrap().get_mut(process) {
            *door = None;
        }
    }

    fn stands(&self, delivery: usize, standing: Standing) {
        self.standings.lock().unwrap()[delivery] = standing;
    }

    async fn deliver(self: Arc<Self>, delivery: usize, event: Event, at: u64) {
        let waits = match provider_of(&event) {
            Provider::Clerk => &SVIX[..],
            Provider::Stripe => &STRIPE[..],
        };
        sleep_until(self.outside.at(at)).await;
        for attempt in 0..=waits.len() {
            self.stands(delivery, Standing::UnderWay);
            let answer = timeout(PATIENCE, self.post(&event, delivery + attempt)).await;
            let status = answer.ok().flatten();
            self.outside.note(|| {
                let answer = status.map_or("no answer".to_owned(), |status| status.to_string());
                format!("{} of delivery {delivery}: {answer}", event.key)
            });
            if status.is_some_and(|status| status.is_success()) {
                self.stands(delivery, Standing::Acknowledged);
                let mut acknowledged = self.acknowledged.lock().unwrap();
                *acknowledged.entry(event.key.id.to_string()).or_default() += 1;
                return;
            }
            if let Some(wait) = waits.get(attempt) {
                let due = self.outside.elapsed() + wait * 1000;
                self.stands(delivery, Standing::Due(due));
                sleep(Duration::from_secs(*wait)).await;
            }
        }
        self.stands(delivery, Standing::GivenUp);
    }

    /// Posts to one of those who listen, as through a balancer that does not know who is well.
    async fn post(&self, event: &Event, turn: usize) -> Option<StatusCode> {
        let network = Part {
            outside: Arc::clone(&self.outside),
            process: NETWORK,
        };
        let request = self.request(event);
        let effect = |_| async {
            let door = {
                let doors = self.doors.lock().unwrap();
                let open: Vec<_> = doors.iter().flatten().collect();
                let place = turn.checked_rem(open.len()).ok_or(())?;
                open[place].clone()
            };
            let (answer, answered) = oneshot::channel();
            door.send((request, answer)).map_err(drop)?;
            answered.await.map_err(drop)
        };
        network.call(Seam::Request, effect, None, drop).await.ok()
    }

    fn request(&self, event: &Event) -> Request<Body> {
        let provider = provider_of(event);
        let now = self.outside.now();
        let headers = sign(provider, &SECRET.into(), &event.key.id, now, &event.body).unwrap();
        let uri = format!("/webhooks/{}", event.key.source);
        let mut request = Request::post(uri).body(Body::from(event.body.clone()));
        request.as_mut().unwrap().headers_mut().extend(headers);
        request.unwrap()
    }
}

fn provider_of(event: &Event) -> Provider {
    if event.key.source == Provider::Clerk.into() {
        Provider::Clerk
    } else {
        Provider::Stripe
    }
}
