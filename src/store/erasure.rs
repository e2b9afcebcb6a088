//! Whose payloads are erased: a person's own, and those of the payments that hang together with it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;

use super::facts::Selection;
use super::fold::Grouped;
use super::fold::payments::{Attributed, PaymentFold};
use super::problem::ApplyError;
use super::related::of_users;
use super::tables::Tables;
use crate::model::changes::{Changes, Decision};
use crate::model::operator::OperatorAction;
use crate::model::payment::{Fact, FactKind};
use crate::model::retention::{Erasable, ErasableType, Erasure, Shared, Step};
use crate::model::time::Timestamp;
use crate::model::user::UserId;

/// How long after what a person's events are filed under was written down the second look comes.
/// Longer than any transaction may take: whoever recorded an event without seeing it has committed.
const SETTLED_AFTER: Duration = Duration::from_secs(300);
/// Persons whom one step looks at.
const PERSONS: u32 = 20;

/// A deleted person whose payloads are to go.
#[derive(Clone, Debug)]
pub(super) struct Departed {
    pub(super) id: UserId,
    /// Whether what its events are filed under was written down long enough ago.
    pub(super) is_settled: bool,
}

/// What erasing needs of the transaction that it belongs to.
#[async_trait]
pub(super) trait ErasureTables: Tables {
    /// Notes when the deletion of those was recorded of whom an earlier version did not: now.
    async fn note_deletions(&mut self, now: Timestamp) -> Result<(), ApplyError>;

    /// Persons deleted at `deleted_by` or earlier whose payloads were not looked for since `looked_at`,
    /// for nobody else to take at the same time.
    async fn departed(
        &mut self,
        deleted_by: Timestamp,
        looked_at: Timestamp,
        limit: u32,
    ) -> Result<Vec<Departed>, ApplyError>;

    /// Which of these users were deleted at `deleted_by` or earlier.
    async fn deleted_among(
        &mut self,
        users: &BTreeSet<UserId>,
        deleted_by: Timestamp,
    ) -> Result<BTreeSet<UserId>, ApplyError>;

    /// Writes down what a person's events are filed under; answers how much of it is new.
    async fn remember(
        &mut self,
        user: &UserId,
        names: &BTreeSet<String>,
    ) -> Result<u64, ApplyError>;

    /// Notes that payloads of this person were looked for, and whether none is left.
    async fn note_look(
        &mut self,
        user: &UserId,
        is_erased: bool,
        now: Timestamp,
    ) -> Result<(), ApplyError>;

    /// Counts the payloads filed under these names.
    async fn count_payloads(
        &mut self,
        names: &BTreeSet<String>,
    ) -> Result<Vec<ErasableType>, ApplyError>;

    /// Erases payloads filed under these names, `limit` at most; with `passing_by` not those that
    /// others are at work on.
    async fn erase_payloads(
        &mut self,
        names: &BTreeSet<String>,
        limit: u32,
        passing_by: bool,
        now: Timestamp,
    ) -> Result<u64, ApplyError>;

    /// Adds to what this sweep has done so far, or begins its line.
    async fn record_step(
        &mut self,
        action: &OperatorAction,
        events: u64,
        recorded_as: Option<i64>,
        now: Timestamp,
    ) -> Result<Option<i64>, ApplyError>;
}

/// One step of a sweep.
pub(super) async fn erase_deleted(
    tables: &mut dyn ErasureTables,
    deleted_by: Timestamp,
    limit: u32,
    action: &OperatorAction,
    recorded_as: Option<i64>,
    now: Timestamp,
) -> Result<Step, ApplyError> {
    tables.note_deletions(now).await?;
    let looked_at = now.minus(SETTLED_AFTER);
    let departed = tables.departed(deleted_by, looked_at, PERSONS).await?;
    let mut step = Step {
        more: !departed.is_empty(),
        ..Step::default()
    };
    for person in departed {
        let room = limit.saturating_sub(u32::try_from(step.events).unwrap_or(u32::MAX));
        if room == 0 {
            break;
        }
        let names = of_user(tables, &person.id, deleted_by).await?;
        let names: BTreeSet<String> = names.filed_under.into_iter().collect();
        let new = tables.remember(&person.id, &names).await?;
        let erased = tables.erase_payloads(&names, room, true, now).await?;
        step.events += erased;
        // Otherwise there may be more, and the next step begins with the same person.
        if erased < u64::from(room) {
            // What was passed by is still there.
            let is_erased = person.is_settled
                && erased == 0
                && new == 0
                && tables.count_payloads(&names).await?.is_empty();
            tables.note_look(&person.id, is_erased, now).await?;
        }
    }
    step.recorded_as = tables
        .record_step(action, step.events, recorded_as, now)
        .await?;
    Ok(step)
}

