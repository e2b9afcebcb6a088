//! What the mirror must come to, worked out from the bytes that are sent and nothing else: the
//! rules, in the simplest program that follows them.

use std::collections::{BTreeMap, BTreeSet};

use hookmirror::cli::demo::stand_in_clerk::StandInClerk;
use hookmirror::model::user::UserId;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::{Connection, Row};

use super::process::Home;

/// A line of `send --dry-run`.
#[derive(Deserialize)]
struct Line {
    source: String,
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    body: String,
}

#[derive(Deserialize)]
struct ClerkBody<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
}

/// The same words on both engines.
const MEMBERS: &str =
    "SELECT users.id, users.revision, members.paid FROM users JOIN members USING (id)";
const LEDGER: &str = "SELECT source, event_id FROM events";

/// What a database shows.
struct Mirror {
    members: BTreeMap<String, (String, bool)>,
    ledger: Vec<(String, String)>,
}

/// What a set of events comes to.
#[derive(Debug, Default)]
pub(crate) struct Reference {
    pub(crate) deliveries: u64,
    pub(crate) events: BTreeSet<(String, String)>,
    /// The newest revision of each user that was ever told of.
    revisions: BTreeMap<String, String>,
    deleted: BTreeSet<String>,
    payers: BTreeSet<String>,
}

impl Reference {
    /// Adds what one `send --dry-run` prints.
    pub(crate) fn add(&mut self, dry_run: &str) {
        for line in dry_run.lines() {
            let line: Line = serde_json::from_str(line).unwrap();
            let body: Value = serde_json::from_str(&line.body).unwrap();
            self.deliveries += 1;
            match line.event_type.as_str() {
                "user.created" | "user.updated" => {
                    let raw: ClerkBody<'_> = serde_json::from_str(&line.body).unwrap();
                    let rank = u8::from(line.event_type == "user.updated");
                    let hash = hex::encode(Sha256::digest(raw.data.get()));
                    let revision = format!(
                        "{:016}-{rank}-{}",
                        body["data"]["updated_at"].as_i64().unwrap(),
                        &hash[..16]
                    );
                    let newest = self.revisions.entry(text(&body["data"]["id"])).or_default();
                    *newest = revision.max(newest.clone());
                }
                "user.deleted" => {
                    self.deleted.insert(text(&body["data"]["id"]));
                }
                "checkout.session.completed" => {
                    let session = &body["data"]["object"];
                    assert_eq!(session["payment_status"], "paid");
                    let named = &session["metadata"]["userId"];
                    let payer = named.as_str().or(session["client_reference_id"].as_str());
                    self.payers.insert(payer.unwrap().to_owned());
                }
                other => panic!("the reference knows nothing of {other}"),
            }
            self.events.insert((line.source, line.id));
        }
    }

    /// Lets everyone exist at Clerk, except for those who were deleted there.
    pub(crate) fn populate(&self, clerk: &StandInClerk) {
        for id in self
            .revisions
            .keys()
            .filter(|id| !self.deleted.contains(*id))
        {
            clerk.add_user(&UserId::parse(id).unwrap());
        }
    }

    /// Compares the database, the account and Clerk's metadata with what they must be.
    pub(crate) async fn check(&self, home: &Home, clerk: &StandInClerk) {
        let mut database = home.database().await;
        let rows = sqlx::query(MEMBERS).fetch_all(&mut database).await.unwrap();
        let members = rows
            .iter()
            .map(|row| (row.get("id"), (row.get("revision"), row.get("paid"))));
        let mirror = Mirror {
            members: members.collect(),
            ledger: sqlx::query_as(LEDGER)
                .fetch_all(&mut database)
                .await
                .unwrap(),
        };
        self.check_mirror(&mirror);
        self.check_account(&home.json(["events", "stats", "--json"]));
        self.check_clerk(clerk);
    }

    /// The same on Postgres.
    pub(crate) async fn check_on_postgres(&self, home: &Home, url: &str, clerk: &StandInClerk) {
        let mut database = sqlx::PgConnection::connect(url).await.unwrap();
        let rows = sqlx::query(MEMBERS).fetch_all(&mut database).await.unwrap();
        let members = rows
            .iter()
            .map(|row| (row.get("id"), (row.get("revision"), row.get("paid"))));
        let mirror = Mirror {
            members: members.collect(),
            ledger: sqlx::query_as(LEDGER)
                .fetch_all(&mut database)
                .await
                .unwrap(),
        };
        self.check_mirror(&mirror);
        self.check_account(&home.json(["events", "stats", "--json"]));
        self.check_clerk(clerk);
    }

    fn check_mirror(&self, mirror: &Mirror) {
        let wanted: BTreeMap<String, (String, bool)> = self
            .revisions
            .iter()
            .filter(|(id, _)| !self.deleted.contains(*id))
            .map(|(id, revision)| (id.clone(), (revision.clone(), self.payers.contains(id))))
            .collect();
        same(&mirror.members, &wanted);
        let ledger: BTreeSet<(String, String)> = mirror.ledger.iter().cloned().collect();
        assert_eq!(ledger.len(), mirror.ledger.len(), "an event is there twice");
        same(&ledger, &self.events);
    }

    fn check_account(&self, stats: &Value) {
        let in_states: u64 = stats["states"]
            .as_array()
            .unwrap()
            .iter()
            .map(|count| count["events"].as_u64().unwrap())
            .sum();
        let distinct = self.events.len() as u64;
        assert_eq!(stats["accepted"], distinct, "{stats}");
        assert_eq!(
            in_states + stats["queue"]["events"].as_u64().unwrap(),
            distinct,
            "{stats}"
        );
    }

    fn check_clerk(&self, clerk: &StandInClerk) {
        for id in self.revisions.keys() {
            let metadata = clerk.metadata_of(&UserId::parse(id).unwrap());
            let wanted = match (self.deleted.contains(id), self.payers.contains(id)) {
                (true, _) => None,
                (false, false) => Some(json!({})),
                (false, true) => Some(json!({
                    "stripe": { "status": "complete", "payment": "paid", "paid": true }
                })),
            };
            assert_eq!(metadata, wanted, "{id} at Clerk");
        }
    }

    /// That this is a test of something.
    pub(crate) fn has_everything(&self) {
        let kept = self.revisions.len() - self.deleted.len();
        assert!(self.deliveries > self.events.len() as u64);
        assert!(kept > 0 && !self.payers.is_empty() && self.revisions.len() > kept);
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Equality, with an example in the message instead of thousands of lines.
fn same<T: IntoIterator<Item = U> + Clone, U: PartialEq + std::fmt::Debug>(seen: &T, wanted: &T) {
    let (mut seen, mut wanted) = (seen.clone().into_iter(), wanted.clone().into_iter());
    loop {
        match (seen.next(), wanted.next()) {
            (None, None) => return,
            (a, b) => assert_eq!(a, b, "seen on the left, wanted on the right"),
        }
    }
}
