//! What happens to one person at Clerk and Stripe, all events that tell of it, and what must come of
//! them: written side by side, so that nothing has to be computed and a wrong line can be seen.

use hookmirror::sender::Delivery;
use rand::rngs::StdRng;
use rand::{Rng, RngExt};
use serde_json::json;
use sha2::{Digest, Sha256};

use self::purchases::PURCHASES;
use super::payloads;

mod purchases;

/// Everything happens some time after this: seconds.
const BEGIN: i64 = 1_790_000_000;

/// One person's part of the history.
pub(super) struct Story {
    /// Each once, in the order of the telling.
    pub(super) deliveries: Vec<Delivery>,
    pub(super) outcome: Outcome,
}

/// What must be there in the end.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) user: String,
    pub(super) deleted: bool,
    /// First name and revision of the newest state.
    pub(super) mirrored: (String, String),
    pub(super) entitled: Option<Entitled>,
    /// Rows of the tables of facts, as the account reads them.
    pub(super) facts: Vec<String>,
    /// Of each event, by its key.
    pub(super) ends: Vec<(String, End)>,
}

/// What must become of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    /// Applied, the first time it is processed.
    Applied,
    /// Applied, at once or once another event has come.
    WaitsFirst,
    Ignored,
    Waiting,
    Failed,
}

impl End {
    pub(super) fn state(self) -> &'static str {
        match self {
            Self::Applied | Self::WaitsFirst => "applied",
            Self::Ignored => "ignored",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
        }
    }

    /// Whether processing it once settles it: what fails, and what waits, is processed anew with
    /// each delivery, and nothing comes of that.
    pub(super) fn is_settled_at_once(self) -> bool {
        matches!(self, Self::Applied | Self::Ignored)
    }
}

/// What a purchase comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entitled {
    pub(super) paid: bool,
    pub(super) payment: String,
    pub(super) status: String,
    pub(super) rule: String,
}

/// The key by which the account knows an event.
pub(super) fn key(delivery: &Delivery) -> String {
    format!("{}/{}", delivery.source.name, delivery.id)
}

/// Tells the story of person `number`.
pub(super) fn of(number: u64, chance: &mut StdRng) -> Story {
    let mut teller = Teller {
        number,
        at: BEGIN + i64::try_from(number).unwrap(),
        told: 0,
        story: Story {
            deliveries: Vec::new(),
            outcome: Outcome {
                user: format!("user_2chaos{number:08}"),
                deleted: chance.random_bool(0.1),
                mirrored: Default::default(),
                entitled: None,
                facts: Vec::new(),
                ends: Vec::new(),
            },
        },
    };
    teller.user(chance);
    let purchase = PURCHASES[chance.random_range(0..PURCHASES.len())];
    teller.purchase(purchase);
    if chance.random_bool(0.1) {
        teller.nonsense();
    }
    teller.story
}

struct Teller {
    number: u64,
    at: i64,
    told: u32,
    story: Story,
}

impl Teller {
    fn id(&self, prefix: &str) -> String {
        format!("{prefix}{:08}", self.number)
    }

    fn add(&mut self, delivery: Delivery, end: End) {
        self.story.outcome.ends.push((key(&delivery), end));
        self.story.deliveries.push(delivery);
    }

    fn event_id(&mut self, prefix: &str) -> String {
        self.told += 1;
        format!("{prefix}_{:08}_{}", self.number, self.told)
    }

    fn clerk(&mut self, event_type: &str, data: &str, end: End) {
        let id = self.event_id("msg");
        self.add(payloads::clerk(event_type, &id, self.at * 1000, data), end);
    }

    /// A creation, and updates, of which two may be of the same millisecond.
    fn user(&mut self, chance: &mut impl Rng) {
        let user = self.story.outcome.user.clone();
        let mut updated_at = self.at * 1000;
        let updates = chance.random_range(0..4);
        let mut newest = Default::default();
        for update in 0..=updates {
            let first_name = format!("name {update}");
            let data = payloads::user(&user, &first_name, updated_at);
            let event_type = match update {
                0 => "user.created",
                _ => "user.updated",
            };
            self.clerk(event_type, &data, End::Applied);
            let rank = u8::from(update > 0);
            let hash = hex::encode(Sha256::digest(&data));
            let revision = format!("{updated_at:016}-{rank}-{}", &hash[..16]);
            newest = std::cmp::max(newest, (revision, first_name));
            updated_at += chance.random_range(0..3);
        }
        let (revision, first_name) = newest;
        self.story.outcome.mirrored = (first_name, revision);
        if self.story.outcome.deleted {
            let data = json!({ "deleted": true, "id": user, "object": "user" });
            self.clerk("user.deleted", &data.to_string(), End::Applied);
        }
    }

    /// What nobody handles, and what nobody can read.
    fn nonsense(&mut self) {
        self.clerk("organization.created", r#"{"id":"org_1"}"#, End::Ignored);
        self.clerk("user.updated", r#"{"id":7}"#, End::Failed);
    }
}
