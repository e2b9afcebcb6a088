//! `users` and `user_tombstones`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::super::fold::users::{KnownUser, Mirrored, UserFold};
use super::super::problem::ApplyError;
use super::rows::{Reader, json_list};
use crate::model::changes::Outcome;
use crate::model::source::SourceName;
use crate::model::time::Timestamp;
use crate::model::user::{Revision, UserId};

/// Rows in one INSERT; 22 values each, far below SQLite's limit of 32,766.
const ROWS: usize = 128;

/// All that an event tells of a user, as it is compared.
macro_rules! told {
    ($of:literal) => {
        told!(@ $of, ["external_id", "email", "email_verified", "phone", "username", "first_name",
            "last_name", "image_url", "locale", "banned", "locked", "public_metadata",
            "private_metadata", "unsafe_metadata", "created_at", "updated_at", "last_sign_in_at",
            "source"])
    };
    (@ $of:literal, [$($column:literal),+]) => {
        concat!("(", $($of, ".", $column, ", ",)+ $of, ".data)")
    };
}

/// What the mirror knows of these users.
pub(super) async fn known(
    connection: &mut SqliteConnection,
    ids: &BTreeSet<&UserId>,
) -> Result<HashMap<UserId, KnownUser>, ApplyError> {
    let rows = sqlx::query(
        "SELECT wanted.value AS id, u.revision, t.deleted_at \
         FROM json_each(?) AS wanted \
         LEFT JOIN users AS u ON u.id = wanted.value \
         LEFT JOIN user_tombstones AS t ON t.id = wanted.value",
    )
    .bind(json_list(ids.iter().map(|id| id.as_str())))
    .fetch_all(connection)
    .await?;
    let mut known = HashMap::with_capacity(rows.len());
    for row in &rows {
        let reader = Reader::new("users", "", row);
        let id = reader.parse("id", UserId::parse)?;
        let reader = Reader::new("users", id.as_str(), row);
        let user = KnownUser {
            revision: reader
                .get::<Option<String>>("revision")?
                .map(Revision::from_stored),
            deleted_at: reader.optional_time("deleted_at")?,
        };
        known.insert(id, user);
    }
    Ok(known)
}

/// Writes what the batch does to users. Answers who was mended.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    fold: &UserFold<'_>,
    now: Timestamp,
) -> Result<BTreeMap<UserId, Outcome>, ApplyError> {
    let mirrored: Vec<Mirrored<'_>> = fold.mirrored.values().copied().collect();
    for users in mirrored.chunks(ROWS) {
        upsert(connection, users, NEWER, now).await?;
    }
    let mended = restate(connection, fold, now).await?;
    for (id, deleted_at) in &fold.deleted {
        sqlx::query("DELETE FROM users WHERE id = ?")
            .bind(id.as_str())
            .execute(&mut *connection)
            .await?;
        sqlx::query(
            "INSERT INTO user_tombstones (id, deleted_at, recorded_at) VALUES (?, ?, ?) \
             ON CONFLICT (id) DO UPDATE SET deleted_at = MIN(deleted_at, excluded.deleted_at)",
        )
        .bind(id.as_str())
        .bind(deleted_at.to_string())
        .bind(now.to_string())
        .execute(&mut *connection)
        .await?;
    }
    Ok(mended)
}

/// Writes the rows that are not as a replay tells.
async fn restate(
    connection: &mut SqliteConnection,
    fold: &UserFold<'_>,
    now: Timestamp,
) -> Result<BTreeMap<UserId, Outcome>, ApplyError> {
    if fold.restated.is_empty() {
        return Ok(BTreeMap::new());
    }
    let stand = standing_sources(connection, fold).await?;
    let restated = fold.restated.values();
    let restated: Vec<Mirrored<'_>> = restated
        .map(|Mirrored { user, source }| Mirrored {
            user,
            source: stand.get(&user.id).unwrap_or(source),
        })
        .collect();
    let mut mended = BTreeMap::new();
    for users in restated.chunks(ROWS) {
        let written = upsert(connection, users, DIFFERENT, now).await?;
        let ids = written.iter().filter_map(|id| UserId::parse(id));
        mended.extend(ids.map(|id| (id, Outcome::UserMirrored)));
    }
    Ok(mended)
}

