//! Reading `operator_actions`.

use async_trait::async_trait;

use super::super::action_log::ActionLog;
use super::{SqliteStore, StoreError, operators};
use crate::model::operator::{ActionFilter, ActionRecord};

#[async_trait]
impl ActionLog for SqliteStore {
    async fn list_actions(
        &self,
        filter: &ActionFilter,
        limit: u32,
    ) -> Result<Vec<ActionRecord>, StoreError> {
        operators::list(&self.readers, filter, limit).await
    }
}
