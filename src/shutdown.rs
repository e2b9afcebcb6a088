//! The end of the process, agreed on.
//!
//! Actors: the command that runs the roles *owns* the one [`Shutdown`] and alone can begin it; it
//! does so on a signal, or when a role ends that should not. Every role holds a [`ShutdownHandle`]
//! and can only watch. A role that hears of it stops taking new work, finishes what it has begun and
//! returns; the owner waits for the roles, and its deadline is the only one.
//!
//! Guaranteed: once begun it stays so, for handles that are made later as well. Dropping the
//! owner begins it too: otherwise nobody could, and roles would outlive their command.
//!
//! NOT guaranteed: that anything has ended. After a second signal the process exits where it stands,
//! which costs nothing that was acknowledged (promise P1): the queue hands it out again.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What a shell reports for a process that Ctrl-C has ended.
const EXIT_STATUS: i32 = 130;

/// The right to begin the shutdown. There is one for each running command.
#[derive(Debug, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// A shutdown that only [`begin`](Self::begin), or dropping it, begins.
    pub fn new() -> Self {
        Self::default()
    }

    /// A shutdown that SIGINT and SIGTERM begin as well. A second signal of either kind ends the
    /// process at once, with status 130. To be called once in a process, inside a Tokio runtime: the
    /// signals keep their new meaning until the process ends.
    ///
    /// # Errors
    ///
    /// When the operating system does not let us listen.
    pub fn on_signals() -> Result<Self, SignalError> {
        let shutdown = Self::new();
        let interrupt = signal(SignalKind::interrupt()).map_err(SignalError)?;
        let terminate = signal(SignalKind::terminate()).map_err(SignalError)?;
        tokio::spawn(listen(shutdown.0.clone(), interrupt, terminate));
        Ok(shutdown)
    }

    /// Begins it. To begin it twice is to begin it once.
    pub fn begin(&self) {
        self.0.cancel();
    }

    /// A view of it, for a role.
    pub fn handle(&self) -> ShutdownHandle {
        ShutdownHandle(self.0.clone())
    }
}

impl Drop for Shutdown {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// A role's view of the shutdown.
#[derive(Clone, Debug)]
pub struct ShutdownHandle(CancellationToken);

impl ShutdownHandle {
    /// Waits until it begins; returns at once if it has begun. Safe to cancel.
    pub async fn begun(&self) {
        self.0.cancelled().await;
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        self.0.is_cancelled()
    }

    /// A token for code that asks for one. To cancel it stops the holder and nobody else.
    pub fn token(&self) -> CancellationToken {
        self.0.child_token()
    }
}

async fn listen(shutdown: CancellationToken, mut interrupt: Signal, mut terminate: Signal) {
    let first = either(&mut interrupt, &mut terminate).await;
    tracing::info!(
        signal = first,
        "shutting down: a second signal ends it at once"
    );
    shutdown.cancel();
    let second = either(&mut interrupt, &mut terminate).await;
    tracing::warn!(signal = second, "second signal: ending at once");
    std::process::exit(EXIT_STATUS);
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) -> &'static str {
    tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    }
}

/// The operating system does not let us listen for signals.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for SIGINT and SIGTERM")]
pub struct SignalError(#[source] io::Error);
