//! `doctor`: everything that can be looked at, and all that was found.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use console::style;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::engines::database::Database;
use super::engines::queue::waiting;
use super::output::{counted, say, say_json};
use super::{CommandError, Ended};
use crate::admin;
use crate::clock::{Clock, SystemClock};
use crate::config::{
    AdminSettings, Config, ConfigProblems, DatabaseUrl, SourceSettings, check_data_dir,
};
use crate::error_chain::ErrorChain;
use crate::model::ledger::Waiting;
use crate::model::source::{Provider, Source};
use crate::model::time::Timestamp;
use crate::ops::account::account;
use crate::ops::checkup::{self, Finding, Level};
use crate::ops::keeping;

const CONNECT: Duration = Duration::from_secs(2);
/// Longer than the default limit of a readiness check.
const ANSWER: Duration = Duration::from_secs(6);
const MAX_ANSWER: u64 = 16 * 1024;

/// Check every setting and dependency and report all findings
///
/// Looks at the settings, the data directory, both listeners, the queue, the database, the events and
/// the outbox. Reports everything it finds; ends with 1 if something does not work.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hookmirror doctor
  hookmirror doctor --json")]
pub(super) struct DoctorArgs {
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn doctor(args: DoctorArgs) -> Result<Ended, CommandError> {
    let findings = match Config::from_process_environment() {
        Ok(config) => examine(&config).await,
        Err(problems) => of_settings(&problems),
    };
    let broken = findings
        .iter()
        .any(|finding| finding.level == Level::Problem);
    if args.json {
        say_json(&findings)?;
    } else {
        for finding in &findings {
            let mark = match finding.level {
                Level::Ok => style("✓").green(),
                Level::Warning => style("!").yellow().bold(),
                Level::Problem => style("✗").red().bold(),
            };
            say(&format!("{mark} {:<10} {}", finding.check, finding.message));
        }
    }
    Ok(if broken { Ended::Failed } else { Ended::Done })
}

/// With wrong settings there is nothing else to look at: it might be the wrong thing.
fn of_settings(problems: &ConfigProblems) -> Vec<Finding> {
    let wrong = problems
        .problems()
        .iter()
        .map(|problem| Finding::problem("settings", problem.to_string()));
    let warnings = problems
        .warnings()
        .iter()
        .map(|warning| Finding::warning("settings", warning.to_string()));
    wrong.chain(warnings).collect()
}

/// Where metadata can be sent.
fn clerk(config: &Config) -> Vec<Finding> {
    const CHECK: &str = "clerk";
    let instances = config.clerk_instances();
    if !config.has_clerk_key(None) {
        return vec![Finding::warning(
            CHECK,
            "no key for Clerk's API, so metadata waits in the outbox: set CLERK_SECRET_KEY",
        )];
    }
    if instances.len() == 1 {
        return vec![Finding::ok(
            CHECK,
            "there is a key for Clerk's API (not tried)",
        )];
    }
    let findings = instances.into_iter().map(|(instance, clerk)| {
        if clerk.secret_key.is_some() {
            let message = format!("{instance}: there is a key for Clerk's API (not tried)");
            return Finding::ok(CHECK, message);
        }
        let message = format!(
            "{instance}: no key for Clerk's API, so metadata of its users waits in the outbox: set {}",
            Config::clerk_key_is_set_by(Some(instance))
        );
        Finding::warning(CHECK, message)
    });
    findings.collect()
}

async fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = vec![Finding::ok("settings", "every value can be used")];
    for warning in &config.warnings {
        findings.push(Finding::warning("settings", warning.to_string()));
    }
    findings.extend(config.sources.iter().map(source));
    findings.extend(clerk(config));
    if config.keeps_events_on_disk() {
        findings.push(data_dir(&config.data_dir));
    }
    findings.push(listener(config.ingress.listen).await);
    findings.extend(private_listener(&config.admin).await);
    let now = SystemClock.now();
    let waiting = waiting(config).await;
    match &waiting {
        Ok(waiting) => {
            let broker = config.broker.as_ref();
            let place = broker.map(|broker| format!("AMQP_URL is {}", broker.url));
            let found = checkup::queue(waiting, now).into_iter();
            findings.extend(found.map(|finding| with_place(finding, place.as_deref())));
        }
        Err(error) => {
            let message = ErrorChain(error.as_ref()).to_string();
            findings.push(Finding::problem("queue", message));
        }
    }
    findings.extend(database(config, waiting.unwrap_or_default(), now).await);
    findings
}

