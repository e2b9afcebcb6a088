//! Purchases: facts that belong together, and what each purchase comes to.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::{Entitlement, PaymentState, Policy, Rule};
use crate::model::payment::{
    CheckoutSession, DisputeStatus, Facts, Invoice, InvoiceStatus, PaymentStatus, SessionStatus,
    Subscription, SubscriptionStatus,
};
use crate::model::time::Timestamp;

/// One purchase and the verdict on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Purchase {
    /// Whether it gives access.
    pub paid: bool,
    /// Where its money stands.
    pub payment: PaymentState,
    /// Stripe's word for how far it has come.
    pub status: String,
    /// One sentence for a person.
    pub reason: String,
    /// Where the verdict comes from.
    pub rule: Rule,
    /// The checkout; if several began a subscription, the newest of those that give access, else the
    /// newest.
    pub checkout_session_id: Option<String>,
    /// The subscription.
    pub subscription_id: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
}

impl Purchase {
    /// The greatest one decides.
    pub(super) fn order(&self) -> impl Ord {
        let unfinished = [Rule::CheckoutExpired, Rule::CheckoutSavedMethod].contains(&self.rule);
        (
            self.paid,
            !unfinished,
            self.created_at,
            self.checkout_session_id.clone(),
            self.subscription_id.clone(),
        )
    }

    pub(super) fn into_entitlement(self) -> Entitlement {
        Entitlement {
            paid: self.paid,
            payment: self.payment,
            status: self.status,
            reason: self.reason,
            rule: Some(self.rule),
            checkout_session_id: self.checkout_session_id,
            subscription_id: self.subscription_id,
        }
    }
}

/// What a rule says of one purchase.
struct Verdict {
    rule: Rule,
    paid: bool,
    payment: PaymentState,
    reason: String,
}

impl Verdict {
    fn yes(rule: Rule, payment: PaymentState, reason: String) -> Self {
        Self {
            rule,
            paid: true,
            payment,
            reason,
        }
    }

    fn no(rule: Rule, payment: PaymentState, reason: String) -> Self {
        Self {
            rule,
            paid: false,
            payment,
            reason,
        }
    }
}

/// All purchases of one user, oldest first.
pub fn purchases(facts: &Facts, policy: Policy) -> Vec<Purchase> {
    let mut one_off = Vec::new();
    let mut began: BTreeMap<&str, Vec<&CheckoutSession>> = BTreeMap::new();
    for id in facts.subscriptions.keys() {
        began.insert(id, Vec::new());
    }
    for session in facts.sessions.values() {
        match &session.subscription {
            Some(subscription) => began.entry(subscription).or_default().push(session),
            None => one_off.push(session),
        }
    }

    let subscriptions = began.into_iter().filter_map(|(id, mut sessions)| {
        sessions.sort_by_key(|session| (session.grants(), session.created_at, &session.id));
        subscription(facts, policy, id, sessions.last().copied())
    });
    let one_off = one_off
        .into_iter()
        .map(|session| of_checkout(session, None, checkout(facts, session)));
    let mut purchases: Vec<Purchase> = one_off.chain(subscriptions).collect();
    purchases.sort_by_key(|purchase| purchase.created_at);
    purchases
}

fn of_checkout(
    session: &CheckoutSession,
    subscription: Option<&str>,
    verdict: Verdict,
) -> Purchase {
    Purchase {
        paid: verdict.paid,
        payment: verdict.payment,
        status: session.status.to_string(),
        reason: verdict.reason,
        rule: verdict.rule,
        checkout_session_id: Some(session.id.clone()),
        subscription_id: subscription.map(ToOwned::to_owned),
        created_at: session.created_at,
    }
}

/// The first table at [`super::decide`].
fn checkout(facts: &Facts, session: &CheckoutSession) -> Verdict {
    let what = format!("checkout {}", session.id);
    let intent = session.payment_intent.as_deref();
    let due = Due {
        amount: session.amount_total,
        currency: session.currency.as_deref(),
        in_parts: false,
    };
    taken_back(facts, intent, &due, &what).unwrap_or_else(|| by_itself(session, &what))
}

