//! The account at the end: what was sent, and what became of it.
//!
//! | column | what counts |
//! | --- | --- |
//! | lost | an event that was acknowledged, or in the end just sent, and is not in the ledger; a delivery that was acknowledged and never came out of the queue, though another one of the same event did (`deliveries` counts each that was taken, and some twice; never fewer) |
//! | duplicated in effect | an event with two rows in the ledger; an event that is applied or ignored the first time it is processed, and was processed again (nobody ordered a replay); a user, an entitlement or a payment fact with two rows. An amount that counted twice changes a verdict, and is wrong in the mirror |
//! | wrong in the mirror | a user, a tombstone, an entitlement, a payment fact that is missing, different, or should not be there |
//! | wrong in Clerk | `public_metadata` that is not what the entitlement says |
//! | wrong state | an event of another state than it must end in, or that nobody sent; metadata that is not delivered in the end |
//! | unbalanced | `events stats`: accepted = sum of states + still queued = sent; an event of the history that was not sent, or sent and not of the history |
//! | crashed | a process that ended though nobody had killed it, a line of a log that tells of a panic, an answer 500 |
//!
//! That Clerk is told the same twice is no duplicate in effect: the merge changes nothing, and a crash
//! between the PATCH and its record cannot be told from one before it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use serde_json::{Value, json};

use super::history::Reference;
use super::observed::Observed;
use super::story::Entitled;

const EXAMPLES: usize = 5;

/// How many, and some of them.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) number: usize,
    pub(super) examples: Vec<String>,
}

impl Found {
    fn add(&mut self, example: String) {
        self.number += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(example);
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) lost: Found,
    pub(super) duplicated: Found,
    pub(super) wrong_in_mirror: Found,
    pub(super) wrong_in_clerk: Found,
    pub(super) wrong_state: Found,
    pub(super) unbalanced: Found,
    pub(super) crashed: Found,
}

impl Account {
    /// `acknowledged` has every event that was sent, with how many of its deliveries were.
    pub(super) fn of(
        acknowledged: &BTreeMap<String, u32>,
        reference: &Reference,
        observed: &Observed,
    ) -> Self {
        let mut account = Self::default();
        account.check_ledger(acknowledged, reference, observed);
        account.compare("user", rows(pairs(&observed.users)), rows(&reference.users));
        let nothing = |id: &String| (id.clone(), String::new());
        account.compare(
            "tombstone",
            observed.tombstones.iter().map(nothing),
            reference.deleted.iter().map(nothing),
        );
        account.compare(
            "entitlement",
            rows(pairs(&observed.entitlements)),
            rows(&reference.entitlements),
        );
        let split = |row: &String| split(row);
        let must = reference.facts.iter().map(split);
        account.compare("fact", observed.facts.iter().map(split), must);
        account.check_clerk(reference, observed);
        account.check_stats(acknowledged.len(), &observed.stats);
        account.check_history(acknowledged, reference);
        for crash in &observed.crashes {
            account.crashed.add(crash.clone());
        }
        account
    }

    /// Nothing was lost, nothing took effect twice, nothing is wrong.
    pub(super) fn is_clean(&self) -> bool {
        self.columns().iter().all(|(_, found)| found.number == 0)
    }

