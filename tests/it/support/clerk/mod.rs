//! Clerk's Backend API as it behaves: state, limits, refusals, and answers that a test scripts.
//!
//! Two ways in, one behaviour: it is a [`ClerkApi`] itself, which is fast, and [`server`] puts it
//! behind real HTTP. What metadata becomes is the business of
//! [`clerk_rules`](hookmirror::cli::demo::clerk_rules).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::pending;
use std::io;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use hookmirror::clerk_api::{ClerkApi, ClerkApiError};
use hookmirror::cli::demo::clerk_rules::{Refusal, Registry};
use hookmirror::model::trace::TraceContext;
use hookmirror::model::user::UserId;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use self::limits::StrictLimits;

pub(crate) mod limits;
pub(crate) mod server;

/// How a call ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// This status, and nothing is merged. 409 is `resource_locked`.
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

/// What is sent back.
#[derive(Clone, Debug)]
enum Sent {
    /// The user.
    User(Value),
    Refused(Refused),
    /// Nothing: the connection breaks.
    Nothing,
}

#[derive(Clone, Debug)]
struct Refused {
    status: u16,
    code: String,
    body: Value,
    retry_after: Option<Duration>,
}

impl Refused {
    fn of(refusal: Refusal, retry_after: Option<Duration>) -> Sent {
        Sent::Refused(Self {
            status: refusal.status().as_u16(),
            code: refusal.code().to_owned(),
            body: refusal.body(),
            retry_after,
        })
    }

    fn scripted(status: u16) -> Sent {
        if status == 409 {
            return Self::of(Refusal::ResourceLocked, None);
        }
        let code = "scripted".to_owned();
        Sent::Refused(Self {
            status,
            body: json!({ "errors": [{ "code": code, "message": "as the test wants it" }] }),
            code,
            retry_after: None,
        })
    }
}

/// See the module. Every user exists who was not said to be missing.
#[derive(Debug)]
pub(crate) struct FakeClerk {
    state: Mutex<State>,
    called: Semaphore,
    released: Semaphore,
}

#[derive(Debug, Default)]
struct State {
    registry: Registry,
    missing: BTreeSet<UserId>,
    key_is_revoked: bool,
    limits: Option<StrictLimits>,
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
    /// One that keeps to its limits.
    pub(crate) fn limited(limits: StrictLimits) -> Self {
        let clerk = Self::default();
        clerk.state().limits = Some(limits);
        clerk
    }

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

    /// Accepts the key no longer, or again.
    pub(crate) fn revoke_key(&self, revoked: bool) {
        self.state().key_is_revoked = revoked;
    }

    /// Deletes a user.
    pub(crate) fn lose(&self, user: &UserId) {
        let mut state = self.state();
        state.registry.remove_user(user.as_str());
        state.missing.insert(user.clone());
    }

    /// Whom it was called for, in that order.
    pub(crate) fn calls(&self) -> Vec<UserId> {
        self.state().calls.clone()
    }

    /// How many calls were answered with 429 because of a limit.
    pub(crate) fn throttled(&self) -> usize {
        let state = self.state();
        state.limits.as_ref().map_or(0, StrictLimits::refused)
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
            .registry
            .public_metadata_of(user.as_str())
            .unwrap_or_else(|| json!({}))
    }

    /// Takes a request and does as it was told.
    async fn receive(&self, user: &UserId, body: &[u8], key_is_known: bool) -> Sent {
        let (answer, sent) = self.begin(user, body, key_is_known);
        self.called.add_permits(1);
        match answer {
            Some(Answer::Silence) => pending().await,
            Some(Answer::Released | Answer::ReleasedStatus(_)) => {
                self.released.acquire().await.unwrap().forget();
            }
            _ => {}
        }
        sent
    }

    /// Notes the call, has its effect, and says how it ends.
    fn begin(&self, user: &UserId, body: &[u8], key_is_known: bool) -> (Option<Answer>, Sent) {
        let mut state = self.state();
        state.calls.push(user.clone());
        if !key_is_known || state.key_is_revoked {
            return (None, Refused::of(Refusal::WrongKey, None));
        }
        if let Some(limits) = &mut state.limits
            && let Err(retry_after) = limits.admit(user)
        {
            return (
                None,
                Refused::of(Refusal::TooManyRequests, Some(retry_after)),
            );
        }
        let scripted = state.next.get_mut(user).and_then(VecDeque::pop_front);
        let answer = scripted.or(state.everyone);
        let sent = match answer {
            Some(Answer::Status(status) | Answer::ReleasedStatus(status)) => {
                Refused::scripted(status)
            }
            Some(Answer::Throttled(retry_after)) => {
                Refused::of(Refusal::TooManyRequests, retry_after)
            }
            Some(Answer::CutOff) => {
                state.merge(user, body);
                Sent::Nothing
            }
            None | Some(Answer::Silence | Answer::Released) => state.merge(user, body),
        };
        (answer, sent)
    }
}

impl State {
    fn merge(&mut self, user: &UserId, body: &[u8]) -> Sent {
        if !self.missing.contains(user) {
            self.registry.add_user(user.as_str());
        }
        match self.registry.merge(user.as_str(), body) {
            Ok(user) => Sent::User(user),
            Err(refusal) => Refused::of(refusal, None),
        }
    }
}

#[async_trait]
impl ClerkApi for FakeClerk {
    async fn merge_public_metadata(
        &self,
        user: &UserId,
        public_metadata: &Value,
        _trace: Option<TraceContext>,
    ) -> Result<(), ClerkApiError> {
        let body = json!({ "public_metadata": public_metadata }).to_string();
        match self.receive(user, body.as_bytes(), true).await {
            Sent::User(_) => Ok(()),
            Sent::Refused(refused) => Err(ClerkApiError::Answered {
                status: refused.status,
                code: refused.code,
                retry_after: refused.retry_after,
            }),
            Sent::Nothing => {
                let cause = io::Error::from(io::ErrorKind::ConnectionReset);
                Err(ClerkApiError::NoAnswer(cause.into()))
            }
        }
    }
}
