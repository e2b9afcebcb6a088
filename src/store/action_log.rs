//! What people did and looked at.

use async_trait::async_trait;

use super::StoreError;
use crate::model::operator::{ActionFilter, ActionRecord};

/// Reading `operator_actions`.
#[async_trait]
pub trait ActionLog {
    /// What operators have asked for, newest first, `limit` at most. Their ids count up, so the last
    /// one of a page says where the next one begins.
    async fn list_actions(
        &self,
        filter: &ActionFilter,
        limit: u32,
    ) -> Result<Vec<ActionRecord>, StoreError>;
}
