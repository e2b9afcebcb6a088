//! `send`: plays the providers' part against a running service.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use console::style;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use serde_json::json;
use url::Url;

use super::output::{counted, say, say_json};
use super::{CommandError, Ended, fresh_seed, load_config};
use crate::clock::SystemClock;
use crate::config::{Config, SourceSettings};
use crate::model::source::SourceName;
use crate::sender::{
    Delivery, Ending, Endpoint, PlanOptions, Progress, Report, SendError, SendOptions, Sender,
    Template, generate, plan,
};
use crate::shutdown::Shutdown;

/// Sign payload files as the provider would and post them
///
/// Signs with the first secret of each source in the settings. Retries what gets no answer or a 5xx,
/// as the providers do; ends with 1 unless everything was accepted.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hookmirror send fixtures/clerk/user.created.json
  hookmirror send user.created.json user.updated.json --count 2000 --duplicates 20 --shuffle
  hookmirror send my-payload.json --source clerk --url https://hooks.example.com

With --count above the number of files, the files are templates: each further generation is the \
same story with other users, e-mail addresses, payments and event ids. The same files, count and \
--seed give the same events again.")]
pub(super) struct SendArgs {
    /// Payload files, as the provider's body would be
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Whose events they are, by the source's name; otherwise `clerk` or `stripe`, told from their form
    #[arg(long)]
    source: Option<String>,
    /// Where to post; /webhooks/{source} is added if it has no path. Default: HOOKMIRROR_LISTEN
    #[arg(long)]
    url: Option<String>,
    /// How many events to make of the files. Default: each file once
    #[arg(long, allow_negative_numbers = true, value_parser = count)]
    count: Option<usize>,
    /// Deliveries to begin in a second. Default: as fast as they are taken
    #[arg(long, allow_negative_numbers = true)]
    rate: Option<f64>,
    /// Deliveries under way at a time
    #[arg(long, default_value_t = 16, allow_negative_numbers = true, value_parser = positive)]
    concurrency: usize,
    /// So many in a hundred deliveries are made twice
    #[arg(long, default_value_t = 0, value_name = "PCT",
          value_parser = clap::value_parser!(u8).range(0..=100))]
    duplicates: u8,
    /// Send in random order
    #[arg(long)]
    shuffle: bool,
    /// Decides ids, duplicates and order. Default: another one each time
    #[arg(long)]
    seed: Option<u64>,
    /// How long to go on with a delivery that gets no answer or a 5xx
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    retry_for: u64,
    /// Print the deliveries as lines of JSON instead of sending them
    #[arg(long)]
    dry_run: bool,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("not a whole number above 0".to_owned()),
        Ok(number) => Ok(number),
    }
}

/// All events are made before the first is sent, so their number is bounded by memory.
const MAX_COUNT: usize = 1_000_000;

fn count(text: &str) -> Result<usize, String> {
    match positive(text)? {
        number if number > MAX_COUNT => Err(format!(
            "more than {MAX_COUNT}: send several times, each time with another --seed"
        )),
        number => Ok(number),
    }
}

pub(super) async fn send(args: SendArgs) -> Result<Ended, CommandError> {
    let config = load_config()?;
    let seed = args.seed.unwrap_or_else(|| fresh_seed() % 1_000_000);
    let templates = templates(&config, &args)?;
    let deliveries = plan(
        generate(&templates, args.count, seed),
        PlanOptions {
            duplicates_percent: args.duplicates,
            shuffle: args.shuffle,
            seed,
        },
    );
    if args.dry_run {
        for delivery in &deliveries {
            say(&delivery.to_json_line());
        }
        return Ok(Ended::Done);
    }

    let options = SendOptions {
        concurrency: args.concurrency,
        rate: args.rate,
        retry_for: Duration::from_secs(args.retry_for),
        seed,
        ..SendOptions::default()
    };
    let endpoints = endpoints(&config, args.url.as_deref(), &deliveries)?;
    let sender = Sender::new(endpoints, options, Arc::new(SystemClock)).map_err(refine)?;
    let shutdown = Shutdown::on_signals()?;
    let bar = Bar::new(deliveries.len());
    let report = sender
        .send(deliveries, &bar, &shutdown.handle().token())
        .await;
    bar.0.finish_and_clear();
    let report = report.map_err(refine)?;

    if args.json {
        say_json(&as_json(&report, seed))?;
    } else {
        say(&describe(&report, seed));
    }
    Ok(if report.is_complete() {
        Ended::Done
    } else {
        Ended::Failed
    })
}

/// What is wrong with the arguments ends as wrong usage; what is wrong with the world does not.
fn refine(error: SendError) -> CommandError {
    match error {
        SendError::BadUrl | SendError::BadOption(_) => CommandError::Usage(error.to_string()),
        other => other.into(),
    }
}

fn templates(config: &Config, args: &SendArgs) -> Result<Vec<Template>, CommandError> {
    let source = match &args.source {
        Some(name) => Some(find_source(config, name)?.source.clone()),
        None => None,
    };
    args.files
        .iter()
        .map(|path| {
            let body = std::fs::read(path)
                .with_context(|| format!("cannot read {}", path.display()))?
                .into();
            let name = path.display().to_string();
            match &source {
                Some(source) => Ok(Template {
                    name,
                    source: source.clone(),
                    body,
                }),
                None => Template::detect(name, body)
                    .map_err(|error| CommandError::Usage(error.to_string())),
            }
        })
        .collect()
}