fn source(settings: &SourceSettings) -> Finding {
    const CHECK: &str = "sources";
    let Source {
        name,
        provider,
        livemode,
    } = &settings.source;
    if settings.secrets.is_empty() {
        let setting = settings.secrets_are_set_by();
        return Finding::warning(
            CHECK,
            format!("{name} has no signing secret, so /webhooks/{name} answers 503: set {setting}"),
        );
    }
    let kinds = match (provider, livemode) {
        (Provider::Clerk, _) => "",
        (Provider::Stripe, None) => ", for live and test events",
        (Provider::Stripe, Some(true)) => ", for live events only",
        (Provider::Stripe, Some(false)) => ", for test events only",
    };
    let number = settings.secrets.len() as u64;
    let secrets = counted(number, "signing secret", "signing secrets");
    let origin = &settings.secrets_from;
    Finding::ok(
        CHECK,
        format!("{name} ({provider}) is at /webhooks/{name}{kinds}, with {secrets} {origin}"),
    )
}

/// Looks without leaving a directory behind: `run` makes it when it starts.
fn data_dir(path: &Path) -> Finding {
    const CHECK: &str = "data";
    let shown = path.display();
    if path.exists() {
        return match check_data_dir(path) {
            Some(problem) => Finding::problem(CHECK, problem.to_string()),
            None => Finding::ok(CHECK, format!("{shown} can be written to")),
        };
    }
    let above = nearest_existing(path);
    if check_data_dir(&above).is_none() {
        let message = format!("{shown} does not exist yet; `hookmirror run` creates it");
        return Finding::ok(CHECK, message);
    }
    Finding::problem(
        CHECK,
        format!(
            "{shown} does not exist and cannot be created in {}: set HOOKMIRROR_DATA_DIR to a \
             directory that this process may write to",
            above.display()
        ),
    )
}

fn nearest_existing(path: &Path) -> PathBuf {
    let above = path.ancestors().find(|above| above.exists());
    // A relative path ends in nothing, which is the working directory.
    above.map_or_else(|| ".".into(), Path::to_owned)
}

async fn listener(address: SocketAddr) -> Finding {
    const CHECK: &str = "listener";
    let (is_ours, status) = match ask_readiness(address).await {
        Ok(answer) => answer,
        Err(_) => return could_listen(CHECK, address).await,
    };
    match status.as_str() {
        _ if !is_ours => Finding::problem(
            CHECK,
            format!(
                "something that is not hookmirror answers at {address}: stop it, or set \
                 HOOKMIRROR_LISTEN to another address"
            ),
        ),
        "200" => Finding::ok(CHECK, format!("hookmirror runs at {address} and is ready")),
        _ => Finding::problem(
            CHECK,
            format!(
                "hookmirror runs at {address} and cannot accept events ({status}): see its log, \
                 and GET /readyz"
            ),
        ),
    }
}

async fn could_listen(check: &'static str, address: SocketAddr) -> Finding {
    match TcpListener::bind(address).await {
        Ok(_) => Finding::ok(
            check,
            format!("{address} is free; `hookmirror run` will listen there"),
        ),
        Err(error) => Finding::problem(
            check,
            format!(
                "nothing answers at {address}, and it cannot be listened at: {error}; set \
                 HOOKMIRROR_LISTEN to another address"
            ),
        ),
    }
}

