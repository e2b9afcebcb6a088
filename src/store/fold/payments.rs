//! Payment facts: joined in any order, attributed to users, turned into entitlements.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::entitlement::{self, Entitlement};
use crate::model::payment::{CheckoutSession, owners_of_customers, user_of};
use crate::model::user::UserId;

/// A session and the user it is attributed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Attributed {
    pub(in crate::store) session: CheckoutSession,
    pub(in crate::store) user: Option<UserId>,
}

/// Sessions by id.
pub(in crate::store) type Sessions = BTreeMap<String, Attributed>;

/// What a batch does to payment facts.
#[derive(Debug)]
pub(in crate::store) struct PaymentFold {
    sessions: Sessions,
    /// Sessions to write: new, or changed in fact or attribution.
    pub(in crate::store) changed: BTreeSet<String>,
    /// Sessions that had no user and have one now.
    pub(in crate::store) released: Vec<String>,
    /// Users whose set of facts changed: those who gained some and those who lost some.
    pub(in crate::store) affected: BTreeSet<UserId>,
}

impl PaymentFold {
    /// Joins `incoming` facts with `before`, which must hold every stored session that has the same
    /// id or the same customer as an incoming one, or as one of those.
    pub(in crate::store) fn new<'a>(
        before: Sessions,
        incoming: impl IntoIterator<Item = &'a CheckoutSession>,
    ) -> Self {
        let mut joined: BTreeMap<String, CheckoutSession> = before
            .iter()
            .map(|(id, known)| (id.clone(), known.session.clone()))
            .collect();
        for session in incoming {
            let merged = match joined.remove(&session.id) {
                Some(known) => known.merge(session.clone()),
                None => session.clone(),
            };
            joined.insert(merged.id.clone(), merged);
        }

        let owners = owners_of_customers(joined.values());
        let mut fold = Self {
            sessions: Sessions::new(),
            changed: BTreeSet::new(),
            released: Vec::new(),
            affected: BTreeSet::new(),
        };
        for (id, session) in joined {
            let user = user_of(&session, &owners).cloned();
            let now = Attributed { session, user };
            let known = before.get(&id);
            if known != Some(&now) {
                fold.affected.extend(now.user.clone());
                fold.affected
                    .extend(known.and_then(|known| known.user.clone()));
                if now.user.is_some() && known.is_some_and(|known| known.user.is_none()) {
                    fold.released.push(id.clone());
                }
                fold.changed.insert(id.clone());
            }
            fold.sessions.insert(id, now);
        }
        fold
    }

    /// The session after the batch.
    pub(in crate::store) fn session(&self, id: &str) -> Option<&Attributed> {
        self.sessions.get(id)
    }

    /// The entitlement of every affected user, given all sessions that are stored for them. `None`
    /// for a user who has no facts any more.
    pub(in crate::store) fn entitlements(
        &self,
        stored: Sessions,
    ) -> BTreeMap<&UserId, Option<Entitlement>> {
        let mut all = stored;
        all.extend(self.sessions.clone());
        self.affected
            .iter()
            .map(|user| {
                let of_user: Vec<CheckoutSession> = all
                    .values()
                    .filter(|known| known.user.as_ref() == Some(user))
                    .map(|known| known.session.clone())
                    .collect();
                (user, entitlement::decide(&of_user))
            })
            .collect()
    }
}
