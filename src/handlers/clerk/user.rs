//! `user.created`, `user.updated`, `user.deleted`.

use crate::model::changes::{Changes, IgnoreReason};
use crate::model::time::Timestamp;
use crate::model::user::UserChange;
use crate::provider::clerk::event::ClerkEvent;
use crate::provider::payload::PayloadError;

/// Both types carry the whole user, so either can be the first to arrive.
pub(super) fn mirror(
    payload: &ClerkEvent<'_>,
    change: UserChange,
) -> Result<Changes, PayloadError> {
    let user = payload.user(change)?;
    Ok(Changes::MirrorUser(Box::new(user)))
}

/// A deletion carries hardly more than the id. Its time is for people only, as no state of a user
/// comes after it; so the time of arrival will do where the event does not tell its own.
pub(super) fn delete(
    payload: &ClerkEvent<'_>,
    received_at: Timestamp,
) -> Result<Changes, PayloadError> {
    Ok(match payload.deleted_user()? {
        Some(id) => Changes::DeleteUser {
            id,
            deleted_at: payload.timestamp().unwrap_or(received_at),
        },
        None => Changes::Ignore(IgnoreReason::DeletionWithoutId),
    })
}
