//! Clerk's events: the envelope, and the objects that are acted on.
//!
//! Source: Clerk's OpenAPI, `WebhookEventPayload`, `User` and `DeletedObject`. Many of Clerk's own
//! examples break that schema, so only what is used is required. Times are documented in
//! milliseconds and exemplified in seconds: both are taken.

use crate::model::time::Timestamp;
use crate::model::user::{Revision, User, UserChange, UserId};

use super::super::payload::{Object, PayloadError};

const NO_METADATA: &str = "{}";

/// One event of Clerk's. It carries no id of its own.
#[derive(Debug)]
pub struct ClerkEvent<'a>(Object<'a>);

impl<'a> ClerkEvent<'a> {
    /// Reads the envelope.
    ///
    /// # Errors
    ///
    /// When the body is not a JSON object.
    pub fn of_body(body: &'a [u8]) -> Result<Self, PayloadError> {
        Object::of_body(body).map(Self)
    }

    /// When the event happened, if it says so readably. Nothing is ordered by it.
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.0.seconds_or_millis("timestamp").ok().flatten()
    }

    /// The text of one field of `data`, if it can be read.
    pub fn data_text(&self, name: &str) -> Option<String> {
        let data = self.0.object("data").ok()??;
        data.text(name).ok()?
    }

    /// The user that `data` is.
    ///
    /// # Errors
    ///
    /// When a field that is used cannot be read, or there is no `id` or no `updated_at`: without
    /// that, the state has no place among the states of this user.
    pub fn user(&self, change: UserChange) -> Result<User, PayloadError> {
        let text = self.0.required("data", self.0.object_text("data")?)?;
        let user = self.data()?;
        let id = user.required("id", user_id(&user)?)?;
        let updated_at = user.seconds_or_millis("updated_at")?;
        let updated_at = user.required("updated_at", updated_at)?;
        let email = primary(&user, "primary_email_address_id", "email_addresses")?;
        let phone = primary(&user, "primary_phone_number_id", "phone_numbers")?;
        Ok(User {
            id,
            revision: Revision::new(updated_at, change, text),
            external_id: user.text("external_id")?,
            email: match &email {
                Some(email) => email.text("email_address")?,
                None => None,
            },
            email_verified: match &email {
                Some(email) => is_verified(email)?,
                None => false,
            },
            phone: match &phone {
                Some(phone) => phone.text("phone_number")?,
                None => None,
            },
            username: user.text("username")?,
            first_name: user.text("first_name")?,
            last_name: user.text("last_name")?,
            image_url: user.text("image_url")?,
            locale: user.text("locale")?,
            banned: user.flag("banned")?.unwrap_or(false),
            locked: user.flag("locked")?.unwrap_or(false),
            public_metadata: metadata(&user, "public_metadata")?,
            private_metadata: metadata(&user, "private_metadata")?,
            unsafe_metadata: metadata(&user, "unsafe_metadata")?,
            created_at: user.seconds_or_millis("created_at")?,
            updated_at,
            last_sign_in_at: user.seconds_or_millis("last_sign_in_at")?,
            data: text.to_owned(),
        })
    }

    /// Whose deletion `data` tells of; `None` where it does not say, which the schema allows.
    ///
    /// # Errors
    ///
    /// When there is no `data`, or its `id` is no id.
    pub fn deleted_user(&self) -> Result<Option<UserId>, PayloadError> {
        user_id(&self.data()?)
    }

    fn data(&self) -> Result<Object<'a>, PayloadError> {
        self.0.required("data", self.0.object("data")?)
    }
}

fn user_id(user: &Object<'_>) -> Result<Option<UserId>, PayloadError> {
    match user.text("id")? {
        Some(id) => UserId::parse(&id)
            .map(Some)
            .ok_or_else(|| user.invalid("id", "does not have the form of an id")),
        None => Ok(None),
    }
}

/// The entry of a list that the user object declares to be the primary one. It may be missing: some
/// of Clerk's examples declare one beside an empty list.
fn primary<'a>(
    user: &Object<'a>,
    declaration: &str,
    list: &str,
) -> Result<Option<Object<'a>>, PayloadError> {
    let Some(declared) = user.text(declaration)? else {
        return Ok(None);
    };
    for entry in user.objects(list)? {
        if entry.text("id")?.as_ref() == Some(&declared) {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

fn is_verified(email: &Object<'_>) -> Result<bool, PayloadError> {
    match email.object("verification")? {
        Some(verification) => Ok(verification.text("status")?.as_deref() == Some("verified")),
        None => Ok(false),
    }
}

fn metadata(user: &Object<'_>, name: &str) -> Result<String, PayloadError> {
    let text = user.object_text(name)?;
    Ok(text.unwrap_or(NO_METADATA).to_owned())
}
