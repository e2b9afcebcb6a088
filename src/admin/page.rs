//! The figures as Prometheus reads them. Names and labels are an interface: the README lists them.

use std::fmt;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::figures::Reading;
use crate::model::outbox::DeliveryState;
use crate::model::time::Timestamp;
use crate::outbox::RequestOutcome;

/// Names and values of one figure's labels.
type Labels = Vec<(&'static str, String)>;

/// Writes the page.
pub(super) fn write(reading: &Reading<'_>) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("hookmirror");
    let age = |since: Timestamp| whole(reading.now.since(since).as_secs());
    process(&mut registry, reading);
    freshness(&mut registry, reading);
    replays(&mut registry, reading);
    if let Some(events) = &reading.database.events {
        let states = events.states.iter().map(|count| {
            let source = ("source", count.source.to_string());
            (
                vec![source, ("state", count.state.to_string())],
                count.events,
            )
        });
        gauges(
            &mut registry,
            "events_by_state",
            "Events in the ledger",
            states,
        );
        let ignored = events.ignored.iter().map(|count| {
            let source = ("source", count.source.to_string());
            (
                vec![source, ("outcome", count.outcome.clone())],
                count.events,
            )
        });
        let help =
            "Ignored events by their reason; test_event and live_event came to the wrong source";
        gauges(&mut registry, "ignored_events", help, ignored);
        let help = "Payments whose user is not known";
        gauge(
            &mut registry,
            "waiting_payments",
            help,
            whole(events.waiting.payments),
        );
        let help = "For how long the oldest payment has waited for its user; 0: none waits";
        let oldest = events.waiting.oldest_received_at.map_or(0, age);
        gauge(&mut registry, "oldest_waiting_seconds", help, oldest);
    }
    if let Some(outbox) = &reading.database.outbox {
        // All of them: an alarm on what is not there yet would stay silent.
        let states = DeliveryState::ALL.into_iter().map(|state| {
            let known = outbox.states.iter().find(|count| count.state == state);
            let entries = known.map_or(0, |count| count.entries);
            (vec![("state", state.to_string())], entries)
        });
        let help = "Users whose metadata Clerk should hold, by how far that is";
        gauges(&mut registry, "outbox_depth", help, states);
        let help = "For how long the oldest metadata has not reached Clerk; 0: all has";
        let oldest = outbox.oldest_undelivered.map_or(0, age);
        gauge(&mut registry, "oldest_undelivered_seconds", help, oldest);
    }
    if reading.has_database {
        let help = "Questions to the database that were not answered; their figures are missing";
        gauge(
            &mut registry,
            "scrape_errors",
            help,
            whole(reading.database.errors),
        );
    }
    let queues = reading.queues.iter();
    let queues = queues.map(|(queue, depth)| (vec![("queue", (*queue).to_owned())], *depth));
    let help = "Messages in the embedded queue; RabbitMQ tells of its own";
    gauges(&mut registry, "queue_depth", help, queues);
    if let Some(spool) = reading.spool {
        let help = "Messages that wait for RabbitMQ in the data directory";
        gauge(&mut registry, "spool_depth", help, whole(spool.messages));
        let help = "What they take there";
        gauge(&mut registry, "spool_bytes", help, whole(spool.bytes));
        let help = "What they may take there; beyond it 503; 0: nothing more is kept";
        gauge(&mut registry, "spool_limit_bytes", help, whole(spool.limit));
    }
    clerk(&mut registry, reading);
    for counted in reading.counted {
        counted.register(&mut registry);
    }

    let mut page = String::new();
    encode(&mut page, &registry)?;
    Ok(page)
}

fn process(registry: &mut Registry, reading: &Reading<'_>) {
    let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
    let help = "1; the version is its label";
    gauges(registry, "build_info", help, [(version, 1)].into_iter());
    let started_at = reading.started_at.as_seconds();
    let help = "When this process started, in seconds since the Unix epoch";
    gauge(registry, "start_time_seconds", help, started_at);
}

fn freshness(registry: &mut Registry, reading: &Reading<'_>) {
    let database = &reading.database;
    if let Some(latest) = &database.latest {
        let latest = latest.iter().map(|(source, at)| {
            let at = at.map_or(0, Timestamp::as_seconds);
            let labels = vec![("source", source.to_string())];
            (labels, u64::try_from(at).unwrap_or(0))
        });
        let help = "When the latest event in the ledger was received, in seconds since the Unix \
                    epoch; 0: none was";
        gauges(registry, "last_event_timestamp", help, latest);
    }
    let tells_of_queue = !reading.queues.is_empty() || reading.spool.is_some();
    if database.oldest_unapplied.is_some() || tells_of_queue {
        let recorded = database.oldest_unapplied.flatten();
        let oldest = [recorded, reading.oldest_queued]
            .into_iter()
            .flatten()
            .min();
        let age = oldest.map_or(0, |oldest| whole(reading.now.since(oldest).as_secs()));
        let help = "For how long the oldest event has not had its effect: in the queue or spool of this \
                    process, to be tried again, or failed; 0: all have";
        gauge(registry, "oldest_unapplied_seconds", help, age);
    }
}

fn clerk(registry: &mut Registry, reading: &Reading<'_>) {
    if reading.dispatchers.is_empty() {
        return;
    }
    let requests: Family<Labels, Counter> = Family::default();
    for outcome in RequestOutcome::ALL {
        let labels = vec![("outcome", outcome.as_str().to_owned())];
        let all = reading.dispatchers.iter();
        let sum = all.map(|stats| stats.requests(outcome)).sum();
        requests.get_or_create(&labels).inc_by(sum);
    }
    let help = "Requests to Clerk since the start, by how they ended";
    registry.register("clerk_requests", help, requests);
    let mut all = reading.dispatchers.iter();
    let refused = all.any(|stats| stats.key_refused_since().is_some());
    let help = "1 while Clerk does not accept a secret key";
    gauge(registry, "clerk_key_refused", help, i64::from(refused));
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: i64) {
    let gauge: Gauge = Gauge::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

/// Nothing where there are no values: a name without a figure tells nothing.
fn gauges(
    registry: &mut Registry,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (Labels, u64)>,
) {
    let family: Family<Labels, Gauge> = Family::default();
    let mut is_empty = true;
    for (labels, value) in values {
        family.get_or_create(&labels).set(whole(value));
        is_empty = false;
    }
    if !is_empty {
        registry.register(name, help, family);
    }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn replays(registry: &mut Registry, reading: &Reading<'_>) {
    let family: Family<Labels, Gauge<f64, AtomicU64>> = Family::default();
    let running = reading.database.replays.iter().flatten();
    let mut is_empty = true;
    for replay in running {
        let labels = vec![("replay", replay.id.to_string())];
        let share = replay.done as f64 / replay.total.max(1) as f64;
        family.get_or_create(&labels).set(share);
        is_empty = false;
    }
    if !is_empty {
        let help = "How much of a running replay is done, 0 to 1; gone when it has ended";
        registry.register("replay_progress", help, family);
    }
}
