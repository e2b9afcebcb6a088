//! Source: Stripe API reference, "The Customer object".

use super::metadata_user;
use crate::model::user::UserId;
use crate::provider::payload::PayloadError;
use crate::provider::stripe::event::StripeEvent;

/// A customer. The address is not read: nobody is known by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerObject {
    /// `cus_…`
    pub id: String,
    /// `metadata.userId`, if it can be an id.
    pub metadata_user: Option<UserId>,
}

impl CustomerObject {
    /// The customer that an event carries.
    ///
    /// # Errors
    ///
    /// When a field that is used cannot be read, or there is no `id`.
    pub fn of(event: &StripeEvent<'_>) -> Result<Self, PayloadError> {
        let customer = event.object()?;
        Ok(Self {
            id: customer.required("id", customer.id("id")?)?,
            metadata_user: metadata_user(&customer)?,
        })
    }
}
