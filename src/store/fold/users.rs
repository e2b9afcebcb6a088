//! Users: the newest revision wins, and a tombstone is final.
//!
//! What was processed before is told again by a replay, in case the mirror lost it: then the row is looked
//! at, and not only its revision.

use std::collections::{BTreeMap, HashMap};

use crate::model::changes::Outcome;
use crate::model::source::SourceName;
use crate::model::time::Timestamp;
use crate::model::user::{Revision, User, UserId};

/// What the mirror knows of one user before the batch.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct KnownUser {
    pub(in crate::store) revision: Option<Revision>,
    pub(in crate::store) deleted_at: Option<Timestamp>,
}

/// A state of a user, and the source that told of it.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Mirrored<'a> {
    pub(in crate::store) user: &'a User,
    pub(in crate::store) source: &'a SourceName,
}

/// What the batch does to users. Keyed and ordered by id, so that concurrent writers that follow the
/// order do not deadlock.
#[derive(Debug, Default)]
pub(in crate::store) struct UserFold<'a> {
    known: HashMap<UserId, KnownUser>,
    /// Users to write: each has a newer revision than the mirror.
    pub(in crate::store) mirrored: BTreeMap<&'a UserId, Mirrored<'a>>,
    /// Users of whom a replay tells what the mirror should show: to write where it does not.
    pub(in crate::store) restated: BTreeMap<&'a UserId, Mirrored<'a>>,
    /// Users to remove, each with the earliest known time of its deletion.
    pub(in crate::store) deleted: BTreeMap<&'a UserId, Timestamp>,
}

impl<'a> UserFold<'a> {
    /// Starts from what the mirror knows of every user that the batch names.
    pub(in crate::store) fn new(known: HashMap<UserId, KnownUser>) -> Self {
        Self {
            known,
            mirrored: BTreeMap::new(),
            restated: BTreeMap::new(),
            deleted: BTreeMap::new(),
        }
    }

    /// Takes one state of a user in. Whoever told of it, its revision decides.
    pub(in crate::store) fn mirror(
        &mut self,
        mirrored: Mirrored<'a>,
        is_replayed: bool,
    ) -> Outcome {
        let Mirrored { user, .. } = mirrored;
        let known = self.known.entry(user.id.clone()).or_default();
        if known.deleted_at.is_some() {
            return Outcome::UserGone;
        }
        match known
            .revision
            .as_ref()
            .map(|known| user.revision.cmp(known))
        {
            Some(std::cmp::Ordering::Less) => Outcome::UserStale,
            Some(std::cmp::Ordering::Equal) => {
                if is_replayed && !self.mirrored.contains_key(&user.id) {
                    self.restated.entry(&user.id).or_insert(mirrored);
                }
                Outcome::UserUnchanged
            }
            Some(std::cmp::Ordering::Greater) | None => {
                known.revision = Some(user.revision.clone());
                self.restated.remove(&user.id);
                self.mirrored.insert(&user.id, mirrored);
                Outcome::UserMirrored
            }
        }
    }

    /// Takes a deletion in.
    pub(in crate::store) fn delete(
        &mut self,
        id: &'a UserId,
        deleted_at: Timestamp,
        is_replayed: bool,
    ) -> Outcome {
        let known = self.known.entry(id.clone()).or_default();
        let before = known.deleted_at;
        let earliest = before.map_or(deleted_at, |before| before.min(deleted_at));
        known.deleted_at = Some(earliest);
        let has_row = known.revision.take().is_some();
        self.mirrored.remove(id);
        self.restated.remove(id);
        if before != Some(earliest) || is_replayed {
            self.deleted.insert(id, earliest);
        }
        if before.is_some() && !(is_replayed && has_row) {
            Outcome::UserGone
        } else {
            Outcome::UserDeleted
        }
    }
}
