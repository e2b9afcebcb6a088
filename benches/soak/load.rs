//! Events about the same thousand people and their subscriptions, again and again: the mirror does not
//! grow, the ledger does.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookmirror::cli::demo::stand_in_clerk::StandInClerk;
use hookmirror::clock::SystemClock;
use hookmirror::model::event::{EventId, EventType};
use hookmirror::model::source::Provider;
use hookmirror::model::user::UserId;
use hookmirror::sender::{Delivery, Endpoint, Report, SendOptions, Sender, Silent};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

pub(crate) const CLERK_SECRET: &str = "whsec_c29ha1NPQUtzb2FrU09BS3NvYWtTT0FL";
pub(crate) const STRIPE_SECRET: &str = "whsec_soakSOAKsoakSOAK";

const PEOPLE: u64 = 1000;
/// One event in so many is Stripe's.
const STRIPES: u64 = 10;
const BEGIN: i64 = 1_790_000_000;
const CLERKS: &str = include_str!("../../fixtures/clerk/user.updated.json");
const OF_STRIPE: &str = include_str!("../../fixtures/stripe/customer.subscription.updated.json");

pub(crate) type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Makes events, each with an id of its own, and posts them.
pub(crate) struct Load {
    base: String,
    made: u64,
    clerk: Value,
    stripe: Value,
}

fn user(number: u64) -> String {
    format!("user_2soak{:06}", number % PEOPLE)
}

impl Load {
    /// Posts there.
    pub(crate) fn to(base: String) -> Result<Self, Failed> {
        Ok(Self {
            base,
            made: 0,
            clerk: serde_json::from_str(CLERKS)?,
            stripe: serde_json::from_str(OF_STRIPE)?,
        })
    }

    /// How many events were made.
    pub(crate) fn made(&self) -> u64 {
        self.made
    }

    /// Lets everyone exist at Clerk.
    pub(crate) fn populate(clerk: &StandInClerk) {
        for id in (0..PEOPLE).filter_map(|number| UserId::parse(&user(number))) {
            clerk.add_user(&id);
        }
    }

    fn next(&mut self) -> Option<Delivery> {
        let number = self.made;
        self.made += 1;
        let at = BEGIN + i64::try_from(number).unwrap_or(i64::MAX - BEGIN);
        let who = number / STRIPES;
        let (provider, event_type, id, body) = if number.is_multiple_of(STRIPES) {
            let event = &mut self.stripe;
            let id = format!("evt_{number:012}");
            // Access is taken and given back, so that Clerk is told something.
            let is_paid = (who / PEOPLE).is_multiple_of(2);
            event["id"] = json!(id);
            event["created"] = json!(at);
            let object = &mut event["data"]["object"];
            object["id"] = json!(format!("sub_soak{:06}", who % PEOPLE));
            object["created"] = json!(BEGIN);
            object["metadata"] = json!({ "userId": user(who) });
            object["status"] = json!(if is_paid { "active" } else { "unpaid" });
            object["cancel_at_period_end"] = json!(false);
            let body = event.to_string();
            (Provider::Stripe, "customer.subscription.updated", id, body)
        } else {
            let event = &mut self.clerk;
            event["data"]["id"] = json!(user(number));
            event["data"]["updated_at"] = json!(at * 1000);
            let body = event.to_string();
            (
                Provider::Clerk,
                "user.updated",
                format!("msg_{number:012}"),
                body,
            )
        };
        Some(Delivery {
            source: provider.into(),
            id: EventId::parse(&id)?,
            event_type: EventType::parse(event_type)?,
            body: Bytes::from(body),
        })
    }

    /// The next so many events.
    pub(crate) fn events(&mut self, count: u64) -> Vec<Delivery> {
        (0..count).filter_map(|_| self.next()).collect()
    }

    /// Posts these: so many at a time, as fast as they are taken; or so many in a second, whatever
    /// becomes of those before.
    pub(crate) async fn post(
        base: &str,
        events: Vec<Delivery>,
        concurrency: usize,
        rate: Option<f64>,
    ) -> Result<Report, Failed> {
        let endpoints = [
            (Provider::Clerk, CLERK_SECRET),
            (Provider::Stripe, STRIPE_SECRET),
        ];
        let endpoints = endpoints.map(|(provider, secret)| Endpoint {
            source: provider.into(),
            url: format!("{base}/webhooks/{provider}"),
            secret: secret.into(),
        });
        let options = SendOptions {
            concurrency,
            rate,
            retry_for: Duration::ZERO,
            wait_for_receiver: true,
            ..SendOptions::default()
        };
        let sender = Sender::new(endpoints, options, Arc::new(SystemClock))?;
        let never = CancellationToken::new();
        Ok(sender.send(events, &Silent, &never).await?)
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }
}
