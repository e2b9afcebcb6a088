//! Who has to leave when all connections are in use: who has kept us waiting the longest.
//!
//! A connection *waits* while it is the peer's turn: to send a request, or the rest of one. Anybody can
//! keep thousands of them waiting for as long as the limits of time allow; then nobody else would get in.
//! So when there is no seat left, the connection that has waited the longest is closed, if it has waited
//! long enough to be none of an honest sender in the middle of a request.
//!
//! Guaranteed: a connection whose request is complete is never closed for want of seats. NOT guaranteed:
//! that an idle connection of a proxy is kept while strangers fill the seats; the proxy opens another one.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Nobody leaves who has waited for less.
const SHORTEST_WAIT: Duration = Duration::from_millis(250);

/// The connections that wait, in the order in which they began to.
#[derive(Clone, Debug, Default)]
pub(super) struct Seats(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    begun: u64,
    peers: BTreeMap<u64, Peer>,
}

#[derive(Debug)]
struct Peer {
    since: Instant,
    leave: CancellationToken,
}

/// The seat of one connection. It waits from the beginning.
#[derive(Clone, Debug)]
pub(super) struct Seat(Arc<Place>);

#[derive(Debug)]
struct Place {
    seats: Seats,
    /// Under which number it waits, if it does.
    number: Mutex<Option<u64>>,
    leave: CancellationToken,
}

impl Seats {
    pub(super) fn take(&self) -> Seat {
        let seat = Seat(Arc::new(Place {
            seats: self.clone(),
            number: Mutex::default(),
            leave: CancellationToken::new(),
        }));
        seat.waits();
        seat
    }

    /// Closes the connection that has waited the longest. `Err` tells when to try again, as none has
    /// waited for long.
    pub(super) fn free_one(&self) -> Result<(), Duration> {
        let mut waiting = self.waiting();
        let Some(longest) = waiting.peers.first_entry() else {
            return Err(SHORTEST_WAIT);
        };
        let waited = longest.get().since.elapsed();
        if waited < SHORTEST_WAIT {
            return Err(SHORTEST_WAIT.saturating_sub(waited));
        }
        longest.remove().leave.cancel();
        Ok(())
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// It is the peer's turn from now on.
    pub(super) fn waits(&self) {
        self.0.moves(true);
    }

    /// It is our turn.
    pub(super) fn works(&self) {
        self.0.moves(false);
    }

    /// Ends when this connection has to be closed.
    pub(super) async fn has_to_leave(&self) {
        self.0.leave.cancelled().await;
    }
}

impl Place {
    fn moves(&self, waits: bool) {
        let mut number = self.number.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waiting = self.seats.waiting();
        if let Some(number) = number.take() {
            waiting.peers.remove(&number);
        }
        if waits {
            waiting.begun += 1;
            let peer = Peer {
                since: Instant::now(),
                leave: self.leave.clone(),
            };
            *number = Some(waiting.begun);
            let begun = waiting.begun;
            waiting.peers.insert(begun, peer);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.moves(false);
    }
}

/// The body of a request, which tells when all of it is here.
#[derive(Debug)]
pub(super) struct Heard {
    body: Incoming,
    seat: Seat,
}

impl Heard {
    pub(super) fn new(body: Incoming, seat: Seat) -> Self {
        if body.is_end_stream() {
            seat.works();
        }
        Self { body, seat }
    }
}

impl Body for Heard {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_none() || self.body.is_end_stream() {
            self.seat.works();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
