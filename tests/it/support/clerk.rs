//! Clerk in memory: it merges as Clerk does, and answers as a test tells it to.

use std::collections::{BTreeMap, VecDeque};
use std::future::pending;
use std::io;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use hookmirror::clerk_api::{ClerkApi, ClerkApiError};
use hookmirror::cli::demo::stand_in_clerk::merged;
use hookmirror::model::user::UserId;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// How a call ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// This status, and nothing is merged.
    Status(u16),
    /// 429, with this `Retry-After`.
    Throttled(Option<Duration>),
    /// None: the connection breaks after Clerk has merged.
    CutOff,
    /// None, ever, though Clerk has merged.
    Silence,
    /// Success, once the test releases it.
    Released,
    /// This status, once the test releases it, and nothing is merged.
    ReleasedStatus(u16),
}

/// See the module. Every user exists.
#[derive(Debug)]
pub(crate) struct FakeClerk {
    state: Mutex<State>,
    called: Semaphore,
    released: Semaphore,
}

#[derive(Debug, Default)]
struct State {
    metadata: BTreeMap<UserId, Value>,
    calls: Vec<UserId>,
    next: BTreeMap<UserId, VecDeque<Answer>>,
    everyone: Option<Answer>,
}

impl Default for FakeClerk {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            called: Semaphore::new(0),
            released: Semaphore::new(0),
        }
    }
}

impl FakeClerk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Ends the next call for this user like this; may be said several times, for one call each.
    pub(crate) fn answer(&self, user: &UserId, answer: Answer) {
        self.state()
            .next
            .entry(user.clone())
            .or_default()
            .push_back(answer);
    }

    /// Ends every call like this, until told otherwise.
    pub(crate) fn answer_everyone(&self, answer: Option<Answer>) {
        self.state().everyone = answer;
    }

    /// Whom it was called for, in that order.
    pub(crate) fn calls(&self) -> Vec<UserId> {
        self.state().calls.clone()
    }

    /// Waits for one call more than were waited for before.
    pub(crate) async fn called(&self) {
        self.called.acquire().await.unwrap().forget();
    }

    /// Lets so many of the calls end that wait for it.
    pub(crate) fn release(&self, calls: usize) {
        self.released.add_permits(calls);
    }

    /// The user's `public_metadata`.
    pub(crate) fn metadata(&self, user: &UserId) -> Value {
        self.state()
            .metadata
            .get(user)
            .cloned()
            .unwrap_or_else(|| json!({}))
    }

    fn merge(&self, user: &UserId, patch: &Value) {
        let before = self.metadata(user);
        self.state()
            .metadata
            .insert(user.clone(), merged(before, patch));
    }

    /// Notes the call and says how it shall end.
    fn begin(&self, user: &UserId) -> Option<Answer> {
        let mut state = self.state();
        state.calls.push(user.clone());
        let scripted = state.next.get_mut(user).and_then(VecDeque::pop_front);
        scripted.or(state.everyone)
    }
}

#[async_trait]
impl ClerkApi for FakeClerk {
    async fn merge_public_metadata(
        &self,
        user: &UserId,
        public_metadata: &Value,
    ) -> Result<(), ClerkApiError> {
        let answer = self.begin(user);
        if matches!(
            answer,
            None | Some(Answer::CutOff | Answer::Silence | Answer::Released)
        ) {
            self.merge(user, public_metadata);
        }
        self.called.add_permits(1);
        match answer {
            None => Ok(()),
            Some(Answer::Status(status)) => Err(scripted(status)),
            Some(Answer::Throttled(retry_after)) => Err(ClerkApiError::Answered {
                status: 429,
                code: "too_many_requests".to_owned(),
                retry_after,
            }),
            Some(Answer::CutOff) => {
                let cause = io::Error::from(io::ErrorKind::ConnectionReset);
                Err(ClerkApiError::NoAnswer(cause.into()))
            }
            Some(Answer::Silence) => pending().await,
            Some(Answer::Released) => {
                self.released.acquire().await.unwrap().forget();
                Ok(())
            }
            Some(Answer::ReleasedStatus(status)) => {
                self.released.acquire().await.unwrap().forget();
                Err(scripted(status))
            }
        }
    }
}

fn scripted(status: u16) -> ClerkApiError {
    ClerkApiError::Answered {
        status,
        code: "scripted".to_owned(),
        retry_after: None,
    }
}
