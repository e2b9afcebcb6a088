//! `users` and `user_tombstones`.
//!
//! A mirrorer and a deleter of one user meet at the user's key, which both insert first: the second
//! waits there for the first to commit. Whoever comes second looks for a tombstone afterwards, with a
//! statement of its own, which sees what the first has committed. So whichever is second, the row is
//! gone in the end.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use sqlx::PgConnection;

use super::super::fold::users::{KnownUser, Mirrored, UserFold};
use super::super::problem::ApplyError;
use super::rows::{Reader, column, stored};
use crate::model::changes::Outcome;
use crate::model::source::SourceName;
use crate::model::time::Timestamp;
use crate::model::user::{Revision, User, UserId};

/// A user to write, and the source that told of it.
type Row<'a> = (&'a User, Option<&'a SourceName>);

/// All that an event tells of a user, as it is compared: JSON as it came has no equality.
macro_rules! told {
    ($of:literal) => {
        told!(@ $of, ["external_id", "email", "email_verified", "phone", "username", "first_name",
            "last_name", "image_url", "locale", "banned", "locked", "public_metadata",
            "private_metadata", "unsafe_metadata", "created_at", "updated_at", "last_sign_in_at",
            "source"])
    };
    (@ $of:literal, [$($column:literal),+]) => {
        concat!("(", $($of, ".", $column, ", ",)+ $of, ".data::text)")
    };
}

