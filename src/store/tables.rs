//! What an engine has to be able to do for [`apply`](super::apply): rows in, rows out.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;

use super::facts::{Selection, Stored};
use super::fold::failures::FailureFold;
use super::fold::users::{KnownUser, UserFold};
use super::fold::{Grouped, LedgerHead, OpenReplay, OpenReplays};
use super::problem::ApplyError;
use super::replays::Settled;
use super::shelf::{Rows, Shelf};
use crate::model::changes::{Outcome, Planned};
use crate::model::entitlement::Entitlement;
use crate::model::event::EventKey;
use crate::model::operator::{ActionRecord, OperatorAction};
use crate::model::payment::FactKind;
use crate::model::source::SourceName;
use crate::model::time::Timestamp;
use crate::model::trace::TraceContext;
use crate::model::user::UserId;

/// Entitlements by user; `None` for a user who has no facts any more.
pub(super) type Entitlements<'a> = BTreeMap<&'a UserId, Option<Entitlement>>;

/// For each user whose payments a batch is about, the trace of the last event that was.
pub(super) type Causes<'a> = BTreeMap<&'a UserId, TraceContext>;

/// Whom keys are held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// There is no other writer, and there was none since the transaction began.
    Alone,
    /// Whoever wants one of the same keys, and may have had it since the transaction began.
    These,
    /// Everyone, whatever they want; they may have written since the transaction began.
    All,
}

/// The rows that a batch touches, read and written in the one transaction that this belongs to.
#[async_trait]
pub(super) trait Tables: Send {
    /// Begins a part that can be undone. Parts do not nest.
    async fn begin_part(&mut self) -> Result<(), ApplyError>;
    /// Keeps what the part wrote.
    async fn keep_part(&mut self) -> Result<(), ApplyError>;
    /// Undoes what the part wrote, after an error too.
    async fn undo_part(&mut self) -> Result<(), ApplyError>;

    /// Whether this only looks at what a replay of all that comes would do.
    fn is_preview(&self) -> bool {
        false
    }

    /// What is open of the replays that the batch names; nobody else settles or cancels it until the
    /// transaction ends. To be called before anything else is locked.
    async fn open_replays(&mut self, batch: &[Planned]) -> Result<OpenReplays, ApplyError>;

    /// What the ledger knows of the events of a batch.
    async fn ledger_heads(
        &mut self,
        batch: &[Planned],
    ) -> Result<HashMap<EventKey, LedgerHead>, ApplyError>;

    /// The sources whose events are put aside, as far as that is committed.
    async fn paused_sources(&mut self) -> Result<BTreeSet<SourceName>, ApplyError>;

    /// Reads stored facts.
    async fn read_facts(&mut self, selection: &Selection) -> Result<Vec<Stored>, ApplyError>;

    /// Reads rows as they lie in their table, for who compares them.
    async fn read_rows(
        &mut self,
        shelf: &'static Shelf,
        keys: &[String],
    ) -> Result<Rows, ApplyError>;

    /// Until the transaction ends, nobody else holds any of these keys.
    async fn hold(&mut self, keys: &BTreeSet<String>) -> Result<Held, ApplyError>;

    /// What the mirror knows of these users.
    async fn known_users(
        &mut self,
        ids: &BTreeSet<&UserId>,
    ) -> Result<HashMap<UserId, KnownUser>, ApplyError>;

    /// Writes what the batch does to users. Answers what became of users where that differs from what the
    /// fold says: another writer has changed them since they were read, or what was restated was not
    /// so.
    async fn write_users(
        &mut self,
        fold: &UserFold<'_>,
        now: Timestamp,
    ) -> Result<BTreeMap<UserId, Outcome>, ApplyError>;

    /// Writes facts of one kind, each with all that is known of it, ordered by id.
    async fn write_facts(&mut self, kind: FactKind, rows: &[Stored]) -> Result<(), ApplyError>;

    /// Writes the entitlements of the affected users; who has no facts any more has none.
    async fn write_entitlements(
        &mut self,
        entitlements: &Entitlements<'_>,
        now: Timestamp,
    ) -> Result<(), ApplyError>;

    /// Makes the metadata that follows from these entitlements the desired one, and notes the trace
    /// that led to it. Then lets the outbox
    /// follow the users: deleted ones need no metadata, and one who appears after Clerk did not know
    /// it is worth another attempt.
    async fn write_outbox(
        &mut self,
        entitlements: &Entitlements<'_>,
        users: &UserFold<'_>,
        causes: &Causes<'_>,
        now: Timestamp,
    ) -> Result<(), ApplyError>;

    /// Writes the row of each event, and an attempt where it did not simply succeed at once.
    async fn write_ledger(
        &mut self,
        groups: &[Grouped<'_>],
        outcomes: &[Outcome],
        now: Timestamp,
    ) -> Result<(), ApplyError>;

    /// Counts failed attempts in their groups. The last that a batch writes.
    async fn count_failures(
        &mut self,
        failures: &FailureFold,
        now: Timestamp,
    ) -> Result<(), ApplyError>;

    /// Records what an operator asked for, which was so much; what was changed of it depends on whether
    /// it is a dry run.
    async fn record_action(
        &mut self,
        action: &OperatorAction,
        matched: u64,
        now: Timestamp,
    ) -> Result<ActionRecord, ApplyError>;

    /// Opens the matter of persons again who count as erased and whom one of these names is about.
    async fn reopen_erasures(&mut self, about: &BTreeSet<&str>) -> Result<(), ApplyError>;

    /// Marks the events about these subjects that waited for their user as applied.
    async fn release(&mut self, subjects: &[String], now: Timestamp) -> Result<(), ApplyError>;

    /// Settles events of replays, and lets those go that waited for them.
    async fn settle_replays(
        &mut self,
        settled: &[Settled<'_>],
        now: Timestamp,
    ) -> Result<(), ApplyError>;

    /// Lets these go onto the queue again, when their source is resumed.
    async fn put_back_replays(&mut self, open: &[OpenReplay]) -> Result<(), ApplyError>;
}
