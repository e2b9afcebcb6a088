//! That the account can fail: a ledger, a mirror and a Clerk that are right, and one thing wrong.

use std::collections::{BTreeMap, BTreeSet};

use hookmirror::model::state::EventState;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::json;

use super::account::Account;
use super::history::{History, Reference};
use super::observed::{Observed, Recorded};
use super::story::{self, End};

/// What was acknowledged, what must be, and what is there.
type Books = (BTreeMap<String, u32>, Reference, Observed);

/// A hundred people, to whom everything happened as it should.
fn right() -> Books {
    let mut reference = Reference::default();
    let mut chance = StdRng::seed_from_u64(5);
    for number in 0..100 {
        reference.add(story::of(number, &mut chance).outcome);
    }
    let acknowledged: BTreeMap<String, u32> = reference
        .events
        .keys()
        .map(|key| (key.clone(), 2))
        .collect();
    let entitled = |user: &String| {
        let entitled = reference.entitlements.get(user);
        let entitled = entitled.filter(|_| !reference.deleted.contains(user));
        let Some(entitled) = entitled else {
            return json!({});
        };
        json!({ "stripe": {
            "paid": entitled.paid, "payment": entitled.payment, "status": entitled.status,
        } })
    };
    let everybody = reference.users.keys().chain(&reference.deleted);
    let observed = Observed {
        ledger: reference
            .events
            .iter()
            .map(|(key, end)| Recorded {
                key: key.clone(),
                state: end.state().to_owned(),
                attempts: 1,
                deliveries: 3,
            })
            .collect(),
        users: reference.users.clone().into_iter().collect(),
        tombstones: reference.deleted.iter().cloned().collect(),
        entitlements: reference.entitlements.clone().into_iter().collect(),
        facts: reference.facts.iter().cloned().collect(),
        at_clerk: everybody
            .map(|user| (user.clone(), entitled(user)))
            .collect(),
        outbox: BTreeMap::from([("delivered".to_owned(), 50)]),
        stats: json!({
            "accepted": reference.events.len(),
            "states": [{ "events": reference.events.len() }],
            "queue": { "events": 0 },
        }),
        lags: Vec::new(),
        apply_stall_ms: 0,
        crashes: Vec::new(),
    };
    (acknowledged, reference, observed)
}

/// The columns that are not zero after this has gone wrong.
fn found(goes_wrong: impl FnOnce(&mut Books)) -> Vec<&'static str> {
    let mut books = right();
    goes_wrong(&mut books);
    let account = Account::of(&books.0, &books.1, &books.2);
    let columns = account.columns().into_iter();
    let found: Vec<_> = columns.filter(|(_, found)| found.number > 0).collect();
    assert_eq!(found.is_empty(), account.is_clean());
    found.into_iter().map(|(name, _)| name).collect()
}

#[test]
fn what_is_right_is_clean() {
    assert_eq!(found(|_| {}), [""; 0]);
}

#[test]
fn a_missing_event_is_lost() {
    let without = |books: &mut Books| {
        books.2.ledger.pop();
    };
    assert_eq!(found(without), ["lost"]);
    // Though nobody ever said that it was accepted.
    let unanswered = |books: &mut Books| {
        let key = books.2.ledger.pop().unwrap().key;
        books.0.insert(key, 0);
    };
    assert_eq!(found(unanswered), ["lost"]);
}

#[test]
fn a_missing_delivery_is_lost_though_another_came() {
    assert_eq!(found(|books| books.2.ledger[7].deliveries = 1), ["lost"]);
}

#[test]
fn what_happened_twice_is_duplicated() {
    let twice = |books: &mut Books| {
        let mut applied = books
            .2
            .ledger
            .iter_mut()
            .filter(|row| row.state == "applied");
        applied.next().unwrap().attempts = 2;
    };
    assert_eq!(found(twice), ["duplicated in effect"]);
    let row = |books: &mut Books| {
        let row = books.2.ledger[7].clone();
        books.2.ledger.push(row);
    };
    assert_eq!(found(row), ["duplicated in effect"]);
    let fact = |books: &mut Books| {
        let row = books.2.facts[7].clone();
        books.2.facts.push(row);
    };
    assert_eq!(found(fact), ["duplicated in effect"]);
}