/// What the mirror knows of these users.
pub(super) async fn known(
    connection: &mut PgConnection,
    ids: &BTreeSet<&UserId>,
) -> Result<HashMap<UserId, KnownUser>, ApplyError> {
    let rows = sqlx::query(
        "SELECT wanted.id, u.revision, t.deleted_at FROM UNNEST($1::text[]) AS wanted(id) \
         LEFT JOIN users AS u ON u.id = wanted.id \
         LEFT JOIN user_tombstones AS t ON t.id = wanted.id",
    )
    .bind(ids.iter().map(|id| id.as_str()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    let mut known = HashMap::with_capacity(rows.len());
    for row in &rows {
        let id = Reader::new("users", "", row).parse("id", UserId::parse)?;
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

/// Writes what the batch does to users. Answers who was not mirrored after all, and who was mended.
pub(super) async fn write(
    connection: &mut PgConnection,
    fold: &UserFold<'_>,
    now: Timestamp,
) -> Result<BTreeMap<UserId, Outcome>, ApplyError> {
    // One statement for those who come and those who go: it locks the keys of all in their order.
    let placeholders: Vec<User> = fold.deleted.keys().map(|id| placeholder(id, now)).collect();
    let stand = standing_sources(connection, fold).await?;
    let mirrored = fold.mirrored.values();
    let mirrored = mirrored.map(|Mirrored { user, source }| (*user, Some(*source)));
    let restated = fold.restated.values();
    let restated = restated.map(|Mirrored { user, source }| {
        let source = stand.get(&user.id).unwrap_or(source);
        (*user, Some(source))
    });
    let mut rows: Vec<Row<'_>> = mirrored
        .chain(restated)
        .chain(placeholders.iter().map(|user| (user, None)))
        .collect();
    if rows.is_empty() {
        return Ok(BTreeMap::new());
    }
    rows.sort_unstable_by_key(|(user, _)| &user.id);
    let written = upsert(connection, &rows, fold, now).await?;
    if !fold.deleted.is_empty() {
        bury(connection, fold, now).await?;
    }
    let gone = remove_buried(connection, &rows).await?;

    let outcome = |id: &UserId| {
        if gone.contains(id.as_str()) {
            Some(Outcome::UserGone)
        } else if written.contains(id.as_str()) {
            None
        } else {
            Some(Outcome::UserStale)
        }
    };
    let mended = |id: &UserId| {
        if gone.contains(id.as_str()) {
            Some(Outcome::UserGone)
        } else {
            let is_mended = written.contains(id.as_str());
            is_mended.then_some(Outcome::UserMirrored)
        }
    };
    let mirrored = fold.mirrored.keys();
    let mirrored = mirrored.filter_map(|id| Some(((*id).clone(), outcome(id)?)));
    let restated = fold.restated.keys();
    let restated = restated.filter_map(|id| Some(((*id).clone(), mended(id)?)));
    Ok(mirrored.chain(restated).collect())
}

/// The sources of the users to restate, where they did tell of the user: another source that tells of the
/// same state has no say in it.
async fn standing_sources(
    connection: &mut PgConnection,
    fold: &UserFold<'_>,
) -> Result<HashMap<UserId, SourceName>, ApplyError> {
    if fold.restated.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query(
        "SELECT u.id, u.source FROM users AS u WHERE u.id = ANY($1) AND EXISTS (\
         SELECT 1 FROM events AS e WHERE e.subject = u.id AND e.source = u.source)",
    )
    .bind(
        fold.restated
            .keys()
            .map(|id| id.as_str())
            .collect::<Vec<_>>(),
    )
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

/// Takes the key of a user who is about to go, where there is no row; nobody else ever sees it. Its
/// revision comes before all others, so that it replaces no row, but locks it.
fn placeholder(id: &UserId, now: Timestamp) -> User {
    let nothing = || "{}".to_owned();
    User {
        id: id.clone(),
        revision: Revision::from_stored(String::new()),
        external_id: None,
        email: None,
        email_verified: false,
        phone: None,
        username: None,
        first_name: None,
        last_name: None,
        image_url: None,
        locale: None,
        banned: false,
        locked: false,
        public_metadata: nothing(),
        private_metadata: nothing(),
        unsafe_metadata: nothing(),
        created_at: None,
        updated_at: now,
        last_sign_in_at: None,
        data: nothing(),
    }
}

/// Answers whose row it wrote; the others have a newer one, or the same. What has the same revision is
/// compared only if it is restated.
async fn upsert(
    connection: &mut PgConnection,
    rows: &[Row<'_>],
    fold: &UserFold<'_>,
    now: Timestamp,
) -> Result<HashSet<String>, sqlx::Error> {
    let written: Vec<String> = sqlx::query_scalar(concat!(
        "INSERT INTO users (id, external_id, email, email_verified, phone, username, first_name, \
         last_name, image_url, locale, banned, locked, public_metadata, private_metadata, \
         unsafe_metadata, created_at, updated_at, last_sign_in_at, data, revision, synced_at, \
         source) \
         SELECT u.id, u.external_id, u.email, u.email_verified, u.phone, u.username, \
         u.first_name, u.last_name, u.image_url, u.locale, u.banned, u.locked, \
         u.public_metadata::jsonb, u.private_metadata::jsonb, u.unsafe_metadata::jsonb, \
         u.created_at, u.updated_at, u.last_sign_in_at, u.data::json, u.revision, $22, u.source \
         FROM UNNEST($1::text[], $2::text[], $3::text[], $4::boolean[], $5::text[], $6::text[], \
         $7::text[], $8::text[], $9::text[], $10::text[], $11::boolean[], $12::boolean[], \
         $13::text[], $14::text[], $15::text[], $16::timestamptz[], $17::timestamptz[], \
         $18::timestamptz[], $19::text[], $20::text[], $21::text[]) \
         AS u(id, external_id, email, email_verified, phone, username, first_name, last_name, \
         image_url, locale, banned, locked, public_metadata, private_metadata, unsafe_metadata, \
         created_at, updated_at, last_sign_in_at, data, revision, source) \
         ORDER BY u.id COLLATE \"C\" \
         ON CONFLICT (id) DO UPDATE SET external_id = excluded.external_id, \
         email = excluded.email, email_verified = excluded.email_verified, \
         phone = excluded.phone, username = excluded.username, \
         first_name = excluded.first_name, last_name = excluded.last_name, \
         image_url = excluded.image_url, locale = excluded.locale, banned = excluded.banned, \
         locked = excluded.locked, public_metadata = excluded.public_metadata, \
         private_metadata = excluded.private_metadata, \
         unsafe_metadata = excluded.unsafe_metadata, created_at = excluded.created_at, \
         updated_at = excluded.updated_at, last_sign_in_at = excluded.last_sign_in_at, \
         data = excluded.data, revision = excluded.revision, synced_at = excluded.synced_at, \
         source = excluded.source \
         WHERE excluded.revision > users.revision \
         OR (excluded.id = ANY($23) AND excluded.revision = users.revision AND ",
        told!("users"),
        " IS DISTINCT FROM ",
        told!("excluded"),
        ") RETURNING id",
    ))
    .bind(column(rows, |(user, _)| user.id.as_str()))
    .bind(column(rows, |(user, _)| user.external_id.as_deref()))
    .bind(column(rows, |(user, _)| user.email.as_deref()))
    .bind(column(rows, |(user, _)| user.email_verified))
    .bind(column(rows, |(user, _)| user.phone.as_deref()))
    .bind(column(rows, |(user, _)| user.username.as_deref()))
    .bind(column(rows, |(user, _)| user.first_name.as_deref()))
    .bind(column(rows, |(user, _)| user.last_name.as_deref()))
    .bind(column(rows, |(user, _)| user.image_url.as_deref()))
    .bind(column(rows, |(user, _)| user.locale.as_deref()))
    .bind(column(rows, |(user, _)| user.banned))
    .bind(column(rows, |(user, _)| user.locked))
    .bind(column(rows, |(user, _)| user.public_metadata.as_str()))
    .bind(column(rows, |(user, _)| user.private_metadata.as_str()))
    .bind(column(rows, |(user, _)| user.unsafe_metadata.as_str()))
    .bind(column(rows, |(user, _)| user.created_at.map(stored)))
    .bind(column(rows, |(user, _)| stored(user.updated_at)))
    .bind(column(rows, |(user, _)| user.last_sign_in_at.map(stored)))
    .bind(column(rows, |(user, _)| user.data.as_str()))
    .bind(column(rows, |(user, _)| user.revision.as_str()))
    .bind(column(rows, |(_, source)| source.map(SourceName::as_str)))
    .bind(stored(now))
    .bind(
        fold.restated
            .keys()
            .map(|id| id.as_str())
            .collect::<Vec<_>>(),
    )
    .fetch_all(connection)
    .await?;
    Ok(written.into_iter().collect())
}

async fn bury(
    connection: &mut PgConnection,
    fold: &UserFold<'_>,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let deleted: Vec<(&&UserId, &Timestamp)> = fold.deleted.iter().collect();
    sqlx::query(
        "INSERT INTO user_tombstones (id, deleted_at, recorded_at) \
         SELECT t.id, t.deleted_at, $3 FROM UNNEST($1::text[], $2::timestamptz[]) AS t(id, deleted_at) \
         ORDER BY t.id COLLATE \"C\" \
         ON CONFLICT (id) DO UPDATE \
         SET deleted_at = LEAST(user_tombstones.deleted_at, excluded.deleted_at)",
    )
    .bind(column(&deleted, |(id, _)| id.as_str()))
    .bind(column(&deleted, |(_, deleted_at)| stored(**deleted_at)))
    .bind(stored(now))
    .execute(connection)
    .await?;
    Ok(())
}

/// Removes those of our rows that have a tombstone, ours or another writer's.
async fn remove_buried(
    connection: &mut PgConnection,
    rows: &[Row<'_>],
) -> Result<HashSet<String>, sqlx::Error> {
    let gone: Vec<String> = sqlx::query_scalar(
        "DELETE FROM users USING user_tombstones AS t \
         WHERE t.id = users.id AND users.id = ANY($1) RETURNING users.id",
    )
    .bind(column(rows, |(user, _)| user.id.as_str()))
    .fetch_all(connection)
    .await?;
    Ok(gone.into_iter().collect())
}
