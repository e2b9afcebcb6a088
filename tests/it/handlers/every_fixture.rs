//! The plan of every fixture, written out. A fixture that stands nowhere here fails the test.

use hookmirror::model::changes::{Changes, IgnoreReason};
use hookmirror::model::event::EventType;
use hookmirror::model::payment::{CheckoutSession, Fact, NamedUser, PaymentStatus, SessionStatus};
use hookmirror::model::source::Provider;
use hookmirror::model::time::Timestamp;
use hookmirror::model::user::{Revision, User, UserChange, UserId};
use serde_json::Value;

use super::{every_payment, plan};
use crate::fixtures::{self, CUSTOMER, USER, event};

struct Expected {
    subject: Option<&'static str>,
    keep_payload: bool,
    changes: Changes,
}

pub(super) fn time(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

pub(super) fn user_id() -> UserId {
    UserId::parse(USER).unwrap()
}

pub(super) fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// The text of `data` in a fixture. It is the last thing but `event_attributes` and comes first.
fn data_text(event_type: &str) -> String {
    let body = String::from_utf8(fixtures::bytes("clerk", event_type).into()).unwrap();
    let start = body.find("\"data\": ").unwrap() + "\"data\": ".len();
    let end = body.find(",\n  \"event_attributes\"").unwrap();
    body[start..end].to_owned()
}

fn created_user() -> User {
    let data = data_text("user.created");
    let updated_at = time("2026-11-02T09:14:07.341Z");
    let image = "https://img.clerk.com/eyJ0eXBlIjoiZGVmYXVsdCIsInVzZXIiOiJhZGEifQ";
    User {
        id: user_id(),
        revision: Revision::new(updated_at, UserChange::Created, &data),
        external_id: some("customer-4711"),
        email: some("ada.lindqvist@example.com"),
        email_verified: true,
        phone: None,
        username: None,
        first_name: some("Ada"),
        last_name: some("Lindqvist"),
        image_url: some(image),
        locale: None,
        banned: false,
        locked: false,
        public_metadata: "{}".to_owned(),
        private_metadata: "{}".to_owned(),
        unsafe_metadata: "{}".to_owned(),
        created_at: Some(time("2026-11-02T09:14:07.312Z")),
        updated_at,
        last_sign_in_at: None,
        data,
    }
}

fn updated_user() -> User {
    let data = data_text("user.updated");
    let updated_at = time("2026-11-02T09:31:45.087Z");
    User {
        revision: Revision::new(updated_at, UserChange::Updated, &data),
        phone: some("+46701740623"),
        username: some("ada"),
        locale: some("sv-SE"),
        public_metadata: "{\n      \"team\": \"engineering\"\n    }".to_owned(),
        private_metadata: "{\n      \"crm_id\": \"L-20931\"\n    }".to_owned(),
        unsafe_metadata: "{\n      \"theme\": \"dark\"\n    }".to_owned(),
        updated_at,
        last_sign_in_at: Some(time("2026-11-02T09:30:58.441Z")),
        data,
        ..created_user()
    }
}

fn paid_session() -> CheckoutSession {
    let told_at = time("2026-11-02T09:35:02Z");
    CheckoutSession {
        id: "cs_test_a1Kq7ZrWvT3nYbLc9XmHdPf2JsGu5RtEoBi8QwNyVk4MzAhDx6CjSpFgTe".to_owned(),
        named_user: Some(NamedUser {
            at: told_at,
            id: user_id(),
        }),
        attributed_user: None,
        customer: some(CUSTOMER),
        payment_intent: some("pi_3SVnK2LmQ8rTzXwY1aJtGv7N"),
        subscription: None,
        mode: some("payment"),
        status: SessionStatus::Complete,
        payment: PaymentStatus::Paid,
        amount_total: Some(4900),
        currency: some("eur"),
        livemode: false,
        created_at: time("2026-11-02T09:33:20Z"),
        updated_at: told_at,
    }
}

fn other_session(
    id: &str,
    payment_intent: Option<&str>,
    opened: &str,
    told: &str,
    stands: (SessionStatus, PaymentStatus),
) -> CheckoutSession {
    CheckoutSession {
        id: id.to_owned(),
        named_user: Some(NamedUser {
            at: time(told),
            id: user_id(),
        }),
        payment_intent: payment_intent.map(str::to_owned),
        status: stands.0,
        payment: stands.1,
        created_at: time(opened),
        updated_at: time(told),
        ..paid_session()
    }
}

fn ignored(subject: Option<&'static str>) -> Expected {
    Expected {
        subject,
        keep_payload: true,
        changes: Changes::Ignore(IgnoreReason::TypeNotHandled),
    }
}

fn user(changes: Changes) -> Expected {
    Expected {
        subject: Some(USER),
        keep_payload: true,
        changes,
    }
}

fn checkout(id: &'static str, session: CheckoutSession) -> Expected {
    Expected {
        subject: Some(id),
        keep_payload: true,
        changes: Changes::RecordPayment(Box::new(Fact::CheckoutSession(session))),
    }
}

fn expected(provider: Provider, event_type: &str) -> Option<Expected> {
    const PAID: &str = "cs_test_a1Kq7ZrWvT3nYbLc9XmHdPf2JsGu5RtEoBi8QwNyVk4MzAhDx6CjSpFgTe";
    const PAID_LATE: &str = "cs_test_a1Vd2MxGhQ8sRyTk6BnWcLz4PfJj1KoEuYa7XtDi3HqNbSr9CgZwMvFpAe";
    const UNPAID: &str = "cs_test_a1Ht5LcNyJ9wQfXb3ZkRmVs7DgPo2TiEaUu8GrKe4WxBnMq6YhCdSzJvFt";
    const EXPIRED: &str = "cs_test_a1Bw8SnTzF4kHrGy6QdXjLv1McPa9VoEiUe3RtYh7JmKbNx5ZqCgWsDfTu";
    Some(match (provider, event_type) {
        (Provider::Clerk, "user.created") => user(Changes::MirrorUser(Box::new(created_user()))),
        (Provider::Clerk, "user.updated") => user(Changes::MirrorUser(Box::new(updated_user()))),
        (Provider::Clerk, "user.deleted") => user(Changes::DeleteUser {
            id: user_id(),
            deleted_at: time("2026-11-20T16:02:11Z"),
        }),
        (Provider::Clerk, "session.created") => ignored(Some(USER)),
        (Provider::Clerk, "organization.created") => {
            ignored(Some("org_2xSm3TzKwP6vBhR1yNcFqJ8dGlX"))
        }
        (Provider::Clerk, "email.created") => Expected {
            keep_payload: false,
            ..ignored(Some("ema_2xPrJzQwLk4hTnV7bYcGmD9fRsX"))
        },
        (Provider::Stripe, "checkout.session.completed") => checkout(PAID, paid_session()),
        (Provider::Stripe, "checkout.session.async_payment_succeeded") => checkout(
            PAID_LATE,
            other_session(
                PAID_LATE,
                Some("pi_3SVqZ4LmQ8rTzXwY0dRkMh2C"),
                "2026-11-02T12:40:11Z",
                "2026-11-04T06:12:48Z",
                (SessionStatus::Complete, PaymentStatus::Paid),
            ),
        ),
        (Provider::Stripe, "checkout.session.async_payment_failed") => checkout(
            UNPAID,
            other_session(
                UNPAID,
                Some("pi_3SVtD6LmQ8rTzXwY2pLsBq9H"),
                "2026-11-02T15:58:36Z",
                "2026-11-05T06:09:27Z",
                (SessionStatus::Complete, PaymentStatus::Failed),
            ),
        ),
        (Provider::Stripe, "checkout.session.expired") => checkout(
            EXPIRED,
            other_session(
                EXPIRED,
                None,
                "2026-11-02T10:02:54Z",
                "2026-11-03T10:02:57Z",
                (SessionStatus::Expired, PaymentStatus::Unpaid),
            ),
        ),
        (Provider::Stripe, "customer.created") => Expected {
            changes: Changes::Ignore(IgnoreReason::CustomerWithoutUser),
            ..ignored(Some(CUSTOMER))
        },
        (Provider::Stripe, "customer.deleted") => ignored(Some(CUSTOMER)),
        (Provider::Stripe, "v1.billing.meter.error_report_triggered") => Expected {
            changes: Changes::Ignore(IgnoreReason::ThinEvent),
            ..ignored(None)
        },
        (Provider::Stripe, event_type) => {
            let (subject, fact) = every_payment::expected(event_type)?;
            Expected {
                changes: Changes::RecordPayment(Box::new(fact)),
                ..ignored(Some(subject))
            }
        }
        _ => return None,
    })
}

#[test]
fn each_has_exactly_the_plan_written_here() {
    let mut read = 0;
    for provider in Provider::ALL {
        for event_type in fixtures::names(provider.as_str()) {
            let expected = expected(provider, &event_type)
                .unwrap_or_else(|| panic!("no plan is expected of {provider}/{event_type}"));
            let body = fixtures::bytes(provider.as_str(), &event_type);
            let plan = plan(provider, &event(provider, &event_type, body));
            let name = format!("{provider}/{event_type}");
            assert_eq!(plan.subject.as_deref(), expected.subject, "{name}");
            assert_eq!(plan.keep_payload, expected.keep_payload, "{name}");
            assert_eq!(plan.result, Ok(expected.changes), "{name}");
            read += 1;
        }
    }
    assert_eq!(read, 36);
}

/// The file name, which the plan above goes by, is the type that the body names.
#[test]
fn each_is_named_after_its_type() {
    for provider in Provider::ALL {
        for name in fixtures::names(provider.as_str()) {
            let body: Value = fixtures::json(provider.as_str(), &name);
            assert_eq!(body["type"], name.as_str());
            assert!(EventType::parse(&name).is_some());
        }
    }
}

#[test]
fn the_three_templates_tell_of_one_user() {
    let completed = paid_session();
    assert_eq!(completed.named_user.unwrap().id, created_user().id);
    assert_eq!(created_user().id, updated_user().id);
    assert!(created_user().revision < updated_user().revision);
}

/// What is acted on has a name in figures; what is not has none, however it is called.
#[test]
fn what_may_be_a_label_is_what_is_acted_on() {
    for provider in Provider::ALL {
        for name in fixtures::names(provider.as_str()) {
            let bytes = fixtures::bytes(provider.as_str(), &name);
            let event = event(provider, &name, bytes);
            let plan = hookmirror::handlers::plan(&provider.into(), &event);
            let is_ignored = matches!(
                plan.result.unwrap(),
                Changes::Ignore(IgnoreReason::TypeNotHandled | IgnoreReason::ThinEvent)
            );
            let known = hookmirror::handlers::known_type(&event.event_type);
            let expected = (!is_ignored).then_some(name.as_str());
            assert_eq!(known, expected, "{name}");
        }
    }
}
