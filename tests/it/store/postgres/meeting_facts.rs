//! Two writers of payment facts that hang together only by what both of them name: the second comes
//! when the first has written, and before anybody can see it.

use hookmirror::model::changes::Planned;
use hookmirror::model::entitlement::Rule;
use hookmirror::model::ledger::EventSummary;
use hookmirror::model::payment::{
    Charge, CheckoutSession, Fact, Invoice, NamedUser, Refund, Subscription,
};
use hookmirror::store::Store;

use super::execute;
use super::locks::{Scene, applying};
use crate::store::{apply, everything, report};
use crate::support::database;
use crate::support::given::{
    at, charge, customer, dispute, invoice, opened, record, refund, session, session_of,
    subscription, tell, unpaid, user_id,
};

const USER: &str = "user_a";

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// The user's own, paid with `pi_1`.
fn bought() -> Fact {
    Fact::CheckoutSession(CheckoutSession {
        payment_intent: text("pi_1"),
        ..session_of("cs_1", USER)
    })
}

/// The user's own, unless nobody is named.
fn subscribed(by: Option<&str>) -> Fact {
    Fact::Subscription(Subscription {
        named_user: by.map(|id| NamedUser {
            at: at(1),
            id: user_id(id),
        }),
        customer: text("cus_1"),
        ..subscription("sub_1")
    })
}

fn billed(id: &str, created: i64) -> Invoice {
    Invoice {
        subscription: text("sub_1"),
        amount_paid: Some(4900),
        currency: text("eur"),
        created_at: at(created),
        ..invoice(id)
    }
}

/// The same, paid with `pi_2`.
fn billed_and_paid() -> Fact {
    Fact::Invoice(Invoice {
        payment_intent: text("pi_2"),
        ..billed("in_1", 0)
    })
}

fn part(id: &str, amount: i64) -> Fact {
    Fact::Refund(Refund {
        amount,
        ..refund(id, "pi_1")
    })
}

/// Whatever the order, it is as if one writer had written all of it.
async fn as_if_alone(before: &[Fact], one: Fact, other: Fact) {
    let events: Vec<Planned> = (0..)
        .zip(before.iter().cloned().chain([one, other]))
        .map(|(n, fact): (u8, _)| tell(&format!("evt_{n}"), fact))
        .collect();
    let alone = database::sqlite().await;
    apply(&*alone.store, 10, &events).await;
    let (before, meeting) = events.split_at(before.len());
    let [one, other] = meeting else {
        panic!("two meet");
    };
    for (first, second) in [(one, other), (other, one)] {
        let mut scene = Scene::new().await;
        apply(&*scene.first, 10, before).await;
        scene.meet(first.clone(), second.clone()).await;

        let store: &dyn Store = &*scene.first;
        let which = &first.event.event_type;
        let (seen, wanted) = (report(store, USER).await, report(&*alone.store, USER).await);
        assert_eq!(seen.entitlement, wanted.entitlement, "{which} first");
        assert_eq!(seen.facts, wanted.facts, "{which} first");
        let states = |events: Vec<EventSummary>| {
            let mut states: Vec<_> = events.into_iter().map(|e| (e.key, e.state)).collect();
            states.sort();
            states
        };
        let (seen, wanted) = (everything(store).await, everything(&*alone.store).await);
        assert_eq!(states(seen), states(wanted), "{which} first");
    }
}

#[tokio::test]
async fn a_session_and_what_is_told_of_its_payment() {
    let given_back = Charge {
        amount_refunded: 4900,
        ..charge("ch_1", "pi_1")
    };
    for told in [
        Fact::Refund(refund("re_1", "pi_1")),
        Fact::Dispute(dispute("dp_1", "pi_1")),
        Fact::Charge(given_back),
    ] {
        as_if_alone(&[], bought(), told).await;
    }
}

#[tokio::test]
async fn two_parts_of_one_payment() {
    as_if_alone(&[bought()], part("re_1", 2000), part("re_2", 2900)).await;
}

#[tokio::test]
async fn a_customer_and_what_it_bought() {
    let linked = || Fact::Customer(customer("cus_1", USER, 0));
    let anonymous = CheckoutSession {
        customer: text("cus_1"),
        ..session("cs_1")
    };
    as_if_alone(&[], linked(), Fact::CheckoutSession(anonymous)).await;
    as_if_alone(&[], linked(), subscribed(None)).await;
}

#[tokio::test]
async fn a_session_and_the_subscription_that_it_began() {
    let began = CheckoutSession {
        subscription: text("sub_1"),
        ..session_of("cs_1", USER)
    };
    as_if_alone(&[], Fact::CheckoutSession(began), subscribed(None)).await;
}

#[tokio::test]
async fn a_subscription_and_an_invoice_that_was_given_back() {
    let given_back = Fact::Refund(refund("re_1", "pi_2"));
    as_if_alone(&[given_back], subscribed(Some(USER)), billed_and_paid()).await;
}

#[tokio::test]
async fn an_invoice_and_its_refund() {
    let given_back = Fact::Refund(refund("re_1", "pi_2"));
    as_if_alone(&[subscribed(Some(USER))], billed_and_paid(), given_back).await;
}

#[tokio::test]
async fn an_invoice_and_the_payment_that_it_does_not_name() {
    let before = [subscribed(Some(USER)), Fact::Refund(refund("re_1", "pi_2"))];
    let payment = Invoice {
        payment_intent: text("pi_2"),
        ..invoice("in_1")
    };
    let unnamed = Fact::Invoice(billed("in_1", 0));
    as_if_alone(&before, unnamed, Fact::Invoice(payment)).await;
}

#[tokio::test]
async fn a_refund_and_the_next_invoice() {
    let before = [subscribed(Some(USER)), billed_and_paid()];
    let given_back = Fact::Refund(refund("re_1", "pi_2"));
    as_if_alone(&before, given_back, Fact::Invoice(billed("in_2", 9))).await;
}

/// While the refund waits for the invoice, it comes to concern a user whom a third writer is at.
#[tokio::test]
async fn who_comes_to_concern_more_than_it_holds_begins_anew() {
    let mut scene = Scene::new().await;
    let own = tell("evt_1", subscribed(Some(USER)));
    apply(&*scene.first, 0, &[own]).await;

    scene.hold("events").await;
    let invoice = applying(&scene.first, tell("evt_2", billed_and_paid()));
    scene.until_waiting(1).await;
    let given_back = tell("evt_3", Fact::Refund(refund("re_1", "pi_2")));
    let given_back = applying(&scene.second, given_back);
    scene.until_waiting(2).await;
    // Whoever has come to a verdict from now on waits before writing it.
    let mut other = scene.database.stranger().await;
    let holding = tokio::spawn(async move {
        let sql = "BEGIN; LOCK TABLE entitlements IN EXCLUSIVE MODE";
        execute(&mut other, sql).await;
        other
    });
    scene.until_waiting(3).await;
    scene.let_go().await;
    let mut other = holding.await.unwrap();
    scene.until_waiting(1).await;
    let unfinished = opened(9, unpaid(session_of("cs_1", USER)));
    let unfinished = applying(&scene.first, record("evt_4", unfinished));
    scene.until_waiting(2).await;
    execute(&mut other, "COMMIT").await;
    for writer in [invoice, given_back, unfinished] {
        writer.await.unwrap();
    }

    let verdict = report(&*scene.first, USER).await.entitlement.unwrap();
    assert_eq!(verdict.rule, Some(Rule::CheckoutUnpaid));
}
