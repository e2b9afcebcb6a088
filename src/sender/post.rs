//! The posting: signed at each attempt, several at a time, tried again as a provider does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::{Stream, StreamExt, stream};
use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::Delivery;
use super::attempt::{Attempt, Target, attempt};
use super::report::{Ending, Report, Tally};
use crate::clock::Clock;
use crate::error_chain::ErrorChain;
use crate::http_client;
use crate::model::source::{Source, SourceName};
use crate::provider::{self, SecretProblem};

/// Where the events of one source are posted to.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Whose events.
    pub source: Source,
    /// The whole address, as in `http://127.0.0.1:8080/webhooks/clerk`.
    pub url: String,
    /// What to sign with.
    pub secret: SecretString,
}

/// How to post.
#[derive(Clone, Debug)]
pub struct SendOptions {
    /// How many deliveries are under way at a time. Waiting for the next attempt counts.
    pub concurrency: usize,
    /// How many deliveries to begin in a second, on average: what a slow receiver holds up is made
    /// up for. `None`: as fast as they are taken.
    pub rate: Option<f64>,
    /// How long to go on with a delivery that gets no answer, or a 5xx, from its first attempt on.
    pub retry_for: Duration,
    /// The pause after the first failure, doubled after each further one. Jitter adds up to as much.
    pub first_pause: Duration,
    /// The longest pause, before jitter. A longer `Retry-After` is honoured all the same.
    pub longest_pause: Duration,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// Whether to go on when nothing answers at all, instead of failing at once.
    pub wait_for_receiver: bool,
    /// Decides the jitter.
    pub seed: u64,
}

impl Default for SendOptions {
    /// 16 at a time, no rate, a minute of attempts, 15 seconds each as Svix has it.
    fn default() -> Self {
        Self {
            concurrency: 16,
            rate: None,
            retry_for: Duration::from_mins(1),
            first_pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(5),
            timeout: Duration::from_secs(15),
            wait_for_receiver: false,
            seed: 0,
        }
    }
}

/// Why nothing, or nothing more, is sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection, and there has never been one.
    #[error("cannot connect to {url} (is `hookmirror run` up?)")]
    NobodyAnswers {
        /// Where.
        url: String,
        /// Why not.
        #[source]
        source: reqwest::Error,
    },
    /// An address that cannot be posted to.
    #[error("the address to post to is not a URL like http://localhost:8080")]
    BadUrl,
    /// A secret that cannot be signed with.
    #[error("the signing secret for {name} cannot be used")]
    BadSecret {
        /// The source.
        name: SourceName,
        /// What is wrong with it.
        #[source]
        problem: SecretProblem,
    },
    /// A delivery to a source without an endpoint.
    #[error("there is nowhere to send events of {name} to, or no secret to sign them with")]
    NoEndpoint {
        /// The source.
        name: SourceName,
    },
    /// An option without a meaning.
    #[error("{0}")]
    BadOption(&'static str),
    /// TLS could not be set up.
    #[error("the HTTP client could not be set up")]
    Setup(#[source] reqwest::Error),
}

/// Watches the posting. Called from the task that posts, so it must return quickly.
pub trait Progress: Sync {
    /// An attempt failed and the next one comes after this pause.
    fn retrying(&self, delivery: &Delivery, because: &str, pause: Duration);
    /// A delivery came to its end.
    fn ended(&self, delivery: &Delivery, ending: &Ending);
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn retrying(&self, _: &Delivery, _: &str, _: Duration) {}
    fn ended(&self, _: &Delivery, _: &Ending) {}
}

/// Posts deliveries to their endpoints over connections that it keeps.
#[derive(Debug)]
pub struct Sender {
    client: Client,
    targets: BTreeMap<SourceName, Target>,
    options: SendOptions,
    clock: Arc<dyn Clock>,
}

/// What all deliveries of one run share.
struct Run<'a> {
    progress: &'a dyn Progress,
    answered: AtomicBool,
    retries: AtomicU64,
}

impl Sender {
    /// A sender for these endpoints. `clock` is asked at each attempt when it is signed.
    ///
    /// # Errors
    ///
    /// When an endpoint or an option cannot be used.
    pub fn new(
        endpoints: impl IntoIterator<Item = Endpoint>,
        options: SendOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SendError> {
        if options.concurrency == 0 {
            return Err(SendError::BadOption("the concurrency must be at least 1"));
        }
        if options.rate.is_some_and(|rate| pace(rate).is_none()) {
            return Err(SendError::BadOption(
                "--rate must be a number of deliveries a second, above 0 and at most 1000000000",
            ));
        }
        let targets = endpoints
            .into_iter()
            .map(|endpoint| Ok((endpoint.source.name.clone(), target_of(endpoint)?)))
            .collect::<Result<BTreeMap<_, Target>, SendError>>()?;
        let client = http_client::builder(targets.values().map(|target| &target.url))
            .user_agent(concat!("hookmirror-send/", env!("CARGO_PKG_VERSION")))
            .timeout(options.timeout)
            .pool_max_idle_per_host(options.concurrency)
            .build()
            .map_err(SendError::Setup)?;
        Ok(Self {
            client,
            targets,
            options,
            clock,
        })
    }

    /// Posts them all. When `cancel` is triggered it stops at once and reports what came of it so
    /// far; what was under way may or may not have arrived.
    ///
    /// # Errors
    ///
    /// When a delivery has no endpoint (then nothing was sent), or nothing has ever answered.
    pub async fn send(
        &self,
        deliveries: Vec<Delivery>,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> Result<Report, SendError> {
        for delivery in &deliveries {
            self.target(delivery)?;
        }
        let started = Instant::now();
        let planned = deliveries.len();
        let run = Run {
            progress,
            answered: AtomicBool::new(false),
            retries: AtomicU64::new(0),
        };
        let run = &run;
        let mut endings = Box::pin(
            self.paced(deliveries)
                .map(async |(index, delivery)| {
                    let ending = self.deliver(index, &delivery, run).await?;
                    Ok::<_, SendError>((delivery, ending))
                })
                .buffer_unordered(self.options.concurrency),
        );

        let mut tally = Tally::default();
        let cancelled = loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => break true,
                ended = endings.next() => match ended {
                    Some(ended) => {
                        let (delivery, ending) = ended?;
                        progress.ended(&delivery, &ending);
                        tally.record(&delivery, ending);
                    }
                    None => break false,
                },
            }
        };
        let retries = run.retries.load(Ordering::Relaxed);
        Ok(tally.finish(planned, retries, started.elapsed(), cancelled))
    }

