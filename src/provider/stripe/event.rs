//! Stripe's events: the envelope. What it carries is in [`object`](super::object).
//!
//! Source: Stripe API reference, "The Event object".

use crate::model::time::Timestamp;

use super::super::payload::{Object, PayloadError};

/// What a notification of API v2 says it is. It is signed like any event, but carries no object.
const THIN_EVENT: &str = "v2.core.event";

/// One event of Stripe's.
#[derive(Debug)]
pub struct StripeEvent<'a>(Object<'a>);

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

    /// The id in one field of an object within `data.object`, if it can be read.
    pub fn inner_reference(&self, object: &str, name: &str) -> Option<String> {
        let inner = self.object().ok()?.object(object).ok()??;
        inner.reference(name).ok()?
    }

    /// A complaint about one field of `data.object`.
    pub fn object_invalid(&self, name: &str, problem: &'static str) -> PayloadError {
        PayloadError::Invalid {
            place: format!("data.object.{name}"),
            problem,
        }
    }

    /// What the event carries.
    pub(super) fn object(&self) -> Result<Object<'a>, PayloadError> {
        let data = self.0.required("data", self.0.object("data")?)?;
        data.required("object", data.object("object")?)
    }

    /// Whether what the event carries is about real money: what it says itself, else what the event
    /// says. Not all objects say it.
    pub(super) fn livemode_of(&self, object: &Object<'_>) -> Result<bool, PayloadError> {
        let livemode = match object.flag("livemode")? {
            Some(livemode) => Some(livemode),
            None => self.0.flag("livemode")?,
        };
        Ok(livemode.unwrap_or(false))
    }
}
