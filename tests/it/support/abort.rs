//! A defect that ends the process. Nobody survives to report it, so it is for processes that a test
//! starts: its own binary once more, with `--ignored --exact` and the name of a test that is ignored.

use std::process::abort;

use hookmirror::model::changes::{Decision, Planned};
use hookmirror::model::event::EventKey;
use hookmirror::store::StoreError;

use super::faulty_store::{Around, StoreCall};

/// Aborts the process whenever this event was handled and is about to be applied, as a handler would
/// that is not able to cope with it. To record that it failed is no matter of handlers, and goes well.
#[derive(Debug)]
pub(crate) struct AbortOn(pub(crate) EventKey);

impl Around for AbortOn {
    async fn around_call<T: Send>(
        &self,
        call: StoreCall<'_>,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let deadly = |planned: &Planned| {
            planned.event.key == self.0 && !matches!(planned.decision, Decision::Fail(_))
        };
        if let StoreCall::Apply(batch) = call
            && batch.iter().any(deadly)
        {
            abort();
        }
        work.await
    }
}