/// Looks at the address of the private listener. Several roles on one machine have the same default:
/// that it is taken keeps nobody from starting, unless somebody has asked for it.
async fn private_listener(settings: &AdminSettings) -> Option<Finding> {
    const CHECK: &str = "metrics";
    let address = settings.listen?;
    let ours = ask(address, "/livez").await;
    Some(match ours {
        Ok((status, body)) if status == "200" && body == admin::ALIVE => {
            Finding::ok(CHECK, format!("hookmirror tells them at {address}"))
        }
        Err(_) if TcpListener::bind(address).await.is_ok() => Finding::ok(
            CHECK,
            format!("{address} is free; `hookmirror run` will tell them there"),
        ),
        _ => {
            let message = format!(
                "{address} cannot be listened at: set HOOKMIRROR_ADMIN_LISTEN to another address, or \
                 to `off`"
            );
            if settings.is_at_the_default() {
                Finding::warning(CHECK, message)
            } else {
                Finding::problem(CHECK, message)
            }
        }
    })
}

/// Asks for `/readyz`; tells whether it is we who answer, and the status.
async fn ask_readiness(address: SocketAddr) -> io::Result<(bool, String)> {
    let (status, body) = ask(address, "/readyz").await?;
    let is_ours = match status.as_str() {
        "200" => body.contains(r#""status":"ready""#),
        "503" => body.contains(r#""error":{"code":"#),
        _ => false,
    };
    Ok((is_ours, status))
}

/// Status and body of an answer; empty where it makes no sense.
async fn ask(address: SocketAddr, path: &str) -> io::Result<(String, String)> {
    let mut connection = timeout(CONNECT, TcpStream::connect(address)).await??;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    let mut answer = Vec::new();
    let exchange = async {
        connection.write_all(request.as_bytes()).await?;
        connection.take(MAX_ANSWER).read_to_end(&mut answer).await
    };
    // Whoever has connected and says nothing sensible is somebody else.
    let _ = timeout(ANSWER, exchange).await;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let status = head.split(' ').nth(1).unwrap_or_default();
    Ok((status.to_owned(), body.to_owned()))
}

fn absent_database(check: &'static str, path: &Path) -> Finding {
    let shown = path.display();
    let above = nearest_existing(path);
    if check_data_dir(&above).is_none() {
        let message = format!("{shown} does not exist yet; `hookmirror run` creates it");
        return Finding::ok(check, message);
    }
    Finding::problem(
        check,
        format!(
            "{shown} does not exist and cannot be created in {}: set DATABASE_URL to a file in a \
             directory that this process may write to",
            above.display()
        ),
    )
}

/// Says as well where it is that does not work.
fn with_place(finding: Finding, place: Option<&str>) -> Finding {
    match (finding.level, place) {
        (Level::Problem, Some(place)) => Finding {
            message: format!("{}; {place}", finding.message),
            ..finding
        },
        _ => finding,
    }
}

async fn database(config: &Config, waiting: Waiting, now: Timestamp) -> Vec<Finding> {
    const CHECK: &str = "database";
    let url = &config.database;
    let database = match Database::open_existing(url, config.policy).await {
        Ok(Some(database)) => database,
        Ok(None) => {
            return match url {
                DatabaseUrl::Sqlite(path) => vec![absent_database(CHECK, path)],
                DatabaseUrl::Postgres(_) => Vec::new(),
            };
        }
        Err(error) => {
            let message = format!(
                "{}; mend that, or set DATABASE_URL to another database",
                ErrorChain(&error)
            );
            return vec![Finding::problem(CHECK, message)];
        }
    };
    let store = database.store();
    let state = checkup::database(&*store).await;
    let usable = state.level == Level::Ok;
    let place = format!("DATABASE_URL is {url}");
    let mut findings = vec![with_place(state, Some(&place))];
    if !usable {
        return findings;
    }
    match account(&*store, waiting).await {
        Ok(account) => findings.extend(checkup::events(&account, now)),
        Err(error) => findings.push(Finding::problem("events", ErrorChain(&error).to_string())),
    }
    findings.extend(checkup::pauses(&*store, now).await);
    findings.extend(keeping::overdue(&*store, config.retention, now).await);
    let has_key = config.has_clerk_key(None);
    findings.extend(checkup::outbox(&*store, has_key, now).await);
    findings
}
