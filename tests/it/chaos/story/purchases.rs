//! What someone buys at Stripe, and what that comes to.

use serde_json::{Value, json};

use super::super::payloads;
use super::{End, Entitled, Teller};

const PRICE: i64 = 4900;
/// If a refund of so much counted twice, the purchase would be taken back.
const MOST_OF_IT: i64 = 2940;

/// Where a purchase ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purchase {
    None,
    Paid,
    PaidLate,
    NeverPaid,
    Expired,
    RefundedInPart,
    RefundedTwice,
    DisputeWon,
    DisputeLost,
    Subscribed,
    SubscriptionEnded,
    /// The payment names nobody; another event tells whose its customer is.
    LinkedLater,
    /// No event ever does.
    Nobodys,
}

pub(super) const PURCHASES: [Purchase; 16] = [
    Purchase::None,
    Purchase::None,
    Purchase::Paid,
    Purchase::Paid,
    Purchase::Paid,
    Purchase::PaidLate,
    Purchase::NeverPaid,
    Purchase::Expired,
    Purchase::RefundedInPart,
    Purchase::RefundedTwice,
    Purchase::DisputeWon,
    Purchase::DisputeLost,
    Purchase::Subscribed,
    Purchase::SubscriptionEnded,
    Purchase::LinkedLater,
    Purchase::Nobodys,
];

impl Teller {
    /// A checkout and its row.
    fn session(
        &mut self,
        event_type: &str,
        status: &str,
        payment: &str,
        changes: &[(&str, Value)],
    ) {
        let user = self.story.outcome.user.clone();
        let mut all = vec![
            ("id", json!(self.id("cs_test_"))),
            ("created", json!(self.at)),
            ("customer", json!(self.id("cus_"))),
            ("payment_intent", json!(self.id("pi_"))),
            ("client_reference_id", json!(user)),
            ("metadata", json!({})),
            ("mode", json!("payment")),
            ("subscription", Value::Null),
            ("amount_total", json!(PRICE)),
            ("status", json!(status)),
            ("payment_status", json!(payment)),
        ];
        all.extend(changes.iter().cloned());
        self.stripe(event_type, &all);
    }

    fn session_row(&mut self, owner: Option<&str>, status: &str, payment: &str) {
        let (id, owner) = (self.id("cs_test_"), owner.unwrap_or("-"));
        self.fact(format!("checkout_sessions {id} {owner} {status} {payment}"));
    }

    /// A checkout that was paid at once.
    fn paid_session(&mut self) {
        let user = self.story.outcome.user.clone();
        self.session("checkout.session.completed", "complete", "paid", &[]);
        self.session_row(Some(&user), "complete", "paid");
    }

    pub(super) fn purchase(&mut self, purchase: Purchase) {
        const COMPLETED: &str = "checkout.session.completed";
        let user = self.story.outcome.user.clone();
        match purchase {
            Purchase::None => {}
            Purchase::Paid => {
                self.paid_session();
                self.entitle(true, "paid", "complete", "checkout_paid");
            }
            Purchase::PaidLate => {
                self.session(COMPLETED, "complete", "unpaid", &[]);
                let succeeded = "checkout.session.async_payment_succeeded";
                self.session(succeeded, "complete", "paid", &[]);
                self.session_row(Some(&user), "complete", "paid");
                self.entitle(true, "paid", "complete", "checkout_paid");
            }
            Purchase::NeverPaid => {
                self.session(COMPLETED, "complete", "unpaid", &[]);
                let failed = "checkout.session.async_payment_failed";
                self.session(failed, "complete", "unpaid", &[]);
                self.session_row(Some(&user), "complete", "failed");
                self.entitle(false, "failed", "complete", "checkout_failed");
            }
            Purchase::Expired => {
                let nothing = [("payment_intent", Value::Null)];
                self.session("checkout.session.expired", "expired", "unpaid", &nothing);
                self.session_row(Some(&user), "expired", "unpaid");
                self.entitle(false, "unpaid", "expired", "checkout_expired");
            }
            Purchase::RefundedInPart => {
                self.paid_session();
                self.refund(1, MOST_OF_IT);
                self.charge(MOST_OF_IT, false);
                self.charge_row(MOST_OF_IT);
                self.entitle(true, "paid", "complete", "checkout_paid");
            }
            Purchase::RefundedTwice => {
                self.paid_session();
                self.refund(1, MOST_OF_IT);
                self.charge(MOST_OF_IT, false);
                self.refund(2, PRICE - MOST_OF_IT);
                self.charge(PRICE, true);
                self.charge_row(PRICE);
                self.entitle(false, "refunded", "complete", "refunded_in_full");
            }
            Purchase::DisputeWon => {
                self.paid_session();
                self.dispute("won");
                self.entitle(true, "paid", "complete", "checkout_paid");
            }
            Purchase::DisputeLost => {
                self.paid_session();
                self.dispute("lost");
                self.entitle(false, "disputed", "complete", "dispute_lost");
            }
            Purchase::Subscribed => {
                self.subscription(&["incomplete", "active"]);
                self.entitle(true, "paid", "complete", "subscription_active");
            }
            Purchase::SubscriptionEnded => {
                self.subscription(&["incomplete", "active", "canceled"]);
                self.entitle(false, "canceled", "complete", "subscription_ended");
            }
            Purchase::LinkedLater => {
                self.session(
                    COMPLETED,
                    "complete",
                    "paid",
                    &[("client_reference_id", Value::Null)],
                );
                self.ends_as(End::WaitsFirst);
                let customer = self.id("cus_");
                self.stripe(
                    "customer.created",
                    &[
                        ("id", json!(customer)),
                        ("metadata", json!({ "userId": user })),
                    ],
                );
                self.session_row(Some(&user), "complete", "paid");
                self.fact(format!("customers {customer} {user}"));
                self.entitle(true, "paid", "complete", "checkout_paid");
            }
            Purchase::Nobodys => {
                self.session(
                    COMPLETED,
                    "complete",
                    "paid",
                    &[("client_reference_id", Value::Null)],
                );
                self.ends_as(End::Waiting);
                self.session_row(None, "complete", "paid");
            }
        }
    }