#[test]
fn a_wrong_row_is_wrong_in_the_mirror() {
    const WRONG: [&str; 1] = ["wrong in the mirror"];
    assert_eq!(found(|books| books.2.users[3].1.0.push('x')), WRONG);
    assert_eq!(found(|books| drop(books.2.users.pop())), WRONG);
    assert_eq!(found(|books| drop(books.2.tombstones.pop())), WRONG);
    assert_eq!(found(|books| drop(books.2.facts.pop())), WRONG);
    assert_eq!(found(|books| books.2.facts[3].push('0')), WRONG);
    let resurrected = |books: &mut Books| {
        let user = books.2.tombstones[0].clone();
        books.2.users.push((user, Default::default()));
    };
    assert_eq!(found(resurrected), WRONG);
    let paid = |books: &mut Books| books.2.entitlements[3].1.paid ^= true;
    assert_eq!(found(paid), WRONG);
}

#[test]
fn wrong_metadata_is_wrong_in_clerk() {
    const WRONG: [&str; 1] = ["wrong in Clerk"];
    let paid = |books: &mut Books| {
        let mut all = books.2.at_clerk.values_mut();
        let metadata = all.find(|metadata| metadata["stripe"]["paid"] == true);
        metadata.unwrap()["stripe"]["paid"] = json!(false);
    };
    assert_eq!(found(paid), WRONG);
    let forgotten = |books: &mut Books| {
        books.2.at_clerk.pop_first();
    };
    assert_eq!(found(forgotten), WRONG);
}

#[test]
fn what_is_not_settled_is_in_a_wrong_state() {
    const WRONG: [&str; 1] = ["wrong state"];
    let retrying = |books: &mut Books| {
        books.2.ledger[7].state = EventState::Retrying.as_str().to_owned();
    };
    assert_eq!(found(retrying), WRONG);
    let pending = |books: &mut Books| {
        books.2.outbox.insert("pending".to_owned(), 1);
    };
    assert_eq!(found(pending), WRONG);
    let from_nowhere = |books: &mut Books| {
        let mut row = books.2.ledger[7].clone();
        row.key = "stripe/evt_nobody".to_owned();
        books.2.ledger.push(row);
    };
    assert_eq!(found(from_nowhere), WRONG);
}

#[test]
fn an_account_that_does_not_add_up_is_unbalanced() {
    let queued = |books: &mut Books| books.2.stats["queue"]["events"] = json!(1);
    assert_eq!(found(queued), ["unbalanced"]);
}

#[test]
fn what_was_sent_must_be_what_the_history_tells() {
    let unsent = |books: &mut Books| {
        let key = books.2.ledger.pop().unwrap().key;
        books.0.remove(&key);
        books.2.stats["accepted"] = json!(books.0.len());
        books.2.stats["states"][0]["events"] = json!(books.0.len());
    };
    assert_eq!(found(unsent), ["unbalanced"]);
    let untold = |books: &mut Books| {
        let key = books.2.ledger[7].key.clone();
        books.1.events.remove(&key);
    };
    assert_eq!(found(untold), ["wrong state", "unbalanced"]);
}

#[test]
fn a_crash_is_a_crash_though_nothing_came_of_it() {
    let crash = |books: &mut Books| books.2.crashes.push("work-1 ended by itself".to_owned());
    assert_eq!(found(crash), ["crashed"]);
}

/// The account is of everything that there is.
#[test]
fn the_history_has_every_state_and_says_the_same_each_time() {
    let tell = || {
        let mut history = History::new(9);
        let mut deleted = BTreeSet::new();
        let mut told = 0;
        loop {
            let mut gone = Vec::new();
            let next = history.next(told < 5000, |user| gone.push(user.to_owned()));
            let Some(delivery) = next else { break };
            told += 1;
            // Who is deleted at Clerk is deleted when that is told, and has had a life before.
            let tells_it = delivery.event_type.as_str() == "user.deleted";
            assert_eq!(gone.len(), usize::from(tells_it), "{delivery:?}");
            deleted.extend(gone);
            assert!(
                history
                    .reference
                    .events
                    .contains_key(&story::key(&delivery))
            );
        }
        assert_eq!(deleted, history.reference.deleted);
        (told, history.reference)
    };
    let (told, reference) = tell();
    assert!(
        told > reference.events.len() + reference.events.len() / 20,
        "some come twice"
    );
    let ends: BTreeSet<End> = reference.events.values().copied().collect();
    assert_eq!(ends.len(), 5, "{ends:?}");
    assert_eq!(format!("{reference:?}"), format!("{:?}", tell().1));
}
