//! Users in the shapes that Clerk's schema and examples leave open.

use hookmirror::model::changes::{Changes, IgnoreReason};
use hookmirror::model::source::Provider;
use hookmirror::model::time::Timestamp;
use hookmirror::model::user::User;
use serde_json::{Value, json};

use super::{blamed, changed, invalid, mirrored, plan_of};
use crate::fixtures::{self, RECEIVED_AT, USER};

fn updated(pointer: &str, to: impl Into<Option<Value>>) -> User {
    let body = changed(Provider::Clerk, "user.updated", pointer, to.into());
    mirrored(plan_of(Provider::Clerk, "user.updated", &body))
}

fn refused(pointer: &str, to: impl Into<Option<Value>>) -> (&'static str, Option<String>) {
    let body = changed(Provider::Clerk, "user.updated", pointer, to.into());
    blamed(plan_of(Provider::Clerk, "user.updated", &body))
}

fn deletion(pointer: &str, to: impl Into<Option<Value>>) -> Changes {
    let body = changed(Provider::Clerk, "user.deleted", pointer, to.into());
    plan_of(Provider::Clerk, "user.deleted", &body)
        .result
        .unwrap()
}

#[test]
fn metadata_that_is_missing_or_null_is_empty() {
    for to in [None, Some(Value::Null)] {
        let user = updated("/data/public_metadata", to.clone());
        assert_eq!(user.public_metadata, "{}");
        let user = updated("/data/private_metadata", to.clone());
        assert_eq!(user.private_metadata, "{}");
        let user = updated("/data/unsafe_metadata", to);
        assert_eq!(user.unsafe_metadata, "{}");
    }
    for odd in [json!([]), json!("{}"), json!(1)] {
        let place = "data.unsafe_metadata";
        assert_eq!(refused("/data/unsafe_metadata", odd), invalid(place));
    }
}

#[test]
fn the_primary_address_is_the_one_that_is_named() {
    let user = updated(
        "/data/primary_email_address_id",
        json!("idn_2xQ5vNcTgM8rYjK1wPzLbF4hDsX"),
    );
    assert_eq!(user.email.as_deref(), Some("ada@lindqvist.example"));
    assert!(!user.email_verified, "its verification is null");

    for (pointer, to) in [
        ("/data/primary_email_address_id", None),
        ("/data/primary_email_address_id", Some(Value::Null)),
        ("/data/primary_email_address_id", Some(json!("idn_gone"))),
        ("/data/email_addresses", Some(json!([]))),
        ("/data/email_addresses", Some(Value::Null)),
        ("/data/email_addresses", None),
    ] {
        let user = updated(pointer, to.clone());
        assert_eq!(user.email, None, "{pointer} {to:?}");
        assert!(!user.email_verified, "{pointer} {to:?}");
    }
}

#[test]
fn only_the_word_verified_verifies() {
    for (verification, expected) in [
        (json!({"status": "verified"}), true),
        (json!({"status": "unverified"}), false),
        (json!({"status": "Verified"}), false),
        (json!({"status": null}), false),
        (json!({}), false),
    ] {
        let list = json!([{"id": "idn_1", "email_address": "a@example.com",
            "verification": verification}]);
        let mut body = changed(
            Provider::Clerk,
            "user.updated",
            "/data/email_addresses",
            Some(list),
        );
        body["data"]["primary_email_address_id"] = json!("idn_1");
        let user = mirrored(plan_of(Provider::Clerk, "user.updated", &body));
        assert_eq!(user.email_verified, expected, "{verification}");
        assert_eq!(user.email.as_deref(), Some("a@example.com"));
    }
}

#[test]
fn a_user_of_only_id_and_time_is_a_user() {
    let body = json!({"data": {"id": "user_1", "updated_at": 1_793_611_905_087_i64}});
    let user = mirrored(plan_of(Provider::Clerk, "user.created", &body));
    assert_eq!(user.id.as_str(), "user_1");
    assert_eq!(
        (user.email, user.phone, user.created_at),
        (None, None, None)
    );
    assert!(!user.banned && !user.locked);
}

