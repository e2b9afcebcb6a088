//! The payments of one user, for people: every fact, purchase by purchase, and what decides.

use console::style;

use super::super::output::{money, shown};
use crate::model::ledger::UserReport;
use crate::model::payment::{Fact, InvoiceStatus, RefundStatus, Subscription};
use crate::ops::users::{PurchaseFacts, began_at, payments};

/// How far facts stand in.
const INDENT: &str = "    ";

/// The lines about what was paid, and what follows from it.
pub(super) fn describe(report: &UserReport) -> Vec<String> {
    let payments = payments(report);
    let mut text = vec![format!("\n{}", style("Payments").bold())];
    if payments.purchases.is_empty() && payments.others.is_empty() {
        text.push("none".to_owned());
        return text;
    }
    for purchase in &payments.purchases {
        text.extend(of_purchase(purchase));
    }
    if !payments.others.is_empty() {
        text.push("belong to no purchase, and change nothing".to_owned());
        text.extend(payments.others.iter().map(line));
    }
    text.push(
        style("amounts are in the smallest unit of their currency")
            .dim()
            .to_string(),
    );
    for link in &report.customer_links {
        let customer = shown(&link.customer);
        let whose = if link.user == report.id {
            "is this user's".to_owned()
        } else {
            format!("is {}'s", link.user)
        };
        text.push(format!(
            "customer {customer} {whose}, known by {}",
            shown(&link.known_by)
        ));
    }
    if let Some(entitlement) = &report.entitlement {
        let verdict = if entitlement.paid {
            style("paid").green().bold()
        } else {
            style("not paid").yellow().bold()
        };
        text.push(format!("\n{verdict}: {}", shown(&entitlement.reason)));
        let rule = match entitlement.rule {
            Some(rule) => format!("rule {rule}"),
            None => "by the rules of an earlier version".to_owned(),
        };
        text.push(match &payments.because {
            Some(because) => format!("{rule}; {because}"),
            None => rule,
        });
        let here = payments.purchases.iter().find(|purchase| purchase.decides);
        if here.is_none_or(|here| here.purchase.paid != entitlement.paid) {
            text.push(
                "by the settings of this command it would be otherwise: see \
                 HOOKMIRROR_PAST_DUE_IS_PAID; what the service was started with holds"
                    .to_owned(),
            );
        }
    }
    text
}

fn of_purchase(of: &PurchaseFacts<'_>) -> Vec<String> {
    let purchase = of.purchase;
    let verdict = if purchase.paid { "paid" } else { "not paid" };
    let mark = if of.decides { "→" } else { " " };
    let head = format!(
        "{mark} {verdict}, {}: {}",
        purchase.rule,
        shown(&purchase.reason)
    );
    let head = if of.decides {
        style(head).bold().to_string()
    } else {
        head
    };
    let mut text = vec![head];
    text.extend(of.facts.iter().map(line));
    text
}

/// One fact: when it began, what it is, where it stands.
fn line(fact: &Fact) -> String {
    let mut words: Vec<String> = Vec::new();
    match fact {
        Fact::CheckoutSession(fact) => {
            words.push("checkout".to_owned());
            words.extend([fact.status.to_string(), fact.payment.to_string()]);
            words.extend(money(fact.amount_total, fact.currency.as_deref()));
            if fact.attributed_user.is_some() {
                words.push("given by hand".to_owned());
            }
        }
        Fact::Subscription(fact) => words.extend(of_subscription(fact)),
        Fact::Invoice(fact) => {
            words.extend(["invoice".to_owned(), fact.status.to_string()]);
            let amount = money(fact.amount_paid, fact.currency.as_deref());
            words.extend(amount.filter(|_| fact.status == InvoiceStatus::Paid));
            words.extend(fact.billing_reason.as_deref().map(shown));
        }
        Fact::Charge(fact) => {
            words.push("charge".to_owned());
            words.extend(money(Some(fact.amount), fact.currency.as_deref()));
            words.push(format!("{} of it given back", fact.amount_refunded));
        }
        Fact::Refund(fact) => {
            words.extend(["refund".to_owned(), fact.status.to_string()]);
            words.extend(money(Some(fact.amount), fact.currency.as_deref()));
            if matches!(fact.status, RefundStatus::Failed | RefundStatus::Canceled) {
                words.push("takes nothing back".to_owned());
            }
        }
        Fact::Dispute(fact) => {
            words.extend(["dispute".to_owned(), fact.status.to_string()]);
            words.extend(money(fact.amount, fact.currency.as_deref()));
            words.extend(fact.reason.as_deref().map(shown));
        }
        Fact::Customer(_) => words.push("customer".to_owned()),
    }
    let id = shown(fact.id());
    format!("{INDENT}{}  {id}  {}", began_at(fact), words.join(", "))
}

fn of_subscription(fact: &Subscription) -> Vec<String> {
    let mut words = vec!["subscription".to_owned(), fact.status.to_string()];
    match (fact.ends_at(), fact.current_period_end) {
        (Some(end), _) => words.push(format!("ends at {end}")),
        (None, Some(end)) => words.push(format!("period until {end}")),
        (None, None) => {}
    }
    if fact.attributed_user.is_some() {
        words.push("given by hand".to_owned());
    }
    words
}
