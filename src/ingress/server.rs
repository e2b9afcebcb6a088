//! The public listener: HTTP/1.1 on TCP, for peers that may be hostile. TLS ends in front of it.
//!
//! What hyper refuses by itself (a request that is not HTTP, headers over 64 KiB or more than 100 of
//! them) is answered by hyper, without a body, and never reaches a handler.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use futures_util::FutureExt;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Limits;
use super::seats::{Heard, SHORTEST_WAIT, Seat, Seats, Shed};

/// What a connection may buffer of headers, and the largest piece of a body that is read at once.
const CONNECTION_BUFFER_BYTES: usize = 16 * 1024;
/// How long bytes are still taken, and thrown away, from a peer that was already answered.
const LINGER: Duration = Duration::from_secs(1);
/// How many such bytes are taken.
const LINGER_BYTES: u64 = 8 * 1024 * 1024;
/// How long to leave the operating system alone after it could not give a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The same complaint is logged no more often than this.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// Serves connections until `shutdown` is cancelled. Then it stops listening, lets requests in
/// flight finish within [`Limits::shutdown_grace`], and returns how many connections it had to cut.
///
/// Nothing that happens on one connection ends it or another one's. Dropping the future cuts
/// everything.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) -> usize {
    let mut connections = JoinSet::new();
    let seats = Seats::default();
    // Who has come and was not given a seat yet. Nobody has to leave before there is somebody.
    let mut newcomer = None;
    let mut accept_failed = Complaint::default();
    let mut all_in_use = Complaint::default();
    let mut closed = 0_u64;
    loop {
        if connections.len() < limits.max_connections
            && let Some(stream) = newcomer.take()
        {
            let seat = seats.take();
            let (router, limits, shutdown) = (router.clone(), limits.clone(), shutdown.clone());
            connections.spawn(converse(stream, router, seat, limits, shutdown));
        }
        let look_again = match newcomer.is_some().then(|| seats.free_one()) {
            Some(Ok(())) => {
                closed += 1;
                SHORTEST_WAIT
            }
            Some(Err(when)) => when,
            None => Duration::MAX,
        };
        if newcomer.is_some() && all_in_use.is_due() {
            let limit = limits.max_connections;
            tracing::warn!(
                limit,
                closed_since_last_told = closed,
                "all connections are in use; those that keep us waiting the longest are closed"
            );
            closed = 0;
        }
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(ended) = connections.join_next() => report(ended),
            () = sleep(look_again), if newcomer.is_some() => {}
            accepted = listener.accept(), if newcomer.is_none() => match accepted {
                Ok((stream, _)) => newcomer = Some(stream),
                Err(error) => survive(&error, &mut accept_failed, &shutdown).await,
            },
        }
    }

    // From here on the operating system refuses new connections, so that a balancer goes elsewhere.
    drop((listener, newcomer));
    let drained = timeout(limits.shutdown_grace, async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    });
    if drained.await.is_err() {
        let cut = connections.len();
        tracing::warn!(cut, "connections did not finish in time and were cut");
    }
    let cut = connections.len();
    connections.shutdown().await;
    cut
}

/// One connection, from its first byte to its last.
async fn converse(
    stream: TcpStream,
    router: Router,
    seat: Seat,
    limits: Limits,
    shutdown: CancellationToken,
) {
    // An answer is one small write, for which nothing is gained by waiting for more. A failure
    // means that the peer has gone, which the next read tells as well.
    let _ = stream.set_nodelay(true);
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(CONNECTION_BUFFER_BYTES)
        .serve_connection(
            TokioIo::new(stream),
            service_fn(|request| answer(router.clone(), seat.clone(), request).boxed()),
        );

    let retired = async {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = sleep(limits.connection_age) => {}
        }
    };
    // First of all: what is served in the same moment would be cut off in the next one.
    let ended = tokio::select! {
        biased;
        () = seat.has_to_leave() => return,
        ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => Some(ended),
        () = retired => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            Pin::new(&mut connection).graceful_shutdown();
            let finishing = poll_fn(|cx| connection.poll_without_shutdown(cx));
            let finished = tokio::select! {
                biased;
                () = seat.has_to_leave() => return,
                finished = timeout(limits.longest_request(), finishing) => finished,
            };
            match finished {
                Ok(ended) => ended,
                Err(_) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended early");
    }
    if seat.waits().is_err() {
        return;
    }
    // Best effort: the peer may have gone, and then nobody misses the end.
    let hanging_up = hang_up(connection.into_parts().io.into_inner());
    tokio::select! {
        () = seat.has_to_leave() => {}
        _ = timeout(LINGER, hanging_up) => {}
    }
}

/// It is our turn from the last byte of a request to its answer. On a connection that has to leave there
/// is none.
async fn answer(router: Router, seat: Seat, request: Request<Incoming>) -> Result<Response, Shed> {
    seat.waits()?;
    let (head, body) = request.into_parts();
    let request = Request::from_parts(head, Heard::new(body, seat.clone())?);
    let Ok(response) = TowerToHyperService::new(router).call(request).await;
    seat.waits()?;
    Ok(response)
}

/// Closes a connection so that its last answer arrives. A peer that was refused early may still be
/// sending; closing at once would make the operating system reset the connection, and the peer would
/// see that instead of the answer.
async fn hang_up(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink()).await?;
    Ok(())
}

/// Carries on after the operating system gave no connection. What went wrong with one connection
/// needs no action; when file descriptors or memory run out, trying again at once would not help.
async fn survive(error: &io::Error, complaint: &mut Complaint, shutdown: &CancellationToken) {
    if matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
    ) {
        return;
    }
    if complaint.is_due() {
        tracing::error!(%error, "no connections can be accepted for now");
    }
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = sleep(ACCEPT_PAUSE) => {}
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!("the task of a connection panicked; its peer was cut off");
    }
}

/// Something that is said once and not again for a while.
#[derive(Default)]
struct Complaint(Option<Instant>);

impl Complaint {
    fn is_due(&mut self) -> bool {
        let due = self
            .0
            .is_none_or(|last| last.elapsed() >= COMPLAINT_INTERVAL);
        if due {
            self.0 = Some(Instant::now());
        }
        due
    }
}
