//! The story: who does what, in which order it arrives, and what must come of it.

use bytes::Bytes;

use super::cast::{
    ADA, ADAS_CHECKOUT, ALAN, BARBARA, BARBARAS_CHECKOUT, EDSGER, EDSGERS_CHECKOUT, GRACE,
    GRACES_CHECKOUT,
};
use super::payloads::{
    Checkout, Person, checkout, refund_created, session_created, unintelligible, user, user_deleted,
};
use crate::model::event::{EventId, EventType};
use crate::model::source::Provider;
use crate::model::state::EventState;
use crate::model::time::Timestamp;
use crate::sender::Delivery;

/// One thing that happens.
pub(super) struct Scene {
    pub(super) title: &'static str,
    /// Posted one after the other, each after the answer to the one before.
    pub(super) posts: Vec<Post>,
    /// Someone whom Clerk itself forgets before the posts.
    pub(super) forgotten_by_clerk: Option<Person>,
    /// What the reader should take from it.
    pub(super) lesson: &'static str,
}

/// One request.
pub(super) struct Post {
    pub(super) delivery: Delivery,
    pub(super) note: &'static str,
    pub(super) manner: Manner,
    pub(super) expected: Expected,
}

/// How a request is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// As the provider does.
    Authentic,
    /// With a secret that is not the endpoint's.
    Forged,
    /// As the provider does, but ten minutes ago.
    Stale,
}

/// What must come of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// It is accepted, and at the end of its scene the ledger says this.
    Recorded {
        state: EventState,
        outcome: &'static str,
        deliveries: u64,
    },
    /// It is turned away.
    Refused { status: u16, code: &'static str },
}

/// The scenes in order. `begin` is when the first person signed up; all else follows.
pub(super) fn scenes(begin: Timestamp) -> Vec<Scene> {
    let at = |seconds: i64| Timestamp::from_millis(begin.as_millis() + seconds * 1000);
    let mirrored = recorded(EventState::Applied, "user_mirrored");
    let paid = recorded(EventState::Applied, "payment_recorded");
    let ada_renamed = Person {
        last_name: "King",
        ..ADA
    };
    let ada_renamed_again = Person {
        first_name: "Augusta Ada",
        ..ada_renamed
    };
    let grace_renamed = Person {
        first_name: "Grace Brewster",
        last_name: "Hopper",
        ..GRACE
    };
    let thrice = Expected::Recorded {
        state: EventState::Applied,
        outcome: "user_mirrored",
        deliveries: 3,
    };
    let graces_update = || user("user.updated", grace_renamed, at(200));

    vec![
        scene(
            "Four people sign up",
            vec![
                clerk(
                    "created_ada",
                    user("user.created", ADA, at(0)),
                    "Ada",
                    mirrored,
                ),
                clerk(
                    "created_grace",
                    user("user.created", GRACE, at(1)),
                    "Grace",
                    mirrored,
                ),
                clerk(
                    "created_alan",
                    user("user.created", ALAN, at(2)),
                    "Alan",
                    mirrored,
                ),
                clerk(
                    "created_barbara",
                    user("user.created", BARBARA, at(3)),
                    "Barbara",
                    mirrored,
                ),
            ],
            "Each is a row in `users` a moment later.",
        ),
        scene(
            "Ada changes her name twice, and the newer change arrives first",
            vec![
                clerk(
                    "renamed_ada_2",
                    user("user.updated", ada_renamed_again, at(120)),
                    "the second change",
                    mirrored,
                ),
                clerk(
                    "renamed_ada_1",
                    user("user.updated", ada_renamed, at(60)),
                    "the first, late",
                    recorded(EventState::Applied, "user_stale"),
                ),
            ],
            "The newer state stays, whatever the order of arrival.",
        ),
        scene(
            "Grace's change is delivered three times",
            vec![
                clerk("renamed_grace", graces_update(), "first delivery", thrice),
                clerk("renamed_grace", graces_update(), "the same again", thrice),
                clerk("renamed_grace", graces_update(), "and again", thrice),
            ],
            "All get a 2xx, as providers retry on anything else. One row, one effect.",
        ),
        Scene {
            forgotten_by_clerk: Some(ALAN),
            ..scene(
                "Alan deletes his account, and an older change arrives late",
                vec![
                    clerk(
                        "deleted_alan",
                        user_deleted(ALAN, at(320)),
                        "the deletion",
                        recorded(EventState::Applied, "user_deleted"),
                    ),
                    clerk(
                        "renamed_alan",
                        user("user.updated", ALAN, at(310)),
                        "an older change",
                        recorded(EventState::Applied, "user_gone"),
                    ),
                ],
                "A tombstone remembers the deletion: no late event brings him back.",
            )
        },
        scene(
            "Ada pays by card",
            vec![stripe(
                "evt_demo_ada",
                "checkout.session.completed",
                (ADAS_CHECKOUT, "complete", "paid"),
                at(400),
                "complete, paid",
                paid,
            )],
            "Her row says paid, and so does her metadata at Clerk.",
        ),
        scene(
            "Grace pays by bank debit, and the success overtakes the completion",
            vec![
                stripe(
                    "evt_demo_grace_2",
                    "checkout.session.async_payment_succeeded",
                    (GRACES_CHECKOUT, "complete", "paid"),
                    at(520),
                    "the money has come",
                    paid,
                ),
                stripe(
                    "evt_demo_grace_1",
                    "checkout.session.completed",
                    (GRACES_CHECKOUT, "complete", "unpaid"),
                    at(500),
                    "unpaid yet, late",
                    paid,
                ),
            ],
            "The late `unpaid` does not take back what `succeeded` has given.",
        ),
        scene(
            "Barbara opens a checkout and lets it expire",
            vec![stripe(
                "evt_demo_barbara",
                "checkout.session.expired",
                (BARBARAS_CHECKOUT, "expired", "unpaid"),
                at(600),
                "expired, unpaid",
                paid,
            )],
            "Recorded, and no access follows from it.",
        ),
        scene(
            "Edsger pays before anyone has heard of him",
            vec![
                stripe(
                    "evt_demo_edsger",
                    "checkout.session.completed",
                    (EDSGERS_CHECKOUT, "complete", "paid"),
                    at(700),
                    "his payment",
                    paid,
                ),
                clerk(
                    "created_edsger",
                    user("user.created", EDSGER, at(690)),
                    "his sign-up, later",
                    mirrored,
                ),
            ],
            "The payment waits under his id; when he appears, he is a paid member.",
        ),
        scene(
            "Edsger gets his money back in two parts",
            vec![
                give_back("evt_demo_back_1", ("re_demo1", 4000), at(720), paid),
                give_back("evt_demo_back_2", ("re_demo2", 5900), at(740), paid),
            ],
            "A part changes nothing; with the rest his access ends, here and at Clerk.",
        ),
        scene(
            "Somebody forges a webhook",
            vec![Post {
                manner: Manner::Forged,
                ..clerk(
                    "forged",
                    user(
                        "user.updated",
                        Person {
                            email: "eve@example.com",
                            ..ADA
                        },
                        at(800),
                    ),
                    "another secret",
                    refused("signature_mismatch"),
                )
            }],
            "Turned away before it reaches the queue.",
        ),
        scene(
            "Somebody repeats a request of ten minutes ago",
            vec![Post {
                manner: Manner::Stale,
                ..clerk(
                    "stale",
                    user("user.updated", ADA, at(810)),
                    "signed long ago",
                    refused("timestamp_out_of_tolerance"),
                )
            }],
            "A captured request is worth nothing after five minutes.",
        ),
        scene(
            "Clerk tells of something that nobody handles",
            vec![clerk(
                "session",
                session_created(ADA, at(820)),
                "a session began",
                recorded(EventState::Ignored, "type_not_handled"),
            )],
            "Accepted and kept as `ignored`; a 4xx would only be tried again for days.",
        ),
        scene(
            "Clerk sends an event that makes no sense",
            vec![clerk(
                "unintelligible",
                unintelligible(at(830)),
                "its id is a number",
                recorded(EventState::Failed, "payload_invalid"),
            )],
            "Kept as `failed` for a person to look at. It holds nothing else up.",
        ),
    ]
}

