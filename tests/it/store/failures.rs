//! A bad event hurts only itself, also where only the database finds out.

use hookmirror::model::changes::{Outcome, Planned};
use hookmirror::model::payment::CheckoutSession;
use hookmirror::model::state::EventState;
use hookmirror::store::Store;

use super::{everything, outcomes, record_of, report};
use crate::support::given::{mirror, record, session_of, user};

const REFUSED: Outcome = Outcome::Failed("data_refused");

/// Longer than any id may be in the schema.
fn refused(event: &str, number: u32) -> Planned {
    let id = format!("cs_{number}{}", "x".repeat(300));
    let subject = format!("cs_{number}");
    let session = CheckoutSession {
        id,
        ..session_of("cs", "user_r")
    };
    Planned {
        subject: Some(subject),
        ..record(event, session)
    }
}

pub(super) async fn a_refused_value_fails_its_event_alone(store: &dyn Store) {
    // In every place of a batch whose length is odd, so that the halves differ.
    let length = 7;
    for place in 0..length {
        let mut batch: Vec<Planned> = (0..length)
            .map(|number| {
                let id = format!("user_{place}_{number}");
                mirror(&format!("msg_{place}_{number}"), user(&id, 1, "Ann"))
            })
            .collect();
        let event = format!("evt_{place}");
        batch[place] = refused(&event, 1);
        batch.push(record(
            &format!("evt_good_{place}"),
            session_of(&format!("cs_{place}"), &format!("user_p{place}")),
        ));

        let mut expected = vec![Outcome::UserMirrored; length];
        expected[place] = REFUSED;
        expected.push(Outcome::PaymentRecorded);
        assert_eq!(outcomes(store, 3, &batch).await, expected);

        let failed = record_of(store, &event).await;
        assert_eq!(failed.summary.state, EventState::Failed);
        assert_eq!(failed.summary.outcome, "data_refused");
        assert_eq!((failed.summary.deliveries, failed.summary.attempts), (1, 1));
        assert_eq!(failed.attempts.len(), 1);
        assert_eq!(failed.attempts[0].state, EventState::Failed);
        assert!(failed.payload.is_some());
        let error = failed.summary.last_error.unwrap();
        assert!(!error.contains("xxx"), "quotes the value: {error}");
        let paid = report(store, &format!("user_p{place}")).await;
        assert!(paid.entitlement.unwrap().paid);
    }
    // Nothing of the refused one was written.
    let user = hookmirror::model::user::UserId::parse("user_r").unwrap();
    assert_eq!(store.find_user(&user).await.unwrap(), None);
}

pub(super) async fn a_batch_of_nothing_but_refused_values_is_recorded(store: &dyn Store) {
    let batch: Vec<Planned> = (0..5)
        .map(|number| refused(&format!("evt_{number}"), number))
        .collect();
    assert_eq!(outcomes(store, 0, &batch).await, [REFUSED; 5]);
    let recorded = everything(store).await;
    assert_eq!(recorded.len(), 5);
    let first = recorded[0].fingerprint.clone().unwrap();
    for event in recorded {
        assert_eq!(event.state, EventState::Failed);
        assert_eq!(event.fingerprint.as_ref(), Some(&first), "the same problem");
    }
}

/// `serde_json` skips over any depth where nobody looks in; databases have their limits.
pub(super) async fn metadata_too_deep_for_the_database_fails_its_event_alone(store: &dyn Store) {
    let mut deep = user("user_deep", 1, "Ann");
    let depth = 100_000;
    deep.unsafe_metadata = format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let batch = [
        mirror("msg_1", user("user_a", 1, "Ann")),
        mirror("msg_2", deep),
        mirror("msg_3", user("user_b", 1, "Bob")),
    ];
    let expected = [Outcome::UserMirrored, REFUSED, Outcome::UserMirrored];
    assert_eq!(outcomes(store, 0, &batch).await, expected);
}

pub(super) async fn a_refused_event_fails_in_the_same_way_each_time(store: &dyn Store) {
    for time in 0..3 {
        assert_eq!(
            outcomes(store, time, &[refused("evt_1", 1)]).await,
            [REFUSED]
        );
    }
    let record = record_of(store, "evt_1").await;
    assert_eq!((record.summary.deliveries, record.summary.attempts), (3, 3));
    assert_eq!(record.attempts.len(), 3);
}
