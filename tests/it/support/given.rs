//! What events ask of the store, in few words. Times are seconds after a fixed start.

use hookmirror::model::changes::{Changes, Decision, Failure, IgnoreReason, Planned};
use hookmirror::model::event::{Event, EventId, EventKey, EventType, Trigger};
use hookmirror::model::headers::KeptHeaders;
use hookmirror::model::operator::{Mode, Operator, OperatorAction, Reason};
use hookmirror::model::payment::{
    Charge, CheckoutSession, Customer, Dispute, DisputeStatus, Fact, Invoice, InvoiceStatus,
    NamedUser, PaymentStatus, Refund, RefundStatus, SessionStatus, Subscription,
    SubscriptionStatus,
};
use hookmirror::model::replay::ReplayId;
use hookmirror::model::source::SourceName;
use hookmirror::model::time::Timestamp;
use hookmirror::model::user::{Revision, User, UserChange, UserId};

const START: i64 = 1_795_000_000;

/// So many seconds after the start.
pub(crate) const fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(START + seconds)
}

pub(crate) fn user_id(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

/// The key of an event; the source is read off the id, `msg_…` being Clerk's.
pub(crate) fn key(event: &str) -> EventKey {
    let source = if event.starts_with("msg_") {
        "clerk"
    } else {
        "stripe"
    };
    EventKey {
        source: SourceName::parse(source).unwrap(),
        id: EventId::parse(event).unwrap(),
    }
}

pub(crate) fn event(id: &str, event_type: &str) -> Event {
    Event {
        key: key(id),
        event_type: EventType::parse(event_type).unwrap(),
        received_at: at(0),
        trigger: Trigger::Webhook,
        headers: KeptHeaders::default(),
        trace: None,
        body: format!("{{\"body of\":\"{id}\"}}").into(),
    }
}

fn planned(event: Event, subject: Option<&str>, decision: Decision) -> Planned {
    Planned {
        event,
        subject: subject.map(str::to_owned),
        keep_payload: true,
        decision,
    }
}

/// One state of a user; the name makes it differ from others of the same time.
pub(crate) fn user(id: &str, updated_at: i64, name: &str) -> User {
    let data = format!("{{\"id\":\"{id}\",\"first_name\":\"{name}\"}}");
    User {
        id: user_id(id),
        revision: Revision::new(at(updated_at), UserChange::Updated, &data),
        external_id: Some(format!("app-{id}")),
        email: Some(format!("{id}@example.test")),
        email_verified: true,
        phone: Some("+15555550100".to_owned()),
        username: Some(format!("name-of-{id}")),
        first_name: Some(name.to_owned()),
        last_name: Some("Doe".to_owned()),
        image_url: Some("https://img.example.test/1".to_owned()),
        locale: Some("en".to_owned()),
        banned: false,
        locked: true,
        public_metadata: "{}".to_owned(),
        private_metadata: "{}".to_owned(),
        unsafe_metadata: "{}".to_owned(),
        created_at: Some(at(-1000)),
        updated_at: at(updated_at),
        last_sign_in_at: None,
        data,
    }
}

pub(crate) fn mirror(event_id: &str, user: User) -> Planned {
    let subject = user.id.to_string();
    planned(
        event(event_id, "user.updated"),
        Some(&subject),
        Decision::Apply(Changes::MirrorUser(Box::new(user))),
    )
}

pub(crate) fn delete(event_id: &str, id: &str, deleted_at: i64) -> Planned {
    planned(
        event(event_id, "user.deleted"),
        Some(id),
        Decision::Apply(Changes::DeleteUser {
            id: user_id(id),
            deleted_at: at(deleted_at),
        }),
    )
}

/// A paid session that names nobody.
pub(crate) fn session(id: &str) -> CheckoutSession {
    CheckoutSession {
        id: id.to_owned(),
        named_user: None,
        attributed_user: None,
        customer: None,
        payment_intent: None,
        subscription: None,
        mode: Some("payment".to_owned()),
        status: SessionStatus::Complete,
        payment: PaymentStatus::Paid,
        amount_total: Some(4900),
        currency: Some("eur".to_owned()),
        livemode: false,
        created_at: at(0),
        updated_at: at(1),
    }
}

/// A paid session that names its user.
pub(crate) fn session_of(id: &str, user: &str) -> CheckoutSession {
    CheckoutSession {
        named_user: Some(NamedUser {
            at: at(1),
            id: user_id(user),
        }),
        ..session(id)
    }
}

/// The same session while the money has not come.
pub(crate) fn unpaid(session: CheckoutSession) -> CheckoutSession {
    CheckoutSession {
        payment: PaymentStatus::Unpaid,
        ..session
    }
}

/// The same session, made by this customer.
pub(crate) fn by_customer(customer: &str, session: CheckoutSession) -> CheckoutSession {
    CheckoutSession {
        customer: Some(customer.to_owned()),
        ..session
    }
}

/// The same session, opened at another time.
pub(crate) fn opened(created_at: i64, session: CheckoutSession) -> CheckoutSession {
    CheckoutSession {
        created_at: at(created_at),
        ..session
    }
}

/// An active subscription that names nobody.
pub(crate) fn subscription(id: &str) -> Subscription {
    Subscription {
        id: id.to_owned(),
        named_user: None,
        attributed_user: None,
        customer: None,
        status: SubscriptionStatus::Active,
        cancel_at_period_end: false,
        cancel_at: None,
        current_period_end: None,
        livemode: false,
        created_at: at(0),
        updated_at: at(1),
    }
}

/// An invoice that is paid, as `invoice_payment.paid` tells of it: for nothing in particular.
pub(crate) fn invoice(id: &str) -> Invoice {
    Invoice {
        id: id.to_owned(),
        subscription: None,
        payment_intent: None,
        billing_reason: None,
        status: InvoiceStatus::Paid,
        amount_paid: None,
        currency: None,
        livemode: false,
        created_at: at(0),
        updated_at: at(1),
    }
}

/// A charge of which nothing was refunded.
pub(crate) fn charge(id: &str, intent: &str) -> Charge {
    Charge {
        id: id.to_owned(),
        payment_intent: Some(intent.to_owned()),
        amount: 4900,
        amount_refunded: 0,
        currency: Some("eur".to_owned()),
        livemode: false,
        created_at: at(0),
        updated_at: at(1),
    }
}

/// A refund of all of a [`session`] that succeeded.
pub(crate) fn refund(id: &str, intent: &str) -> Refund {
    Refund {
        id: id.to_owned(),
        payment_intent: Some(intent.to_owned()),
        charge: None,
        amount: 4900,
        currency: Some("eur".to_owned()),
        status: RefundStatus::Succeeded,
        livemode: false,
        created_at: at(0),
        updated_at: at(1),
    }
}

/// A dispute that was lost.
pub(crate) fn dispute(id: &str, intent: &str) -> Dispute {
    Dispute {
        id: id.to_owned(),
        payment_intent: Some(intent.to_owned()),
        charge: None,
        amount: Some(4900),
        currency: Some("eur".to_owned()),
        reason: None,
        status: DisputeStatus::Lost,
        livemode: false,
        created_at: at(0),
        updated_at: at(1),
    }
}

/// A customer who is somebody's.
pub(crate) fn customer(id: &str, user: &str, since: i64) -> Customer {
    Customer {
        id: id.to_owned(),
        named_user: NamedUser {
            at: at(since),
            id: user_id(user),
        },
    }
}

pub(crate) fn record(event_id: &str, session: CheckoutSession) -> Planned {
    tell(event_id, Fact::CheckoutSession(session))
}

/// An event that tells this.
pub(crate) fn tell(event_id: &str, fact: Fact) -> Planned {
    let kind = match fact {
        Fact::CheckoutSession(_) => "checkout.session.completed",
        Fact::Subscription(_) => "customer.subscription.updated",
        Fact::Invoice(_) => "invoice.paid",
        Fact::Charge(_) => "charge.refunded",
        Fact::Refund(_) => "refund.updated",
        Fact::Dispute(_) => "charge.dispute.updated",
        Fact::Customer(_) => "customer.updated",
    };
    let subject = fact.id().to_owned();
    planned(
        event(event_id, kind),
        Some(&subject),
        Decision::Apply(Changes::RecordPayment(Box::new(fact))),
    )
}

pub(crate) fn ignore(event_id: &str, event_type: &str) -> Planned {
    planned(
        event(event_id, event_type),
        None,
        Decision::Apply(Changes::Ignore(IgnoreReason::TypeNotHandled)),
    )
}

pub(crate) fn failing(event_id: &str, event_type: &str, place: &str) -> Planned {
    let event = event(event_id, event_type);
    let message = format!("`{place}` is missing");
    let failure = Failure::new("payload_invalid", place, &event.event_type, message);
    planned(event, None, Decision::Fail(failure))
}

/// An event that cannot be applied yet.
pub(crate) fn retry(event_id: &str) -> Planned {
    let event = event(event_id, "user.updated");
    let message = "what it needs is not there yet".to_owned();
    let failure = Failure::new("not_yet", "elsewhere", &event.event_type, message);
    planned(event, None, Decision::Retry(failure))
}

/// The same event, received at another time.
pub(crate) fn received(seconds: i64, mut planned: Planned) -> Planned {
    planned.event.received_at = at(seconds);
    planned
}

/// What Ada asks for.
pub(crate) fn asked(mode: Mode) -> OperatorAction {
    OperatorAction {
        operator: Operator::parse("ada").unwrap(),
        action: "payments attribute",
        target: serde_json::json!({"payment": "some"}),
        mode,
    }
}

pub(crate) fn for_real() -> Mode {
    Mode::Execute(Reason::parse("asked support").unwrap())
}

/// The same event, as it comes from the queue for a replay.
pub(crate) fn replayed(id: ReplayId, mut planned: Planned) -> Planned {
    planned.event.trigger = Trigger::Replay(id);
    planned
}
