//! What all bodies in memory take together, and who gives way when it is used up.
//!
//! A body that is still arriving can be anybody's: its signature is checked at its end. An honest one is
//! here within moments; one that is meant to occupy memory is not. So who has been sending the longest
//! gives way to who comes later, and an attacker who wants to hold memory has to send it again and again.
//!
//! NOT guaranteed: that a slow honest sender gets through while somebody does that.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::error::Refusal;

/// How long whoever gives way may take to do so.
const GIVING_WAY: Duration = Duration::from_millis(250);

/// One permit for each byte that may be in memory.
#[derive(Debug)]
pub(super) struct Budget {
    free: Semaphore,
    arriving: Mutex<Arriving>,
}

/// The bodies that are still arriving, in the order in which they began to.
#[derive(Debug, Default)]
struct Arriving {
    begun: u64,
    bodies: BTreeMap<u64, Body>,
}

#[derive(Debug)]
struct Body {
    bytes: usize,
    give_way: CancellationToken,
}

/// The part of the budget that one body takes. The budget gets it back when this is dropped.
#[derive(Debug)]
pub(super) struct Share<'b> {
    budget: &'b Budget,
    number: u64,
    give_way: CancellationToken,
    taken: Option<SemaphorePermit<'b>>,
}

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            free: Semaphore::new(bytes.min(Semaphore::MAX_PERMITS)),
            arriving: Mutex::default(),
        }
    }

    /// Of a body of which nothing is here yet.
    pub(super) fn share(&self) -> Share<'_> {
        let mut arriving = self.arriving();
        arriving.begun += 1;
        Share {
            budget: self,
            number: arriving.begun,
            give_way: CancellationToken::new(),
            taken: None,
        }
    }

    fn arriving(&self) -> MutexGuard<'_, Arriving> {
        self.arriving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks bodies that began before this one to give way, the longest arriving first, and only as many
    /// as are needed. Answers whether that is enough; if it would not be, nobody is asked.
    fn make_room(&self, number: u64, bytes: usize) -> bool {
        let mut arriving = self.arriving();
        let mut room = self.free.available_permits();
        let mut leaving = Vec::new();
        for (&earlier, body) in arriving.bodies.range(..number) {
            if room >= bytes {
                break;
            }
            room += body.bytes;
            leaving.push(earlier);
        }
        if room < bytes {
            return false;
        }
        for body in leaving
            .iter()
            .filter_map(|earlier| arriving.bodies.remove(earlier))
        {
            body.give_way.cancel();
        }
        true
    }
}

impl<'b> Share<'b> {
    /// Charges for bytes that have arrived. Who waits for room gives way as well: two who wait for each
    /// other's would both be refused.
    pub(super) async fn charge(&mut self, bytes: usize) -> Result<(), Refusal> {
        let budget = self.budget;
        let wanted = u32::try_from(bytes).map_err(|_| Refusal::TooBusy)?;
        let more = match budget.free.try_acquire_many(wanted) {
            Ok(more) => more,
            Err(_) if budget.make_room(self.number, bytes) => {
                tokio::select! {
                    biased;
                    () = self.give_way.cancelled() => return Err(Refusal::TooBusy),
                    room = timeout(GIVING_WAY, budget.free.acquire_many(wanted)) => {
                        room.ok().and_then(Result::ok).ok_or(Refusal::TooBusy)?
                    }
                }
            }
            Err(_) => return Err(Refusal::TooBusy),
        };
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            None => self.taken = Some(more),
        }
        if self.give_way.is_cancelled() {
            return Err(Refusal::TooBusy);
        }
        let mut arriving = budget.arriving();
        let body = arriving.bodies.entry(self.number).or_insert_with(|| Body {
            bytes: 0,
            give_way: self.give_way.clone(),
        });
        body.bytes += bytes;
        Ok(())
    }

    /// Ends when this body has to give way.
    pub(super) async fn has_to_give_way(&self) {
        self.give_way.cancelled().await;
    }

    /// All of it is here: from now on it gives way to nobody.
    pub(super) fn complete(self) -> Self {
        self.budget.arriving().bodies.remove(&self.number);
        self
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.budget.arriving().bodies.remove(&self.number);
    }
}
