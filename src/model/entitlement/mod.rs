//! What a user has paid for, derived from facts alone.
//!
//! [`decide`] is the whole policy. It sees all facts of one user at once, in no order, and no clock:
//! what ends at a time ends when Stripe says so. The facts are first put together into purchases
//! ([`purchase`]); each has a verdict of its own, and one of them decides.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::payment::Facts;
use super::words::words;

pub mod purchase;

use purchase::{Purchase, purchases};

words! {
    /// Where the money stands, in the words of the mirror and of Clerk's metadata.
    pub enum PaymentState {
        /// It is there.
        Paid => "paid",
        /// It has not come.
        Unpaid => "unpaid",
        /// Nothing is due.
        NoPaymentRequired => "no_payment_required",
        /// It was given back.
        Refunded => "refunded",
        /// The customer's bank took it back.
        Disputed => "disputed",
        /// A delayed payment did not come.
        Failed => "failed",
        /// The subscription has ended.
        Canceled => "canceled",
    }
}

words! {
    /// The line of the table at [`decide`] that a verdict comes from.
    pub enum Rule {
        /// The checkout is paid.
        CheckoutPaid => "checkout_paid",
        /// The checkout is complete and nothing is due.
        CheckoutNothingDue => "checkout_nothing_due",
        /// The checkout is complete, its payment has not come.
        CheckoutUnpaid => "checkout_unpaid",
        /// The checkout's delayed payment failed.
        CheckoutFailed => "checkout_failed",
        /// The checkout ran out.
        CheckoutExpired => "checkout_expired",
        /// The checkout only saved a card.
        CheckoutSavedMethod => "checkout_saved_method",
        /// All of the payment was given back.
        RefundedInFull => "refunded_in_full",
        /// A dispute about the payment was lost.
        DisputeLost => "dispute_lost",
        /// The subscription is active.
        SubscriptionActive => "subscription_active",
        /// The subscription is in its trial.
        SubscriptionTrialing => "subscription_trialing",
        /// The subscription goes on until the end that was set.
        SubscriptionEnding => "subscription_ending",
        /// A renewal is late, and that is tolerated.
        SubscriptionPastDueTolerated => "subscription_past_due_tolerated",
        /// A renewal is late.
        SubscriptionPastDue => "subscription_past_due",
        /// A renewal was not paid in the end.
        SubscriptionUnpaid => "subscription_unpaid",
        /// The trial ended without a way to pay.
        SubscriptionPaused => "subscription_paused",
        /// The first payment has not come.
        SubscriptionIncomplete => "subscription_incomplete",
        /// The subscription is over.
        SubscriptionEnded => "subscription_ended",
    }
}

/// What is left to whoever runs the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether a subscription keeps access while a renewal is late and Stripe still tries.
    pub past_due_is_paid: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            past_due_is_paid: true,
        }
    }
}

/// The paid state of one user, with the reason for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Entitlement {
    /// Whether the user has access.
    pub paid: bool,
    /// Where the money of the deciding purchase stands. `paid` or `no_payment_required` wherever
    /// there is access.
    pub payment: PaymentState,
    /// How far the deciding checkout has come, in Stripe's word; without one, the word for its
    /// subscription.
    pub status: String,
    /// One sentence for a person.
    pub reason: String,
    /// Which rule gave the verdict; `None` in what an earlier version has stored.
    pub rule: Option<Rule>,
    /// The session that decides, if there is one.
    pub checkout_session_id: Option<String>,
    /// The subscription that decides, if there is one.
    pub subscription_id: Option<String>,
}

/// Derives the entitlement of a user from all facts that are attributed to that user; `None` when
/// there are none.
///
/// Each checkout is a purchase; a subscription and the checkouts that began it are one purchase.
/// The first line that fits gives the verdict on a purchase:
///
/// | one-off purchase | paid | payment | rule |
/// | --- | --- | --- | --- |
/// | refunds that have not failed add up to all of it | no | `refunded` | `refunded_in_full` |
/// | a dispute about it is `lost` | no | `disputed` | `dispute_lost` |
/// | paid, at once or later | yes | `paid` | `checkout_paid` |
/// | complete, in `setup` mode | no | its own | `checkout_saved_method` |
/// | complete, `no_payment_required` | yes | `no_payment_required` | `checkout_nothing_due` |
/// | expired | no | `unpaid` | `checkout_expired` |
/// | its delayed payment failed | no | `failed` | `checkout_failed` |
/// | complete, not paid yet | no | `unpaid` | `checkout_unpaid` |
///
/// | subscription | paid | payment | rule |
/// | --- | --- | --- | --- |
/// | `canceled`, `incomplete_expired` | no | `canceled` | `subscription_ended` |
/// | its newest paid invoice for a period was refunded in full | no | `refunded` | `refunded_in_full` |
/// | … or a dispute about that was lost | no | `disputed` | `dispute_lost` |
/// | `unpaid` | no | `unpaid` | `subscription_unpaid` |
/// | `paused` | no | `unpaid` | `subscription_paused` |
/// | not known, or `incomplete`, and begun by a checkout | as the checkout | | as the checkout |
/// | `incomplete` | no | `unpaid` | `subscription_incomplete` |
/// | begun by a checkout whose payment has not come, and no invoice of it was paid | as the checkout | | as the checkout |
/// | `past_due`, if [`Policy::past_due_is_paid`] | yes | `paid` | `subscription_past_due_tolerated` |
/// | `past_due` | no | `unpaid` | `subscription_past_due` |
/// | `active` or `trialing`, to be cancelled later | yes | as below | `subscription_ending` |
/// | `trialing` | yes | `no_payment_required`, or `paid` if its checkout was | `subscription_trialing` |
/// | `active` | yes | `paid` | `subscription_active` |
///
/// A subscription whose collection is paused (`pause_collection`) has the status it had. A dispute that
/// is open takes nothing back; nor does one that ended because the payment was refunded: the refund
/// does, if it is in full.
///
/// Of several purchases one that gives access decides, so that a purchase is not taken back by
/// another one's end; among equals the newest, and one that was finished before one that was not.
/// Facts that belong to no purchase (a refund whose checkout has not arrived) change nothing.
pub fn decide(facts: &Facts, policy: Policy) -> Option<Entitlement> {
    purchases(facts, policy)
        .into_iter()
        .max_by(|a, b| a.order().cmp(&b.order()))
        .map(Purchase::into_entitlement)
}

/// What Clerk's `public_metadata` should hold for a user with this entitlement. Without one, the key
/// is removed (`null` removes a key in Clerk's deep merge: Backend API, `PATCH
/// /users/{id}/metadata`).
pub fn desired_metadata(entitlement: Option<&Entitlement>) -> Value {
    match entitlement {
        Some(entitlement) => json!({
            "stripe": {
                "status": entitlement.status,
                "payment": entitlement.payment,
                "paid": entitlement.paid,
            }
        }),
        None => json!({ "stripe": null }),
    }
}