fn recorded(state: EventState, outcome: &'static str) -> Expected {
    Expected::Recorded {
        state,
        outcome,
        deliveries: 1,
    }
}

fn refused(code: &'static str) -> Expected {
    Expected::Refused { status: 401, code }
}

fn scene(title: &'static str, posts: Vec<Post>, lesson: &'static str) -> Scene {
    Scene {
        title,
        posts,
        forgotten_by_clerk: None,
        lesson,
    }
}

fn clerk(name: &str, body: Bytes, note: &'static str, expected: Expected) -> Post {
    post(
        Provider::Clerk,
        &format!("msg_demo_{name}"),
        body,
        note,
        expected,
    )
}

fn stripe(
    id: &str,
    event_type: &str,
    (session, status, payment): (Checkout, &str, &str),
    at: Timestamp,
    note: &'static str,
    expected: Expected,
) -> Post {
    let body = checkout(id, event_type, session, status, payment, at);
    post(Provider::Stripe, id, body, note, expected)
}

/// Some of Edsger's money.
fn give_back(id: &str, refund: (&str, i64), at: Timestamp, expected: Expected) -> Post {
    let body = refund_created(id, EDSGERS_CHECKOUT, refund, at);
    let note = match refund.1 {
        amount if amount < EDSGERS_CHECKOUT.amount / 2 => "some of it",
        _ => "the rest",
    };
    post(Provider::Stripe, id, body, note, expected)
}

fn post(provider: Provider, id: &str, body: Bytes, note: &'static str, expected: Expected) -> Post {
    let event_type = serde_json::from_slice::<serde_json::Value>(&body)
        .ok()
        .and_then(|body| EventType::parse(body.get("type")?.as_str()?));
    Post {
        delivery: Delivery {
            source: provider.into(),
            id: EventId::parse(id).unwrap_or_else(|| EventId::of_body(&body)),
            event_type: event_type.unwrap_or_else(EventType::unknown),
            body,
        },
        note,
        manner: Manner::Authentic,
        expected,
    }
}
