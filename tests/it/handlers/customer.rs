//! Whose a customer is.

use hookmirror::model::changes::{Changes, IgnoreReason};
use hookmirror::model::payment::{Customer, Fact, NamedUser};
use hookmirror::model::time::Timestamp;
use hookmirror::model::user::UserId;
use serde_json::{Value, json};

use super::{blamed, fact, invalid, stripe};
use crate::fixtures::CUSTOMER;

const METADATA: &str = "/data/object/metadata";

#[test]
fn the_user_in_the_metadata_is_taken_at_its_word() {
    for event_type in ["customer.created", "customer.updated"] {
        for user in ["user_a", "own-7"] {
            let metadata = Some(json!({"userId": user, "other": {"deep": 1}}));
            let created = Some(json!(1_793_612_345));
            let told = fact(stripe(
                event_type,
                &[(METADATA, metadata), ("/created", created)],
            ));
            let expected = Customer {
                id: CUSTOMER.to_owned(),
                named_user: NamedUser {
                    at: Timestamp::from_seconds(1_793_612_345),
                    id: UserId::parse(user).unwrap(),
                },
            };
            assert_eq!(told, Fact::Customer(expected), "{event_type}");
        }
    }
}

/// Not even by an address that a user has.
#[test]
fn a_customer_who_names_nobody_is_left_alone() {
    for metadata in [
        None,
        Some(Value::Null),
        Some(json!({})),
        Some(json!({"userId": null})),
        Some(json!({"userId": ""})),
        Some(json!({"userId": "a b"})),
        Some(json!({"userId": 7})),
        Some(json!({"userid": "user_a", "user_id": "user_a"})),
    ] {
        for event_type in ["customer.created", "customer.updated"] {
            let plan = stripe(event_type, &[(METADATA, metadata.clone())]);
            let left_alone = Changes::Ignore(IgnoreReason::CustomerWithoutUser);
            assert_eq!(plan.result, Ok(left_alone), "{metadata:?}");
            assert_eq!(plan.subject.as_deref(), Some(CUSTOMER));
        }
    }
}

#[test]
fn metadata_that_is_none_is_refused() {
    for odd in [json!("user_a"), json!(["userId", "user_a"])] {
        let plan = stripe("customer.updated", &[(METADATA, Some(odd))]);
        assert_eq!(blamed(plan), invalid("data.object.metadata"));
    }
}