fn find_source<'a>(config: &'a Config, name: &str) -> Result<&'a SourceSettings, CommandError> {
    config
        .sources
        .iter()
        .find(|settings| settings.source.name.as_str() == name)
        .ok_or_else(|| {
            let known: Vec<&str> = config
                .sources
                .iter()
                .map(|settings| settings.source.name.as_str())
                .collect();
            CommandError::Usage(format!(
                "no source is named {name:?}; there are {}",
                known.join(", ")
            ))
        })
}

/// One endpoint for each source that something is sent to.
fn endpoints(
    config: &Config,
    url: Option<&str>,
    deliveries: &[Delivery],
) -> Result<Vec<Endpoint>, CommandError> {
    let mut names: Vec<&SourceName> = deliveries
        .iter()
        .map(|delivery| &delivery.source.name)
        .collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .map(|name| {
            let settings = find_source(config, name.as_str())?;
            let secret = settings.secrets.first().ok_or_else(|| {
                CommandError::Usage(format!(
                    "no signing secret for {name}: set {} to one that the receiver accepts, or name \
                     another source with --source",
                    settings.secrets_are_set_by()
                ))
            })?;
            Ok(Endpoint {
                source: settings.source.clone(),
                url: endpoint_url(config, url, name)?,
                secret: secret.clone(),
            })
        })
        .collect()
}

/// An address without a path is a server; one with a path is meant as it stands.
fn endpoint_url(
    config: &Config,
    url: Option<&str>,
    name: &SourceName,
) -> Result<String, CommandError> {
    let Some(url) = url else {
        return Ok(format!("http://{}/webhooks/{name}", config.ingress.listen));
    };
    let mut url = Url::parse(url).map_err(|_| refine(SendError::BadUrl))?;
    if url.path() == "/" {
        url.set_path(&format!("/webhooks/{name}"));
    }
    Ok(url.into())
}

struct Bar(ProgressBar);

impl Bar {
    fn new(deliveries: usize) -> Self {
        let bar = ProgressBar::new(deliveries as u64);
        if let Ok(form) = ProgressStyle::with_template("{bar:30} {pos}/{len} {rate} {msg}") {
            let rate = |state: &ProgressState, text: &mut dyn fmt::Write| {
                // What cannot be drawn is not missed.
                let _ = write!(text, "{:.0}/s", state.per_sec());
            };
            bar.set_style(form.with_key("rate", rate));
        }
        Self(bar)
    }
}

impl Progress for Bar {
    fn retrying(&self, _: &Delivery, because: &str, pause: Duration) {
        self.0
            .set_message(format!("{because}; again in {:.1} s", pause.as_secs_f64()));
    }

    fn ended(&self, _: &Delivery, ending: &Ending) {
        if matches!(ending, Ending::Accepted { .. }) {
            self.0.set_message("");
        }
        self.0.inc(1);
    }
}

fn describe(report: &Report, seed: u64) -> String {
    let seconds = report.elapsed.as_secs_f64();
    let mut lines = vec![format!(
        "{} of {} in {seconds:.1} s ({:.0}/s, {}, seed {seed})",
        counted(report.deliveries, "delivery", "deliveries"),
        counted(report.events, "event", "events"),
        report.deliveries as f64 / seconds.max(0.001),
        counted(report.retries, "retry", "retries"),
    )];
    let accepted = format!("{} accepted", report.accepted);
    lines.push(match report.latency {
        Some(latency) => format!(
            "{} within {:.1} ms (p50), {:.1} ms (p99), {:.1} ms (max)",
            style(accepted).green(),
            millis(latency.p50),
            millis(latency.p99),
            millis(latency.max)
        ),
        None => accepted,
    });
    for (status, refusals) in &report.refused {
        let said = refusals
            .first_answer
            .as_ref()
            .map(|answer| format!(", {}: {}", answer.code, answer.message))
            .unwrap_or_default();
        let count = format!("{} refused", refusals.count);
        lines.push(format!("{} with {status}{said}", style(count).red()));
    }
    if report.gave_up > 0 {
        let because = report
            .gave_up_because
            .as_deref()
            .unwrap_or("no answer came");
        let count = format!("{} given up", report.gave_up);
        lines.push(format!("{}: {because}", style(count).red()));
    }
    if report.cancelled {
        lines.push(format!(
            "stopped early: {} of {} were not made; --seed {seed} makes the same events again",
            report.unfinished(),
            report.planned
        ));
    }
    lines.join("\n")
}

fn as_json(report: &Report, seed: u64) -> serde_json::Value {
    let refused: serde_json::Map<String, serde_json::Value> = report
        .refused
        .iter()
        .map(|(status, refusals)| {
            let answer = refusals.first_answer.as_ref();
            let entry = json!({
                "count": refusals.count,
                "code": answer.map(|answer| &answer.code),
                "message": answer.map(|answer| &answer.message),
            });
            (status.to_string(), entry)
        })
        .collect();
    json!({
        "seed": seed,
        "planned": report.planned,
        "deliveries": report.deliveries,
        "events": report.events,
        "accepted": report.accepted,
        "refused": refused,
        "gave_up": report.gave_up,
        "gave_up_because": report.gave_up_because,
        "unfinished": report.unfinished(),
        "retries": report.retries,
        "elapsed_ms": report.elapsed.as_secs_f64() * 1000.0,
        "latency_ms": report.latency.map(|latency| json!({
            "p50": millis(latency.p50),
            "p99": millis(latency.p99),
            "max": millis(latency.max),
        })),
    })
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
