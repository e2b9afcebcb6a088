//! The account, for people and for programs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::account::Account;
use super::observed::Observed;
use super::tally::{Tally, percentile};

/// What the account does not judge.
pub(super) struct Figures {
    /// What was tried, and whether more than that was in the tree.
    pub(super) commit: String,
    pub(super) tree: String,
    pub(super) seed: u64,
    pub(super) has_disk: bool,
    pub(super) lasted: Duration,
    pub(super) drained_in: Duration,
    pub(super) happened: BTreeMap<String, u32>,
    /// Of each process: starts, ends by itself, peak memory in KiB.
    pub(super) processes: Vec<(&'static str, u32, u32, u64)>,
}

/// Everything, as one JSON object.
pub(super) fn report(
    account: &Account,
    tally: &mut Tally,
    observed: &mut Observed,
    figures: &Figures,
) -> Value {
    let found = account.columns().map(|(name, found)| {
        let value = json!({ "number": found.number, "examples": found.examples });
        (name.to_owned(), value)
    });
    let percentiles = |values: &mut Vec<u32>| {
        let [p50, p99, max] = [50, 99, 100].map(|percent| percentile(values, percent));
        json!({ "p50": p50, "p99": p99, "max": max })
    };
    let acknowledged: u64 = tally.acknowledged.values().copied().map(u64::from).sum();
    let disk = match figures.has_disk {
        true => "one of its own for serve-2",
        false => "none: mounting is not allowed here",
    };
    json!({
        "commit": figures.commit,
        "tree": figures.tree,
        "seed": figures.seed,
        "disk to fill": disk,
        "seconds": figures.lasted.as_secs_f64().round(),
        "drained in seconds": figures.drained_in.as_secs_f64().round(),
        "events": tally.acknowledged.len(),
        "requests": tally.requests,
        "acknowledged": acknowledged,
        "retries": tally.retries,
        "failed requests": tally.refused,
        "account": Value::Object(found.into_iter().collect()),
        "ms to the acknowledgement": percentiles(&mut tally.took),
        "ms from received to applied": percentiles(&mut observed.lags),
        "longest ms without acknowledgement": tally.stall.as_millis() as u64,
        "longest ms without effect": observed.apply_stall_ms,
        "outbox": observed.outbox,
        "faults": figures.happened,
        "processes": figures.processes.iter().map(|(name, starts, by_itself, rss)| json!({
            "name": name, "starts": starts, "ended by itself": by_itself, "peak RSS KiB": rss,
        })).collect::<Vec<_>>(),
    })
}

/// Prints it as a table.
pub(super) fn print(report: &Value) {
    let line = |name: &str, value: String| println!("{name:<36} {value}");
    let plain = |name: &str| line(name, report[name].to_string());
    println!();
    for name in ["commit", "tree", "disk to fill"] {
        line(name, report[name].as_str().unwrap_or_default().to_owned());
    }
    for name in [
        "seed",
        "seconds",
        "drained in seconds",
        "events",
        "requests",
        "acknowledged",
        "retries",
    ] {
        plain(name);
    }
    let entries = |value: &Value| value.as_object().cloned().unwrap_or_default();
    for (because, number) in entries(&report["failed requests"]) {
        line(&format!("  failed: {because}"), number.to_string());
    }
    for name in ["ms to the acknowledgement", "ms from received to applied"] {
        let of = &report[name];
        let [p50, p99, max] = ["p50", "p99", "max"].map(|percent| &of[percent]);
        line(name, format!("p50 {p50}  p99 {p99}  max {max}"));
    }
    plain("longest ms without acknowledgement");
    plain("longest ms without effect");
    for process in report["processes"].as_array().into_iter().flatten() {
        let name = process["name"].as_str().unwrap_or_default();
        let (starts, by_itself) = (&process["starts"], &process["ended by itself"]);
        let mib = process["peak RSS KiB"].as_u64().unwrap_or_default() / 1024;
        line(
            &format!("  {name}"),
            format!("{starts} starts, {by_itself} times ended by itself, peak RSS {mib} MiB"),
        );
    }
    let faults: u64 = entries(&report["faults"])
        .values()
        .filter_map(Value::as_u64)
        .sum();
    line("faults", faults.to_string());
    for (name, found) in entries(&report["account"]) {
        line(&name, found["number"].to_string());
        for example in found["examples"].as_array().into_iter().flatten() {
            println!("    {}", example.as_str().unwrap_or_default());
        }
    }
}

/// Runs `tests/chaos` with a `cargo` and a `git` of the test's own; answers what it tells the run.
fn told_by_the_script(git: &str) -> [String; 2] {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;
    let programs = tempfile::TempDir::new().unwrap();
    for (name, script) in [
        ("cargo", r#"echo "$CHAOS_COMMIT $CHAOS_TREE""#),
        ("git", git),
    ] {
        let path = programs.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:/usr/bin:/bin", programs.path().display());
    let output = Command::new("bash")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/chaos"))
        .env("PATH", path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let told = String::from_utf8(output.stdout).unwrap();
    let (commit, tree) = told.trim().split_once(' ').unwrap();
    [commit, tree].map(str::to_owned)
}

#[test]
fn what_was_tried_is_told() {
    const CLEAN: &str = "[ $1 != rev-parse ] || echo 1f2e3d";
    let changed = format!("{CLEAN}\n[ $1 != status ] || echo ' M src/lib.rs'");
    assert_eq!(told_by_the_script(CLEAN), ["1f2e3d", "clean"]);
    assert_eq!(told_by_the_script(&changed), ["1f2e3d", "changed"]);
    assert_eq!(told_by_the_script("exit 128"), ["unknown", "unknown"]);

    let figures = |has_disk| Figures {
        commit: "1f2e3d".to_owned(),
        tree: "changed".to_owned(),
        seed: 1,
        has_disk,
        lasted: Duration::ZERO,
        drained_in: Duration::ZERO,
        happened: BTreeMap::new(),
        processes: Vec::new(),
    };
    let (account, mut observed) = (Account::default(), Observed::default());
    let mut tally = Tally::new();
    let mut report = |has_disk| report(&account, &mut tally, &mut observed, &figures(has_disk));
    let [with, without] = [true, false].map(&mut report);
    assert_eq!(
        (&with["commit"], &with["tree"]),
        (&json!("1f2e3d"), &json!("changed"))
    );
    assert_ne!(with["disk to fill"], without["disk to fill"]);
}
