//! `run`: all roles in one process.

use std::sync::Arc;

use anyhow::Context;

use super::system::{Parts, System};
use super::{CommandError, Ended, fresh_seed};
use crate::clerk_api::ClerkApi;
use crate::clerk_api::http::HttpClerkApi;
use crate::clock::SystemClock;
use crate::config::{Config, DatabaseUrl, SETTINGS, Setting, with_writable_data_dir};
use crate::ingress::Limits;
use crate::provider::Verifier;
use crate::shutdown::Shutdown;

pub(super) async fn run() -> Result<Ended, CommandError> {
    let config = with_writable_data_dir(Config::from_process_environment())
        .map_err(|problems| CommandError::Config(problems.into()))?;
    crate::telemetry::init(&config.log)?;
    warn(&config);

    let shutdown = Shutdown::on_signals()?;
    let DatabaseUrl::Sqlite(database) = &config.database;
    let system = System::start(Parts {
        data_dir: &config.data_dir,
        database,
        listen: config.ingress.listen,
        listen_is_set_by: "HOOKMIRROR_LISTEN",
        verifiers: verifiers(&config)?,
        limits: limits(&config),
        clerk: clerk(&config)?,
        clock: Arc::new(SystemClock),
        seed: fresh_seed(),
    })
    .await?;
    tracing::info!(
        listen = %system.address,
        queue = %config.data_dir.display(),
        database = %database.display(),
        "ready: webhooks are received at http://{}/webhooks/{{source}}",
        system.address
    );

    let handle = shutdown.handle();
    let ended = tokio::select! {
        () = handle.begun() => Ended::Done,
        () = system.broken() => Ended::Failed,
    };
    system.stop(config.shutdown_deadline).await;
    tracing::info!("ended");
    Ok(ended)
}

/// All settings, for `run --help`.
pub(super) fn settings() -> String {
    let mut text = "Settings, from the environment or the file:".to_owned();
    for setting in SETTINGS {
        let Setting { name, meaning, .. } = setting;
        text.push_str(&format!(
            "\n  {name}\n      {meaning} [{}]",
            setting.default
        ));
    }
    text
}

fn warn(config: &Config) {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    for source in &config.sources {
        if source.secrets.is_empty() {
            let name = &source.source.name;
            tracing::warn!(
                source = %name,
                "no signing secret for {name}: its webhooks get 503 until there is one"
            );
        }
    }
    if config.clerk.secret_key.is_none() {
        tracing::warn!("no CLERK_SECRET_KEY: metadata for Clerk waits in the outbox");
    }
}

/// One verifier for each source.
pub(super) fn verifiers(config: &Config) -> anyhow::Result<Vec<Verifier>> {
    config
        .sources
        .iter()
        .map(|settings| {
            Verifier::new(
                settings.source.clone(),
                &settings.secrets,
                config.ingress.tolerance,
            )
            .with_context(|| format!("a signing secret of {}", settings.source.name))
        })
        .collect()
}

fn limits(config: &Config) -> Limits {
    Limits {
        max_body_bytes: config.ingress.max_body_bytes,
        max_buffered_bytes: config.ingress.max_buffered_bytes,
        max_connections: affordable_connections(config.ingress.max_connections),
        request_timeout: config.ingress.request_timeout,
        confirm_timeout: config.ingress.confirm_timeout,
        shutdown_grace: config.shutdown_deadline / 2,
        ..Limits::default()
    }
}

/// Each connection takes a file descriptor, and the databases need some too. Raises the process's
/// soft limit as far as the system lets it.
fn affordable_connections(wanted: usize) -> usize {
    const OTHERS: u64 = 128;
    let needed = OTHERS + wanted as u64;
    let allowed = rlimit::increase_nofile_limit(needed).unwrap_or(1024);
    if allowed < needed {
        tracing::warn!(
            wanted,
            allowed,
            "the system allows {allowed} open files, so fewer connections are served at once than \
             HOOKMIRROR_MAX_CONNECTIONS says; raise `ulimit -n` or lower the setting"
        );
    }
    usize::try_from(allowed.saturating_sub(OTHERS))
        .unwrap_or(wanted)
        .clamp(1, wanted)
}

fn clerk(config: &Config) -> anyhow::Result<Option<Arc<dyn ClerkApi>>> {
    let Some(key) = &config.clerk.secret_key else {
        return Ok(None);
    };
    let api = HttpClerkApi::new(&config.clerk.api_url, key.clone())
        .context("cannot make a client for Clerk's API")?;
    Ok(Some(Arc::new(api)))
}
