//! What to do when another writer was in the way: begin anew, a little later, a few times.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::super::problem::ApplyError;

/// How often a transaction begins anew after another writer was in the way.
const RETRIES: u32 = 5;
/// The wait before the first of these, which doubles each time. The other writer only has to finish
/// what it is at.
const FIRST_WAIT: Duration = Duration::from_millis(10);

/// The attempts at one transaction.
pub(super) struct Contention {
    seed: u64,
    retries: u32,
}

impl Contention {
    /// `subject` sets attempts at different work apart, so that two that met do not meet again.
    pub(super) fn about(subject: impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        subject.hash(&mut hasher);
        Self {
            seed: hasher.finish(),
            retries: 0,
        }
    }

    /// Waits for the next attempt after one that ended like this.
    ///
    /// # Errors
    ///
    /// Gives the error back if another attempt would not help, or there were enough.
    pub(super) async fn wait(&mut self, error: ApplyError) -> Result<(), ApplyError> {
        let is_passing = matches!(error, ApplyError::Conflict(_) | ApplyError::Outgrown);
        if !is_passing || self.retries >= RETRIES {
            return Err(error);
        }
        let wait = self.next_wait();
        tracing::debug!(?error, ?wait, "another writer was in the way");
        tokio::time::sleep(wait).await;
        self.retries += 1;
        Ok(())
    }

    /// Up to twice the doubled wait.
    fn next_wait(&self) -> Duration {
        let wait = FIRST_WAIT * 2_u32.pow(self.retries);
        let mut hasher = DefaultHasher::new();
        (self.seed, self.retries).hash(&mut hasher);
        let most = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        wait + Duration::from_millis(hasher.finish() % most)
    }
}
