//! The public listener of a process.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;

use super::engines::queue::Queue;
use crate::clock::Clock;
use crate::ingress::{self, IngressState, Limits};
use crate::metrics::IngressMetrics;
use crate::provider::Verifier;
use crate::traces::Traces;

/// Connections that wait to be accepted: as many as Linux lets wait. Beyond them it drops newcomers, who
/// try again only after a second, then three.
const BACKLOG: u32 = 4096;

/// The front door, before it is known what is behind it.
pub(super) struct Ingress {
    /// Where to listen.
    pub(super) listen: SocketAddr,
    /// What to change if that address cannot be had.
    pub(super) listen_is_set_by: &'static str,
    /// One for each source.
    pub(super) verifiers: Vec<Verifier>,
    /// How much it takes on at most.
    pub(super) limits: Limits,
}

/// The front door, before it is opened.
pub(super) struct FrontDoor {
    listen: SocketAddr,
    listen_is_set_by: &'static str,
    limits: Limits,
    state: IngressState,
}

impl FrontDoor {
    /// A door to this queue.
    pub(super) fn new(
        ingress: Ingress,
        queue: &Queue,
        clock: &Arc<dyn Clock>,
        traces: Traces,
    ) -> Self {
        let Ingress {
            listen,
            listen_is_set_by,
            verifiers,
            limits,
        } = ingress;
        let clock = Arc::clone(clock);
        Self {
            state: IngressState::new(verifiers, queue.front(), clock, limits.clone(), traces),
            listen,
            listen_is_set_by,
            limits,
        }
    }

    /// What it counts.
    pub(super) fn metrics(&self) -> IngressMetrics {
        self.state.metrics()
    }

    /// Listens. Answers where, and what serves until `stop`.
    pub(super) async fn open(
        self,
        stop: CancellationToken,
    ) -> anyhow::Result<(SocketAddr, impl Future<Output = ()> + Send + 'static)> {
        let Self {
            listen,
            listen_is_set_by,
            limits,
            state,
        } = self;
        let listener = bind(listen)
            .with_context(|| format!("cannot listen on {listen}, set by {listen_is_set_by}"))?;
        let address = listener.local_addr().context("cannot listen")?;
        let router = ingress::router(state);
        let serve = async move {
            ingress::serve(listener, router, limits, stop).await;
        };
        Ok((address, serve))
    }
}

fn bind(listen: SocketAddr) -> io::Result<TcpListener> {
    let socket = match listen {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // As every listener: a restart must not wait for connections that have ended.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(listen)?;
    socket.listen(BACKLOG)
}
