//! Reading `operator_actions`.

use async_trait::async_trait;

use super::super::action_log::ActionLog;
use super::{PostgresStore, StoreError, bounded, operators};
use crate::model::operator::{ActionFilter, ActionRecord};

#[async_trait]
impl ActionLog for PostgresStore {
    async fn list_actions(
        &self,
        filter: &ActionFilter,
        limit: u32,
    ) -> Result<Vec<ActionRecord>, StoreError> {
        let list = operators::list(self, filter, limit);
        bounded("list what operators did", list).await
    }
}
