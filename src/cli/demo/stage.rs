//! Where the story is played: the real pipeline in a temporary directory, with a stand-in for Clerk.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use secrecy::SecretString;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::super::system::{Parts, System};
use super::cast::{PASSER_BY, PEOPLE};
use super::payloads::{self, Person};
use super::stand_in_clerk::{self, StandInClerk};
use super::story::{Manner, Post};
use crate::clerk_api::http::HttpClerkApi;
use crate::clock::{Clock, SystemClock};
use crate::ingress::Limits;
use crate::model::event::EventKey;
use crate::model::ledger::EventRecord;
use crate::model::outbox::DeliveryState;
use crate::model::source::{Provider, Source};
use crate::model::time::Timestamp;
use crate::model::user::UserId;
use crate::ops::account::{Account, account};
use crate::provider::Verifier;
use crate::queue::embedded::inspect;
use crate::sender::{self, Endpoint, Progress, SendOptions, Sender};
use crate::store::Store;
use crate::store::sqlite::SqliteStore;

const TOLERANCE: Duration = Duration::from_secs(300);
/// How far a stale request is signed in the past.
const STALE: Duration = Duration::from_secs(600);
/// How long the pipeline may take to come to rest; it takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Everything that takes part.
pub(super) struct Stage {
    pub(super) clerk: StandInClerk,
    system: System,
    directory: TempDir,
    secrets: [(Provider, SecretString); 2],
    clerk_key: String,
    authentic: Sender,
    forged: Sender,
    stale: Sender,
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
    /// Sets everything up, with fresh secrets.
    pub(super) async fn set_up(listen: SocketAddr, seed: u64) -> anyhow::Result<Self> {
        let mut chance = StdRng::seed_from_u64(seed);
        let directory = tempfile::Builder::new()
            .prefix("hookmirror-demo-")
            .tempdir()
            .context("cannot make a temporary directory")?;
        let clerk_key = format!("sk_test_{}", letters(&mut chance));
        let clerk = stand_in_clerk::start(clerk_key.clone().into())
            .await
            .context("cannot start the stand-in for Clerk")?;
        for person in PEOPLE {
            if let Some(id) = UserId::parse(person.id) {
                clerk.add_user(&id);
            }
        }
        // Letters in fours are base64 without padding, which is what Svix' secrets are.
        let secrets = Provider::ALL
            .map(|provider| (provider, format!("whsec_{}", letters(&mut chance)).into()));
        let verifiers = secrets
            .iter()
            .map(|(provider, secret)| {
                let secrets = std::slice::from_ref(secret);
                Verifier::new(Source::from(*provider), secrets, TOLERANCE)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let api = HttpClerkApi::new(&clerk.api_url(), clerk_key.clone().into())?;
        let system = System::start(Parts {
            data_dir: directory.path(),
            database: &directory.path().join("mirror.db"),
            listen,
            listen_is_set_by: "--listen",
            verifiers,
            limits: Limits::default(),
            clerk: Some(Arc::new(api)),
            clock: Arc::new(SystemClock),
            seed,
        })
        .await?;

        let wrong = secrets.clone().map(|(provider, _)| {
            let secret = format!("whsec_{}", letters(&mut chance)).into();
            (provider, secret)
        });
        let address = system.address;
        Ok(Self {
            authentic: sender(address, &secrets, Arc::new(SystemClock))?,
            forged: sender(address, &wrong, Arc::new(SystemClock))?,
            stale: sender(address, &secrets, Arc::new(Behind(STALE)))?,
            clerk,
            system,
            directory,
            secrets,
            clerk_key,
        })
    }

    /// Where the pipeline listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.system.address
    }

    /// The database.
    pub(super) fn store(&self) -> &SqliteStore {
        &self.system.store
    }

    /// Where everything is kept.
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file of settings with which the other commands find this demo. The secrets in it are
    /// worth nothing once the demo has ended.
    pub(super) fn write_settings(&self) -> anyhow::Result<PathBuf> {
        use secrecy::ExposeSecret;

        let path = self.directory().join("demo.toml");
        let mut text = format!(
            "HOOKMIRROR_DATA_DIR = {:?}\nDATABASE_URL = {:?}\nHOOKMIRROR_LISTEN = {:?}\n\
             CLERK_API_URL = {:?}\nCLERK_SECRET_KEY = {:?}\n",
            self.directory(),
            format!("sqlite:{}", self.directory().join("mirror.db").display()),
            self.address().to_string(),
            self.clerk.api_url(),
            self.clerk_key,
        );
        for (provider, secret) in &self.secrets {
            let name = match provider {
                Provider::Clerk => "CLERK_WEBHOOK_SIGNING_SECRET",
                Provider::Stripe => "STRIPE_WEBHOOK_SECRET",
            };
            text.push_str(&format!("{name} = {:?}\n", secret.expose_secret()));
        }
        std::fs::write(&path, text).context("cannot write the demo's settings")?;
        Ok(path)
    }

    /// Writes a payload that `send` can make many events of: of someone who is not in the story.
    pub(super) fn write_payload(&self) -> anyhow::Result<PathBuf> {
        let path = self.directory().join("user.created.json");
        let body = payloads::user("user.created", PASSER_BY, SystemClock.now());
        std::fs::write(&path, body).context("cannot write an example of a payload")?;
        Ok(path)
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

    /// Waits until nothing is in the queue and nothing is on its way to Clerk.
    pub(super) async fn come_to_rest(&self) -> anyhow::Result<Account> {
        let rest = async {
            loop {
                let account =
                    account(self.store(), inspect::waiting(self.directory()).await?).await?;
                let pending = self
                    .store()
                    .undelivered(1)
                    .await?
                    .iter()
                    .any(|entry| entry.state == DeliveryState::Pending);
                if account.queue.messages == 0 && !pending {
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
        Ok(self.store().find_event(key).await?)
    }

    /// Resolves when a role has ended by itself.
    pub(super) async fn broken(&self) {
        self.system.broken().await;
    }

    /// Ends everything and removes the directory.
    pub(super) async fn clear(self) {
        self.system.stop(PATIENCE).await;
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

/// 32 letters and digits.
fn letters(chance: &mut StdRng) -> String {
    let mut bytes = [0_u8; 16];
    chance.fill_bytes(&mut bytes);
    hex::encode(bytes)
}
