//! The whole folder of fixtures is one story, and so is each generation that `send` makes of it.

use std::collections::BTreeSet;

use hookmirror::model::changes::Changes;
use hookmirror::model::entitlement::{Policy, decide, purchase};
use hookmirror::model::payment::{Facts, by_user, owners};
use hookmirror::model::source::Provider;
use hookmirror::model::user::UserId;
use hookmirror::sender::{Template, generate};

use super::plan;
use crate::fixtures::{self, USER, event};

/// The facts in each generation of the folder.
fn generations(count: usize) -> Vec<Facts> {
    let names = fixtures::names("stripe");
    let templates: Vec<Template> = names
        .iter()
        .map(|name| Template::detect(name.clone(), fixtures::bytes("stripe", name)).unwrap())
        .collect();
    let deliveries = generate(&templates, Some(templates.len() * count), 7);
    deliveries
        .chunks(templates.len())
        .map(|generation| {
            let changes = generation.iter().map(|delivery| {
                let event_type = delivery.event_type.as_str();
                let event = event(Provider::Stripe, event_type, delivery.body.clone());
                plan(Provider::Stripe, &event).result.unwrap()
            });
            changes
                .filter_map(|changes| match changes {
                    Changes::RecordPayment(fact) => Some(*fact),
                    _ => None,
                })
                .collect()
        })
        .collect()
}

/// Whose everything is, and the rule for each purchase, newest last.
fn told(facts: &Facts) -> (UserId, Facts, Vec<&'static str>) {
    let parts = by_user(facts, &owners(facts));
    assert_eq!(parts.len(), 1, "{:?}", parts.keys());
    let (user, own) = parts.into_iter().next().unwrap();
    let purchases = purchase::purchases(&own, Policy::default());
    let rules = purchases.iter().map(|purchase| purchase.rule.as_str());
    let rules = rules.collect();
    (user, own, rules)
}

#[test]
fn adas_payments_belong_together_and_come_to_this() {
    let facts = generations(1).remove(0);
    let (user, own, rules) = told(&facts);
    assert_eq!(user.as_str(), USER);
    let counts = |facts: &Facts| {
        (
            facts.sessions.len(),
            facts.subscriptions.len(),
            facts.invoices.len(),
        )
    };
    assert_eq!(counts(&facts), (4, 1, 1));
    assert_eq!(counts(&own), (4, 1, 1));
    assert_eq!(
        (own.charges.len(), own.refunds.len(), own.disputes.len()),
        (1, 1, 1)
    );
    let expected = [
        "checkout_paid",
        "checkout_expired",
        "checkout_paid",
        "checkout_failed",
        "subscription_ended",
    ];
    assert_eq!(
        rules, expected,
        "a refund that fails and a dispute that is won take nothing back"
    );
    let verdict = decide(&own, Policy::default()).unwrap();
    assert!(verdict.paid);
}

/// Ids that link files are replaced by the same id in all of them.
#[test]
fn every_generation_tells_it_of_somebody_else() {
    let generations = generations(3);
    let first = told(&generations[0]);
    let mut ids = BTreeSet::new();
    let mut users = BTreeSet::new();
    let mut all = 0;
    for facts in &generations {
        let (user, own, rules) = told(facts);
        assert_eq!(rules, first.2);
        assert_eq!(own.iter().count(), first.1.iter().count());
        all += facts.iter().count();
        ids.extend(facts.iter().map(|fact| fact.id().to_owned()));
        users.insert(user);
    }
    assert_eq!(ids.len(), all, "two generations share an object");
    assert_eq!(users.len(), 3);
}
