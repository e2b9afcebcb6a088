//! How a run ended, and how far that may differ from the end of the undisturbed one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hookmirror::model::time::Timestamp;
use serde_json::{Map, Value};

use super::leeway::{LEEWAY, Leeway, May};
use crate::support::rows::Rows;

/// What a failure may cost of time: a lease that runs out, or the next longer wait before an attempt.
const DELAY: Duration = Duration::from_secs(75);

/// All that the promises are about.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) rows: Rows,
    /// `public_metadata` of each user.
    pub(super) at_clerk: BTreeMap<String, Value>,
    /// Accepted and recorded events, of [`account`](hookmirror::ops::account::account).
    pub(super) account: (u64, u64),
    pub(super) at: Timestamp,
}

/// Compares ends of one scenario.
#[derive(Debug)]
pub(super) struct Comparison {
    scenario: &'static str,
    /// Which rules were needed, by their place in the table.
    needed: BTreeSet<usize>,
}

impl Comparison {
    pub(super) fn of(scenario: &'static str) -> Self {
        Self {
            scenario,
            needed: BTreeSet::new(),
        }
    }

    /// Everything in which a run ended otherwise than it may.
    pub(super) fn differences(&mut self, wanted: &End, seen: &End) -> Vec<String> {
        let mut differences = self.differences_of_rows(&wanted.rows, &seen.rows, &[]);
        if wanted.at_clerk != seen.at_clerk {
            let (wanted, seen) = (&wanted.at_clerk, &seen.at_clerk);
            differences.push(format!("at Clerk: {seen:?} instead of {wanted:?}"));
        }
        if wanted.account != seen.account {
            let (wanted, seen) = (wanted.account, seen.account);
            differences.push(format!(
                "accepted, recorded: {seen:?} instead of {wanted:?}"
            ));
        }
        if seen.at.since(wanted.at) > DELAY {
            let later = seen.at.since(wanted.at);
            differences.push(format!("it took {later:?} longer"));
        }
        differences
    }

    /// The same for tables alone, but for some of them.
    pub(super) fn differences_of_rows(
        &mut self,
        wanted: &Rows,
        seen: &Rows,
        except: &[&str],
    ) -> Vec<String> {
        let wanted = by_table(wanted, except);
        let seen = by_table(seen, except);
        let tables: BTreeSet<&str> = wanted.keys().chain(seen.keys()).copied().collect();
        let none = Vec::new();
        let mut differences = Vec::new();
        for table in tables {
            let wanted = wanted.get(table).unwrap_or(&none);
            let seen = seen.get(table).unwrap_or(&none);
            self.compare_table(table, wanted, seen, &mut differences);
        }
        differences
    }

    /// The rules for this scenario alone that no run has needed.
    pub(super) fn unneeded(&self) -> Vec<String> {
        let own = |(place, rule): &(usize, &Leeway)| {
            rule.scenario == Some(self.scenario) && !self.needed.contains(place)
        };
        let rules = LEEWAY.iter().enumerate().filter(own);
        let tell = |rule: &Leeway| format!("{}, as {}", rule.what, rule.because);
        rules.map(|(_, rule)| tell(rule)).collect()
    }

    fn compare_table(
        &mut self,
        table: &str,
        wanted: &[&Map<String, Value>],
        seen: &[&Map<String, Value>],
        differences: &mut Vec<String>,
    ) {
        if wanted != seen && self.may_differ_as_a_whole(table) {
            return;
        }
        if seen.len() > wanted.len() && self.may_have_more_rows(table) {
            let missing = |row: &&&Map<String, Value>| {
                !seen
                    .iter()
                    .any(|it| self.differs_in(row, it, table).is_none())
            };
            let missing: Vec<_> = wanted.iter().filter(missing).collect();
            if !missing.is_empty() {
                differences.push(format!("{table}: {missing:?} is missing"));
            }
            return;
        }
        if wanted.len() != seen.len() {
            let (seen, wanted) = (seen.len(), wanted.len());
            differences.push(format!("{table}: {seen} rows instead of {wanted}"));
            return;
        }
        for (wanted, seen) in wanted.iter().zip(seen) {
            for (column, value) in *wanted {
                let other = &seen[column];
                if value != other && !self.may_differ(table, column, value, other) {
                    differences.push(format!("{table}.{column}: {other} instead of {value}"));
                }
            }
        }
    }

    /// The first column in which two rows differ, by what the rules of whole tables leave of them.
    fn differs_in(
        &self,
        wanted: &Map<String, Value>,
        seen: &Map<String, Value>,
        table: &str,
    ) -> Option<String> {
        let differs = |(column, value): &(&String, &Value)| {
            let counts = matches!(column.as_str(), "id" | "attempt");
            let other = &seen[*column];
            value != &other && !counts && self.rule(table, column, value, other).is_none()
        };
        wanted
            .iter()
            .find(differs)
            .map(|(column, _)| column.clone())
    }

    fn may_have_more_rows(&mut self, table: &str) -> bool {
        self.needs(table, May::HaveMoreRows)
    }

    fn may_differ_as_a_whole(&mut self, table: &str) -> bool {
        self.needs(table, May::Anything)
    }

    fn needs(&mut self, table: &str, may: May) -> bool {
        let applies =
            |rule: &Leeway| rule.is_for(self.scenario) && rule.what == table && rule.may == may;
        let place = LEEWAY.iter().position(applies);
        self.needed.extend(place);
        place.is_some()
    }

    fn may_differ(&mut self, table: &str, column: &str, wanted: &Value, seen: &Value) -> bool {
        let place = self.rule(table, column, wanted, seen);
        self.needed.extend(place);
        place.is_some()
    }

    /// The place of the rule that lets these differ.
    fn rule(&self, table: &str, column: &str, wanted: &Value, seen: &Value) -> Option<usize> {
        LEEWAY.iter().position(|rule| {
            let (of, what) = rule.what.split_once('.').unwrap_or((rule.what, ""));
            rule.is_for(self.scenario)
                && of == table
                && what == column
                && match rule.may {
                    May::Anything => true,
                    May::AtLeast => number(wanted).is_some_and(|it| Some(it) <= number(seen)),
                    May::Shift => is_near(wanted, seen),
                    May::HaveMoreRows => false,
                }
        })
    }
}

fn number(value: &Value) -> Option<i64> {
    let of_replay = || value.as_str()?.strip_prefix("replay:")?.parse().ok();
    value.as_i64().or_else(of_replay)
}

fn is_near(wanted: &Value, seen: &Value) -> bool {
    let time = |value: &Value| Timestamp::parse_rfc3339(value.as_str()?);
    let (Some(wanted), Some(seen)) = (time(wanted), time(seen)) else {
        return false;
    };
    wanted.max(seen).since(wanted.min(seen)) <= DELAY
}

fn by_table<'r>(rows: &'r Rows, except: &[&str]) -> BTreeMap<&'r str, Vec<&'r Map<String, Value>>> {
    let mut tables: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (table, row) in rows {
        if !except.contains(&table.as_str()) {
            let row = row.as_object().unwrap();
            tables.entry(table.as_str()).or_default().push(row);
        }
    }
    for rows in tables.values_mut() {
        rows.sort_by_key(|row| KEYS.map(|key| row.get(key).map(Value::to_string)));
    }
    tables
}

/// What tells rows from each other, before all that a failure may change.
const KEYS: [&str; 10] = [
    "source",
    "event_id",
    "user_id",
    "fingerprint",
    "replay_id",
    "position",
    "subject",
    "attempt",
    "at",
    "id",
];