/// Without `updated_at`, there is no telling whether the state is newer than the mirror's.
#[test]
fn id_and_time_are_required() {
    for to in [None, Some(Value::Null)] {
        assert_eq!(
            refused("/data/updated_at", to.clone()),
            invalid("data.updated_at")
        );
        assert_eq!(refused("/data/id", to.clone()), invalid("data.id"));
        assert_eq!(refused("/data", to), invalid("data"));
    }
    for odd in [
        json!(""),
        json!("user 1"),
        json!("üser"),
        json!(7),
        json!("u".repeat(256)),
    ] {
        assert_eq!(refused("/data/id", odd), invalid("data.id"));
    }
}

#[test]
fn seconds_and_milliseconds_are_the_same_time() {
    let seconds = updated("/data/updated_at", json!(1_793_611_905));
    let millis = updated("/data/updated_at", json!(1_793_611_905_000_i64));
    assert_eq!(seconds.updated_at, millis.updated_at);
    assert_eq!(seconds.updated_at, Timestamp::from_seconds(1_793_611_905));
}

/// A time beyond all others would make its state the newest for ever.
#[test]
fn a_time_is_within_four_digit_years() {
    let last = 253_402_300_799_999_i64;
    let user = updated("/data/updated_at", json!(last));
    assert_eq!(user.updated_at.to_string(), "9999-12-31T23:59:59.999Z");
    for odd in [
        json!(last + 1),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(-1),
        json!(1.5),
        json!("1793611905087"),
    ] {
        assert_eq!(refused("/data/updated_at", odd), invalid("data.updated_at"));
    }
}

/// The same state twice is one revision; any other text of the object is another.
#[test]
fn the_revision_follows_time_and_text() {
    let one = updated("/timestamp", json!(1));
    let two = updated("/timestamp", json!(2));
    assert_eq!(one.revision, two.revision);
    assert_eq!(one.data, two.data);
    let other = updated("/data/first_name", json!("Eve"));
    assert_ne!(one.revision, other.revision);
}

#[test]
fn the_object_is_kept_as_it_stands_in_the_body() {
    let data = r#"{ "id":"user_1",  "updated_at": 1793611905087, "future": [1e400, "\u0041"] }"#;
    let body = format!(r#"{{"data":  {data}  ,"type":"user.updated"}}"#);
    let event = fixtures::event(Provider::Clerk, "user.updated", body);
    let user = mirrored(super::plan(Provider::Clerk, &event));
    assert_eq!(user.data, data);
}

#[test]
fn a_deletion_without_id_is_ignored() {
    for to in [None, Some(Value::Null)] {
        let changes = deletion("/data/id", to);
        assert_eq!(changes, Changes::Ignore(IgnoreReason::DeletionWithoutId));
    }
    let body = changed(
        Provider::Clerk,
        "user.deleted",
        "/data/id",
        Some(json!(["user_1"])),
    );
    assert_eq!(
        blamed(plan_of(Provider::Clerk, "user.deleted", &body)),
        invalid("data.id")
    );
    let body = changed(Provider::Clerk, "user.deleted", "/data", None);
    assert_eq!(
        blamed(plan_of(Provider::Clerk, "user.deleted", &body)),
        invalid("data")
    );
}

#[test]
fn a_deletion_takes_its_time_from_the_envelope_else_from_the_arrival() {
    let told = Timestamp::from_seconds(1_795_104_131);
    for (timestamp, expected) in [
        (Some(json!(1_795_104_131)), told),
        (Some(json!(1_795_104_131_000_i64)), told),
        (None, RECEIVED_AT),
        (Some(Value::Null), RECEIVED_AT),
        (Some(json!("2026-11-20")), RECEIVED_AT),
        (Some(json!(i64::MAX)), RECEIVED_AT),
    ] {
        let Changes::DeleteUser { id, deleted_at } = deletion("/timestamp", timestamp.clone())
        else {
            panic!("a deletion");
        };
        assert_eq!(id.as_str(), USER);
        assert_eq!(deleted_at, expected, "{timestamp:?}");
    }
}
