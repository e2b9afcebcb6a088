//! Every alert says what it is, links its section of the runbook, and is tested both ways.

use std::collections::{BTreeMap, BTreeSet};

use super::{promql, read};

/// One alert of `alerts.yaml`, which is written so that its lines can be read one by one.
#[derive(Debug, Default)]
pub(super) struct Alert {
    pub(super) name: String,
    pub(super) expr: String,
    fields: BTreeMap<String, String>,
}

pub(super) fn alerts() -> Vec<Alert> {
    let text = read("alerts.yaml");
    let alerts: Vec<Alert> = text.split("- alert: ").skip(1).map(parse).collect();
    assert!(alerts.len() >= 30, "the alerts were not found");
    alerts
}

fn parse(block: &str) -> Alert {
    let mut lines = block.lines();
    let mut alert = Alert {
        name: lines.next().unwrap().to_owned(),
        ..Alert::default()
    };
    let mut in_expr = false;
    for line in lines.take_while(|line| !line.starts_with("  - name:")) {
        // Two spaces deeper than its key.
        in_expr &= line.starts_with("          ");
        if in_expr {
            alert.expr += line.trim();
            alert.expr += " ";
        } else if line == "        expr: |" {
            in_expr = true;
        } else if let Some((key, value)) = line.trim().split_once(": ") {
            let value = value.trim_matches('"').to_owned();
            alert.fields.insert(key.to_owned(), value);
        }
    }
    assert!(!alert.expr.is_empty(), "{alert:?}");
    alert
}

#[test]
fn every_alert_says_how_urgent_it_is_and_where_to_read_on() {
    for Alert { name, fields, expr } in alerts() {
        let field = |key: &str| {
            fields
                .get(key)
                .unwrap_or_else(|| panic!("{name}: no {key}"))
        };
        let severity = field("severity").as_str();
        assert!(["page", "ticket", "info"].contains(&severity), "{name}");
        assert!(field("description").len() > 40, "{name}");
        let section = format!("deploy/runbook.md#{}", name.to_lowercase());
        assert_eq!(field("runbook"), &section);

        let mut there = promql::grouping(&expr);
        if there.is_empty() {
            there = BTreeSet::from(["instance".to_owned(), "job".to_owned()]);
        }
        for label in promql::filled_in(&format!("{} {}", field("summary"), field("description"))) {
            assert!(there.contains(&label), "{name} has no label {label}");
        }
    }
}

/// `promtool test rules` runs them; here, that none was forgotten.
#[test]
fn every_alert_is_tested_to_fire_and_not_to_fire() {
    let tests = read("alerts_test.yaml");
    for Alert { name, .. } in alerts() {
        let expr = format!("ALERTS{{alertname=\"{name}\",alertstate=\"firing\"}}\n");
        let (quiet, loud): (Vec<_>, Vec<_>) = tests
            .split("- expr: ")
            .filter(|test| test.starts_with(&expr))
            .partition(|test| test.contains("exp_samples: []"));
        assert!(!quiet.is_empty(), "{name}: when does it not fire?");
        assert!(!loud.is_empty(), "{name}: when does it fire?");
    }
}

#[test]
fn no_two_alerts_have_one_name() {
    let alerts = alerts();
    let names: BTreeSet<&str> = alerts.iter().map(|alert| alert.name.as_str()).collect();
    assert_eq!(names.len(), alerts.len());
}
