//! What people and settings change about payments, outside any event.

use std::collections::BTreeSet;
use std::time::Duration;

use super::facts::{Selection, Stored};
use super::fold::users::UserFold;
use super::payments::{self, entitle, hold, judge, key_of};
use super::problem::ApplyError;
use super::tables::{Causes, Tables};
use crate::model::entitlement::Policy;
use crate::model::operator::OperatorAction;
use crate::model::payment::{
    Attributed, Attribution, Fact, FactKind, NamedUser, Ownership, VerdictChange,
};
use crate::model::time::Timestamp;
use crate::model::user::UserId;

/// What times are told apart by.
const TICK: Duration = Duration::from_millis(1);

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

/// Gives a session or a subscription to a user, if it is still `from`'s, and records that; if it is a
/// dry run, only the record stays.
pub(super) async fn attribute(
    tables: &mut dyn Tables,
    id: &str,
    user: &UserId,
    from: Option<&UserId>,
    action: &OperatorAction,
    policy: Policy,
    now: Timestamp,
) -> Result<Attributed, ApplyError> {
    tables.begin_part().await?;
    let mut attributed = give(tables, id, user, from, policy, now).await?;
    if action.mode.is_dry_run() {
        tables.undo_part().await?;
    } else {
        tables.keep_part().await?;
    }
    if attributed.attribution == Attribution::Done {
        let moves = attributed.moves.len() as u64;
        attributed.action = Some(tables.record_action(action, moves, now).await?);
    }
    Ok(attributed)
}

async fn give(
    tables: &mut dyn Tables,
    id: &str,
    user: &UserId,
    from: Option<&UserId>,
    policy: Policy,
    now: Timestamp,
) -> Result<Attributed, ApplyError> {
    let not_done = Attributed::not_done;
    let Some(Stored { mut fact, .. }) = find(tables, id).await? else {
        return Ok(not_done(Attribution::Unknown));
    };
    let given = match &mut fact {
        Fact::CheckoutSession(session) => &mut session.attributed_user,
        Fact::Subscription(subscription) => &mut subscription.attributed_user,
        _ => return Ok(not_done(Attribution::Unknown)),
    };
    // The last word holds, so it is the later one, whatever the clock of this machine says.
    let after = given.as_ref().map(|given| given.at.plus(TICK));
    *given = Some(NamedUser {
        at: after.map_or(now, |after| after.max(now)),
        id: user.clone(),
    });
    let fold = hold(tables, &[&fact], &[], std::iter::empty()).await?;
    let owner = find(tables, id).await?.and_then(|stored| stored.owner);
    if owner.as_ref() != from {
        return Ok(not_done(Attribution::OwnedBy(owner)));
    }
    let mut before = judge(tables, &fold.affected, policy).await?;
    let entitlements = payments::write(tables, &fold, policy, now).await?;
    let users = UserFold::default();
    let causes = Causes::new();
    tables
        .write_outbox(&entitlements, &users, &causes, now)
        .await?;
    tables.release(&fold.released, now).await?;
    let verdicts = entitlements.into_iter().map(|(user, after)| VerdictChange {
        before: before.remove(user).flatten(),
        user: user.clone(),
        after,
    });
    Ok(Attributed {
        attribution: Attribution::Done,
        verdicts: verdicts.collect(),
        moves: fold.moves,
        action: None,
    })
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
        .write_outbox(&entitlements, &UserFold::default(), &Causes::new(), now)
        .await
}
