//! A history without an end, of which no more is in memory than what is about to be sent, and what
//! must come of it.
//!
//! Deliveries of some hundred people are mixed: each next one is taken by chance. Some are sent again
//! later, as a provider does whose first attempt was answered too late, and some twice at once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hookmirror::sender::Delivery;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use super::story::{self, End, Entitled, Outcome};

/// Deliveries that are mixed.
const MIXED: usize = 400;
const AGAIN: f64 = 0.08;
const TWIN: f64 = 0.04;

/// What is sent, by chance.
pub(super) struct History {
    chance: StdRng,
    people: u64,
    mixed: Vec<Delivery>,
    twins: VecDeque<Delivery>,
    pub(super) reference: Reference,
}

/// What must come of everything that was handed out, or is yet to be.
#[derive(Debug, Default)]
pub(super) struct Reference {
    /// Of each event, by key, what must become of it.
    pub(super) events: BTreeMap<String, End>,
    /// Live users: first name and revision.
    pub(super) users: BTreeMap<String, (String, String)>,
    pub(super) deleted: BTreeSet<String>,
    pub(super) entitlements: BTreeMap<String, Entitled>,
    pub(super) facts: BTreeSet<String>,
}

impl History {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            chance: StdRng::seed_from_u64(seed),
            people: 0,
            mixed: Vec::new(),
            twins: VecDeque::new(),
            reference: Reference::default(),
        }
    }

    /// The next delivery; somebody new comes as long as `goes_on`. Whose deletion it tells has just been
    /// deleted at Clerk, and is told to `deleted`. `None` when all was told.
    pub(super) fn next(&mut self, goes_on: bool, deleted: impl FnOnce(&str)) -> Option<Delivery> {
        let delivery = self.take(goes_on)?;
        if delivery.event_type.as_str() == "user.deleted" {
            let body: Value = serde_json::from_slice(&delivery.body).unwrap();
            deleted(body["data"]["id"].as_str().unwrap());
        }
        Some(delivery)
    }

    fn take(&mut self, goes_on: bool) -> Option<Delivery> {
        if let Some(twin) = self.twins.pop_front() {
            return Some(twin);
        }
        while goes_on && self.mixed.len() < MIXED {
            let story = story::of(self.people, &mut self.chance);
            self.people += 1;
            self.reference.add(story.outcome);
            self.mixed.extend(story.deliveries);
        }
        if self.mixed.is_empty() {
            return None;
        }
        let place = self.chance.random_range(0..self.mixed.len());
        let delivery = self.mixed.swap_remove(place);
        if self.chance.random_bool(AGAIN) {
            self.mixed.push(delivery.clone());
        }
        if self.chance.random_bool(TWIN) {
            self.twins.push_back(delivery.clone());
        }
        Some(delivery)
    }
}

impl Reference {
    pub(super) fn add(&mut self, outcome: Outcome) {
        self.events.extend(outcome.ends);
        self.facts.extend(outcome.facts);
        let user = outcome.user;
        if let Some(entitled) = outcome.entitled {
            self.entitlements.insert(user.clone(), entitled);
        }
        if outcome.deleted {
            self.deleted.insert(user);
        } else {
            self.users.insert(user, outcome.mirrored);
        }
    }
}
