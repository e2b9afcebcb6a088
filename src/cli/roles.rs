//! `run`, `serve`, `work`, `dispatch`: the commands that stay, each with the roles of its process.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use secrecy::ExposeSecret;

use super::engines::database::Database;
use super::engines::queue::Queue;
use super::front_door::Ingress;
use super::private_door::PrivateDoor;
use super::system::{Dispatch, Parts, System};
use super::{CommandError, Ended, fresh_seed};
use crate::clerk_api::http::HttpClerkApi;
use crate::clock::SystemClock;
use crate::config::{Config, SETTINGS, Setting, with_writable_data_dir};
use crate::ingress::Limits;
use crate::model::outbox::Recipients;
use crate::model::source::Sources;
use crate::outbox::WriteLimits;
use crate::provider::Verifier;
use crate::shutdown::Shutdown;
use crate::traces::Collector;

/// What one process does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Roles {
    command: &'static str,
    /// Receives webhooks.
    serve: bool,
    /// Brings events from the queue to the database.
    work: bool,
    /// Delivers metadata to Clerk.
    dispatch: bool,
}

impl Roles {
    /// Everything.
    pub(super) const ALL: Self = Self {
        command: "run",
        serve: true,
        work: true,
        dispatch: true,
    };
    /// The front door.
    pub(super) const SERVE: Self = Self {
        command: "serve",
        serve: true,
        ..Self::NONE
    };
    /// From the queue to the database.
    pub(super) const WORK: Self = Self {
        command: "work",
        work: true,
        ..Self::NONE
    };
    /// From the database to Clerk.
    pub(super) const DISPATCH: Self = Self {
        command: "dispatch",
        dispatch: true,
        ..Self::NONE
    };
    const NONE: Self = Self {
        command: "",
        serve: false,
        work: false,
        dispatch: false,
    };

    fn needs_queue(self) -> bool {
        self.serve || self.work
    }

    fn needs_database(self) -> bool {
        self.work || self.dispatch
    }

    /// Whether the data directory will be written to.
    fn needs_data_dir(self, config: &Config) -> bool {
        match config.broker {
            None => self.needs_queue(),
            Some(_) => self.serve && config.keeps_events_on_disk(),
        }
    }

    /// Whether these roles can be had with these settings. The embedded queue belongs to one process:
    /// what one half of the work would put there, the other half could not take.
    fn check(self, config: &Config) -> Result<(), CommandError> {
        if self.dispatch && !self.work && !config.has_clerk_key(None) {
            return Err(CommandError::Usage(
                "`dispatch` delivers to Clerk and nothing else: set CLERK_SECRET_KEY, or `secret_key` \
                 of a [[source]]"
                    .to_owned(),
            ));
        }
        let has_both_ends = self.serve && self.work;
        if config.broker.is_some() || has_both_ends || !self.needs_queue() {
            return Ok(());
        }
        Err(CommandError::Usage(format!(
            "`{}` is one of several processes, which meet at RabbitMQ: set AMQP_URL; or use \
             `hookmirror run`, which does everything in one process without a broker",
            self.command
        )))
    }
}

/// Runs until it is asked to end.
pub(super) async fn run(roles: Roles) -> Result<Ended, CommandError> {
    let loaded = Config::from_process_environment();
    let touches_data_dir = match &loaded {
        Ok(config) => roles.needs_data_dir(config),
        Err(_) => true,
    };
    let config = if touches_data_dir {
        with_writable_data_dir(loaded)
    } else {
        loaded
    };
    let config = config.map_err(|problems| CommandError::Config(problems.into()))?;
    roles.check(&config)?;
    crate::telemetry::init(&config.log)?;
    warn(&config, roles);

    let shutdown = Shutdown::on_signals()?;
    let handle = shutdown.handle();
    let starting = async { System::start(parts(&config, roles).await?).await };
    let system = tokio::select! {
        system = starting => system?,
        () = handle.begun() => return Ok(Ended::Done),
    };
    announce(&config, roles, &system);

    let ended = tokio::select! {
        () = handle.begun() => Ended::Done,
        () = system.broken() => Ended::Failed,
    };
    system.stop(config.shutdown_deadline).await;
    tracing::info!("ended");
    Ok(ended)
}

