//! What must come of a world, computed from the world and not from its events: too simple to be
//! wrong in the same way as the program.
//!
//! All accounts of an object are laid side by side and sorted as the documentation of its fact says
//! (`joined`); whose they are, and what each purchase comes to, is read off the tables at `owners`
//! and `decide` (`verdict`). Nothing of the program's own rules is called.

use std::collections::{BTreeMap, BTreeSet};

use hookmirror::model::user::{Revision, UserChange};
use serde_json::{Value, json};

use self::joined::Joined;
use super::history::{Kind, World, user_id};

mod joined;
mod verdict;

/// Everything that must be the same however the events came.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Mirror {
    /// Live users: first name and revision.
    pub(crate) users: BTreeMap<String, (String, String)>,
    /// Live users: paid or not.
    pub(crate) members: BTreeMap<String, bool>,
    /// The rows of all tables of facts.
    pub(crate) facts: BTreeSet<String>,
    /// Users with payment facts.
    pub(crate) entitlements: BTreeMap<String, Entitled>,
    /// Users whom Clerk knows: `public_metadata`.
    pub(crate) at_clerk: BTreeMap<String, Value>,
    /// Every event's state.
    pub(crate) states: BTreeMap<String, String>,
}

/// A row of `entitlements`; `-` stands for nothing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entitled {
    pub(crate) paid: bool,
    pub(crate) payment: String,
    pub(crate) status: String,
    pub(crate) rule: String,
    pub(crate) session: String,
    pub(crate) subscription: String,
}

/// The end of the world's story.
pub(crate) fn of(world: &World) -> Mirror {
    let mut mirror = Mirror::default();
    tell_users(world, &mut mirror);

    let joined = Joined::of(world);
    mirror.facts = joined.rows();
    tell_states(world, &joined, &mut mirror.states);
    for user in joined.owners() {
        let Some(entitled) = verdict::of(&joined, &user) else {
            continue;
        };
        if let Some(paid) = mirror.members.get_mut(&user) {
            *paid = entitled.paid;
        }
        if let Some(metadata) = mirror.at_clerk.get_mut(&user) {
            *metadata = json!({ "stripe": {
                "status": entitled.status, "payment": entitled.payment, "paid": entitled.paid,
            } });
        }
        mirror.entitlements.insert(user, entitled);
    }
    mirror
}

fn tell_users(world: &World, mirror: &mut Mirror) {
    for (user, story) in (0..).zip(&world.users) {
        let id = user_id(user);
        for n in 0..story.states.len() {
            let event = format!("msg_{user}_{n}");
            mirror.states.insert(event, "applied".to_owned());
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
    for n in 0..world.nonsense {
        let event = format!("msg_nonsense_{n}");
        mirror.states.insert(event, "failed".to_owned());
    }
}

/// What has no owner waits for one, unless it is over.
fn tell_states(world: &World, joined: &Joined, states: &mut BTreeMap<String, String>) {
    let state = |waits| if waits { "waiting" } else { "applied" }.to_owned();
    for (n, story) in world.sessions.iter().enumerate() {
        for (place, telling) in story.tellings.iter().enumerate() {
            let waits = joined.sessions[n].owner.is_none() && telling.kind != Kind::Expired;
            states.insert(format!("evt_{n}_{place}"), state(waits));
        }
    }
    for (n, story) in world.payments.subscriptions.iter().enumerate() {
        // Its end settles what it told before, and what comes late.
        let subscription = &joined.subscriptions[n];
        let is_over = ["incomplete_expired", "canceled"].contains(&subscription.status);
        let waits = subscription.owner.is_none() && !is_over;
        for place in 0..story.tellings.len() {
            states.insert(format!("evt_sub_{n}_{place}"), state(waits));
        }
    }
    for (event, _) in world.payments.facts() {
        states.entry(event).or_insert_with(|| state(false));
    }
}