/// The sources of the users to restate, where they did tell of the user: another source that tells of the
/// same state has no say in it.
async fn standing_sources(
    connection: &mut SqliteConnection,
    fold: &UserFold<'_>,
) -> Result<HashMap<UserId, SourceName>, ApplyError> {
    let rows = sqlx::query(
        "SELECT u.id, u.source FROM users AS u WHERE u.id IN (SELECT value FROM json_each(?)) \
         AND EXISTS (SELECT 1 FROM events AS e WHERE e.subject = u.id AND e.source = u.source)",
    )
    .bind(json_list(fold.restated.keys().map(|id| id.as_str())))
    .fetch_all(connection)
    .await?;
    let mut sources = HashMap::with_capacity(rows.len());
    for row in &rows {
        let id = Reader::new("users", "", row).parse("id", UserId::parse)?;
        let reader = Reader::new("users", id.as_str(), row);
        sources.insert(id.clone(), reader.parse("source", SourceName::parse)?);
    }
    Ok(sources)
}

/// The fold has decided already; the guard holds for whoever else may write.
const NEWER: &str = "excluded.revision > users.revision";
/// For who is restated: the revision is the same, and the row may be.
const DIFFERENT: &str = concat!(
    "excluded.revision = users.revision AND ",
    told!("users"),
    " IS NOT ",
    told!("excluded"),
);

/// Writes rows where there are none, or where `guard` holds. Answers whose it wrote.
async fn upsert(
    connection: &mut SqliteConnection,
    users: &[Mirrored<'_>],
    guard: &'static str,
    now: Timestamp,
) -> Result<Vec<String>, sqlx::Error> {
    let now = now.to_string();
    QueryBuilder::<Sqlite>::new(
        "INSERT INTO users (id, external_id, email, email_verified, phone, username, first_name, \
         last_name, image_url, locale, banned, locked, public_metadata, private_metadata, \
         unsafe_metadata, created_at, updated_at, last_sign_in_at, data, revision, synced_at, \
         source) ",
    )
    .push_values(users, |mut row, Mirrored { user, source }| {
        row.push_bind(user.id.as_str())
            .push_bind(user.external_id.as_deref())
            .push_bind(user.email.as_deref())
            .push_bind(user.email_verified)
            .push_bind(user.phone.as_deref())
            .push_bind(user.username.as_deref())
            .push_bind(user.first_name.as_deref())
            .push_bind(user.last_name.as_deref())
            .push_bind(user.image_url.as_deref())
            .push_bind(user.locale.as_deref())
            .push_bind(user.banned)
            .push_bind(user.locked)
            .push_bind(user.public_metadata.as_str())
            .push_bind(user.private_metadata.as_str())
            .push_bind(user.unsafe_metadata.as_str())
            .push_bind(user.created_at.map(|time| time.to_string()))
            .push_bind(user.updated_at.to_string())
            .push_bind(user.last_sign_in_at.map(|time| time.to_string()))
            .push_bind(user.data.as_str())
            .push_bind(user.revision.as_str())
            .push_bind(now.clone())
            .push_bind(source.as_str());
    })
    .push(
        " ON CONFLICT (id) DO UPDATE SET external_id = excluded.external_id, \
         email = excluded.email, email_verified = excluded.email_verified, \
         phone = excluded.phone, username = excluded.username, \
         first_name = excluded.first_name, last_name = excluded.last_name, \
         image_url = excluded.image_url, locale = excluded.locale, banned = excluded.banned, \
         locked = excluded.locked, public_metadata = excluded.public_metadata, \
         private_metadata = excluded.private_metadata, \
         unsafe_metadata = excluded.unsafe_metadata, created_at = excluded.created_at, \
         updated_at = excluded.updated_at, last_sign_in_at = excluded.last_sign_in_at, \
         data = excluded.data, revision = excluded.revision, synced_at = excluded.synced_at, \
         source = excluded.source WHERE ",
    )
    .push(guard)
    .push(" RETURNING id")
    .build_query_scalar()
    .fetch_all(connection)
    .await
}
