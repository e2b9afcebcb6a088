//! Alerts, dashboard and runbook name figures that are there, and every figure is of use to somebody.
//!
//! What the README lists is what real processes tell: `cli::figures` compares it with a page of `run`,
//! and one of `serve` is read here.

use std::collections::{BTreeMap, BTreeSet};

use hookmirror::metrics::DeadCause;
use hookmirror::model::changes::Outcome;
use hookmirror::model::outbox::DeliveryState;
use hookmirror::model::state::EventState;
use hookmirror::outbox::RequestOutcome;
use serde_json::Value;

use super::alerts::alerts;
use super::promql::{self, Selector};
use super::read;
use crate::cli::figures::{Page, documented};
use crate::cli::process::{CREATED, Home, fixture, free_address, wait_until};

/// What Prometheus adds to every figure, and to the buckets of a histogram.
const ADDED: [&str; 3] = ["instance", "job", "le"];

/// The metrics that the README lists, with their labels.
fn known() -> BTreeMap<String, BTreeSet<String>> {
    let metrics = documented().into_iter().map(|family| {
        let (name, labels) = family.split_once('{').unwrap_or((&family, ""));
        let labels = labels.trim_end_matches('}').split(',');
        let labels = labels.filter(|label| !label.is_empty()).map(str::to_owned);
        (name.to_owned(), labels.collect())
    });
    metrics.collect()
}

/// The metric behind a series, which a histogram has several of.
fn base(series: &str) -> &str {
    let parts = ["_bucket", "_sum", "_count"];
    let part = parts.iter().find_map(|part| series.strip_suffix(part));
    part.unwrap_or(series)
}

/// Each query of the dashboard, with the text that fills in its labels.
fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let queries = targets.flatten().map(|target| {
        let legend = text(&target["legendFormat"]);
        (text(&target["expr"]), legend)
    });
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let variables = variables.iter().filter_map(|v| v["definition"].as_str());
    queries
        .chain(variables.map(|query| (query.to_owned(), String::new())))
        .collect()
}

fn dashboard() -> Value {
    serde_json::from_str(&read("dashboard.json")).unwrap()
}

/// Everything that names figures: where, and the text.
fn texts() -> Vec<(String, String)> {
    let alerts = alerts().into_iter().map(|alert| (alert.name, alert.expr));
    let panels = queries(&dashboard()).into_iter();
    let panels = panels.map(|(query, _)| ("dashboard.json".to_owned(), query));
    let runbook = ("runbook.md".to_owned(), read("runbook.md"));
    alerts.chain(panels).chain([runbook]).collect()
}

