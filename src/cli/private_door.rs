//! The private listener of a process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::FutureExt;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::engines::queue::waiting;
use crate::admin::api::{AskQueue, Decider};
use crate::admin::{self, Desk, Figures};
use crate::config::Config;
use crate::error_chain::ErrorChain;
use crate::ingress::{self, Limits};
use crate::model::source::{Source, Sources};
use crate::worker;

/// Who asks are a few scrapers and people.
const CONNECTIONS: usize = 32;
/// No request takes longer than reading its figures.
const GRACE: Duration = Duration::from_secs(4);

/// The private listener, before it is opened.
pub(super) struct PrivateDoor {
    /// Where to listen.
    listen: SocketAddr,
    /// Whether to go on if that address cannot be had: nobody has asked for it.
    may_be_missing: bool,
    token: Option<SecretString>,
    ask_queue: AskQueue,
    configured: Vec<Source>,
}

impl PrivateDoor {
    /// The one that the settings ask for; `None` where it is switched off.
    pub(super) fn of(config: &Config) -> Option<Self> {
        let settings = &config.admin;
        Some(Self {
            listen: settings.listen?,
            may_be_missing: settings.is_at_the_default(),
            token: settings.token.clone(),
            ask_queue: ask_queue(config),
            configured: config
                .sources
                .iter()
                .map(|settings| settings.source.clone())
                .collect(),
        })
    }

    /// Listens. Answers what serves until `stop`; `None` if the address cannot be had and nobody has
    /// asked for it: several roles on one machine have the same default.
    pub(super) async fn open(
        self,
        sources: admin::Sources,
        stop: CancellationToken,
    ) -> anyhow::Result<Option<impl Future<Output = ()> + Send + 'static>> {
        let Self { listen, token, .. } = self;
        let desk = Desk {
            store: sources.store.clone(),
            queue: self.ask_queue,
            decide: decider(self.configured.iter().cloned().collect()),
            sources: self.configured,
            clock: Arc::clone(&sources.clock),
        };
        let listener = match TcpListener::bind(listen).await {
            Ok(listener) => listener,
            Err(error) if self.may_be_missing => {
                tracing::warn!(
                    %error,
                    "no metrics from this process, as it cannot listen on {listen}: set \
                     HOOKMIRROR_ADMIN_LISTEN to another address, or to `off`"
                );
                return Ok(None);
            }
            Err(error) => {
                return Err(error).with_context(|| {
                    format!("cannot listen on {listen}, set by HOOKMIRROR_ADMIN_LISTEN")
                });
            }
        };
        let address = listener.local_addr().context("cannot listen")?;
        tracing::info!(listen = %address, "metrics are at http://{address}/metrics");
        let router = admin::router(Arc::new(Figures::new(sources)), desk, token.as_ref());
        let limits = Limits {
            max_connections: CONNECTIONS,
            shutdown_grace: GRACE,
            ..Limits::default()
        };
        Ok(Some(async move {
            ingress::serve(listener, router, limits, stop).await;
        }))
    }
}

/// Asks anew each time: who looks at the queue is a person, once in a while.
fn ask_queue(config: &Config) -> AskQueue {
    let config = Arc::new(config.clone());
    Box::new(move || {
        let config = Arc::clone(&config);
        let asked = async move { waiting(&config).await };
        asked
            .map(|answer| answer.map_err(|error| ErrorChain(error.as_ref()).to_string()))
            .boxed()
    })
}

/// What the handlers of this program say of events from these sources.
fn decider(sources: Sources) -> Decider {
    Box::new(move |event| worker::decide(&sources, event))
}
