//! Where the story is played: an installation of hookmirror, and the stand-in for Clerk that it
//! writes to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::bail;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::cast::PEOPLE;
use super::payloads::Person;
use super::stand_in_clerk::StandInClerk;
use super::story::{Manner, Post};
use crate::clock::{Clock, SystemClock};
use crate::model::event::EventKey;
use crate::model::ledger::{EventRecord, Waiting};
use crate::model::outbox::DeliveryState;
use crate::model::source::{Provider, Source};
use crate::model::time::Timestamp;
use crate::model::user::UserId;
use crate::ops::account::{Account, account};
use crate::sender::{self, Endpoint, Progress, SendOptions, Sender};
use crate::store::Store;

/// How far a stale request is signed in the past.
const STALE: Duration = Duration::from_secs(600);
/// How long the pipeline may take to come to rest; it takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Everything that the story needs of an installation. It must be fresh: the story expects to find
/// nothing there but what it does itself.
#[derive(Debug)]
pub struct Stage {
    address: SocketAddr,
    store: Arc<dyn Store>,
    clerk: Arc<StandInClerk>,
    authentic: Sender,
    forged: Sender,
    stale: Sender,
    /// Posts that were answered with a 2xx.
    accepted: AtomicU64,
}

/// A clock that runs behind.
#[derive(Debug)]
struct Behind(Duration);

impl Clock for Behind {
    fn now(&self) -> Timestamp {
        let behind = i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(SystemClock.now().as_millis() - behind)
    }
}

/// What a request was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A 2xx.
    Accepted,
    /// Something else, with its code.
    Refused { status: u16, code: String },
    /// Nothing.
    None { because: String },
}

impl Stage {
    /// An installation that listens at `address`, accepts what is signed with one of `secrets` and not
    /// with one of `wrong`, keeps its mirror in `store` and writes to `clerk`.
    ///
    /// # Errors
    ///
    /// When no HTTP client can be made.
    pub fn new(
        address: SocketAddr,
        store: Arc<dyn Store>,
        clerk: Arc<StandInClerk>,
        secrets: &[(Provider, SecretString)],
        wrong: &[(Provider, SecretString)],
    ) -> anyhow::Result<Self> {
        for person in PEOPLE {
            if let Some(id) = UserId::parse(person.id) {
                clerk.add_user(&id);
            }
        }
        Ok(Self {
            authentic: sender(address, secrets, Arc::new(SystemClock))?,
            forged: sender(address, wrong, Arc::new(SystemClock))?,
            stale: sender(address, secrets, Arc::new(Behind(STALE)))?,
            address,
            store,
            clerk,
            accepted: AtomicU64::new(0),
        })
    }

    /// Where the pipeline listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The database.
    pub(super) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// The stand-in.
    pub(super) fn clerk(&self) -> &StandInClerk {
        &self.clerk
    }

    /// Deletes someone at Clerk itself.
    pub(super) fn forget(&self, person: Person) {
        if let Some(id) = UserId::parse(person.id) {
            self.clerk.remove_user(&id);
        }
    }

    /// Makes one request.
    pub(super) async fn post(&self, post: &Post) -> anyhow::Result<Answer> {
        let sender = match post.manner {
            Manner::Authentic => &self.authentic,
            Manner::Forged => &self.forged,
            Manner::Stale => &self.stale,
        };
        let report = sender
            .send(
                vec![post.delivery.clone()],
                &sender::Silent as &dyn Progress,
                &CancellationToken::new(),
            )
            .await?;
        if report.is_complete() {
            self.accepted.fetch_add(1, Ordering::Relaxed);
            return Ok(Answer::Accepted);
        }
        Ok(match report.refused.into_iter().next() {
            Some((status, refusals)) => Answer::Refused {
                status,
                code: refusals
                    .first_answer
                    .map(|answer| answer.code)
                    .unwrap_or_default(),
            },
            None => Answer::None {
                because: report.gave_up_because.unwrap_or_default(),
            },
        })
    }

    /// Waits until everything that was accepted is in the ledger and nothing is on its way to Clerk.
    pub(super) async fn come_to_rest(&self) -> anyhow::Result<Account> {
        let rest = async {
            loop {
                // What the queue holds is what the ledger lacks: it need not be asked.
                let account = account(self.store(), Waiting::default()).await?;
                let pending = self
                    .store()
                    .undelivered(1)
                    .await?
                    .iter()
                    .any(|entry| entry.state == DeliveryState::Pending);
                if account.deliveries >= self.accepted.load(Ordering::Relaxed) && !pending {
                    return anyhow::Ok(account);
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        match tokio::time::timeout(PATIENCE, rest).await {
            Ok(account) => account,
            Err(_) => bail!("the pipeline did not come to rest within {PATIENCE:?}"),
        }
    }

    /// What the ledger holds of an event.
    pub(super) async fn recorded(&self, key: &EventKey) -> anyhow::Result<Option<EventRecord>> {
        Ok(self.store.find_event(key).await?)
    }
}

fn sender(
    address: SocketAddr,
    secrets: &[(Provider, SecretString)],
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Sender> {
    let endpoints = secrets.iter().map(|(provider, secret)| Endpoint {
        source: Source::from(*provider),
        url: format!("http://{address}/webhooks/{provider}"),
        secret: secret.clone(),
    });
    Ok(Sender::new(endpoints, SendOptions::default(), clock)?)
}