/// What a label may be, where that is a fixed set; what only a page tells is read from `page`.
fn values(metric: &str, label: &str, page: &Page) -> Option<BTreeSet<String>> {
    let set = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
    let states: Vec<&str> = EventState::ALL.iter().map(|state| state.as_str()).collect();
    let counted = [states.as_slice(), &[Outcome::Duplicate.as_str()]].concat();
    match (metric, label) {
        ("hookmirror_events_by_state", "state") => set(&states),
        ("hookmirror_events_total", "state") => set(&counted),
        ("hookmirror_outbox_depth", "state") => set(&DeliveryState::ALL.map(DeliveryState::as_str)),
        ("hookmirror_clerk_requests_total", "outcome") => {
            set(&RequestOutcome::ALL.map(RequestOutcome::as_str))
        }
        ("hookmirror_dead_letters_total", "cause") => set(&DeadCause::ALL.map(DeadCause::as_str)),
        // As `sources` and the README have them.
        ("hookmirror_ignored_events", "outcome") => set(&["test_event", "live_event"]),
        (_, "source") => None,
        _ => {
            let named = format!("{label}=\"");
            let keys = page.0.keys().filter(|key| key.starts_with(metric));
            let values = keys.filter_map(|key| key.split(&named).nth(1));
            let values = values.map(|rest| rest.split('"').next().unwrap().to_owned());
            Some(values.collect())
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_figures_that_exist_are_asked_for() {
    let address = free_address();
    let home = Home::new().with("HOOKMIRROR_ADMIN_LISTEN", &address.to_string());
    let _service = home.serve();
    let page = Page::of(address);

    let known = known();
    let mut wrong = BTreeSet::new();
    let mut asked = 0;
    for (place, text) in texts() {
        for Selector { metric, labels } in promql::selectors(&text) {
            asked += 1;
            let Some(has) = known.get(&metric).or_else(|| known.get(base(&metric))) else {
                wrong.insert(format!("{place}: {metric}"));
                continue;
            };
            for (label, named) in labels {
                if !has.contains(&label) && !ADDED.contains(&label.as_str()) {
                    wrong.insert(format!("{place}: {metric} has no label {label}"));
                    continue;
                }
                let Some(possible) = values(&metric, &label, &page) else {
                    continue;
                };
                let never = named.iter().filter(|value| !possible.contains(*value));
                wrong.extend(never.map(|value| format!("{place}: {metric} {label}={value}")));
            }
        }
        let grouped = promql::grouping(&text);
        let labels: BTreeSet<&String> = known.values().flatten().collect();
        let grouped = grouped
            .into_iter()
            .filter(|label| !labels.contains(label) && !ADDED.contains(&label.as_str()));
        wrong.extend(grouped.map(|label| format!("{place}: no figure has the label {label}")));
    }
    assert!(asked > 80, "{asked} were found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_figure_is_of_use_to_an_alert_or_a_panel() {
    let texts: Vec<(String, String)> = texts();
    let asked: BTreeSet<String> = texts
        .iter()
        .filter(|(place, _)| place != "runbook.md")
        .flat_map(|(_, text)| promql::selectors(text))
        .map(|selector| selector.metric)
        .collect();
    let asked: BTreeSet<&str> = asked.iter().map(|series| base(series)).collect();
    let known = known();
    let idle: Vec<&String> = known
        .keys()
        .filter(|metric| !asked.contains(metric.as_str()))
        .collect();
    assert!(idle.is_empty(), "{idle:?}");
}

#[test]
fn every_panel_explains_itself() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    for panel in panels {
        let title = &panel["title"];
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}");
        if panel["type"] == "row" {
            continue;
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().len();
        assert!(text(&panel["description"]) > 20, "{title}");
        assert!(
            text(&panel["fieldConfig"]["defaults"]["unit"]) > 0,
            "{title}"
        );
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
    }
    for (query, legend) in queries(&dashboard) {
        let there = promql::grouping(&query);
        for label in promql::filled_in(&legend) {
            assert!(there.contains(&label), "{query}: {label}");
        }
    }
    // The runbook sends people to panels by their titles.
    let titles: Vec<&str> = panels
        .iter()
        .filter_map(|panel| panel["title"].as_str())
        .collect();
    let runbook = read("runbook.md");
    for mention in runbook.split("anel").skip(1) {
        let mention = mention.split(['.', ':', '?']).next().unwrap();
        for title in mention.split('*').skip(1).step_by(2) {
            assert!(titles.contains(&title), "no panel {title}");
        }
    }
}

/// The figures of a process that receives while RabbitMQ is away.
#[tokio::test(flavor = "multi_thread")]
async fn a_spool_tells_what_it_holds_and_how_much_it_may() {
    let address = free_address();
    // Nobody listens there.
    let broker = format!("amqp://guest:guest@{}", free_address());
    let home = Home::new()
        .with("HOOKMIRROR_ADMIN_LISTEN", &address.to_string())
        .with("HOOKMIRROR_SPOOL_MAX_BYTES", "100000")
        .with("AMQP_URL", &broker);
    let _service = home.listen("serve");
    let page = Page::of(address);
    assert_eq!(page.value("hookmirror_spool_depth"), 0.0);
    assert_eq!(page.value("hookmirror_spool_bytes"), 0.0);
    assert_eq!(page.value("hookmirror_spool_limit_bytes"), 100_000.0);

    home.output(["send", &fixture(CREATED), "--count=2"]);
    wait_until("both are in the spool", || {
        Page::of(address).value("hookmirror_spool_depth") == 2.0
    });
    let page = Page::of(address);
    let bytes = page.value("hookmirror_spool_bytes");
    assert!((2_000.0..100_000.0).contains(&bytes), "{bytes}");
    let documented = documented();
    let unknown = page.families();
    let unknown: Vec<_> = unknown.difference(&documented).collect();
    assert!(
        unknown.is_empty(),
        "README.md, \"Metrics\", lacks {unknown:?}"
    );
}
