//! What must come of a world, computed from the world and not from its events: too simple to be
//! wrong in the same way as the program.

use std::collections::BTreeMap;

use hookmirror::model::user::{Revision, UserChange};
use serde_json::{Value, json};

use super::history::{Kind, SessionStory, World, session_id, user_id};

/// Everything that must be the same however the events came.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Mirror {
    /// Live users: first name and revision.
    pub(super) users: BTreeMap<String, (String, String)>,
    /// Live users: paid or not.
    pub(super) members: BTreeMap<String, bool>,
    /// Users with payment facts: paid, payment, status, deciding session.
    pub(super) entitlements: BTreeMap<String, (bool, String, String, String)>,
    /// Users whom Clerk knows: `public_metadata`.
    pub(super) at_clerk: BTreeMap<String, Value>,
    /// Every event's state.
    pub(super) states: BTreeMap<String, String>,
}

/// How far a session came, and whether it gives access.
struct Outcome {
    complete: bool,
    payment: &'static str,
    grants: bool,
    /// The customer came to the end of it and wanted to buy.
    is_purchase: bool,
}

fn outcome(session: &SessionStory) -> Outcome {
    let told = |kinds: &[Kind]| {
        session
            .tellings
            .iter()
            .any(|telling| kinds.contains(&telling.kind))
    };
    let complete = session
        .tellings
        .iter()
        .any(|telling| telling.kind != Kind::Expired);
    if told(&[Kind::Paid, Kind::Succeeded]) {
        return Outcome {
            complete,
            payment: "paid",
            grants: true,
            is_purchase: true,
        };
    }
    if told(&[Kind::NothingDue]) {
        return Outcome {
            complete,
            payment: if complete {
                "no_payment_required"
            } else {
                "unpaid"
            },
            grants: complete && !session.setup,
            is_purchase: complete && !session.setup,
        };
    }
    let payment = if told(&[Kind::Failed]) {
        "failed"
    } else {
        "unpaid"
    };
    Outcome {
        complete,
        payment,
        grants: false,
        is_purchase: complete && !session.setup,
    }
}

/// The earliest naming holds; of one second, the smallest id.
fn named(session: &SessionStory) -> Option<String> {
    session
        .tellings
        .iter()
        .filter_map(|telling| Some((telling.at, user_id(telling.names?))))
        .min()
        .map(|(_, user)| user)
}

/// Named by the session, else by the oldest session of the same customer that names anyone.
fn user_of(world: &World, session: &SessionStory) -> Option<String> {
    named(session).or_else(|| {
        let customer = session.customer?;
        world
            .sessions
            .iter()
            .enumerate()
            .filter(|(_, other)| other.customer == Some(customer))
            .filter_map(|(n, other)| Some((other.opened_at, session_id(n), named(other)?)))
            .min()
            .map(|(_, _, user)| user)
    })
}

/// The end of the world's story.
pub(super) fn of(world: &World) -> Mirror {
    let mut mirror = Mirror::default();

    for (user, story) in (0..).zip(&world.users) {
        let id = user_id(user);
        for n in 0..story.states.len() {
            mirror
                .states
                .insert(format!("msg_{user}_{n}"), "applied".to_owned());
        }
        if story.deleted {
            let event = format!("msg_{user}_deleted");
            mirror.states.insert(event, "applied".to_owned());
            continue;
        }
        mirror.at_clerk.insert(id.clone(), json!({}));
        let newest = story
            .states
            .iter()
            .map(|state| {
                let change = if state.created {
                    UserChange::Created
                } else {
                    UserChange::Updated
                };
                let revision = Revision::new(state.updated_at(), change, &state.data(user));
                (revision, format!("name {}", state.name))
            })
            .max();
        if let Some((revision, name)) = newest {
            mirror.members.insert(id.clone(), false);
            mirror
                .users
                .insert(id, (name, revision.as_str().to_owned()));
        }
    }

    let mut deciding: BTreeMap<String, (bool, bool, i64, String)> = BTreeMap::new();
    for (n, session) in world.sessions.iter().enumerate() {
        let user = user_of(world, session);
        let outcome = outcome(session);
        for (m, telling) in session.tellings.iter().enumerate() {
            let waits = user.is_none() && telling.kind != Kind::Expired;
            let state = if waits { "waiting" } else { "applied" };
            mirror
                .states
                .insert(format!("evt_{n}_{m}"), state.to_owned());
        }
        let Some(user) = user else {
            continue;
        };
        let candidate = (
            outcome.grants,
            outcome.is_purchase,
            session.opened_at,
            session_id(n),
        );
        let so_far = deciding.get(&user);
        if so_far.is_none_or(|so_far| *so_far < candidate) {
            deciding.insert(user.clone(), candidate);
            let status = if outcome.complete {
                "complete"
            } else {
                "expired"
            };
            let entitlement = (
                outcome.grants,
                outcome.payment.to_owned(),
                status.to_owned(),
                session_id(n),
            );
            mirror.entitlements.insert(user.clone(), entitlement);
            if let Some(paid) = mirror.members.get_mut(&user) {
                *paid = outcome.grants;
            }
            if let Some(metadata) = mirror.at_clerk.get_mut(&user) {
                *metadata = json!({ "stripe": {
                    "status": status, "payment": outcome.payment, "paid": outcome.grants,
                } });
            }
        }
    }
    for n in 0..world.nonsense {
        mirror
            .states
            .insert(format!("msg_nonsense_{n}"), "failed".to_owned());
    }
    mirror
}
