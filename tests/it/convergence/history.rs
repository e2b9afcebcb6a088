//! Small worlds: what happened at Clerk and Stripe, and the events that tell of it.
//!
//! Users and checkouts are told in the providers' words and read by the handlers; everything else at
//! Stripe is handed to the store as the fact that it is ([`World::told`]).

use std::collections::HashMap;

use bytes::Bytes;
use hookmirror::handlers::plan;
use hookmirror::model::changes::{Changes, Decision, Failure, Planned};
use hookmirror::model::event::{Event, EventId, EventKey, EventType, Trigger};
use hookmirror::model::headers::KeptHeaders;
use hookmirror::model::payment::Fact;
use hookmirror::model::source::Provider;
use hookmirror::model::time::Timestamp;
use serde_json::json;

use super::payments::{CURRENCY, Payments, customer_id, intent_id, subscription_id};

/// Seconds; everything happens within a few of them, so that ties are the rule.
pub(super) const BEGIN: i64 = 1_790_000_000;
pub(crate) const RECEIVED_AT: Timestamp = Timestamp::from_seconds(BEGIN + 1000);

#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) users: Vec<UserStory>,
    pub(super) sessions: Vec<SessionStory>,
    pub(super) payments: Payments,
    /// Authentic events that nobody can use.
    pub(super) nonsense: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct UserStory {
    /// Each is told by one event.
    pub(super) states: Vec<UserState>,
    pub(crate) deleted: bool,
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
    pub(super) what: What,
    pub(super) amount: Option<i64>,
    pub(super) tellings: Vec<Telling>,
}

/// What a checkout is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A payment, if its intent is known.
    OneOff(Option<u8>),
    Subscription(u8),
    SavedCard,
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

pub(crate) fn user_id(user: u8) -> String {
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
    pub(crate) fn events(&self) -> Vec<Event> {
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
        let payments = self.payments.facts().into_iter();
        let payments = payments.map(|(id, fact)| fact_event(&id, &fact));
        users
            .chain(sessions)
            .chain(nonsense)
            .chain(payments)
            .collect()
    }

    /// What those of its events mean that no handler reads.
    pub(crate) fn told(&self) -> Told {
        let facts = self.payments.facts().into_iter();
        Told(
            facts
                .map(|(id, fact)| (key(Provider::Stripe, &id), fact))
                .collect(),
        )
    }

    /// The same events, read.
    pub(crate) fn planned(&self) -> Vec<Planned> {
        let told = self.told();
        let read = |event: Event| {
            let provider = if event.key.source == Provider::Clerk.into() {
                Provider::Clerk
            } else {
                Provider::Stripe
            };
            let plan = plan(&provider.into(), &event);
            let failure = |_| Failure::new("unusable", "data", &event.event_type, String::new());
            let decision = plan.result.map_err(failure);
            let mut planned = Planned {
                subject: plan.subject,
                keep_payload: plan.keep_payload,
                decision: decision.map_or_else(Decision::Fail, Decision::Apply),
                event,
            };
            told.correct(&mut planned);
            planned
        };
        self.events().into_iter().map(read).collect()
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
        // Before it is finished there is nothing to pay for, and nothing to renew.
        let finished = self.kind != Kind::Expired;
        let (mode, intent, subscription) = match story.what {
            What::OneOff(intent) => ("payment", intent, None),
            What::Subscription(subscription) => ("subscription", None, Some(subscription)),
            What::SavedCard => ("setup", None, None),
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
                "customer": story.customer.map(customer_id),
                "client_reference_id": self.names.map(user_id),
                "mode": mode,
                "payment_intent": intent.filter(|_| finished).map(intent_id),
                "subscription": subscription.filter(|_| finished).map(subscription_id),
                "payment_status": payment,
                "amount_total": story.amount,
                "currency": story.amount.map(|_| CURRENCY),
                "livemode": false,
            } },
        });
        event(Provider::Stripe, id, kind, body.to_string())
    }
}

/// An event whose meaning is given by a fact.
fn fact_event(id: &str, fact: &Fact) -> Event {
    let kind = format!("{}.told", fact.kind());
    let body = json!({
        "id": id,
        "object": "event",
        "type": kind,
        "created": BEGIN,
        "livemode": false,
        "data": { "object": { "id": fact.id() } },
    });
    event(Provider::Stripe, id, &kind, body.to_string())
}

/// What the events that no handler has read mean.
#[derive(Debug, Default)]
pub(crate) struct Told(HashMap<EventKey, Fact>);

impl Told {
    /// A plan with its meaning, unless the event is yet to be read.
    pub(crate) fn correct(&self, planned: &mut Planned) {
        let is_read = !matches!(planned.decision, Decision::Retry(_));
        if let Some(fact) = self.0.get(&planned.event.key).filter(|_| is_read) {
            planned.decision = Decision::Apply(Changes::RecordPayment(Box::new(fact.clone())));
        }
    }
}

fn event(provider: Provider, id: &str, event_type: &str, body: String) -> Event {
    Event {
        key: key(provider, id),
        event_type: EventType::parse(event_type).unwrap(),
        received_at: RECEIVED_AT,
        trigger: Trigger::Webhook,
        headers: KeptHeaders::default(),
        trace: None,
        body: Bytes::from(body),
    }
}

fn key(provider: Provider, id: &str) -> EventKey {
    EventKey {
        source: provider.into(),
        id: EventId::parse(id).unwrap(),
    }
}
