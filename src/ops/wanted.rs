//! What people and programs write when they say which events they mean, and what to tell them when it
//! cannot be understood.

use super::outbox::RetriedState;
use crate::model::event::{EventId, EventKey};
use crate::model::failure::GroupState;
use crate::model::operator::{Operator, Reason};
use crate::model::outbox::DeliveryState;
use crate::model::replay::{ReplayId, ReplayRate};
use crate::model::source::SourceName;
use crate::model::state::EventState;
use crate::model::time::Timestamp;
use crate::model::user::UserId;

/// A state by its word.
///
/// # Errors
///
/// What to write instead.
pub fn state(word: &str) -> Result<EventState, String> {
    EventState::parse(word).ok_or_else(|| {
        let known: Vec<&str> = EventState::ALL.iter().map(|state| state.as_str()).collect();
        format!("not a state; the states are {}", known.join(", "))
    })
}

/// The name of a source.
///
/// # Errors
///
/// What to write instead.
pub fn source(name: &str) -> Result<SourceName, String> {
    SourceName::parse(name)
        .ok_or_else(|| "a source is named by lower-case letters, digits and hyphens".to_owned())
}

/// The provider's id of an event.
///
/// # Errors
///
/// What to write instead.
pub fn event_id(id: &str) -> Result<EventId, String> {
    EventId::parse(id).ok_or_else(|| "not an event id".to_owned())
}

/// An event of a source.
///
/// # Errors
///
/// What to write instead.
pub fn event(text: &str) -> Result<EventKey, String> {
    EventKey::parse(text).ok_or_else(|| "not an event; write SOURCE/ID".to_owned())
}

/// A user by Clerk's id.
///
/// # Errors
///
/// What to write instead.
pub fn user(id: &str) -> Result<UserId, String> {
    UserId::parse(id).ok_or_else(|| "not a user id".to_owned())
}

/// A point in time: RFC 3339, or a date, which begins at midnight UTC.
///
/// # Errors
///
/// What to write instead.
pub fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text)
        .or_else(|| Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")))
        .ok_or_else(|| "not a time; write 2026-11-21T08:00:00Z or 2026-11-21".to_owned())
}

/// A user by an id of Clerk's form.
///
/// # Errors
///
/// What to write instead.
pub fn clerk_user(id: &str) -> Result<UserId, String> {
    UserId::parse(id)
        .filter(UserId::is_clerk_form)
        .ok_or_else(|| "not a user id: Clerk's begin with user_".to_owned())
}

/// What can be given to a user: a Checkout Session or a subscription, by Stripe's id.
///
/// # Errors
///
/// What to write instead.
pub fn payment(id: &str) -> Result<String, String> {
    let is_one = ["cs_", "sub_"].iter().any(|form| id.starts_with(form));
    let fits = is_one && id.len() <= 255 && id.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| id.to_owned())
        .ok_or_else(|| "neither a Checkout Session, cs_…, nor a subscription, sub_…".to_owned())
}

/// A state of metadata for Clerk, by its word.
///
/// # Errors
///
/// What to write instead.
pub fn delivery_state(word: &str) -> Result<DeliveryState, String> {
    DeliveryState::parse(word).ok_or_else(|| {
        let known = DeliveryState::ALL.map(DeliveryState::as_str);
        format!("not a state; the states are {}", known.join(", "))
    })
}

/// A state of metadata that can be retried as a whole, by its word.
///
/// # Errors
///
/// What to write instead.
pub fn retried_state(word: &str) -> Result<RetriedState, String> {
    let mut known = RetriedState::ALL.into_iter();
    known
        .find(|retried| retried.state().as_str() == word)
        .ok_or_else(|| {
            let known = RetriedState::ALL.map(|retried| retried.state().as_str());
            format!("not one of {}; name the users of others", known.join(", "))
        })
}

/// Who acts.
///
/// # Errors
///
/// What to write instead.
pub fn operator(name: &str) -> Result<Operator, String> {
    Operator::parse(name).ok_or_else(|| "write one line of up to 100 characters".to_owned())
}

/// Why somebody acts.
///
/// # Errors
///
/// What to write instead.
pub fn reason(text: &str) -> Result<Reason, String> {
    Reason::parse(text).ok_or_else(|| "write one line of up to 1000 characters".to_owned())
}

/// What events are filed under. Never an address of a person: commands and requests are recorded.
///
/// # Errors
///
/// What to write instead.
pub fn subject(id: &str) -> Result<String, String> {
    let fits = (1..=255).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
    if !fits || id.contains('@') {
        return Err("not what events are filed under: user_…, cus_…, cs_… or the like".to_owned());
    }
    Ok(id.to_owned())
}

/// Words to look for. No database that this program knows can look for a NUL, and no type or error has
/// one.
///
/// # Errors
///
/// What to write instead.
pub fn words(text: &str) -> Result<String, String> {
    if text.contains('\0') {
        return Err("write text without NUL characters".to_owned());
    }
    Ok(text.to_owned())
}

/// A state of a group of failures, by its word.
///
/// # Errors
///
/// What to write instead.
pub fn group_state(word: &str) -> Result<GroupState, String> {
    GroupState::parse(word).ok_or_else(|| {
        let known = GroupState::ALL.map(GroupState::as_str);
        format!("not a state; the states are {}", known.join(", "))
    })
}

/// How many events a replay puts on the queue in a second.
///
/// # Errors
///
/// What to write instead.
pub fn replay_rate(number: u32) -> Result<ReplayRate, String> {
    let most = ReplayRate::MOST;
    ReplayRate::new(number).ok_or_else(|| format!("write a number from 1 to {most}"))
}

/// The number of a replay.
///
/// # Errors
///
/// What to write instead.
pub fn replay(number: &str) -> Result<ReplayId, String> {
    ReplayId::parse(number).ok_or_else(|| "a replay has a number, such as 7".to_owned())
}
