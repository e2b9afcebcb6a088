//! Customers: whose they are, and nothing else.

use serde::Serialize;
use utoipa::ToSchema;

use super::{NamedUser, PaymentFact};

/// A customer of Stripe's who is one of our users. Customers who name no user leave no fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Customer {
    /// Stripe's id, `cus_…`.
    pub id: String,
    /// The user named by `metadata.userId`.
    pub named_user: NamedUser,
}

impl PaymentFact for Customer {
    fn id(&self) -> &str {
        &self.id
    }

    fn merge(self, other: Self) -> Self {
        Self {
            id: self.id,
            named_user: self.named_user.min(other.named_user),
        }
    }
}
