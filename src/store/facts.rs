//! Payment facts as rows: one table for each kind, the same in every engine.
//!
//! An engine moves [`Cell`]s and reads [`Columns`]; what they mean is written here once.

use std::collections::BTreeSet;

use super::StoreError;
use crate::model::payment::{
    Charge, CheckoutSession, Customer, Dispute, DisputeStatus, Fact, FactKind, Invoice,
    InvoiceStatus, NamedUser, PaymentStatus, Refund, RefundStatus, SessionStatus, Subscription,
    SubscriptionStatus,
};
use crate::model::time::Timestamp;
use crate::model::user::UserId;

/// A fact and whose it is. Only sessions and subscriptions have an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) fact: Fact,
    pub(super) owner: Option<UserId>,
}

/// Rows of one kind in which one of these columns has one of these values.
#[derive(Debug)]
pub(super) struct Selection {
    pub(super) kind: FactKind,
    pub(super) any_of: Vec<(&'static str, Vec<String>)>,
}

impl Selection {
    /// Columns without values select nothing.
    pub(super) fn of(kind: FactKind, any_of: &[(&'static str, &BTreeSet<String>)]) -> Self {
        let any_of = any_of.iter().filter(|(_, values)| !values.is_empty());
        Self {
            kind,
            any_of: any_of
                .map(|(column, values)| (*column, values.iter().cloned().collect()))
                .collect(),
        }
    }
}

/// The value of one column of one row.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    Text(Option<String>),
    Integer(Option<i64>),
    Flag(bool),
    Time(Option<Timestamp>),
}

/// One row, whichever engine it comes from. A value that this program does not write is an error that
/// names its place.
pub(super) trait Columns {
    fn text(&self, column: &'static str) -> Result<Option<String>, StoreError>;
    fn integer(&self, column: &'static str) -> Result<Option<i64>, StoreError>;
    fn flag(&self, column: &'static str) -> Result<bool, StoreError>;
    fn point_in_time(&self, column: &'static str) -> Result<Option<Timestamp>, StoreError>;
    fn inconsistent(&self, column: &'static str) -> StoreError;
}

/// The table of one kind of fact.
pub(super) const fn table(kind: FactKind) -> &'static str {
    match kind {
        FactKind::CheckoutSession => "checkout_sessions",
        FactKind::Subscription => "subscriptions",
        FactKind::Invoice => "invoices",
        FactKind::Charge => "charges",
        FactKind::Refund => "refunds",
        FactKind::Dispute => "disputes",
        FactKind::Customer => "customers",
    }
}

/// The columns of that table. Named in full: a server refuses a statement that it knows when a newer
/// version of this program adds a column to what `*` stands for.
pub(super) const fn columns(kind: FactKind) -> &'static str {
    match kind {
        FactKind::CheckoutSession => {
            "id, user_id, named_user_id, named_at, attributed_user_id, attributed_at, customer, \
             payment_intent, subscription, mode, status, payment, amount_total, currency, livemode, \
             created_at, updated_at"
        }
        FactKind::Subscription => {
            "id, user_id, named_user_id, named_at, attributed_user_id, attributed_at, customer, \
             status, cancel_at_period_end, cancel_at, current_period_end, livemode, created_at, \
             updated_at"
        }
        FactKind::Invoice => {
            "id, subscription, payment_intent, billing_reason, status, amount_paid, currency, \
             livemode, created_at, updated_at"
        }
        FactKind::Charge => {
            "id, payment_intent, amount, amount_refunded, currency, livemode, created_at, updated_at"
        }
        FactKind::Refund => {
            "id, payment_intent, charge, amount, currency, status, livemode, created_at, updated_at"
        }
        FactKind::Dispute => {
            "id, payment_intent, charge, amount, currency, reason, status, livemode, created_at, \
             updated_at"
        }
        FactKind::Customer => "id, named_user_id, named_at",
    }
}

/// A row, column by column; the columns of one kind are always the same, in the same order. The
/// first is `id`.
pub(super) fn cells(stored: &Stored) -> Vec<(&'static str, Cell)> {
    match &stored.fact {
        Fact::CheckoutSession(fact) => {
            let (named, given) = (&fact.named_user, &fact.attributed_user);
            let mut cells = owned(&fact.id, stored.owner.as_ref(), named, given);
            cells.extend([
                ("customer", text(fact.customer.as_deref())),
                ("payment_intent", text(fact.payment_intent.as_deref())),
                ("subscription", text(fact.subscription.as_deref())),
                ("mode", text(fact.mode.as_deref())),
                ("status", known(fact.status.as_str())),
                ("payment", known(fact.payment.as_str())),
                ("amount_total", Cell::Integer(fact.amount_total)),
                ("currency", text(fact.currency.as_deref())),
                ("livemode", Cell::Flag(fact.livemode)),
                ("created_at", time(fact.created_at)),
                ("updated_at", time(fact.updated_at)),
            ]);
            cells
        }
        Fact::Subscription(fact) => {
            let (named, given) = (&fact.named_user, &fact.attributed_user);
            let mut cells = owned(&fact.id, stored.owner.as_ref(), named, given);
            cells.extend([
                ("customer", text(fact.customer.as_deref())),
                ("status", known(fact.status.as_str())),
                (
                    "cancel_at_period_end",
                    Cell::Flag(fact.cancel_at_period_end),
                ),
                ("cancel_at", Cell::Time(fact.cancel_at)),
                ("current_period_end", Cell::Time(fact.current_period_end)),
                ("livemode", Cell::Flag(fact.livemode)),
                ("created_at", time(fact.created_at)),
                ("updated_at", time(fact.updated_at)),
            ]);
            cells
        }
        Fact::Invoice(fact) => vec![
            ("id", known(&fact.id)),
            ("subscription", text(fact.subscription.as_deref())),
            ("payment_intent", text(fact.payment_intent.as_deref())),
            ("billing_reason", text(fact.billing_reason.as_deref())),
            ("status", known(fact.status.as_str())),
            ("amount_paid", Cell::Integer(fact.amount_paid)),
            ("currency", text(fact.currency.as_deref())),
            ("livemode", Cell::Flag(fact.livemode)),
            ("created_at", time(fact.created_at)),
            ("updated_at", time(fact.updated_at)),
        ],
        Fact::Charge(fact) => vec![
            ("id", known(&fact.id)),
            ("payment_intent", text(fact.payment_intent.as_deref())),
            ("amount", Cell::Integer(Some(fact.amount))),
            ("amount_refunded", Cell::Integer(Some(fact.amount_refunded))),
            ("currency", text(fact.currency.as_deref())),
            ("livemode", Cell::Flag(fact.livemode)),
            ("created_at", time(fact.created_at)),
            ("updated_at", time(fact.updated_at)),
        ],
        Fact::Refund(fact) => vec![
            ("id", known(&fact.id)),
            ("payment_intent", text(fact.payment_intent.as_deref())),
            ("charge", text(fact.charge.as_deref())),
            ("amount", Cell::Integer(Some(fact.amount))),
            ("currency", text(fact.currency.as_deref())),
            ("status", known(fact.status.as_str())),
            ("livemode", Cell::Flag(fact.livemode)),
            ("created_at", time(fact.created_at)),
            ("updated_at", time(fact.updated_at)),
        ],
        Fact::Dispute(fact) => vec![
            ("id", known(&fact.id)),
            ("payment_intent", text(fact.payment_intent.as_deref())),
            ("charge", text(fact.charge.as_deref())),
            ("amount", Cell::Integer(fact.amount)),
            ("currency", text(fact.currency.as_deref())),
            ("reason", text(fact.reason.as_deref())),
            ("status", known(fact.status.as_str())),
            ("livemode", Cell::Flag(fact.livemode)),
            ("created_at", time(fact.created_at)),
            ("updated_at", time(fact.updated_at)),
        ],
        Fact::Customer(fact) => vec![
            ("id", known(&fact.id)),
            ("named_user_id", known(fact.named_user.id.as_str())),
            ("named_at", time(fact.named_user.at)),
        ],
    }
}

fn known(value: &str) -> Cell {
    Cell::Text(Some(value.to_owned()))
}

fn text(value: Option<&str>) -> Cell {
    Cell::Text(value.map(ToOwned::to_owned))
}

fn time(value: Timestamp) -> Cell {
    Cell::Time(Some(value))
}

/// What the row of a session or a subscription begins with: whose it is, and who says so.
fn owned(
    id: &str,
    owner: Option<&UserId>,
    named: &Option<NamedUser>,
    given: &Option<NamedUser>,
) -> Vec<(&'static str, Cell)> {
    let user = |by: &Option<NamedUser>| text(by.as_ref().map(|by| by.id.as_str()));
    let since = |by: &Option<NamedUser>| Cell::Time(by.as_ref().map(|by| by.at));
    vec![
        ("id", known(id)),
        ("user_id", text(owner.map(UserId::as_str))),
        ("named_user_id", user(named)),
        ("named_at", since(named)),
        ("attributed_user_id", user(given)),
        ("attributed_at", since(given)),
    ]
}

/// Reads one row of the table of this kind, all columns.
pub(super) fn read(kind: FactKind, row: &dyn Columns) -> Result<Stored, StoreError> {
    let mut owner = None;
    let fact = match kind {
        FactKind::CheckoutSession => {
            owner = read_user(row, "user_id")?;
            Fact::CheckoutSession(CheckoutSession {
                id: required(row, "id")?,
                named_user: read_named(row, "named_user_id", "named_at")?,
                attributed_user: read_named(row, "attributed_user_id", "attributed_at")?,
                customer: row.text("customer")?,
                payment_intent: row.text("payment_intent")?,
                subscription: row.text("subscription")?,
                mode: row.text("mode")?,
                status: word(row, "status", SessionStatus::parse)?,
                payment: word(row, "payment", PaymentStatus::parse)?,
                amount_total: row.integer("amount_total")?,
                currency: row.text("currency")?,
                livemode: row.flag("livemode")?,
                created_at: required_time(row, "created_at")?,
                updated_at: required_time(row, "updated_at")?,
            })
        }
        FactKind::Subscription => {
            owner = read_user(row, "user_id")?;
            Fact::Subscription(Subscription {
                id: required(row, "id")?,
                named_user: read_named(row, "named_user_id", "named_at")?,
                attributed_user: read_named(row, "attributed_user_id", "attributed_at")?,
                customer: row.text("customer")?,
                status: word(row, "status", SubscriptionStatus::parse)?,
                cancel_at_period_end: row.flag("cancel_at_period_end")?,
                cancel_at: row.point_in_time("cancel_at")?,
                current_period_end: row.point_in_time("current_period_end")?,
                livemode: row.flag("livemode")?,
                created_at: required_time(row, "created_at")?,
                updated_at: required_time(row, "updated_at")?,
            })
        }
        FactKind::Invoice => Fact::Invoice(Invoice {
            id: required(row, "id")?,
            subscription: row.text("subscription")?,
            payment_intent: row.text("payment_intent")?,
            billing_reason: row.text("billing_reason")?,
            status: word(row, "status", InvoiceStatus::parse)?,
            amount_paid: row.integer("amount_paid")?,
            currency: row.text("currency")?,
            livemode: row.flag("livemode")?,
            created_at: required_time(row, "created_at")?,
            updated_at: required_time(row, "updated_at")?,
        }),
        FactKind::Charge => Fact::Charge(Charge {
            id: required(row, "id")?,
            payment_intent: row.text("payment_intent")?,
            amount: required_integer(row, "amount")?,
            amount_refunded: required_integer(row, "amount_refunded")?,
            currency: row.text("currency")?,
            livemode: row.flag("livemode")?,
            created_at: required_time(row, "created_at")?,
            updated_at: required_time(row, "updated_at")?,
        }),
        FactKind::Refund => Fact::Refund(Refund {
            id: required(row, "id")?,
            payment_intent: row.text("payment_intent")?,
            charge: row.text("charge")?,
            amount: required_integer(row, "amount")?,
            currency: row.text("currency")?,
            status: word(row, "status", RefundStatus::parse)?,
            livemode: row.flag("livemode")?,
            created_at: required_time(row, "created_at")?,
            updated_at: required_time(row, "updated_at")?,
        }),
        FactKind::Dispute => Fact::Dispute(Dispute {
            id: required(row, "id")?,
            payment_intent: row.text("payment_intent")?,
            charge: row.text("charge")?,
            amount: row.integer("amount")?,
            currency: row.text("currency")?,
            reason: row.text("reason")?,
            status: word(row, "status", DisputeStatus::parse)?,
            livemode: row.flag("livemode")?,
            created_at: required_time(row, "created_at")?,
            updated_at: required_time(row, "updated_at")?,
        }),
        FactKind::Customer => Fact::Customer(Customer {
            id: required(row, "id")?,
            named_user: read_named(row, "named_user_id", "named_at")?
                .ok_or_else(|| row.inconsistent("named_user_id"))?,
        }),
    };
    Ok(Stored { fact, owner })
}

fn required(row: &dyn Columns, column: &'static str) -> Result<String, StoreError> {
    row.text(column)?.ok_or_else(|| row.inconsistent(column))
}

fn required_integer(row: &dyn Columns, column: &'static str) -> Result<i64, StoreError> {
    row.integer(column)?.ok_or_else(|| row.inconsistent(column))
}

fn required_time(row: &dyn Columns, column: &'static str) -> Result<Timestamp, StoreError> {
    row.point_in_time(column)?
        .ok_or_else(|| row.inconsistent(column))
}

fn word<T>(
    row: &dyn Columns,
    column: &'static str,
    parse: fn(&str) -> Option<T>,
) -> Result<T, StoreError> {
    parse(&required(row, column)?).ok_or_else(|| row.inconsistent(column))
}

fn read_user(row: &dyn Columns, column: &'static str) -> Result<Option<UserId>, StoreError> {
    row.text(column)?
        .map(|id| UserId::parse(&id).ok_or_else(|| row.inconsistent(column)))
        .transpose()
}

fn read_named(
    row: &dyn Columns,
    id: &'static str,
    at: &'static str,
) -> Result<Option<NamedUser>, StoreError> {
    let user = read_user(row, id)?;
    let time = row.point_in_time(at)?;
    Ok(user.zip(time).map(|(id, at)| NamedUser { at, id }))
}