fn by_itself(session: &CheckoutSession, what: &str) -> Verdict {
    let finished = session.status == SessionStatus::Complete;
    match session.payment {
        PaymentStatus::Paid => Verdict::yes(
            Rule::CheckoutPaid,
            PaymentState::Paid,
            format!("{what} is paid"),
        ),
        payment if finished && session.only_saves_a_method() => Verdict::no(
            Rule::CheckoutSavedMethod,
            in_words(payment),
            format!("{what} only saved a payment method"),
        ),
        PaymentStatus::NoPaymentRequired if finished => Verdict::yes(
            Rule::CheckoutNothingDue,
            PaymentState::NoPaymentRequired,
            format!("{what} is complete and nothing is due"),
        ),
        PaymentStatus::Failed => Verdict::no(
            Rule::CheckoutFailed,
            PaymentState::Failed,
            format!("the delayed payment of {what} failed"),
        ),
        PaymentStatus::Unpaid if finished => Verdict::no(
            Rule::CheckoutUnpaid,
            PaymentState::Unpaid,
            format!("{what} is complete, its payment has not arrived"),
        ),
        PaymentStatus::Unpaid | PaymentStatus::NoPaymentRequired => Verdict::no(
            Rule::CheckoutExpired,
            PaymentState::Unpaid,
            format!("{what} expired before it was finished"),
        ),
    }
}

const fn in_words(payment: PaymentStatus) -> PaymentState {
    match payment {
        PaymentStatus::Unpaid => PaymentState::Unpaid,
        PaymentStatus::Failed => PaymentState::Failed,
        PaymentStatus::NoPaymentRequired => PaymentState::NoPaymentRequired,
        PaymentStatus::Paid => PaymentState::Paid,
    }
}

fn subscription(
    facts: &Facts,
    policy: Policy,
    id: &str,
    session: Option<&CheckoutSession>,
) -> Option<Purchase> {
    let Some(known) = facts.subscriptions.get(id) else {
        return session.map(|session| of_checkout(session, Some(id), checkout(facts, session)));
    };
    let verdict = subscribed(facts, policy, known, session);
    Some(match session {
        Some(session) => of_checkout(session, Some(id), verdict),
        None => Purchase {
            paid: verdict.paid,
            payment: verdict.payment,
            status: known.status.to_string(),
            reason: verdict.reason,
            rule: verdict.rule,
            checkout_session_id: None,
            subscription_id: Some(id.to_owned()),
            created_at: known.created_at,
        },
    })
}

/// The second table at [`super::decide`].
fn subscribed(
    facts: &Facts,
    policy: Policy,
    known: &Subscription,
    session: Option<&CheckoutSession>,
) -> Verdict {
    let what = format!("subscription {}", known.id);
    if known.status.is_end() {
        let reason = format!("{what} has ended");
        return Verdict::no(Rule::SubscriptionEnded, PaymentState::Canceled, reason);
    }
    let invoices = || {
        let all = facts.invoices.values();
        all.filter(|invoice| invoice.subscription.as_deref() == Some(&known.id))
    };
    if let Some(invoice) = newest_paid_for_a_period(invoices()) {
        let intent = invoice.payment_intent.as_deref();
        let due = Due {
            amount: invoice.amount_paid,
            currency: invoice.currency.as_deref(),
            in_parts: true,
        };
        let paid_with = format!("invoice {} of {what}", invoice.id);
        if let Some(verdict) = taken_back(facts, intent, &due, &paid_with) {
            return verdict;
        }
    }

    let unpaid = |rule, reason| Verdict::no(rule, PaymentState::Unpaid, reason);
    let awaits_money =
        session.filter(|session| !session.grants() && !invoices().any(Invoice::brought_money));
    match (known.status, session, awaits_money) {
        (SubscriptionStatus::Unpaid, _, _) => unpaid(
            Rule::SubscriptionUnpaid,
            format!("{what} was not paid, and Stripe has stopped trying"),
        ),
        (SubscriptionStatus::Paused, _, _) => unpaid(
            Rule::SubscriptionPaused,
            format!("{what} is paused: its trial ended without a way to pay"),
        ),
        (SubscriptionStatus::Incomplete, Some(session), _) | (_, _, Some(session)) => {
            checkout(facts, session)
        }
        (SubscriptionStatus::Incomplete, None, _) => unpaid(
            Rule::SubscriptionIncomplete,
            format!("the first payment of {what} has not arrived"),
        ),
        (SubscriptionStatus::PastDue, _, _) if policy.past_due_is_paid => Verdict::yes(
            Rule::SubscriptionPastDueTolerated,
            PaymentState::Paid,
            format!("a renewal of {what} is late, which is tolerated while Stripe tries"),
        ),
        (SubscriptionStatus::PastDue, _, _) => unpaid(
            Rule::SubscriptionPastDue,
            format!("a renewal of {what} is late"),
        ),
        _ => in_order(known, session, &what),
    }
}

