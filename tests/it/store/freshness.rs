//! How fresh the ledger is.

use hookmirror::model::source::SourceName;
use hookmirror::store::Store;

use super::apply;
use crate::support::given::{at, failing, ignore, mirror, received, record, retry, session, user};

pub(super) async fn the_latest_event_of_each_source_is_told(store: &dyn Store) {
    let names = ["stripe", "clerk", "clerk-eu"];
    let names = names.map(|name| SourceName::parse(name).unwrap());
    let latest = store.last_received(&names).await.unwrap();
    assert_eq!(latest, [None, None, None]);

    let batch = [
        received(50, mirror("msg_late", user("user_a", 1, "Ada"))),
        received(20, mirror("msg_early", user("user_a", 2, "Ada"))),
        received(7, ignore("evt_other", "invoice.sent")),
    ];
    apply(store, 60, &batch).await;
    let latest = store.last_received(&names).await.unwrap();
    assert_eq!(latest, [Some(at(7)), Some(at(50)), None]);
}

pub(super) async fn the_oldest_event_without_its_effect_is_told(store: &dyn Store) {
    let batch = [
        received(1, mirror("msg_applied", user("user_a", 1, "Ada"))),
        // It waits for its user, which is no fault.
        received(2, record("evt_waits", session("cs_1"))),
    ];
    apply(store, 5, &batch).await;
    assert_eq!(store.oldest_unapplied().await.unwrap(), None);

    let failed = received(30, failing("msg_failed", "user.created", "data.id"));
    apply(store, 40, &[failed]).await;
    assert_eq!(store.oldest_unapplied().await.unwrap(), Some(at(30)));

    apply(store, 40, &[received(20, retry("msg_retried"))]).await;
    assert_eq!(store.oldest_unapplied().await.unwrap(), Some(at(20)));

    // Back on the queue it still has no effect.
    let leases = store.lease_retries(10, at(90_000), at(90_030)).await;
    let leases = leases.unwrap();
    assert_eq!(leases.len(), 1);
    store.retries_queued(&leases).await.unwrap();
    assert_eq!(store.oldest_unapplied().await.unwrap(), Some(at(20)));
}
