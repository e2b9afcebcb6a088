//! hookmirror takes webhooks from Clerk and Stripe, owns each one durably before it answers, and
//! keeps a local database and Clerk's user metadata true to them.
//!
//! # The way of an event
//!
//! ```text
//! provider ──POST──▶ ingress ──verify──▶ queue.publish ──confirmed──▶ 202
//!                                            │  RabbitMQ, with a spool for while it is away;
//!                                            │  or the embedded queue
//!                    worker ◀── take what is ready
//!                      │  decode and plan (pure), whole batch
//!                      ▼
//!                    store.apply ── one transaction: ledger rows, mirror, payment facts, outbox
//!                      │  then the batch is acknowledged, never before
//!                      ├─▶ outbox ── lease ──▶ Clerk's Backend API ── settle
//!                      └─▶ scheduler ── lease what is due again, or replayed ──▶ queue.publish
//! ```
//!
//! No database is on the path from the provider to the 202; no provider is on the path from the queue
//! to the database.
//!
//! With the embedded queue all of this is one process (`run`). Where RabbitMQ and Postgres are set, each
//! role can be a process of its own, and there may be any number of each: `serve` is ingress with the
//! spool, `work` is worker, dead letters and scheduler, `dispatch` is the outbox.
//!
//! # Where things are
//!
//! | module | what it is |
//! | --- | --- |
//! | [`cli`] | the commands, and the roles of a process; the only place that builds concrete things from settings |
//! | [`config`] | settings; every problem reported at once; secrets never print |
//! | [`ingress`] | the public listener: limits, the one webhook handler, the one table of answers |
//! | [`provider`] | bytes ▶ verified ▶ typed; pure |
//! | [`queue`] | durable hand-over from ingress to worker, and what it promises |
//! | [`queue::embedded`], [`queue::rabbitmq`] | its engines: a SQLite file; a quorum queue |
//! | [`queue::spool`] | keeps events while RabbitMQ is away, and relays them when it is back |
//! | [`worker`] | takes, decides, applies, acknowledges; records the dead letters: what the queue gave up on |
//! | [`scheduler`] | puts events back onto the queue: those whose next attempt is due, those of replays |
//! | [`handlers`] | what each event type means, as data; pure; the index of all we act on |
//! | [`store`] | mirror, payment facts, ledger, outbox; one transaction a batch; a trait for each thing that is asked of it, all together [`store::Store`] |
//! | [`store::sqlite`], [`store::postgres`] | its engines, with the same tables |
//! | [`outbox`] | delivers desired metadata until Clerk confirms it, within Clerk's limits |
//! | [`clerk_api`] | the one call to Clerk, and what its errors mean |
//! | [`retention`] | lets go of payloads and events that are old, and of what is stored about deleted users |
//! | [`ops`] | what an operator can look at and do: written once, for the commands and the JSON API |
//! | [`admin`], [`admin::api`] | the private listener: metrics; the JSON API |
//! | [`traces`] | spans, and how they reach a collector |
//! | [`metrics`] | what is counted where it happens; read by [`admin`] |
//! | [`sender`] | signs and posts as a provider would; behind `send` and `demo` |
//! | [`model`] | the vocabulary, and the rules that make the mirror converge; no I/O |
//! | `http_client` | what the two HTTP clients share: no redirects, no proxy to loopback, `Retry-After` |
//! | [`clock`], [`backoff`], [`shutdown`], [`telemetry`], [`error_chain`] | time, waiting, ending, logs, errors in one line |
//!
//! Direction: `main > cli > {ingress, worker, scheduler, retention, outbox, admin, ops, sender,
//! config}`; `admin > ops, outbox, store`; `retention > store`; `ingress > provider, queue`; `worker >
//! queue, handlers, store`; `handlers > provider`; `scheduler > queue, store`; `outbox > store,
//! clerk_api`; `ops > store`; everything may use `model`, which uses nothing of ours, and whoever counts
//! or traces uses `metrics` and `traces`. Ingress never sees the store, the store never sees the queue,
//! and nobody but `cli` sees the settings (`telemetry` sees its own). sqlx is named in `store` and
//! `queue::embedded` only, lapin in `queue::rabbitmq`, axum in `ingress` and `admin` (and the demo's
//! stand-in), reqwest in `clerk_api`, `sender`, `traces` and `http_client`. A test checks all of this.
//!
//! # Where a change is made
//!
//! | to … | touch |
//! | --- | --- |
//! | act on another event type | a payload in `fixtures/` · what is read of it in `provider/<p>/` (Stripe: `object/`) · a function in `handlers/<p>/` · its line in the `match` of `handlers/<p>/mod.rs` |
//! | add a provider | a variant of [`model::source::Provider`]: the compiler lists the rest |
//! | change what makes a member paid | [`model::entitlement::decide`] |
//! | change which state of a user or a payment wins | [`model::user::Revision`], [`model::payment`] |
//! | change whose a payment is | [`model::payment::owners`]; what hangs together so far: `store/related.rs` |
//! | change an HTTP answer | the one table in `ingress/error.rs` |
//! | change what becomes of a failing event | `worker/verdict.rs`; when it is tried again: [`model::retry`] |
//! | change what becomes of an error of Clerk's | [`clerk_api`], `outbox/outcome.rs` |
//! | add a table or a column | a new file in `migrations/` for each engine, with the same name (never edit an old one), its lines in `store/migrate.rs` |
//! | add a setting | its section in `config/`, [`config::SETTINGS`], the README's table (a test compares them) |
//! | add a database or a queue | an engine under [`store`] or [`queue`], built in `cli/engines/`; the suites in `tests/it/store`, `tests/it/queue` run on it |
//! | change what is at RabbitMQ | `queue/rabbitmq/topology.rs`, `deploy/rabbitmq/definitions.json` (a test compares them) |
//! | change how long something is kept | `config/retention.rs`, `retention/`; whose payloads are erased: `store/erasure.rs` |
//! | change how much Clerk is sent | `outbox/budget.rs`; when nothing is: `outbox/gate.rs` |
//! | let events be found by something else | [`model::ledger::EventFilter`], `cli/filter.rs`, each engine's `filter.rs`; by which index: `store/findings.rs` (`cargo bench --bench ledger` tells what it costs) |
//! | let an operator see or do more | [`ops`], then a command in [`cli`] and a route in `admin/api/`; what changes something is told by `acting.rs` of either whether to, and recorded by the store |
//! | change what a metric tells, or add one | [`metrics`] where it is counted in memory, `admin/figures.rs` where it is read from the database, `admin/page.rs`, the README's table; what asks for it: `deploy/alerts.yaml`, `deploy/dashboard.json`, `deploy/runbook.md` (tests compare all of them) |
//! | change how events are replayed | at what pace, and when they are put onto the queue: `scheduler/replays.rs`, [`model::replay`]; what a replay leaves as it is: `EventState::after_replay` |
//!
//! # Promises
//!
//! - **P1 Acknowledged means durable.** A 2xx leaves only after the event is committed and fsynced, or
//!   confirmed by RabbitMQ as a persistent message that reached the quorum queue.
//! - **P2 Nothing unverified gets in.** Only bytes whose signature and age were checked are queued,
//!   and exactly those bytes are kept. Verification happens once, at ingress.
//! - **P3 At least once in, exactly once in effect.** The ledger row commits in the same transaction
//!   as the effect.
//! - **P4 Order does not matter.** The mirror is a function of the *set* of events received.
//! - **P5 Nothing vanishes.** Every accepted event is queued or in exactly one state of the ledger.
//! - **P6 A bad event hurts only itself.** It cannot block, slow or fail its neighbours.
//! - **P7 Paid state reaches both targets**, given or taken back. The local row and Clerk's metadata
//!   are two tracked steps; if one is missing, that one alone is tried again.
//! - **P8 An operator's action is deliberate and recorded.** What changes something is a dry run
//!   unless told otherwise, needs a reason, and leaves a row in `operator_actions`. (`migrate` does no
//!   more than `run` does at its start.)
//!
//! NOT promised: that the mirror is current at every moment (it lags by what queue and worker take),
//! that every event of the provider arrives (providers give up after days of failures), or that
//! payloads are hidden from whoever can read the database's file.

pub mod admin;
pub mod backoff;
pub mod clerk_api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod error_chain;
pub mod handlers;
mod http_client;
pub mod ingress;
pub mod metrics;
pub mod model;
pub mod ops;
pub mod outbox;
pub mod provider;
pub mod queue;
pub mod retention;
pub mod scheduler;
pub mod sender;
pub mod shutdown;
pub mod store;
pub mod telemetry;
pub mod traces;
pub mod worker;
