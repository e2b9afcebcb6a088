//! `doctor`: everything that can be looked at, and all that was found.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use console::style;
use tokio::net::{TcpListener, TcpStream};

use super::events::read_account;
use super::output::{say, say_json};
use super::{CommandError, Ended};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, ConfigProblems, DatabaseUrl, check_data_dir};
use crate::error_chain::ErrorChain;
use crate::ops::checkup::{self, Finding, Level};
use crate::store::sqlite::SqliteStore;

/// Looks at the settings, the data directory, the listener, the queue, the database, the events and
/// the outbox. Reports everything it finds; ends with 1 if something does not work.
#[derive(Debug, Args)]
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

async fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = vec![Finding::ok("settings", "every value can be used")];
    for warning in &config.warnings {
        findings.push(Finding::warning("settings", warning.to_string()));
    }
    findings.extend(config.sources.iter().map(|settings| {
        let name = &settings.source.name;
        match settings.secrets.len() {
            0 => Finding::warning(
                "sources",
                format!(
                    "{name} has no signing secret, so its webhooks get 503: set {}",
                    settings.variable()
                ),
            ),
            1 => Finding::ok("sources", format!("{name} has a signing secret")),
            several => Finding::ok("sources", format!("{name} has {several} signing secrets")),
        }
    }));
    findings.push(if config.clerk.secret_key.is_some() {
        Finding::ok("clerk", "there is a key for Clerk's API (not tried)")
    } else {
        Finding::warning(
            "clerk",
            "no CLERK_SECRET_KEY: paid metadata waits in the outbox and is not sent",
        )
    });
    findings.push(match check_data_dir(&config.data_dir) {
        Some(problem) => Finding::problem("data", problem.to_string()),
        None => Finding::ok(
            "data",
            format!("{} can be written to", config.data_dir.display()),
        ),
    });
    findings.push(listener(config.ingress.listen).await);
    findings.extend(database(config).await);
    findings
}

async fn listener(address: SocketAddr) -> Finding {
    const CHECK: &str = "listener";
    let connect = TcpStream::connect(address);
    if let Ok(Ok(_)) = tokio::time::timeout(Duration::from_secs(2), connect).await {
        return Finding::ok(CHECK, format!("something answers at {address}"));
    }
    match TcpListener::bind(address).await {
        Ok(_) => Finding::ok(
            CHECK,
            format!("nothing listens at {address}; the address is free"),
        ),
        Err(error) => Finding::problem(
            CHECK,
            format!("cannot listen at {address} (HOOKMIRROR_LISTEN): {error}"),
        ),
    }
}

async fn database(config: &Config) -> Vec<Finding> {
    const CHECK: &str = "database";
    let DatabaseUrl::Sqlite(path) = &config.database;
    let store = match SqliteStore::open_existing(path).await {
        Ok(Some(store)) => store,
        Ok(None) => {
            let message = format!("{} does not exist yet; `run` creates it", path.display());
            return vec![Finding::ok(CHECK, message)];
        }
        Err(error) => return vec![Finding::problem(CHECK, ErrorChain(&error).to_string())],
    };
    let state = checkup::database(&store).await;
    let usable = state.level == Level::Ok;
    let mut findings = vec![state];
    if !usable {
        return findings;
    }
    let now = SystemClock.now();
    match read_account(config, &store).await {
        Ok(account) => findings.extend(checkup::events(&account, now)),
        Err(CommandError::Other(error)) => {
            findings.push(Finding::problem(
                "queue",
                ErrorChain(error.as_ref()).to_string(),
            ));
        }
        Err(CommandError::Config(_) | CommandError::Usage(_)) => {}
    }
    let has_key = config.clerk.secret_key.is_some();
    findings.push(checkup::outbox(&store, has_key, now).await);
    findings
}
