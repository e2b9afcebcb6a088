//! A changed setting takes effect at the next start, without any event.

use hookmirror::model::payment::{Fact, SubscriptionStatus};
use hookmirror::store::Store;
use serde_json::json;

use super::process::{Home, wait_until};
use crate::support::facts::subscription_of;
use crate::support::given::{at, tell};

const SETTING: &str = "HOOKMIRROR_PAST_DUE_IS_PAID";

#[tokio::test(flavor = "multi_thread")]
async fn a_late_renewal_is_judged_by_the_setting_of_the_last_start() {
    let home = Home::new();
    let store = home.store().await;
    let mut late = subscription_of("sub_1", "user_late");
    late.status = SubscriptionStatus::PastDue;
    let in_order = subscription_of("sub_2", "user_in_order");
    let facts = [late, in_order].map(Fact::Subscription);
    let batch: Vec<_> = (1..)
        .zip(facts)
        .map(|(number, fact)| tell(&format!("evt_{number}"), fact))
        .collect();
    store.apply(&batch, at(0)).await.unwrap();
    store.close().await;

    let judged = |home: &Home, paid: bool, rule: &str| {
        wait_until("the entitlement is derived anew", || {
            let shown = home.json(["users", "show", "user_late", "--json"]);
            shown["entitlement"]["rule"] == rule
        });
        let shown = home.json(["users", "show", "user_late", "--json"]);
        assert_eq!(shown["entitlement"]["paid"], paid);
        let wanted = if paid { "paid" } else { "unpaid" };
        let desired = json!({"stripe": {"status": "past_due", "payment": wanted, "paid": paid}});
        assert_eq!(shown["outbox"]["desired"], desired);
        assert_eq!(shown["outbox"]["state"], "pending");
        let other = home.json(["users", "show", "user_in_order", "--json"]);
        assert_eq!(other["entitlement"]["paid"], true);
    };
    let (tolerated, refused) = ("subscription_past_due_tolerated", "subscription_past_due");

    let service = home.serve();
    judged(&home, true, tolerated);
    drop(service);

    let home = home.with(SETTING, "false");
    let service = home.serve();
    judged(&home, false, refused);
    let log = service.stderr();
    assert!(
        log.contains("looked again at what users are entitled to"),
        "{log}"
    );
    drop(service);

    let home = home.without(SETTING);
    let _service = home.serve();
    judged(&home, true, tolerated);
}
