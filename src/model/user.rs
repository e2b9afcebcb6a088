//! A mirrored user, and what makes one state of a user newer than another.

use std::fmt;

use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::time::Timestamp;

/// A Clerk user id, such as `user_2g7np7Hrk0SN6kj5EDMLDaKNL0S`. One to 255 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = String)]
pub struct UserId(String);

impl UserId {
    /// Takes an id that keeps to the rule; `None` otherwise.
    pub fn parse(id: &str) -> Option<Self> {
        let fits = (1..=255).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(id.to_owned()))
    }

    /// Whether it has the form of the ids that Clerk gives out.
    pub fn is_clerk_form(&self) -> bool {
        self.0.starts_with("user_")
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for UserId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Which of two events about a user wins when both carry the same `updated_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UserChange {
    /// `user.created`
    Created,
    /// `user.updated`
    Updated,
}

/// The place of one state of a user in the order of all its states.
///
/// Ordered by `data.updated_at` (milliseconds), then `user.created` before `user.updated`, then a
/// hash of the object, so that any two different states are ordered the same way everywhere; equal
/// means the same state. Clerk documents no stricter version (OpenAPI `User.updated_at`), and
/// neither the envelope's `timestamp` nor the order of arrival says anything about it.
///
/// The displayed form has a fixed width: its text order is the order of revisions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(String);

impl Revision {
    /// The revision of a user object whose JSON text is `data`. Times before 1970 count as 1970.
    pub fn new(updated_at: Timestamp, change: UserChange, data: &str) -> Self {
        let millis = updated_at.as_millis().clamp(0, 9_999_999_999_999_999);
        let rank = match change {
            UserChange::Created => 0,
            UserChange::Updated => 1,
        };
        let digest = Sha256::digest(data.as_bytes());
        Self(format!("{millis:016}-{rank}-{}", hex::encode(&digest[..8])))
    }

    /// A revision that was stored before.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The revision as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for Revision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// One state of a user, as the `users` table shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Clerk's id.
    pub id: UserId,
    /// Orders this state among all states of this user.
    pub revision: Revision,
    /// The application's own id, if it gave Clerk one.
    pub external_id: Option<String>,
    /// The primary e-mail address, if there is one. Not unique: a person may sign up again.
    pub email: Option<String>,
    /// Whether the primary e-mail address is verified.
    pub email_verified: bool,
    /// The primary phone number, if there is one.
    pub phone: Option<String>,
    /// The user name, where the instance uses them.
    pub username: Option<String>,
    /// The first name.
    pub first_name: Option<String>,
    /// The last name.
    pub last_name: Option<String>,
    /// The avatar.
    pub image_url: Option<String>,
    /// The preferred language.
    pub locale: Option<String>,
    /// Banned by an administrator.
    pub banned: bool,
    /// Locked out after failed attempts.
    pub locked: bool,
    /// JSON object: readable by the front end, written by back ends. Where the paid state goes.
    pub public_metadata: String,
    /// JSON object: readable and written by back ends only.
    pub private_metadata: String,
    /// JSON object: written by the user; never to be trusted.
    pub unsafe_metadata: String,
    /// When the user was created at Clerk.
    pub created_at: Option<Timestamp>,
    /// When the user was last changed at Clerk.
    pub updated_at: Timestamp,
    /// When the user last signed in.
    pub last_sign_in_at: Option<Timestamp>,
    /// The whole Clerk object, as it came.
    pub data: String,
}
