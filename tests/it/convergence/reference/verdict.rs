//! The two tables at `decide`, line by line.

use super::super::payments::{CURRENCY, Second};
use super::Entitled;
use super::joined::{Invoice, Joined, Session, Subscription};

/// Paid or not, where the money stands, and the line of the table.
type Verdict = (bool, &'static str, &'static str);

/// Paid, finished, when it began, its checkout, its subscription: of several purchases the greatest
/// decides.
type Order = (bool, bool, Second, String, String);

/// What the program takes for a late renewal unless it is told otherwise.
const PAST_DUE_IS_PAID: bool = true;

/// The entitlement of one user; `None` for who has no purchase.
pub(super) fn of(joined: &Joined, user: &str) -> Option<Entitled> {
    let mut purchases: Vec<(Order, Entitled)> = Vec::new();
    let mut add = |verdict: Verdict, status: &str, at, session: &str, subscription: &str| {
        let (paid, payment, rule) = verdict;
        let is_finished = rule != "checkout_expired" && rule != "checkout_saved_method";
        let entitled = Entitled {
            paid,
            payment: payment.to_owned(),
            status: status.to_owned(),
            rule: rule.to_owned(),
            session: session.to_owned(),
            subscription: subscription.to_owned(),
        };
        // Nothing is less than anything.
        let ids = (session.replace('-', ""), subscription.replace('-', ""));
        purchases.push(((paid, is_finished, at, ids.0, ids.1), entitled));
    };

    let is_mine = |owner: &Option<String>| owner.as_deref() == Some(user);
    let sessions = || joined.sessions.iter().filter(|known| is_mine(&known.owner));
    for session in sessions().filter(|session| session.subscription.is_none()) {
        let verdict = checkout(joined, session);
        add(verdict, session.status, session.opened, &session.id, "-");
    }
    let mut begun: Vec<&String> = sessions().filter_map(|s| s.subscription.as_ref()).collect();
    let subscriptions = || joined.subscriptions.iter().filter(|k| is_mine(&k.owner));
    begun.extend(subscriptions().map(|known| &known.id));
    begun.sort();
    begun.dedup();
    for id in begun {
        let mut beginnings: Vec<&Session> = sessions()
            .filter(|session| session.subscription.as_ref() == Some(id))
            .collect();
        // One that gives access, else any; of these the newest.
        beginnings.sort_by_key(|session| (grants(session), session.opened, &session.id));
        let session = beginnings.pop();
        let known = subscriptions().find(|known| known.id == *id);
        let verdict = match (known, session) {
            (Some(known), session) => subscription(joined, known, session),
            (None, Some(session)) => checkout(joined, session),
            (None, None) => continue,
        };
        match (session, known) {
            (Some(session), _) => add(verdict, session.status, session.opened, &session.id, id),
            (None, Some(known)) => add(verdict, known.status, known.created, "-", id),
            (None, None) => {}
        }
    }
    purchases.sort_by(|(a, _), (b, _)| a.cmp(b));
    purchases.pop().map(|(_, entitled)| entitled)
}

fn grants(session: &Session) -> bool {
    let nothing_due = session.payment == "no_payment_required";
    let finished = session.status == "complete" && session.mode != "setup";
    session.payment == "paid" || (nothing_due && finished)
}

/// The first table.
fn checkout(joined: &Joined, session: &Session) -> Verdict {
    if let Some(verdict) = taken_back(joined, session.intent.as_ref(), session.amount) {
        return verdict;
    }
    let complete = session.status == "complete";
    match session.payment {
        "paid" => (true, "paid", "checkout_paid"),
        own if complete && session.mode == "setup" => (false, own, "checkout_saved_method"),
        own @ "no_payment_required" if complete => (true, own, "checkout_nothing_due"),
        _ if !complete => (false, "unpaid", "checkout_expired"),
        "failed" => (false, "failed", "checkout_failed"),
        _ => (false, "unpaid", "checkout_unpaid"),
    }
}

/// The second table.
fn subscription(joined: &Joined, known: &Subscription, session: Option<&Session>) -> Verdict {
    if ["canceled", "incomplete_expired"].contains(&known.status) {
        return (false, "canceled", "subscription_ended");
    }
    let mut paid_invoices: Vec<&Invoice> = joined
        .invoices
        .iter()
        .filter(|invoice| invoice.subscription.as_ref() == Some(&known.id))
        .filter(|invoice| invoice.status == "paid")
        .collect();
    let money_came = paid_invoices.iter().any(|invoice| invoice.paid > 0);
    paid_invoices.retain(|invoice| invoice.reason != Some("subscription_update"));
    paid_invoices.sort_by_key(|invoice| (invoice.created, &invoice.id));
    if let Some(newest) = paid_invoices.last()
        && let Some(verdict) = taken_back(joined, newest.intent.as_ref(), Some(newest.paid))
    {
        return verdict;
    }
    match known.status {
        "unpaid" => return (false, "unpaid", "subscription_unpaid"),
        "paused" => return (false, "unpaid", "subscription_paused"),
        _ => {}
    }
    if let Some(session) = session
        && (known.status == "incomplete" || !(grants(session) || money_came))
    {
        return checkout(joined, session);
    }
    let is_cancelled = known.last.cancel_at_period_end || known.last.cancel_at.is_some();
    let was_paid = session.is_some_and(|session| session.payment == "paid");
    let free = known.status == "trialing" && !was_paid;
    let payment = if free { "no_payment_required" } else { "paid" };
    match known.status {
        "incomplete" => (false, "unpaid", "subscription_incomplete"),
        "past_due" if PAST_DUE_IS_PAID => (true, "paid", "subscription_past_due_tolerated"),
        "past_due" => (false, "unpaid", "subscription_past_due"),
        _ if is_cancelled => (true, payment, "subscription_ending"),
        "trialing" => (true, payment, "subscription_trialing"),
        _ => (true, payment, "subscription_active"),
    }
}

/// Given back in full, or lost to the customer's bank.
fn taken_back(joined: &Joined, intent: Option<&String>, price: Option<i64>) -> Option<Verdict> {
    let intent = intent?;
    let mut by_refunds = 0;
    let mut is_foreign = false;
    for refund in &joined.refunds {
        if refund.intent.as_ref() == Some(intent) {
            is_foreign |= refund.currency != CURRENCY;
            if !["canceled", "failed"].contains(&refund.status) {
                by_refunds += refund.amount;
            }
        }
    }
    let mut by_charges = 0;
    let mut taken = 0;
    for charge in &joined.charges {
        if charge.intent.as_ref() == Some(intent) {
            taken += 100;
            by_charges += charge.refunded;
            for refund in &joined.refunds {
                let is_of_it =
                    refund.charge.is_none() || refund.charge.as_ref() == Some(&charge.id);
                let had_failed = ["canceled", "failed"].contains(&refund.status);
                let since = refund.created <= charge.told && charge.told <= refund.told;
                if refund.intent.as_ref() == Some(intent) && is_of_it && had_failed && since {
                    by_charges -= refund.amount;
                }
            }
        }
    }
    let due = match (taken, price) {
        (0, Some(price)) if !is_foreign => price,
        (0, _) => 0,
        (taken, _) => taken,
    };
    if due > 0 && by_refunds.max(by_charges) >= due {
        return Some((false, "refunded", "refunded_in_full"));
    }
    let is_lost = joined
        .disputes
        .iter()
        .any(|dispute| dispute.intent.as_ref() == Some(intent) && dispute.status == "lost");
    is_lost.then_some((false, "disputed", "dispute_lost"))
}
