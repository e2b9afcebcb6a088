//! `demo`: a story of signed webhooks, played through the real pipeline.
//!
//! Real: HTTP over loopback, the signatures, ingress, the embedded queue, the worker, the database,
//! the outbox and its HTTP client. Not real: the people, and Clerk, for which a stand-in merges
//! metadata. Everything lives in a temporary directory that goes when the demo ends.

use std::net::SocketAddr;

use clap::Args;

use self::home::Home;
use self::report::Reporter;
use self::stage::Answer;
use self::story::{Expected, Post, Scene};
use super::output::complain;
use super::{CommandError, Ended, fresh_seed};
use crate::clock::{Clock, SystemClock};
use crate::model::state::EventState;
use crate::model::time::Timestamp;
use crate::shutdown::Shutdown;

mod cast;
pub mod clerk_rules;
mod home;
mod payloads;
mod report;
mod stage;
pub mod stand_in_clerk;
mod story;

pub use self::stage::Stage;

/// How long ago the story begins.
const STORY_SECONDS: i64 = 3600;

/// Play a story of signed webhooks through the real pipeline and show what came of it
///
/// Users are created, changed late and twice, deleted; checkouts are paid at once, later and never;
/// there is a forgery, and an event that cannot be used. Then it keeps running, so that you can look
/// around. It needs nothing and leaves nothing behind.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hookmirror demo
  hookmirror demo --exit    end after the story; status 0 only if everything came out as it must")]
pub(super) struct DemoArgs {
    /// End after the story: status 0 only if everything came out as it must
    #[arg(long)]
    exit: bool,
    /// Where to listen. Default: any free port of the loopback interface
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

/// What was seen of one post, beside what must be seen.
struct Observation {
    answer: Answer,
    /// What the ledger holds of it after the scene: state, outcome, deliveries.
    ledger: Option<(EventState, String, u64)>,
}

impl Observation {
    fn is_as_expected(&self, expected: &Expected) -> bool {
        match (expected, &self.answer) {
            (
                Expected::Recorded {
                    state,
                    outcome,
                    deliveries,
                },
                Answer::Accepted,
            ) => self.ledger.as_ref().is_some_and(|seen| {
                (seen.0, seen.1.as_str(), seen.2) == (*state, *outcome, *deliveries)
            }),
            (
                Expected::Refused { status, code },
                Answer::Refused {
                    status: seen,
                    code: said,
                },
            ) => (seen, said.as_str()) == (status, *code) && self.ledger.is_none(),
            _ => false,
        }
    }
}

pub(super) async fn demo(args: DemoArgs) -> Result<Ended, CommandError> {
    let shutdown = Shutdown::on_signals()?;
    let (home, stage) = Home::set_up(args.listen, fresh_seed()).await?;
    let handle = shutdown.handle();
    let played = tokio::select! {
        played = play(&stage) => Some(played),
        () = handle.begun() => None,
    };
    let mut good = match played {
        Some(Ok(good)) => good,
        Some(Err(error)) => {
            home.clear().await;
            return Err(CommandError::Other(error));
        }
        None => false,
    };
    if !args.exit && !handle.has_begun() {
        let (settings, payload) = (home.write_settings()?, home.write_payload()?);
        report::how_to_look_further(stage.address(), &settings, &payload);
        tokio::select! {
            () = handle.begun() => {}
            () = home.broken() => {
                complain("a part of the demo has ended by itself; this is a bug");
                good = false;
            }
        }
    }
    home.clear().await;
    Ok(if good { Ended::Done } else { Ended::Failed })
}

/// Plays the whole story; tells whether everything came out as it must.
///
/// # Errors
///
/// When the database cannot be read, or the pipeline does not come to rest.
pub async fn play(stage: &Stage) -> anyhow::Result<bool> {
    let begin = SystemClock.now().as_seconds() - STORY_SECONDS;
    let scenes = story::scenes(Timestamp::from_seconds(begin));
    let mut reporter = Reporter::begin(stage.address());
    for (number, scene) in (1..).zip(&scenes) {
        let observations = play_scene(stage, scene).await?;
        reporter.scene(number, scene, &observations);
    }
    let account = stage.come_to_rest().await?;
    reporter.people(stage).await?;
    reporter.failures(stage).await?;
    reporter.account(&scenes, &account);
    Ok(reporter.finish())
}

async fn play_scene(stage: &Stage, scene: &Scene) -> anyhow::Result<Vec<Observation>> {
    if let Some(person) = scene.forgotten_by_clerk {
        stage.forget(person);
    }
    let mut answers = Vec::new();
    for post in &scene.posts {
        answers.push(stage.post(post).await?);
        // What is found of a post depends on what came before it, and several workers may be there.
        stage.come_to_rest().await?;
    }
    let mut observations = Vec::new();
    for (post, answer) in scene.posts.iter().zip(answers) {
        observations.push(Observation {
            answer,
            ledger: in_ledger(stage, post).await?,
        });
    }
    Ok(observations)
}

async fn in_ledger(
    stage: &Stage,
    post: &Post,
) -> anyhow::Result<Option<(EventState, String, u64)>> {
    let record = stage.recorded(&post.delivery.key()).await?;
    Ok(record.map(|record| {
        let event = record.summary;
        (event.state, event.outcome, event.deliveries)
    }))
}
