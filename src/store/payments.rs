//! Payments within a transaction: held, joined, written, and what follows from them for each user.
//!
//! Where there are several writers, each finds out what it touches, keeps that for itself, and looks
//! again: if there is more by now, it gives way and begins anew.

use std::collections::BTreeSet;

use super::fold::payments::PaymentFold;
use super::problem::ApplyError;
use super::related::{keys, of_users, related};
use super::tables::{Entitlements, Held, Tables};
use crate::model::entitlement::{self, Policy};
use crate::model::payment::{Fact, by_user};
use crate::model::time::Timestamp;
use crate::model::user::UserId;

/// Joins `incoming` facts, some of them `replayed`, with all that hangs together with them, with nobody
/// else writing any of it, nor what follows from it, nor these `deleted` users.
pub(super) async fn hold<'a>(
    tables: &mut dyn Tables,
    incoming: &[&Fact],
    replayed: &[&Fact],
    deleted: impl Iterator<Item = &'a UserId>,
) -> Result<PaymentFold, ApplyError> {
    let known = related(tables, incoming.iter().copied()).await?;
    let fold = PaymentFold::new(&known, incoming.iter().copied(), replayed);
    let mut keys = keys_of(&fold);
    keys.extend(deleted.map(key_of));
    if keys.is_empty() {
        return Ok(fold);
    }
    let held = tables.hold(&keys).await?;
    if held == Held::Alone || incoming.is_empty() {
        return Ok(fold);
    }
    let known = related(tables, incoming.iter().copied()).await?;
    let fold = PaymentFold::new(&known, incoming.iter().copied(), replayed);
    // With everyone kept away it may have grown: under load, giving way would never end.
    if held == Held::All || keys.is_superset(&keys_of(&fold)) {
        Ok(fold)
    } else {
        Err(ApplyError::Outgrown)
    }
}

fn keys_of(fold: &PaymentFold) -> BTreeSet<String> {
    let mut keys = keys(fold.facts());
    keys.extend(fold.affected.iter().map(key_of));
    keys
}

pub(super) fn key_of(user: &UserId) -> String {
    format!("user/{user}")
}

/// Writes the facts that changed and what follows for each user from all of theirs.
pub(super) async fn write<'f>(
    tables: &mut dyn Tables,
    fold: &'f PaymentFold,
    policy: Policy,
    now: Timestamp,
) -> Result<Entitlements<'f>, ApplyError> {
    for (kind, rows) in fold.rows() {
        tables.write_facts(kind, &rows).await?;
    }
    entitle(tables, &fold.affected, policy, now).await
}

/// Derives the entitlement of each of these users anew, from all that is stored, and writes it.
pub(super) async fn entitle<'u>(
    tables: &mut dyn Tables,
    users: &'u BTreeSet<UserId>,
    policy: Policy,
    now: Timestamp,
) -> Result<Entitlements<'u>, ApplyError> {
    let entitlements = judge(tables, users, policy).await?;
    if !entitlements.is_empty() {
        tables.write_entitlements(&entitlements, now).await?;
    }
    Ok(entitlements)
}

/// What all that is stored comes to for each of these users.
pub(super) async fn judge<'u>(
    tables: &mut dyn Tables,
    users: &'u BTreeSet<UserId>,
    policy: Policy,
) -> Result<Entitlements<'u>, ApplyError> {
    if users.is_empty() {
        return Ok(Entitlements::new());
    }
    let stored = of_users(tables, users).await?;
    let facts = by_user(&stored.facts, &stored.owners);
    let judged = users.iter().map(|user| {
        let facts = facts.get(user);
        (
            user,
            facts.and_then(|facts| entitlement::decide(facts, policy)),
        )
    });
    Ok(judged.collect())
}
