//! The steps of a run: every call at every seam, counted, one of which goes wrong.

use std::collections::BTreeSet;
use std::future::pending;
use std::io;
use std::sync::Mutex;

use hookmirror::store::StoreError;
use tokio::sync::{Notify, watch};

use crate::support::faults::store_fault;
use crate::support::faulty_store::{Around, StoreCall};

/// How a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It fails, and has had no effect.
    Refused,
    /// It has had its effect, and fails all the same.
    Unanswered,
    /// The role that made it is gone before its effect.
    GoneBefore,
    /// The role that made it is gone after its effect.
    GoneAfter,
}

impl Fault {
    pub(super) const ALL: [Self; 4] = [
        Self::Refused,
        Self::Unanswered,
        Self::GoneBefore,
        Self::GoneAfter,
    ];

    /// Whether the role that made the call is gone.
    pub(super) fn takes_the_role(self) -> bool {
        matches!(self, Self::GoneBefore | Self::GoneAfter)
    }
}

/// Which call of a run goes wrong; the first is number one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trip {
    pub(super) step: usize,
    pub(super) fault: Fault,
}

/// The calls of one run.
#[derive(Debug, Default)]
pub(super) struct Steps {
    trip: Option<Trip>,
    /// Whether the next batch meets a database that is away, in every run.
    outage: Mutex<bool>,
    gone: Notify,
    seen: watch::Sender<Seen>,
}

/// What there was of calls.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Those that were made, by name.
    pub(super) made: Vec<&'static str>,
    /// Those among them that have had their effect.
    pub(super) done: Vec<&'static str>,
    /// Those that have neither ended nor gone.
    pub(super) under_way: usize,
    /// The one that went wrong.
    pub(super) tripped: Option<&'static str>,
}

impl Seen {
    /// How often a call has had its effect.
    pub(super) fn times_done(&self, call: &str) -> usize {
        self.done.iter().filter(|done| **done == call).count()
    }

    /// How often a call was made.
    pub(super) fn times_made(&self, call: &str) -> usize {
        self.made.iter().filter(|made| **made == call).count()
    }

    pub(super) fn names(&self) -> BTreeSet<&'static str> {
        self.made.iter().copied().collect()
    }
}

impl Steps {
    pub(super) fn new(trip: Option<Trip>) -> Self {
        Self {
            trip,
            ..Self::default()
        }
    }

    pub(super) fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Waits for what the calls come to.
    pub(super) async fn until(&self, what: impl FnMut(&Seen) -> bool) {
        self.seen.subscribe().wait_for(what).await.unwrap();
    }

    /// Lets the next batch meet a database that is away, whatever else goes wrong.
    pub(super) fn break_the_next_batch(&self) {
        *self.outage.lock().unwrap() = true;
    }

    /// Resolves when the call that goes wrong takes its role along.
    pub(super) async fn gone(&self) {
        self.gone.notified().await;
    }

    pub(super) async fn around<T, E>(
        &self,
        call: &'static str,
        work: impl Future<Output = Result<T, E>>,
        fault: impl FnOnce(io::Error) -> E,
    ) -> Result<T, E> {
        let _under_way = self.begin(call);
        let number = self.seen.borrow().made.len();
        let trip = self.trip.filter(|trip| trip.step == number);
        let how = trip.map(|trip| trip.fault);
        if how.is_some() {
            self.seen.send_modify(|seen| seen.tripped = Some(call));
        }
        match how {
            Some(Fault::Refused) => return Err(fault(io::Error::other("before its effect"))),
            Some(Fault::GoneBefore) => self.vanish().await,
            _ => {}
        }
        if call == "apply" && std::mem::take(&mut *self.outage.lock().unwrap()) {
            return Err(fault(io::Error::other("an outage")));
        }
        let answer = work.await;
        if answer.is_ok() {
            self.seen.send_modify(|seen| seen.done.push(call));
        }
        match how {
            Some(Fault::Unanswered) => Err(fault(io::Error::other("after its effect"))),
            Some(Fault::GoneAfter) => self.vanish().await,
            _ => answer,
        }
    }

    fn begin(&self, call: &'static str) -> UnderWay<'_> {
        self.seen.send_modify(|seen| {
            seen.made.push(call);
            seen.under_way += 1;
        });
        UnderWay(self)
    }

    async fn vanish(&self) -> ! {
        self.gone.notify_one();
        pending().await
    }
}

struct UnderWay<'a>(&'a Steps);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.seen.send_modify(|seen| seen.under_way -= 1);
    }
}

impl Around for std::sync::Arc<Steps> {
    async fn around_call<T: Send>(
        &self,
        call: StoreCall<'_>,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.around(call.name(), work, store_fault).await
    }
}
