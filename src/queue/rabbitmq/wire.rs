//! Connections to the broker.

use std::fmt;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::runtime::default_runtime;
use lapin::tcp::{AMQPUriTcpExt, AsyncTcpStream, OwnedTLSConfig};
use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties};
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use super::error::RabbitError;

/// The pace of heartbeats, in seconds, unless the URL sets another. After two of them without a sign
/// of life a connection is given up.
const HEARTBEAT: u16 = 10;
/// Knows where the broker is and how to get there.
pub(super) struct Wire {
    /// Holds the password.
    uri: AMQPUri,
    patience: Duration,
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
        Ok(Self { uri, patience })
    }

    /// Opens a connection. `name` is what the broker's own tools show. Safe to cancel: nothing is left of
    /// an attempt that was given up.
    pub(super) async fn connect(&self, name: &'static str) -> Result<Connection, RabbitError> {
        let properties = ConnectionProperties::default()
            .with_connection_name(name.into())
            .with_client_property("product".into(), env!("CARGO_PKG_NAME").into())
            .with_client_property("version".into(), env!("CARGO_PKG_VERSION").into());
        let failed = |source| RabbitError::of_connecting(&self.uri.vhost, source);
        let runtime = default_runtime().map_err(failed)?;
        let attempt = Attempt::default();
        let (socket, patience) = (Arc::clone(&attempt.socket), self.patience);
        let connecting = Connection::connector(
            self.uri.clone(),
            runtime,
            async move |uri, runtime| {
                still_wanted(&locked(&socket))?;
                let tls = OwnedTLSConfig::default();
                let opening = uri.connect_with_config_async(tls.as_ref(), &runtime);
                let stream = tokio::time::timeout(patience, opening)
                    .await
                    .map_err(io::Error::from)??;
                let opened = match &stream {
                    AsyncTcpStream::Plain(plain) => plain.get_ref().as_fd(),
                    AsyncTcpStream::Rustls(tls) => tls.get_ref().0.get_ref().as_fd(),
                    // Another kind of TLS than the one that is built in.
                    _ => return Err(io::Error::from(io::ErrorKind::Unsupported).into()),
                };
                keep(&socket, opened)?;
                Ok(stream)
            },
            properties,
        );
        let connecting = Box::pin(connecting);
        let connected = tokio::time::timeout(self.patience, connecting).await;
        let connected = connected.map_err(|_| RabbitError::TimedOut {
            action: "let us in",
            after: self.patience,
        })?;
        attempt.succeeded();
        connected.map_err(failed)
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

/// An attempt to connect, ended when it is dropped. The library goes on with one that nobody waits for, on
/// a thread of its own, and a broker that has been stopped accepts connections without ever answering.
#[derive(Debug, Default)]
struct Attempt {
    socket: Arc<Mutex<Socket>>,
}

#[derive(Debug, Default)]
enum Socket {
    #[default]
    NotOpened,
    /// A second handle of it.
    Open(TcpStream),
    /// There is nothing to end any more, and nothing to begin.
    Over,
}

impl Attempt {
    /// Lets the connection live.
    fn succeeded(self) {
        *locked(&self.socket) = Socket::Over;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let socket = std::mem::replace(&mut *locked(&self.socket), Socket::Over);
        if let Socket::Open(socket) = socket {
            // One that is closed already needs no end.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// Keeps a handle of what was opened.
fn keep(socket: &Mutex<Socket>, opened: BorrowedFd<'_>) -> io::Result<()> {
    let handle = opened.try_clone_to_owned()?;
    let mut socket = locked(socket);
    still_wanted(&socket)?;
    *socket = Socket::Open(handle.into());
    Ok(())
}

/// The library tries again by itself, which is of no use to anybody once the attempt is over.
fn still_wanted(socket: &Socket) -> io::Result<()> {
    match socket {
        Socket::Over => Err(io::ErrorKind::TimedOut.into()),
        Socket::NotOpened | Socket::Open(_) => Ok(()),
    }
}

fn locked(socket: &Mutex<Socket>) -> MutexGuard<'_, Socket> {
    socket.lock().unwrap_or_else(PoisonError::into_inner)
}