    fn refund(&mut self, place: u8, amount: i64) {
        let id = format!("{}_{place}", self.id("re_"));
        for (event_type, status) in [
            ("refund.created", "pending"),
            ("refund.updated", "succeeded"),
        ] {
            let changes = [
                ("id", json!(id)),
                ("payment_intent", json!(self.id("pi_"))),
                ("charge", json!(self.id("ch_"))),
                ("amount", json!(amount)),
                ("status", json!(status)),
            ];
            self.stripe(event_type, &changes);
        }
        self.fact(format!("refunds {id} {amount} succeeded"));
    }

    fn charge(&mut self, refunded: i64, is_all: bool) {
        let changes = [
            ("id", json!(self.id("ch_"))),
            ("payment_intent", json!(self.id("pi_"))),
            ("customer", json!(self.id("cus_"))),
            ("amount", json!(PRICE)),
            ("amount_captured", json!(PRICE)),
            ("amount_refunded", json!(refunded)),
            ("refunded", json!(is_all)),
        ];
        self.stripe("charge.refunded", &changes);
    }

    fn charge_row(&mut self, refunded: i64) {
        let id = self.id("ch_");
        self.fact(format!("charges {id} {PRICE} {refunded}"));
    }

    fn dispute(&mut self, end: &str) {
        let id = self.id("du_");
        for (event_type, status) in [
            ("charge.dispute.created", "needs_response"),
            ("charge.dispute.closed", end),
        ] {
            let changes = [
                ("id", json!(id)),
                ("payment_intent", json!(self.id("pi_"))),
                ("charge", json!(self.id("ch_"))),
                ("amount", json!(PRICE)),
                ("status", json!(status)),
            ];
            self.stripe(event_type, &changes);
        }
        self.fact(format!("disputes {id} {end}"));
    }

    /// A checkout that begins a subscription, and how that goes on.
    fn subscription(&mut self, statuses: &[&str]) {
        let (user, id) = (self.story.outcome.user.clone(), self.id("sub_"));
        let begins = [
            ("mode", json!("subscription")),
            ("subscription", json!(id)),
            ("payment_intent", Value::Null),
        ];
        self.session("checkout.session.completed", "complete", "paid", &begins);
        self.session_row(Some(&user), "complete", "paid");
        for status in statuses {
            let event_type = match *status {
                "incomplete" => "customer.subscription.created",
                "canceled" => "customer.subscription.deleted",
                _ => "customer.subscription.updated",
            };
            let changes = [
                ("id", json!(id)),
                ("created", json!(self.at)),
                ("customer", json!(self.id("cus_"))),
                ("status", json!(status)),
                ("cancel_at", Value::Null),
                ("cancel_at_period_end", json!(false)),
                ("metadata", json!({ "userId": user })),
            ];
            self.stripe(event_type, &changes);
        }
        let status = statuses.last().unwrap();
        self.fact(format!("subscriptions {id} {user} {status}"));
    }

    fn stripe(&mut self, event_type: &str, changes: &[(&str, Value)]) {
        let id = self.event_id("evt");
        let created = self.at + i64::from(self.told);
        let delivery = payloads::stripe(event_type, &id, created, changes);
        self.add(delivery, End::Applied);
    }

    /// Corrects what was said of the last event.
    fn ends_as(&mut self, end: End) {
        self.story.outcome.ends.last_mut().unwrap().1 = end;
    }

    fn fact(&mut self, row: String) {
        self.story.outcome.facts.push(row);
    }

    fn entitle(&mut self, paid: bool, payment: &str, status: &str, rule: &str) {
        self.story.outcome.entitled = Some(Entitled {
            paid,
            payment: payment.to_owned(),
            status: status.to_owned(),
            rule: rule.to_owned(),
        });
    }
}