/// A subscription that is `active` or `trialing`.
fn in_order(known: &Subscription, session: Option<&CheckoutSession>, what: &str) -> Verdict {
    let is_trial = known.status == SubscriptionStatus::Trialing;
    let was_paid = session.is_some_and(|session| session.payment == PaymentStatus::Paid);
    let payment = if is_trial && !was_paid {
        PaymentState::NoPaymentRequired
    } else {
        PaymentState::Paid
    };
    let state = if is_trial { "in its trial" } else { "active" };
    let (rule, reason) = match known.ends_at() {
        Some(end) => (
            Rule::SubscriptionEnding,
            format!("{what} is {state} until it ends at {end}"),
        ),
        None if known.is_ending() => (
            Rule::SubscriptionEnding,
            format!("{what} is {state} until its period ends"),
        ),
        None if is_trial => (Rule::SubscriptionTrialing, format!("{what} is {state}")),
        None => (Rule::SubscriptionActive, format!("{what} is {state}")),
    };
    Verdict::yes(rule, payment, reason)
}

/// One for which nothing was due counts as well: that period was not given back.
fn newest_paid_for_a_period<'a>(
    invoices: impl Iterator<Item = &'a Invoice>,
) -> Option<&'a Invoice> {
    invoices
        .filter(|invoice| invoice.is_for_a_period() && invoice.status == InvoiceStatus::Paid)
        .max_by_key(|invoice| (invoice.created_at, &invoice.id))
}

/// What was due, where no charge tells what was taken.
struct Due<'a> {
    amount: Option<i64>,
    currency: Option<&'a str>,
    /// Whether it can be made up of several payments, of which one is known: then what was taken in
    /// that one is not all.
    in_parts: bool,
}

/// The verdict on a payment that is not ours any more; `None` if it is.
fn taken_back(facts: &Facts, intent: Option<&str>, due: &Due<'_>, what: &str) -> Option<Verdict> {
    let intent = intent?;
    if is_refunded(facts, intent, due) {
        return Some(Verdict::no(
            Rule::RefundedInFull,
            PaymentState::Refunded,
            format!("the payment of {what} was refunded in full"),
        ));
    }
    facts
        .disputes
        .values()
        .find(|dispute| {
            dispute.payment_intent.as_deref() == Some(intent)
                && dispute.status == DisputeStatus::Lost
        })
        .map(|dispute| {
            Verdict::no(
                Rule::DisputeLost,
                PaymentState::Disputed,
                format!("dispute {} about {what} was lost", dispute.id),
            )
        })
}

/// Whether all of a payment was given back.
///
/// Two accounts say how much was: the refunds that have not failed, and the sum that the charge
/// showed at its last refund, less what has failed of it since. Either may lack an event that is
/// still under way, so the greater one holds.
fn is_refunded(facts: &Facts, intent: &str, due: &Due<'_>) -> bool {
    let intent = Some(intent);
    let refunds = || {
        let all = facts.refunds.values();
        all.filter(|refund| refund.payment_intent.as_deref() == intent)
    };
    let charges = || {
        let all = facts.charges.values();
        all.filter(|charge| charge.payment_intent.as_deref() == intent)
    };
    let by_refunds: i64 = sum(refunds()
        .filter(|refund| refund.status.gives_back())
        .map(|refund| refund.amount));
    let by_charges: i64 = sum(charges().map(|charge| {
        let failed_since = refunds().filter(|refund| {
            !refund.status.gives_back()
                && refund.created_at <= charge.updated_at
                && charge.updated_at <= refund.updated_at
                && refund.charge.as_ref().is_none_or(|of| *of == charge.id)
        });
        let failed = sum(failed_since.map(|refund| refund.amount));
        charge.amount_refunded.saturating_sub(failed)
    }));

    let taken = sum(charges().map(|charge| charge.amount));
    let by_refund = refunds().map(|refund| refund.currency.as_deref());
    let by_charge = charges().map(|charge| charge.currency.as_deref());
    let other_currency = by_refund
        .chain(by_charge)
        .any(|currency| currency.is_some() && due.currency.is_some() && currency != due.currency);
    let told = due.amount.filter(|_| !other_currency);
    let due = if taken > 0 {
        Some(taken.max(told.filter(|_| due.in_parts).unwrap_or_default()))
    } else {
        told
    };
    due.is_some_and(|due| due > 0 && by_refunds.max(by_charges) >= due)
}

/// Held at the ends of the range: amounts are anybody's numbers.
fn sum(amounts: impl Iterator<Item = i64>) -> i64 {
    amounts.fold(0, i64::saturating_add)
}
