//! Stripe's events: the envelope, and the objects that are acted on.
//!
//! Source: Stripe API reference, "The Event object" and "The Checkout Session object". The body is
//! rendered at the API version of the endpoint, so only what is used is required, and every
//! enumeration stays text. Times are in seconds. Another object is given by its id or expanded.

use crate::model::time::Timestamp;
use crate::model::user::UserId;

use super::super::payload::{Object, PayloadError};

/// What a notification of API v2 says it is. It is signed like any event, but carries no object.
const THIN_EVENT: &str = "v2.core.event";

/// One event of Stripe's.
#[derive(Debug)]
pub struct StripeEvent<'a>(Object<'a>);

/// A Checkout Session, as far as it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionObject {
    /// `cs_…`
    pub id: String,
    /// `cus_…`
    pub customer: Option<String>,
    /// `pi_…`
    pub payment_intent: Option<String>,
    /// `sub_…`
    pub subscription: Option<String>,
    /// `payment`, `subscription` or `setup`.
    pub mode: Option<String>,
    /// `paid`, `unpaid`, `no_payment_required`, or a word of a later API version.
    pub payment_status: Option<String>,
    /// In the currency's smallest unit.
    pub amount_total: Option<i64>,
    /// Three-letter code in lower case.
    pub currency: Option<String>,
    /// Whether it is about real money; where the session does not say, the event does.
    pub livemode: bool,
    /// When it was opened.
    pub created: Timestamp,
    /// `metadata.userId`, if it can be an id. Only our own back end writes metadata.
    pub metadata_user: Option<UserId>,
    /// `client_reference_id`, if it can be an id. Documented as "a customer ID, a cart ID, or
    /// similar"; with Payment Links the customer can set it in the address.
    pub client_reference: Option<UserId>,
}

impl<'a> StripeEvent<'a> {
    /// Reads the envelope.
    ///
    /// # Errors
    ///
    /// When the body is not a JSON object.
    pub fn of_body(body: &'a [u8]) -> Result<Self, PayloadError> {
        Object::of_body(body).map(Self)
    }

    /// Whether this is a notification of API v2.
    pub fn is_thin(&self) -> bool {
        let object = self.0.text("object").ok().flatten();
        object.as_deref() == Some(THIN_EVENT)
    }

    /// Whether it is about real money. All events say so, thin ones too.
    ///
    /// # Errors
    ///
    /// When it does not say, or not by `true` or `false`.
    pub fn livemode(&self) -> Result<bool, PayloadError> {
        self.0.required("livemode", self.0.flag("livemode")?)
    }

    /// When the event happened.
    ///
    /// # Errors
    ///
    /// When it does not say.
    pub fn created(&self) -> Result<Timestamp, PayloadError> {
        self.0.required("created", self.0.seconds("created")?)
    }

    /// The id in one field of `data.object`, if it can be read.
    pub fn object_reference(&self, name: &str) -> Option<String> {
        self.object().ok()?.reference(name).ok()?
    }

    /// The Checkout Session that `data.object` is.
    ///
    /// # Errors
    ///
    /// When a field that is used cannot be read, or there is no `id` or no `created`.
    pub fn session(&self) -> Result<SessionObject, PayloadError> {
        let session = self.object()?;
        let livemode = match session.flag("livemode")? {
            Some(livemode) => Some(livemode),
            None => self.0.flag("livemode")?,
        };
        let metadata_user = match session.object("metadata")? {
            Some(metadata) => usable_user(&metadata, "userId"),
            None => None,
        };
        Ok(SessionObject {
            id: session.required("id", session.id("id")?)?,
            customer: session.reference("customer")?,
            payment_intent: session.reference("payment_intent")?,
            subscription: session.reference("subscription")?,
            mode: session.text("mode")?,
            payment_status: session.text("payment_status")?,
            amount_total: session.number("amount_total")?,
            currency: session.text("currency")?,
            livemode: livemode.unwrap_or(false),
            created: session.required("created", session.seconds("created")?)?,
            metadata_user,
            client_reference: usable_user(&session, "client_reference_id"),
        })
    }

    /// A complaint about one field of `data.object`.
    pub fn object_invalid(&self, name: &str, problem: &'static str) -> PayloadError {
        PayloadError::Invalid {
            place: format!("data.object.{name}"),
            problem,
        }
    }

    fn object(&self) -> Result<Object<'a>, PayloadError> {
        let data = self.0.required("data", self.0.object("data")?)?;
        data.required("object", data.object("object")?)
    }
}

/// Other people write these fields; what cannot be an id names nobody.
fn usable_user(object: &Object<'_>, name: &str) -> Option<UserId> {
    let text = object.text(name).ok()??;
    UserId::parse(&text)
}
