//! The demo's own installation: the real pipeline in a temporary directory, with fresh secrets.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use secrecy::SecretString;
use tempfile::TempDir;

use super::super::engines::database::Database;
use super::super::engines::queue::Queue;
use super::super::front_door::Ingress;
use super::super::system::{Dispatch, Parts, System};
use super::cast::PASSER_BY;
use super::payloads;
use super::stage::Stage;
use super::stand_in_clerk;
use crate::clerk_api::http::HttpClerkApi;
use crate::clock::{Clock, SystemClock};
use crate::config::DatabaseUrl;
use crate::ingress::Limits;
use crate::model::entitlement::Policy;
use crate::model::outbox::Recipients;
use crate::model::retention::RetentionPolicy;
use crate::model::source::{Provider, Source};
use crate::outbox::WriteLimits;
use crate::provider::Verifier;

const TOLERANCE: Duration = Duration::from_secs(300);
/// The stand-in has no limits; `send` makes many users.
const LIMITS: WriteLimits = WriteLimits {
    per_instance: 10_000,
    per_user: 1000,
};
/// How long the roles may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running installation that goes when the demo ends.
pub(super) struct Home {
    system: System,
    address: SocketAddr,
    directory: TempDir,
    secrets: [(Provider, SecretString); 2],
    clerk_url: String,
    clerk_key: String,
}

impl Home {
    /// Sets everything up, with fresh secrets.
    pub(super) async fn set_up(listen: SocketAddr, seed: u64) -> anyhow::Result<(Self, Stage)> {
        let mut chance = StdRng::seed_from_u64(seed);
        let directory = tempfile::Builder::new()
            .prefix("hookmirror-demo-")
            .tempdir()
            .context("cannot make a temporary directory")?;
        let clerk_key = format!("sk_test_{}", letters(&mut chance));
        let clerk = stand_in_clerk::start(clerk_key.clone().into())
            .await
            .context("cannot start the stand-in for Clerk")?;
        let clerk_url = clerk.api_url();
        let secrets = fresh_secrets(&mut chance);
        let verifiers = secrets
            .iter()
            .map(|(provider, secret)| {
                let secrets = std::slice::from_ref(secret);
                Verifier::new(Source::from(*provider), secrets, TOLERANCE)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let api = HttpClerkApi::new(&clerk_url, clerk_key.clone().into())?;
        let sources = verifiers.iter().map(|verifier| verifier.source().clone());
        let database = DatabaseUrl::Sqlite(directory.path().join("mirror.db"));
        let database = Database::open(&database, Policy::default()).await?;
        let store = database.store();
        let system = System::start(Parts {
            queue: Some(Queue::embedded(directory.path()).await?),
            work: Some(sources.collect()),
            retention: RetentionPolicy::default(),
            database: Some(database),
            ingress: Some(Ingress {
                listen,
                listen_is_set_by: "--listen",
                verifiers,
                limits: Limits::default(),
            }),
            dispatch: vec![Dispatch {
                recipients: Recipients::All,
                clerk: Arc::new(api),
                limits: LIMITS,
            }],
            names: Vec::new(),
            collector: None,
            private_door: None,
            clock: Arc::new(SystemClock),
            seed,
        })
        .await?;
        let address = system.address.context("the demo listens nowhere")?;

        let wrong = fresh_secrets(&mut chance);
        let stage = Stage::new(address, store, Arc::new(clerk), &secrets, &wrong)?;
        let home = Self {
            system,
            address,
            directory,
            secrets,
            clerk_url,
            clerk_key,
        };
        Ok((home, stage))
    }

    /// Where everything is kept.
    fn directory(&self) -> &Path {
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
            self.address.to_string(),
            self.clerk_url,
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

    /// Resolves when a role has ended by itself.
    pub(super) async fn broken(&self) {
        self.system.broken().await;
    }

    /// Ends everything and removes the directory.
    pub(super) async fn clear(self) {
        self.system.stop(PATIENCE).await;
    }
}

/// Letters in fours are base64 without padding, which is what Svix' secrets are.
fn fresh_secrets(chance: &mut StdRng) -> [(Provider, SecretString); 2] {
    Provider::ALL.map(|provider| (provider, format!("whsec_{}", letters(chance)).into()))
}

/// 32 letters and digits.
fn letters(chance: &mut StdRng) -> String {
    let mut bytes = [0_u8; 16];
    chance.fill_bytes(&mut bytes);
    hex::encode(bytes)
}