    /// The deliveries, with their place in the plan, as they fall due.
    fn paced(&self, deliveries: Vec<Delivery>) -> impl Stream<Item = (u64, Delivery)> {
        let ticks = self.options.rate.and_then(pace).map(|period| {
            let mut ticks = interval(period);
            // Timers are no finer than a millisecond: only by catching up is a high rate reached.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            ticks
        });
        let deliveries = (0_u64..).zip(deliveries);
        stream::unfold((deliveries, ticks), |(mut deliveries, mut ticks)| async {
            let next = deliveries.next()?;
            if let Some(ticks) = &mut ticks {
                ticks.tick().await;
            }
            Some((next, (deliveries, ticks)))
        })
    }

    /// One delivery, to its end.
    async fn deliver(
        &self,
        index: u64,
        delivery: &Delivery,
        run: &Run<'_>,
    ) -> Result<Ending, SendError> {
        let target = self.target(delivery)?;
        let started = Instant::now();
        let mut pauses = ExponentialBuilder::new()
            .with_min_delay(self.options.first_pause)
            .with_max_delay(self.options.longest_pause)
            .without_max_times()
            .with_jitter()
            .with_jitter_seed(self.options.seed.wrapping_add(index))
            .build();
        let mut first = true;
        loop {
            let attempt = attempt(&self.client, target, delivery, self.clock.now())
                .await
                .map_err(|problem| SendError::BadSecret {
                    name: delivery.source.name.clone(),
                    problem,
                })?;
            if !matches!(attempt, Attempt::NoAnswer(_)) {
                run.answered.store(true, Ordering::Relaxed);
            }
            let (because, retry_after) = match attempt {
                Attempt::Ended(ending) => return Ok(ending),
                Attempt::Unavailable {
                    because,
                    retry_after,
                } => (because, retry_after.unwrap_or_default()),
                Attempt::NoAnswer(error) => {
                    if first && error.is_connect() && self.gives_in(run) {
                        return Err(SendError::NobodyAnswers {
                            url: without_credentials(&target.url),
                            source: error,
                        });
                    }
                    (ErrorChain(&error).to_string(), Duration::ZERO)
                }
            };
            let pause = match pauses.next() {
                Some(pause) => pause.max(retry_after),
                None => return Ok(Ending::GaveUp { because }),
            };
            if started.elapsed().saturating_add(pause) > self.options.retry_for {
                return Ok(Ending::GaveUp { because });
            }
            run.progress.retrying(delivery, &because, pause);
            sleep(pause).await;
            run.retries.fetch_add(1, Ordering::Relaxed);
            first = false;
        }
    }

    /// Whether a refused connection ends it all: nothing has ever answered, and nobody said that
    /// it would take a while.
    fn gives_in(&self, run: &Run<'_>) -> bool {
        !self.options.wait_for_receiver && !run.answered.load(Ordering::Relaxed)
    }

    fn target(&self, delivery: &Delivery) -> Result<&Target, SendError> {
        let name = &delivery.source.name;
        self.targets
            .get(name)
            .ok_or_else(|| SendError::NoEndpoint { name: name.clone() })
    }
}

/// Checks an endpoint before anything is sent.
fn target_of(endpoint: Endpoint) -> Result<Target, SendError> {
    let Endpoint {
        source,
        url,
        secret,
    } = endpoint;
    provider::check_secret(source.provider, secret.expose_secret()).map_err(|problem| {
        SendError::BadSecret {
            name: source.name,
            problem,
        }
    })?;
    match Url::parse(&url) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Target { url, secret }),
        _ => Err(SendError::BadUrl),
    }
}

/// An address as it can be shown.
fn without_credentials(url: &Url) -> String {
    let mut shown = url.clone();
    // Neither can fail for http and https.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.to_string()
}

/// The time between two deliveries; `None` for what is no rate.
fn pace(rate: f64) -> Option<Duration> {
    let period = Duration::try_from_secs_f64(rate.recip()).ok()?;
    (!period.is_zero()).then_some(period)
}