/// What an operator wants gone at once.
pub(super) async fn erase(
    tables: &mut dyn ErasureTables,
    subjects: &[String],
    action: &OperatorAction,
    now: Timestamp,
) -> Result<Erasure, ApplyError> {
    let mut erasure = Erasure {
        subjects: Vec::new(),
        types: Vec::new(),
        action: None,
    };
    for subject in subjects {
        let user = UserId::parse(subject).filter(UserId::is_clerk_form);
        erasure.subjects.push(match user {
            Some(user) => of_user(tables, &user, now).await?,
            None => Erasable {
                subject: subject.clone(),
                filed_under: vec![subject.clone()],
                shared: Vec::new(),
            },
        });
    }
    let names = erasure.subjects.iter();
    let names: BTreeSet<String> = names.flat_map(|of| of.filed_under.clone()).collect();
    erasure.types = tables.count_payloads(&names).await?;
    let matched: u64 = erasure.types.iter().map(|of| of.events).sum();
    if matched > 0 {
        if !action.mode.is_dry_run() {
            tables.erase_payloads(&names, u32::MAX, false, now).await?;
        }
        erasure.action = Some(tables.record_action(action, matched, now).await?);
    }
    Ok(erasure)
}

/// What a user's events are filed under. A customer counts as theirs alone if everyone else who has to
/// do with it was deleted at `deleted_by` or earlier.
async fn of_user(
    tables: &mut dyn ErasureTables,
    user: &UserId,
    deleted_by: Timestamp,
) -> Result<Erasable, ApplyError> {
    let own = of_users(tables, &BTreeSet::from([user.clone()]))
        .await?
        .facts;
    let mut names = BTreeSet::from([user.to_string()]);
    let mut customers = BTreeSet::new();
    for fact in own.iter() {
        names.insert(fact.id().to_owned());
        match fact {
            Fact::CheckoutSession(session) => {
                names.extend(session.payment_intent);
                customers.extend(session.customer);
            }
            Fact::Subscription(subscription) => customers.extend(subscription.customer),
            Fact::Invoice(invoice) => names.extend(invoice.payment_intent),
            _ => {}
        }
    }
    let named = BTreeSet::from([user.to_string()]);
    let selection = Selection::of(FactKind::Customer, &[("named_user_id", &named)]);
    let naming = tables.read_facts(&selection).await?;
    customers.extend(naming.iter().map(|row| row.fact.id().to_owned()));

    let mut others = others_of(tables, user, &customers).await?;
    let everyone = others.values().flatten().cloned().collect();
    let gone = tables.deleted_among(&everyone, deleted_by).await?;
    others.retain(|_, with| {
        with.retain(|other| !gone.contains(other));
        !with.is_empty()
    });
    customers.retain(|customer| !others.contains_key(customer));
    names.extend(customers);
    let shared = others.into_iter().map(|(customer, with)| Shared {
        customer,
        with: with.into_iter().collect(),
    });
    Ok(Erasable {
        subject: user.to_string(),
        filed_under: names.into_iter().collect(),
        shared: shared.collect(),
    })
}

/// Who else has to do with these customers: whom they name, and whose their sessions and subscriptions
/// are.
async fn others_of(
    tables: &mut dyn ErasureTables,
    user: &UserId,
    customers: &BTreeSet<String>,
) -> Result<BTreeMap<String, BTreeSet<UserId>>, ApplyError> {
    let mut found = Attributed::default();
    for (kind, column) in [
        (FactKind::CheckoutSession, "customer"),
        (FactKind::Subscription, "customer"),
        (FactKind::Customer, "id"),
    ] {
        let selection = Selection::of(kind, &[(column, customers)]);
        if !selection.any_of.is_empty() {
            found.extend(tables.read_facts(&selection).await?);
        }
    }
    let mut others: BTreeMap<String, BTreeSet<UserId>> = BTreeMap::new();
    for fact in found.facts.iter() {
        let (customer, owner) = match &fact {
            Fact::CheckoutSession(session) => (
                session.customer.as_ref(),
                found.owners.sessions.get(&session.id),
            ),
            Fact::Subscription(subscription) => (
                subscription.customer.as_ref(),
                found.owners.subscriptions.get(&subscription.id),
            ),
            Fact::Customer(customer) => (Some(&customer.id), Some(&customer.named_user.id)),
            _ => (None, None),
        };
        if let (Some(customer), Some(owner)) = (customer, owner)
            && owner != user
        {
            let with = others.entry(customer.clone()).or_default();
            with.insert(owner.clone());
        }
    }
    Ok(others)
}

/// Opens the matter of erased persons again about whom this batch has brought something to keep: an event,
/// or what one is about that could not be told before.
pub(super) async fn reopen(
    tables: &mut dyn Tables,
    groups: &[Grouped<'_>],
    payments: &PaymentFold,
) -> Result<(), ApplyError> {
    let mut about: BTreeSet<&str> = BTreeSet::new();
    for grouped in groups.iter().filter(|grouped| !grouped.is_duplicate()) {
        about.extend(grouped.planned.subject.as_deref());
        if let Decision::Apply(Changes::RecordPayment(fact)) = &grouped.planned.decision {
            about.insert(fact.id());
            if let Fact::Customer(customer) = &**fact {
                about.insert(customer.named_user.id.as_str());
            }
        }
    }
    if about.is_empty() {
        return Ok(());
    }
    about.extend(payments.affected.iter().map(UserId::as_str));
    tables.reopen_erasures(&about).await
}
