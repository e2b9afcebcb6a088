//! What an operator does: one change of the database, and its line in the record.

use std::fmt::Debug;

use super::end::Comparison;
use super::world::World;
use crate::support::rows::Rows;

const RECORD: &str = "operator_actions";

impl World {
    /// Does something whose effect is the call `change`, and does it again if it is not known to be
    /// done. Whatever goes wrong, it is done and recorded, both or neither; and to repeat it changes
    /// nothing.
    pub(super) async fn act<T: Debug, E: Debug>(
        &self,
        change: &str,
        deed: impl AsyncFn() -> Result<T, E>,
    ) {
        let done_before = self.steps.seen().times_done(change);
        let before = self.rows().await;
        let first = self.drive(deed()).await;
        let after = self.rows().await;
        let mut times = self.steps.seen().times_done(change) - done_before;
        if self.wire().is_some() && !matches!(first, Some(Ok(_))) {
            // Only the database knows.
            times = usize::from(after != before);
        }
        let number = self.deeds.lock().unwrap().len();
        let Some(wanted) = self.run.wanted.get(number).cloned() else {
            if times != 1 {
                self.fail(&format!("{change} was done {times} times: {first:?}"));
            }
            self.deeds.lock().unwrap().push(after);
            return;
        };
        self.deeds.lock().unwrap().push(wanted.clone());
        let same = match times {
            0 => &before,
            1 => &wanted,
            _ => self.fail(&format!("{change} was done {times} times")),
        };
        self.compare(same, &after, &[], change);
        if !matches!(first, Some(Ok(_))) {
            if let Err(error) = deed().await {
                self.fail(&format!("{change} cannot be repeated: {error:?}"));
            }
            let again = self.rows().await;
            self.compare(&wanted, &again, &[RECORD, "sqlite_sequence"], change);
            if recorded(&again) > recorded(&wanted) + times {
                self.fail(&format!("{change} is recorded too often"));
            }
        }
    }

    fn compare(&self, wanted: &Rows, seen: &Rows, except: &[&str], change: &str) {
        let mut comparison = Comparison::of(self.run.scenario);
        let differences = comparison.differences_of_rows(wanted, seen, except);
        if !differences.is_empty() {
            self.fail(&format!("around {change}: {differences:#?}"));
        }
    }
}

fn recorded(rows: &Rows) -> usize {
    rows.iter().filter(|(table, _)| table == RECORD).count()
}
