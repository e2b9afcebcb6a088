//! What a consumer holds: messages that wait to be taken, and who has which.
//!
//! # Why suspects are kept apart
//!
//! A message that kills the process each time it is handled is given up on by the broker once it
//! was handed out too often. But a crash charges a delivery to *everything* that was unacknowledged
//! then, so its neighbours would reach the limit with it. Therefore a message that was handed out
//! before, twice or more, is a suspect: it is handed out alone, and no other suspect is until it is
//! settled. What came through unharmed is acknowledged before the killer is tried again. Of several
//! suspects the one with the fewest deliveries comes first, as the killer has the most; ties are
//! broken by lot, differently in each session, so that no two are always tried in the same order.
//! Messages that are no suspects come first, so that they are settled, and not charged, by then;
//! but now and then a suspect has its turn under constant load as well.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use tokio::time::Instant;

use super::error::RabbitError;
use super::item::Item;
use super::session::Session;

/// So many batches of others a suspect waits at most.
const TURN: u32 = 16;
/// No further message is added to a batch once it holds so many bytes.
const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// What a taker gets.
pub(super) enum Taken<T> {
    /// Messages of this session.
    Items(Vec<Item<T>>, Arc<Session>),
    /// Nothing is there.
    Nothing,
    /// The session was lost, or could not be had. Told once.
    Lost(RabbitError),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Buffer<T> {
    session: Option<Arc<Session>>,
    /// By their number, so that what is given back comes before what is newer.
    fresh: BTreeMap<u64, Item<T>>,
    suspects: BTreeMap<(u64, u64, u64), Item<T>>,
    /// Whether one is in somebody's hands.
    suspect_out: bool,
    batches_since_suspect: u32,
    batches_out: usize,
    loss: Option<RabbitError>,
    /// Somebody has waited since the last session ended.
    wanted: bool,
    last_use: Instant,
    seed: u64,
}

impl<T: Clone> Buffer<T> {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            session: None,
            fresh: BTreeMap::new(),
            suspects: BTreeMap::new(),
            suspect_out: false,
            batches_since_suspect: 0,
            batches_out: 0,
            loss: None,
            wanted: false,
            last_use: Instant::now(),
            seed,
        }
    }

    /// What follows is of this session.
    pub(super) fn begin(&mut self, session: Arc<Session>) {
        self.session = Some(session);
        self.last_use = Instant::now();
    }

    /// Whether there is a session.
    pub(super) fn has_begun(&self) -> bool {
        self.session.is_some()
    }

    /// Forgets everything, in order: the broker hands it out again.
    pub(super) fn end(&mut self) {
        self.clear();
        self.wanted = false;
    }

    /// Forgets everything after a loss, which is told to the next taker if it is `news`.
    pub(super) fn lose(&mut self, news: Option<RabbitError>) {
        self.clear();
        if news.is_some() {
            self.loss = news;
        }
    }

    fn clear(&mut self) {
        if let Some(session) = self.session.take() {
            session.end();
        }
        self.fresh.clear();
        self.suspects.clear();
        self.suspect_out = false;
        self.batches_out = 0;
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// When it was last used, unless it is in use now or holds nothing.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let waiting = !self.fresh.is_empty() || !self.suspects.is_empty();
        (waiting && self.batches_out == 0).then_some(self.last_use)
    }

    /// Whether every message that came is settled.
    pub(super) fn is_settled(&self) -> bool {
        self.fresh.is_empty() && self.suspects.is_empty() && self.batches_out == 0
    }

    /// Whether messages are in a taker's hands.
    pub(super) fn is_out(&self) -> bool {
        self.batches_out > 0
    }

    /// Takes a message in, from the broker or from a taker.
    pub(super) fn put(&mut self, item: Item<T>) {
        if !item.is_suspect() {
            self.fresh.insert(item.tag, item);
            return;
        }
        let mut lot = DefaultHasher::new();
        let session = self.session.as_ref().map(|session| session.number());
        (self.seed, session, item.tag).hash(&mut lot);
        let place = (item.earlier_deliveries, lot.finish(), item.tag);
        self.suspects.insert(place, item);
    }

    /// Hands out what is ready, `max` messages at most.
    pub(super) fn take(&mut self, max: usize) -> Taken<T> {
        self.last_use = Instant::now();
        self.wanted = true;
        if let Some(loss) = self.loss.take() {
            return Taken::Lost(loss);
        }
        let Some(session) = self.session.clone() else {
            return Taken::Nothing;
        };
        let turn = self.fresh.is_empty() || self.batches_since_suspect >= TURN;
        if turn
            && !self.suspect_out
            && let Some((_, suspect)) = self.suspects.pop_first()
        {
            self.suspect_out = true;
            self.batches_since_suspect = 0;
            self.batches_out += 1;
            return Taken::Items(vec![suspect], session);
        }
        let mut items = Vec::new();
        let mut bytes = 0;
        while items.len() < max.max(1)
            && bytes < BATCH_BYTES
            && let Some((_, item)) = self.fresh.pop_first()
        {
            bytes += item.bytes;
            items.push(item);
        }
        if items.is_empty() {
            return Taken::Nothing;
        }
        self.batches_since_suspect += u32::from(!self.suspects.is_empty());
        self.batches_out += 1;
        Taken::Items(items, session)
    }

    /// A batch of that session is no longer in anybody's hands: settled, or `returned`.
    pub(super) fn settled(&mut self, session: &Session, suspect: bool, returned: Vec<Item<T>>) {
        let current = self.session.as_ref().map(|session| session.number());
        // Of another session nothing is here any more.
        if current != Some(session.number()) {
            return;
        }
        self.last_use = Instant::now();
        self.batches_out = self.batches_out.saturating_sub(1);
        self.suspect_out &= !suspect;
        for item in returned {
            self.put(item);
        }
    }
}