    pub(super) fn columns(&self) -> [(&'static str, &Found); 7] {
        [
            ("lost", &self.lost),
            ("duplicated in effect", &self.duplicated),
            ("wrong in the mirror", &self.wrong_in_mirror),
            ("wrong in Clerk", &self.wrong_in_clerk),
            ("wrong state", &self.wrong_state),
            ("unbalanced", &self.unbalanced),
            ("crashed", &self.crashed),
        ]
    }

    fn compare(
        &mut self,
        what: &str,
        seen: impl Iterator<Item = (String, String)>,
        wanted: impl Iterator<Item = (String, String)>,
    ) {
        let mut missing: BTreeMap<String, String> = wanted.collect();
        let wanted = missing.clone();
        for (id, is) in seen {
            let is_first = missing.remove(&id).is_some();
            match wanted.get(&id) {
                Some(_) if !is_first => self.duplicated.add(format!("{what} {id} is there twice")),
                Some(must) if *must == is => {}
                Some(must) => self
                    .wrong_in_mirror
                    .add(format!("{what} {id} is {is}, must be {must}")),
                None => self
                    .wrong_in_mirror
                    .add(format!("{what} {id} must not be there")),
            }
        }
        for id in missing.keys() {
            self.wrong_in_mirror.add(format!("{what} {id} is missing"));
        }
    }

    fn check_ledger(
        &mut self,
        acknowledged: &BTreeMap<String, u32>,
        reference: &Reference,
        observed: &Observed,
    ) {
        let mut recorded = BTreeSet::new();
        for row in &observed.ledger {
            let key = &row.key;
            if !recorded.insert(key) {
                self.duplicated.add(format!("{key} is in the ledger twice"));
            }
            let times = acknowledged.get(key).copied().unwrap_or_default();
            if row.deliveries < i64::from(times) {
                let came = row.deliveries;
                self.lost.add(format!(
                    "{key}: {times} deliveries acknowledged, {came} came out"
                ));
            }
            let Some(end) = reference.events.get(key) else {
                self.wrong_state.add(format!("{key} was never sent"));
                continue;
            };
            if row.state != end.state() {
                let (is, must) = (&row.state, end.state());
                self.wrong_state
                    .add(format!("{key} is {is}, must be {must}"));
            }
            if row.attempts > 1 && end.is_settled_at_once() {
                let attempts = row.attempts;
                self.duplicated
                    .add(format!("{key} was processed {attempts} times"));
            }
        }
        for (key, times) in acknowledged {
            if !recorded.contains(key) {
                self.lost.add(format!(
                    "{key}, acknowledged {times} times, is not in the ledger"
                ));
            }
        }
        for state in ["pending", "parked"] {
            for _ in 0..observed.outbox.get(state).copied().unwrap_or_default() {
                self.wrong_state
                    .add(format!("metadata for Clerk is {state}"));
            }
        }
    }

    fn check_clerk(&mut self, reference: &Reference, observed: &Observed) {
        for (user, is) in &observed.at_clerk {
            let entitled = reference.entitlements.get(user);
            let must = match entitled.filter(|_| !reference.deleted.contains(user)) {
                Some(entitled) => metadata(entitled),
                None => json!({}),
            };
            if *is != must {
                self.wrong_in_clerk
                    .add(format!("{user} has {is}, must have {must}"));
            }
        }
        let everybody = reference.users.len() + reference.deleted.len();
        if observed.at_clerk.len() != everybody {
            let asked = observed.at_clerk.len();
            self.wrong_in_clerk
                .add(format!("{asked} of {everybody} people were asked about"));
        }
    }

    /// What was sent is what was to be sent.
    fn check_history(&mut self, sent: &BTreeMap<String, u32>, reference: &Reference) {
        for key in reference.events.keys() {
            if !sent.contains_key(key) {
                self.unbalanced.add(format!("{key} was not sent"));
            }
        }
        for key in sent.keys() {
            if !reference.events.contains_key(key) {
                self.unbalanced
                    .add(format!("{key} was sent, and is not of the history"));
            }
        }
    }

    fn check_stats(&mut self, sent: usize, stats: &Value) {
        let states = stats["states"].as_array().into_iter().flatten();
        let in_states: u64 = states.filter_map(|state| state["events"].as_u64()).sum();
        let queued = stats["queue"]["events"].as_u64().unwrap_or_default();
        let accepted = stats["accepted"].as_u64().unwrap_or_default();
        if accepted != sent as u64 || in_states + queued != accepted {
            self.unbalanced.add(format!(
                "sent {sent}, accepted {accepted}, in states {in_states}, queued {queued}"
            ));
        }
    }
}

/// What an entitlement is at Clerk.
fn metadata(entitled: &Entitled) -> Value {
    json!({ "stripe": {
        "status": entitled.status, "payment": entitled.payment, "paid": entitled.paid,
    } })
}

/// A row of facts, by what it is about.
fn split(row: &str) -> (String, String) {
    let mut words = row.splitn(3, ' ');
    let [table, id, rest] = [(); 3].map(|()| words.next().unwrap_or_default().to_owned());
    (format!("{table} {id}"), rest)
}

fn pairs<T>(rows: &[(String, T)]) -> impl Iterator<Item = (&String, &T)> {
    rows.iter().map(|(id, row)| (id, row))
}

/// Rows by what they are about, as text.
fn rows<'a, T: Debug + 'a>(
    rows: impl IntoIterator<Item = (&'a String, &'a T)>,
) -> impl Iterator<Item = (String, String)> {
    let rows = rows.into_iter();
    rows.map(|(id, row)| (id.clone(), format!("{row:?}")))
}
