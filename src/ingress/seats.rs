//! Who has to leave when all connections are in use: who has kept us waiting the longest.
//!
//! A connection *waits* while it is the peer's turn: to send a request, or the rest of one. Anybody can
//! keep thousands of them waiting for as long as the limits of time allow; then nobody else would get in.
//! So when there is no seat left, the connection that has waited the longest is closed, if it has waited
//! for more than a moment.
//!
//! Guaranteed: a connection whose request is complete is not closed for want of seats before its answer is
//! made; and nothing of a connection that has to leave is handed on, so that no event is taken whose
//! sender is then cut off. To take the answer is the peer's turn again: the guarantee ends there.
//!
//! NOT guaranteed, while strangers fill the seats:
//!
//! - that an answer arrives which the peer does not take and the operating system cannot hold for it;
//!   answers to webhooks are far smaller than that;
//! - that an honest sender gets to the end of its request. It waits from the end of the headers to the end
//!   of the body, and progress does not begin that anew, as a byte now and then costs an attacker nothing.
//!   Who needs longer than the shortest wait may be closed, and has to come again;
//! - that an idle connection of a proxy is kept; the proxy opens another one.

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
pub(super) const SHORTEST_WAIT: Duration = Duration::from_millis(250);

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

/// Why nothing more of a connection is handed on.
#[derive(Debug, thiserror::Error)]
#[error("the connection has to leave its seat to another one")]
pub(super) struct Shed;

/// Why a body ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unheard {
    #[error(transparent)]
    Broken(#[from] hyper::Error),
    #[error(transparent)]
    Shed(#[from] Shed),
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
        seat.0.moves(true);
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
    pub(super) fn waits(&self) -> Result<(), Shed> {
        if self.0.moves(true) {
            Ok(())
        } else {
            Err(Shed)
        }
    }

    /// It is our turn, unless the connection has to leave already.
    fn works(&self) -> Result<(), Shed> {
        if self.0.moves(false) {
            Ok(())
        } else {
            Err(Shed)
        }
    }

    /// Ends when this connection has to be closed.
    pub(super) async fn has_to_leave(&self) {
        self.0.leave.cancelled().await;
    }
}

impl Place {
    /// Answers whether the seat is still this connection's. It is chosen to leave under the same lock, and
    /// only while it waits.
    fn moves(&self, waits: bool) -> bool {
        let mut number = self.number.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waiting = self.seats.waiting();
        if let Some(number) = number.take() {
            waiting.peers.remove(&number);
        }
        if self.leave.is_cancelled() {
            return false;
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
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.moves(false);
    }
}

/// The body of a request, which tells when all of it is here. It has no end on a connection that has to
/// leave.
#[derive(Debug)]
pub(super) struct Heard {
    body: Incoming,
    seat: Seat,
}

impl Heard {
    pub(super) fn new(body: Incoming, seat: Seat) -> Result<Self, Shed> {
        if body.is_end_stream() {
            seat.works()?;
        }
        Ok(Self { body, seat })
    }
}

impl Body for Heard {
    type Data = Bytes;
    type Error = Unheard;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Unheard>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if (frame.is_none() || self.body.is_end_stream())
            && let Err(shed) = self.seat.works()
        {
            return Poll::Ready(Some(Err(shed.into())));
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Unheard::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
