//! Connections to the broker.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;
use url::{Host, Url};

use super::error::RabbitError;

/// The pace of heartbeats, in seconds, unless the URL sets another. After two of them without a sign
/// of life a connection is given up.
const HEARTBEAT: u16 = 10;
/// How many attempts to connect may hang at once. A broker that has been stopped accepts connections
/// without ever answering, and an attempt that was begun cannot be called off.
const ATTEMPTS: usize = 4;
/// After so many times its patience an attempt that hangs gives up its place. If the broker's host is
/// gone without a word, it will hang for ever, and later attempts must get through.
const HOPELESS: u32 = 60;

/// Knows where the broker is and how to get there.
pub(super) struct Wire {
    /// Holds the password.
    uri: AMQPUri,
    patience: Duration,
    attempts: Arc<Semaphore>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("host", &self.uri.authority.host)
            .field("port", &self.uri.authority.port)
            .field("vhost", &self.uri.vhost)
            .finish_non_exhaustive()
    }
}

impl Wire {
    /// `patience` is how long the broker may take to answer anything.
    pub(super) fn new(url: &SecretString, patience: Duration) -> Result<Self, RabbitError> {
        let mut uri: AMQPUri = url
            .expose_secret()
            .parse()
            .map_err(|_: String| RabbitError::Url)?;
        // The library takes an address in brackets for no host at all, and goes to localhost.
        let url = Url::parse(url.expose_secret()).map_err(|_| RabbitError::Url)?;
        if let Some(Host::Ipv6(address)) = url.host() {
            uri.authority.host = address.to_string();
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        Ok(Self {
            uri,
            patience,
            attempts: Arc::new(Semaphore::new(ATTEMPTS)),
        })
    }

    /// Opens a connection. `name` is what the broker's own tools show.
    pub(super) async fn connect(&self, name: &'static str) -> Result<Connection, RabbitError> {
        let properties = ConnectionProperties::default()
            .with_connection_name(name.into())
            .with_client_property("product".into(), env!("CARGO_PKG_NAME").into())
            .with_client_property("version".into(), env!("CARGO_PKG_VERSION").into());
        let uri = self.uri.clone();
        let attempts = Arc::clone(&self.attempts);
        let hopeless = HOPELESS * self.patience;
        let attempt = async move {
            let attempt = attempts.acquire_owned().await.ok();
            // On a task of its own, so that an attempt that hangs keeps its place.
            let connecting = tokio::spawn(async move {
                let connecting = Box::pin(Connection::connect_uri(uri, properties));
                let connected = tokio::time::timeout(hopeless, connecting).await;
                drop(attempt);
                connected
            });
            connecting.await
        };
        match tokio::time::timeout(self.patience, attempt).await {
            Ok(Ok(Ok(connected))) => {
                connected.map_err(|source| RabbitError::of_connecting(&self.uri.vhost, source))
            }
            // The task cannot be cancelled but by the end of the runtime.
            Ok(Err(_)) => Err(RabbitError::Closed),
            Ok(Ok(Err(_))) | Err(_) => Err(RabbitError::TimedOut {
                action: "let us in",
                after: self.patience,
            }),
        }
    }

    /// Waits for the broker's answer, but not for ever.
    pub(super) async fn within<T>(
        &self,
        action: &'static str,
        answer: impl Future<Output = Result<T, RabbitError>>,
    ) -> Result<T, RabbitError> {
        tokio::time::timeout(self.patience, answer)
            .await
            .unwrap_or(Err(RabbitError::TimedOut {
                action,
                after: self.patience,
            }))
    }

    /// Says goodbye, if the broker still listens.
    pub(super) async fn close(&self, connection: &Connection) {
        let closing = connection.close(200, "OK".into());
        if let Ok(Err(error)) = tokio::time::timeout(self.patience, closing).await {
            tracing::debug!(error = %error, "a connection was not closed in order");
        }
    }
}
