//! The demo's own scenario, on the engines of a larger installation.

use std::sync::Arc;

use hookmirror::cli::demo::{Stage, play};
use hookmirror::model::source::Provider;
use hookmirror::store::postgres::PostgresStore;
use secrecy::SecretString;

use super::Fleet;
use crate::cli::process::{SECRETS, wait_until};

impl Fleet {
    /// Plays the story against what listens, and looks at what came of it in the database.
    async fn plays_the_story(&self) {
        let providers = [Provider::Clerk, Provider::Stripe];
        let secrets = SECRETS.map(|(_, secret)| SecretString::from(secret));
        let right: Vec<_> = providers.into_iter().zip(secrets).collect();
        let wrong = providers.map(|provider| (provider, "whsec_bm90IHRoZSBzZWNyZXQ=".into()));
        let url = self.postgres.url("postgres");
        let store = PostgresStore::connect(&url).unwrap();
        let address = self.home.address;
        let stage = Stage::new(
            address,
            Arc::new(store),
            Arc::clone(&self.clerk),
            &right,
            &wrong,
        )
        .unwrap();
        assert!(play(&stage).await.unwrap(), "see what it printed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_plays_it() {
    let fleet = Fleet::new().await;
    let _run = fleet.home.serve();
    fleet.plays_the_story().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_processes_play_it() {
    let fleet = Fleet::new().await;
    // All at once: the schema is brought up to date by whoever is first.
    let others = ["work", "work", "dispatch"].map(|role| fleet.home.start([role]));
    let _serve = fleet.home.listen("serve");
    for role in &others {
        wait_until("a role is ready", || role.stderr().contains("ready: "));
    }
    fleet.plays_the_story().await;
}
