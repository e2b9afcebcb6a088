//! Many writers at once of facts that hang together, in batches as large as under load.

use hookmirror::model::changes::Planned;
use hookmirror::model::payment::CheckoutSession;
use hookmirror::store::Store;

use crate::store::{apply, report};
use crate::support::given::{at, by_customer, opened, record, session, session_of};
use crate::support::postgres::TestDatabase;

const WRITERS: usize = 6;
const BATCHES: usize = 8;
const SESSIONS: usize = 20;

/// All of one customer; whose that is only another session tells.
fn batch(name: &str) -> Vec<Planned> {
    let sessions = (0..SESSIONS).map(|number| {
        let bought = CheckoutSession {
            payment_intent: Some(format!("pi_{name}_{number}")),
            ..session(&format!("cs_{name}_{number}"))
        };
        let event = format!("evt_{name}_{number}");
        record(&event, by_customer("cus_1", bought))
    });
    sessions.collect()
}

/// Whoever waits for another one finds more than there was when the wait began, time and again.
#[tokio::test]
async fn all_get_their_turn() {
    let database = TestDatabase::migrated().await;
    let named = opened(-9, by_customer("cus_1", session_of("cs_first", "user_a")));
    apply(&database.store(), 0, &[record("evt_first", named)]).await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = database.store();
            tokio::spawn(async move {
                for number in 0..BATCHES {
                    let events = batch(&format!("{writer}_{number}"));
                    store.apply(&events, at(10)).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let found = report(&database.store(), "user_a").await;
    assert_eq!(found.facts.sessions.len(), 1 + WRITERS * BATCHES * SESSIONS);
}
