//! The calls that find events, delegated.

use async_trait::async_trait;
use hookmirror::model::ledger::{EventFilter, EventSummary, Position};
use hookmirror::model::survey::Survey;
use hookmirror::model::timeline::Timeline;
use hookmirror::store::{Findings, StoreError};

use super::faulty_store::{Around, FaultyStore, StoreCall};

#[async_trait]
impl<F: Around> Findings for FaultyStore<F> {
    async fn page_events(
        &self,
        filter: &EventFilter,
        after: Option<&Position>,
        limit: u32,
    ) -> Result<Vec<EventSummary>, StoreError> {
        let work = self.inner.page_events(filter, after, limit);
        self.faults
            .around_call(StoreCall::Other("page_events"), work)
            .await
    }

    async fn survey(&self, filter: &EventFilter) -> Result<Survey, StoreError> {
        let work = self.inner.survey(filter);
        self.faults
            .around_call(StoreCall::Other("survey"), work)
            .await
    }

    async fn timeline(&self, subject: &str, limit: u32) -> Result<Timeline, StoreError> {
        let work = self.inner.timeline(subject, limit);
        self.faults
            .around_call(StoreCall::Other("timeline"), work)
            .await
    }
}
