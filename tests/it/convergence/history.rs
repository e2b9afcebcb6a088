//! Small worlds: what happened at Clerk and Stripe, and the events that tell of it.

use bytes::Bytes;
use hookmirror::model::event::{Event, EventId, EventKey, EventType, Trigger};
use hookmirror::model::source::Provider;
use hookmirror::model::time::Timestamp;
use proptest::prelude::*;
use serde_json::json;

/// Seconds; everything happens within a few of them, so that ties are the rule.
const BEGIN: i64 = 1_790_000_000;
pub(super) const RECEIVED_AT: Timestamp = Timestamp::from_seconds(BEGIN + 1000);

#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) users: Vec<UserStory>,
    pub(super) sessions: Vec<SessionStory>,
    /// Authentic events that nobody can use.
    pub(super) nonsense: usize,
}

#[derive(Clone, Debug)]
pub(super) struct UserStory {
    /// Each is told by one event.
    pub(super) states: Vec<UserState>,
    pub(super) deleted: bool,
}

#[derive(Clone, Debug)]
pub(super) struct UserState {
    pub(super) created: bool,
    /// Milliseconds after the beginning.
    pub(super) updated_at: i64,
    pub(super) name: u8,
}

#[derive(Clone, Debug)]
pub(super) struct SessionStory {
    /// Seconds after the beginning.
    pub(super) opened_at: i64,
    pub(super) customer: Option<u8>,
    pub(super) setup: bool,
    pub(super) tellings: Vec<Telling>,
}

/// One event about a session.
#[derive(Clone, Debug)]
pub(super) struct Telling {
    pub(super) kind: Kind,
    /// Seconds after the beginning.
    pub(super) at: i64,
    /// Which user it names; may be one who does not exist.
    pub(super) names: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Unpaid,
    Paid,
    NothingDue,
    Succeeded,
    Failed,
    Expired,
}

pub(super) fn user_id(user: u8) -> String {
    format!("user_{user}")
}

pub(super) fn session_id(session: usize) -> String {
    format!("cs_test_{session}")
}

impl UserState {
    /// The text of `data`, exactly as it stands in the body.
    pub(super) fn data(&self, user: u8) -> String {
        json!({
            "id": user_id(user),
            "object": "user",
            "first_name": format!("name {}", self.name),
            "updated_at": BEGIN * 1000 + self.updated_at,
        })
        .to_string()
    }

    pub(super) fn updated_at(&self) -> Timestamp {
        Timestamp::from_millis(BEGIN * 1000 + self.updated_at)
    }
}

impl World {
    /// Every event once, in the order of the telling.
    pub(super) fn events(&self) -> Vec<Event> {
        let users = (0..).zip(&self.users).flat_map(|(user, story)| {
            let states = story.states.iter().enumerate().map(move |(n, state)| {
                let kind = if state.created {
                    "user.created"
                } else {
                    "user.updated"
                };
                let data = state.data(user);
                let body = format!(r#"{{"type":"{kind}","object":"event","data":{data}}}"#);
                event(Provider::Clerk, &format!("msg_{user}_{n}"), kind, body)
            });
            let deletion = story.deleted.then(|| {
                let data = json!({ "id": user_id(user), "object": "user", "deleted": true });
                let body = json!({ "type": "user.deleted", "timestamp": BEGIN, "data": data });
                let id = format!("msg_{user}_deleted");
                event(Provider::Clerk, &id, "user.deleted", body.to_string())
            });
            states.chain(deletion).collect::<Vec<_>>()
        });
        let sessions = self.sessions.iter().enumerate().flat_map(|(n, story)| {
            let id = session_id(n);
            story
                .tellings
                .iter()
                .enumerate()
                .map(move |(m, telling)| telling.event(story, &id, &format!("evt_{n}_{m}")))
        });
        let nonsense = (0..self.nonsense).map(|n| {
            let body = r#"{"type":"user.updated","data":{"id":7}}"#.to_owned();
            event(
                Provider::Clerk,
                &format!("msg_nonsense_{n}"),
                "user.updated",
                body,
            )
        });
        users.chain(sessions).chain(nonsense).collect()
    }
}

impl Telling {
    fn event(&self, story: &SessionStory, session: &str, id: &str) -> Event {
        let (kind, payment) = match self.kind {
            Kind::Unpaid => ("checkout.session.completed", "unpaid"),
            Kind::Paid => ("checkout.session.completed", "paid"),
            Kind::NothingDue => ("checkout.session.completed", "no_payment_required"),
            Kind::Succeeded => ("checkout.session.async_payment_succeeded", "paid"),
            Kind::Failed => ("checkout.session.async_payment_failed", "unpaid"),
            Kind::Expired => ("checkout.session.expired", "unpaid"),
        };
        let body = json!({
            "id": id,
            "object": "event",
            "type": kind,
            "created": BEGIN + self.at,
            "livemode": false,
            "data": { "object": {
                "id": session,
                "object": "checkout.session",
                "created": BEGIN + story.opened_at,
                "customer": story.customer.map(|customer| format!("cus_{customer}")),
                "client_reference_id": self.names.map(user_id),
                "mode": if story.setup { "setup" } else { "payment" },
                "payment_status": payment,
                "livemode": false,
            } },
        });
        event(Provider::Stripe, id, kind, body.to_string())
    }
}

fn event(provider: Provider, id: &str, event_type: &str, body: String) -> Event {
    Event {
        key: EventKey {
            source: provider.into(),
            id: EventId::parse(id).unwrap(),
        },
        event_type: EventType::parse(event_type).unwrap(),
        received_at: RECEIVED_AT,
        trigger: Trigger::Webhook,
        body: Bytes::from(body),
    }
}

/// Any small world.
pub(super) fn worlds() -> impl Strategy<Value = World> {
    let state =
        (any::<bool>(), 0..4_i64, 0..3_u8).prop_map(|(created, updated_at, name)| UserState {
            created,
            updated_at,
            name,
        });
    let user = (
        prop::collection::vec(state, 0..4),
        prop::bool::weighted(0.2),
    )
        .prop_map(|(states, deleted)| UserStory { states, deleted });
    let kind = prop_oneof![
        2 => Just(Kind::Unpaid),
        2 => Just(Kind::Paid),
        1 => Just(Kind::NothingDue),
        1 => Just(Kind::Succeeded),
        1 => Just(Kind::Failed),
        1 => Just(Kind::Expired),
    ];
    let telling = (kind, 0..3_i64, prop::option::of(0..4_u8))
        .prop_map(|(kind, at, names)| Telling { kind, at, names });
    let session = (
        0..3_i64,
        prop::option::of(0..2_u8),
        prop::bool::weighted(0.1),
        prop::collection::vec(telling, 1..4),
    )
        .prop_map(|(opened_at, customer, setup, tellings)| SessionStory {
            opened_at,
            customer,
            setup,
            tellings,
        });
    (
        prop::collection::vec(user, 1..4),
        prop::collection::vec(session, 0..4),
        0..2_usize,
    )
        .prop_map(|(users, sessions, nonsense)| World {
            users,
            sessions,
            nonsense,
        })
}
