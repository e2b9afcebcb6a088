//! What must hold in the end of a run.

use std::collections::BTreeMap;
use std::fmt::Debug;

use hookmirror::model::replay::ReplayState;
use serde_json::Value;

use super::history::History;
use super::provider::Standing;
use super::run::Ending;
use crate::convergence::reference;

/// Says what is wrong, if anything is.
pub(super) fn judge(history: &History, ending: &Ending) -> Result<(), String> {
    let open = |standing: &&Standing| **standing != Standing::Acknowledged;
    let refused = ending.deliveries.iter().filter(open).count();
    same("deliveries without a 2xx", &refused, &0)?;
    same("messages left in the queue", &ending.queued, &0)?;
    // Lost or invented, an event shows here.
    let expected = reference::of(&history.world);
    let seen = &ending.mirror;
    same("states of events", &seen.states, &expected.states)?;
    let accounted = usize::try_from(ending.accounted).unwrap();
    same("events by the account", &accounted, &expected.states.len())?;
    same("users", &seen.users, &expected.users)?;
    same("members", &seen.members, &expected.members)?;
    same("facts", &seen.facts, &expected.facts)?;
    same("entitlements", &seen.entitlements, &expected.entitlements)?;
    let asked = |at_clerk: &BTreeMap<String, Value>| {
        let mut at_clerk = at_clerk.clone();
        at_clerk.retain(|user, _| !ending.doubtful.contains(user));
        at_clerk
    };
    let (at_clerk, expected_there) = (asked(&seen.at_clerk), asked(&expected.at_clerk));
    same("metadata at Clerk", &at_clerk, &expected_there)?;
    let unfinished = |state: &&ReplayState| **state != ReplayState::Done;
    let unfinished = ending.replays.iter().filter(unfinished).count();
    same("unfinished replays", &unfinished, &0)?;
    // Whatever goes wrong, no event is to blame. What is told of users is understood at once, so it is
    // processed once; what Stripe tells may have to wait, and what failed is tried when it comes again.
    // No delivery that was acknowledged may vanish beside another of the same event.
    let missed: BTreeMap<_, _> = (ending.acknowledged.iter())
        .filter(|(event, times)| {
            ending
                .attempts
                .get(*event)
                .is_none_or(|seen| seen.1 < **times)
        })
        .collect();
    same("deliveries that vanished", &missed, &BTreeMap::new())?;
    let users: Vec<&String> = (expected.states.iter())
        .filter(|(event, state)| event.starts_with("msg_") && *state == "applied")
        .map(|(event, _)| event)
        .collect();
    let twice: BTreeMap<_, _> = (ending.attempts.iter())
        .filter(|(event, attempts)| users.contains(event) && attempts.0 != 1)
        .collect();
    if history.replayed_at.is_none() {
        same("events processed twice", &twice, &BTreeMap::new())?;
    }
    Ok(())
}

fn same<T: Debug + PartialEq>(what: &str, seen: &T, expected: &T) -> Result<(), String> {
    if seen == expected {
        return Ok(());
    }
    Err(format!("{what}: {seen:#?}\nmust be {expected:#?}"))
}
