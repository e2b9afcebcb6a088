//! How a run ended, and how far that may differ from the end of the undisturbed one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hookmirror::model::time::Timestamp;
use serde_json::{Map, Value};

use super::leeway::{LEEWAY, Leeway, May, More};
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
        if seen.len() > wanted.len()
            && let Some(may) = self.may_have_more_rows(table)
        {
            return self.compare_with_more(table, may, wanted, seen, differences);
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

    /// Each wanted row is there, one for one; what is there beside them tells of the same again, or of
    /// what had failed.
    fn compare_with_more(
        &self,
        table: &str,
        may: More,
        wanted: &[&Map<String, Value>],
        seen: &[&Map<String, Value>],
        differences: &mut Vec<String>,
    ) {
        let fits = |row: usize, it: usize| self.is_like(wanted[row], seen[it], table, &[]);
        let places = places(wanted.len(), seen.len(), fits);
        for (row, place) in wanted.iter().zip(&places) {
            if place.is_none() {
                differences.push(format!("{table}: {row:?} is missing"));
            }
        }
        let more = (0..seen.len()).filter(|it| !places.contains(&Some(*it)));
        let more: Vec<_> = more.map(|it| seen[it]).collect();
        if more.len() > may.most {
            let (more, wanted) = (more.len(), wanted.len());
            differences.push(format!("{table}: {more} rows more than {wanted}"));
        }
        for row in more {
            let is_again = |but| wanted.iter().any(|it| self.is_like(it, row, table, but));
            if !is_again(&[]) && !is_again(may.but) {
                differences.push(format!("{table}: {row:?} has no reason"));
            }
        }
    }

    /// Whether two rows are the same but for some columns, by what the rules of whole tables leave of them.
    fn is_like(
        &self,
        wanted: &Map<String, Value>,
        seen: &Map<String, Value>,
        table: &str,
        but: &[(&str, &str)],
    ) -> bool {
        wanted.iter().all(|(column, value)| {
            let counts = matches!(column.as_str(), "id" | "attempt");
            let other = &seen[column];
            if let Some((_, begins)) = but.iter().find(|(but, _)| but == column) {
                return begins_with(other, begins);
            }
            value == other || counts || self.rule(table, column, value, other).is_some()
        })
    }

    /// Which ones, if any.
    fn may_have_more_rows(&mut self, table: &str) -> Option<More> {
        let place = self.find(table, |may| matches!(may, May::HaveMoreRows(_)))?;
        match LEEWAY[place].may {
            May::HaveMoreRows(more) => Some(more),
            _ => None,
        }
    }

    fn may_differ_as_a_whole(&mut self, table: &str) -> bool {
        self.find(table, |may| may == May::Anything).is_some()
    }

    /// The place of the rule for a whole table, which is needed with that.
    fn find(&mut self, table: &str, may: impl Fn(May) -> bool) -> Option<usize> {
        let applies =
            |rule: &Leeway| rule.is_for(self.scenario) && rule.what == table && may(rule.may);
        let place = LEEWAY.iter().position(applies);
        self.needed.extend(place);
        place
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
                    May::HaveMoreRows(_) => false,
                }
        })
    }
}

/// Finds a place for each wanted row, each place for one row only; as many rows as can have one do.
fn places(wanted: usize, seen: usize, fits: impl Fn(usize, usize) -> bool) -> Vec<Option<usize>> {
    /// Who has a place may be moved on, if there is another one for it.
    fn settle(
        row: usize,
        holders: &mut [Option<usize>],
        tried: &mut BTreeSet<usize>,
        fits: &impl Fn(usize, usize) -> bool,
    ) -> bool {
        for place in 0..holders.len() {
            if fits(row, place) && tried.insert(place) {
                let holder = holders[place];
                if holder.is_none_or(|holder| settle(holder, holders, tried, fits)) {
                    holders[place] = Some(row);
                    return true;
                }
            }
        }
        false
    }
    let mut holders = vec![None; seen];
    for row in 0..wanted {
        settle(row, &mut holders, &mut BTreeSet::new(), &fits);
    }
    let place = |row| holders.iter().position(|holder| *holder == Some(row));
    (0..wanted).map(place).collect()
}

fn begins_with(value: &Value, text: &str) -> bool {
    match value.as_str() {
        Some(value) => value.starts_with(text),
        None => value
            .as_i64()
            .is_some_and(|number| text.parse() == Ok(number)),
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

#[test]
fn a_row_that_was_added_has_a_reason_and_replaces_none() {
    use serde_json::json;
    let row = |user: &str, outcome: &str, error: Option<&str>| {
        let at = "2026-11-18T11:08:20.000Z";
        let row = json!({ "user_id": user, "at": at, "outcome": outcome, "error": error });
        ("outbox_attempts".to_owned(), row)
    };
    let told = || row("user_a", "delivered", None);
    let failed = || row("user_a", "retry", Some("Clerk's API did not answer: x"));
    let differences = |wanted: &[(String, Value)], seen: &[(String, Value)]| {
        let mut comparison = Comparison::of("a_person_is_erased");
        let differences = comparison.differences_of_rows(&wanted.to_vec(), &seen.to_vec(), &[]);
        let mut ends: Vec<_> = differences
            .iter()
            .map(|it| it.rsplit("} ").next().unwrap().to_owned())
            .collect();
        ends.sort();
        ends
    };
    assert_eq!(differences(&[told()], &[told(), told()]), [""; 0]);
    assert_eq!(differences(&[told()], &[failed(), told()]), [""; 0]);
    for stranger in [
        row("user_b", "delivered", None),
        row("user_a", "gone", None),
        row("user_a", "retry", Some("the key was refused")),
        row("user_b", "retry", Some("Clerk's API did not answer: x")),
    ] {
        assert_eq!(
            differences(&[told()], &[told(), stranger]),
            ["has no reason"]
        );
    }
    let too_many = ["outbox_attempts: 2 rows more than 1"];
    assert_eq!(
        differences(&[told()], &[told(), failed(), failed()]),
        too_many
    );
    // Two that are alike need two.
    let one_of_two = differences(&[told(), told()], &[told(), failed(), failed()]);
    assert_eq!(
        one_of_two,
        ["is missing", "outbox_attempts: 2 rows more than 2"]
    );
}

#[test]
fn whoever_has_a_place_makes_room() {
    let fits = |row: usize, place: usize| [&[0, 1][..], &[0]][row].contains(&place);
    assert_eq!(places(2, 3, fits), [Some(1), Some(0)]);
    assert_eq!(places(2, 3, |_, place| place == 2), [Some(2), None]);
}
