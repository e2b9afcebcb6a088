//! What people and settings change about payments, outside any event.

use std::collections::BTreeSet;

use super::apply::{Tables, entitle, hold, key_of, write_payments};
use super::facts::Stored;
use super::fold::users::UserFold;
use super::problem::ApplyError;
use super::related::Selection;
use crate::model::entitlement::Policy;
use crate::model::payment::{
    Attribution, AttributionPreview, Fact, FactKind, NamedUser, Ownership,
};
use crate::model::time::Timestamp;
use crate::model::user::UserId;

/// A session or a subscription by its id, and whose it is.
async fn find(tables: &mut dyn Tables, id: &str) -> Result<Option<Stored>, ApplyError> {
    for kind in [FactKind::CheckoutSession, FactKind::Subscription] {
        let selection = Selection {
            kind,
            any_of: vec![("id", vec![id.to_owned()])],
        };
        if let Some(stored) = tables.read_facts(&selection).await?.pop() {
            return Ok(Some(stored));
        }
    }
    Ok(None)
}

/// Whose a session or a subscription is, and why.
pub(super) async fn ownership(
    tables: &mut dyn Tables,
    id: &str,
) -> Result<Option<Ownership>, ApplyError> {
    let Some(Stored { fact, owner }) = find(tables, id).await? else {
        return Ok(None);
    };
    let (named, given, customer) = match fact {
        Fact::CheckoutSession(fact) => (fact.named_user, fact.attributed_user, fact.customer),
        Fact::Subscription(fact) => (fact.named_user, fact.attributed_user, fact.customer),
        _ => return Ok(None),
    };
    Ok(Some(Ownership {
        owner,
        named: named.map(|named| named.id),
        given: given.map(|given| given.id),
        customer,
    }))
}

/// Gives a session or a subscription to a user, if it is still `from`'s; tells what changed by it.
pub(super) async fn attribute(
    tables: &mut dyn Tables,
    id: &str,
    user: &UserId,
    from: Option<&UserId>,
    policy: Policy,
    now: Timestamp,
) -> Result<(Attribution, AttributionPreview), ApplyError> {
    let nothing = AttributionPreview::default();
    let Some(Stored { mut fact, .. }) = find(tables, id).await? else {
        return Ok((Attribution::Unknown, nothing));
    };
    let given = Some(NamedUser {
        at: now,
        id: user.clone(),
    });
    match &mut fact {
        Fact::CheckoutSession(session) => session.attributed_user = given,
        Fact::Subscription(subscription) => subscription.attributed_user = given,
        _ => return Ok((Attribution::Unknown, nothing)),
    }
    let fold = hold(tables, &[&fact], std::iter::empty()).await?;
    let owner = find(tables, id).await?.and_then(|stored| stored.owner);
    if owner.as_ref() != from {
        return Ok((Attribution::OwnedBy(owner), nothing));
    }
    let entitlements = write_payments(tables, &fold, policy, now).await?;
    let users = UserFold::default();
    tables.write_outbox(&entitlements, &users, now).await?;
    tables.release(&fold.released, now).await?;
    let changes = AttributionPreview {
        moves: fold.moves.clone(),
        entitlements: entitlements
            .into_iter()
            .map(|(user, entitlement)| (user.clone(), entitlement))
            .collect(),
    };
    Ok((Attribution::Done, changes))
}

/// Derives the entitlements of these users anew.
pub(super) async fn reassess(
    tables: &mut dyn Tables,
    users: &BTreeSet<UserId>,
    policy: Policy,
    now: Timestamp,
) -> Result<(), ApplyError> {
    tables.hold(&users.iter().map(key_of).collect()).await?;
    let entitlements = entitle(tables, users, policy, now).await?;
    tables
        .write_outbox(&entitlements, &UserFold::default(), now)
        .await
}