async fn parts(config: &Config, roles: Roles) -> anyhow::Result<Parts> {
    let seed = fresh_seed();
    let queue = match &config.broker {
        _ if !roles.needs_queue() => None,
        None => Some(Queue::embedded(&config.data_dir).await?),
        Some(broker) => {
            let spool_in: Option<&Path> = roles.serve.then_some(&config.data_dir);
            let confirm_timeout = config.ingress.confirm_timeout;
            Some(Queue::at_broker(broker, spool_in, confirm_timeout, seed).await?)
        }
    };
    let database = if roles.needs_database() {
        let database = Database::open(&config.database, config.policy)
            .await
            .context("cannot start without the database (DATABASE_URL)")?;
        Some(database)
    } else {
        None
    };
    let ingress = if roles.serve {
        Some(Ingress {
            listen: config.ingress.listen,
            listen_is_set_by: "HOOKMIRROR_LISTEN",
            verifiers: verifiers(config)?,
            limits: limits(config),
        })
    } else {
        None
    };
    let names = config.sources.iter();
    let names = names.map(|settings| settings.source.name.clone()).collect();
    let sources = config.sources.iter();
    let sources: Sources = sources.map(|settings| settings.source.clone()).collect();
    Ok(Parts {
        queue,
        database,
        ingress,
        names,
        work: roles.work.then_some(sources),
        retention: config.retention,
        dispatch: if roles.dispatch {
            dispatches(config)?
        } else {
            Vec::new()
        },
        collector: collector(config),
        private_door: PrivateDoor::of(config),
        clock: Arc::new(SystemClock),
        seed,
    })
}

fn collector(config: &Config) -> Option<Collector> {
    let settings = &config.traces;
    let endpoint = settings.endpoint.as_ref()?;
    Some(Collector {
        endpoint: endpoint.secret().expose_secret().to_owned(),
        headers: settings.headers.clone(),
        service: settings.service.clone(),
    })
}

fn announce(config: &Config, roles: Roles, system: &System) {
    let queue = match &config.broker {
        Some(broker) => broker.url.to_string(),
        None => config.data_dir.display().to_string(),
    };
    let queue = roles.needs_queue().then_some(queue);
    let database = roles.needs_database().then(|| config.database.to_string());
    match system.address {
        Some(address) => tracing::info!(
            listen = %address,
            queue,
            database,
            "ready: webhooks are received at http://{address}/webhooks/{{source}}"
        ),
        None => tracing::info!(queue, database, "ready: {}", roles.command),
    }
}

/// An example and all settings, for `run --help` and the like.
pub(super) fn settings(command: &str) -> String {
    let mut text =
        format!("Example:\n  hookmirror {command}\n\nSettings, from the environment or the file:");
    for setting in SETTINGS {
        let Setting { name, meaning, .. } = setting;
        text.push_str(&format!(
            "\n  {name}\n      {meaning} [{}]",
            setting.default
        ));
    }
    text.push_str(
        "\nFurther sources, in the file only, each at a path of its own, /webhooks/{name}:\n  \
         [[source]]\n      name, provider (clerk or stripe), secrets; livemode for stripe; secret_key and \
         api_url for clerk",
    );
    text
}

fn warn(config: &Config, roles: Roles) {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    for source in &config.sources {
        if roles.serve && source.secrets.is_empty() {
            let name = &source.source.name;
            tracing::warn!(
                source = %name,
                "no signing secret for {name}: its webhooks get 503 until there is one"
            );
        }
    }
    if roles.dispatch && !config.has_clerk_key(None) {
        tracing::warn!("no CLERK_SECRET_KEY: metadata for Clerk waits in the outbox");
    } else if roles.dispatch {
        for (instance, clerk) in config.clerk_instances() {
            if clerk.secret_key.is_none() {
                tracing::warn!(
                    %instance,
                    "no secret key for {instance}: metadata of its users waits in the outbox"
                );
            }
        }
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

/// One dispatcher for each Clerk instance that can be written to. The first instance takes users who
/// are not mirrored yet; without a key to it they wait, as another one would take them for gone.
fn dispatches(config: &Config) -> anyhow::Result<Vec<Dispatch>> {
    let instances = config.clerk_instances();
    let is_only_one = instances.len() == 1;
    let mut dispatches = Vec::new();
    for (place, (instance, clerk)) in instances.into_iter().enumerate() {
        let Some(key) = &clerk.secret_key else {
            continue;
        };
        let api = HttpClerkApi::new(&clerk.api_url, key.clone())
            .with_context(|| format!("cannot make a client for the Clerk API of {instance}"))?;
        dispatches.push(Dispatch {
            recipients: if is_only_one {
                Recipients::All
            } else {
                Recipients::Of {
                    instance: instance.clone(),
                    strangers: place == 0,
                }
            },
            clerk: Arc::new(api),
            limits: WriteLimits {
                per_instance: clerk.writes_per_window,
                per_user: clerk.writes_per_user,
            },
        });
    }
    Ok(dispatches)
}
