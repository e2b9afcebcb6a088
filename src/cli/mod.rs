//! The commands: the only place that builds concrete things from settings.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 a dry run found something to do.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use self::output::complain;
use self::roles::Roles;
use crate::config::{Config, ConfigProblems};
use crate::error_chain::ErrorChain;

mod acting;
mod actions;
mod completions;
pub mod demo;
mod doctor;
mod engines;
mod events;
mod failures;
mod filter;
mod front_door;
mod manual;
mod migrate;
mod outbox;
mod output;
mod payments;
mod preview;
mod private_door;
mod replay;
mod roles;
mod schema;
mod send;
mod sources;
mod system;
mod users;

/// Receives Clerk and Stripe webhooks, owns each one durably before it answers, and keeps a local
/// database and Clerk's user metadata true to them.
#[derive(Debug, Parser)]
#[command(name = "hookmirror", version, max_term_width = 100)]
#[command(after_help = "\
Start here:
  hookmirror demo         see it work, with nothing installed and nothing configured
  hookmirror doctor       check the settings and everything they point to
  hookmirror run          receive webhooks

Settings come from the environment, or from a TOML file named by HOOKMIRROR_CONFIG.
Exit codes: 0 done, 1 failed, 2 wrong usage or settings, 3 a dry run found something to do.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Commands without a line here are explained where their arguments are.
#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
    /// Receive webhooks, mirror them, deliver metadata: all roles in one process
    #[command(after_help = roles::settings("run"))]
    Run,
    /// Receive webhooks only: from the providers to RabbitMQ; needs no database
    #[command(after_help = roles::settings("serve"))]
    Serve,
    /// Mirror events only: from RabbitMQ to the database; any number may run
    #[command(after_help = roles::settings("work"))]
    Work,
    /// Deliver metadata only: from the database to Clerk
    #[command(after_help = roles::settings("dispatch"))]
    Dispatch,
    Send(send::SendArgs),
    Migrate(migrate::MigrateArgs),
    Doctor(doctor::DoctorArgs),
    /// Look at events: what was received and what became of it
    #[command(subcommand)]
    Events(events::EventsCommand),
    Failures(failures::FailuresArgs),
    /// Look after the metadata for Clerk: what is not delivered, and why
    #[command(subcommand)]
    Outbox(outbox::OutboxCommand),
    /// Look after payments whose user is not known, or not the right one
    #[command(subcommand)]
    Payments(payments::PaymentsCommand),
    Replay(replay::ReplayArgs),
    /// Look at who pushes events, and pause or resume their processing
    #[command(subcommand)]
    Sources(sources::SourcesCommand),
    /// Look at what people did by hand
    #[command(subcommand)]
    Actions(actions::ActionsCommand),
    /// Look at users: what is mirrored, paid and delivered
    #[command(subcommand)]
    Users(users::UsersCommand),
    Completions(completions::CompletionsArgs),
    Man(manual::ManArgs),
}

/// How a command ended, other than by an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// Did what it was asked to.
    Done,
    /// Did it, and it did not come out as it should have.
    Failed,
    /// Was only asked to look, and there is something to do.
    FoundSomething,
}

/// Why a command could not do what it was asked to.
#[derive(Debug)]
enum CommandError {
    /// The settings are wrong.
    Config(Box<ConfigProblems>),
    /// The arguments are wrong, in a way that only reading them shows.
    Usage(String),
    /// Anything else.
    Other(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for CommandError {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

/// Reads the arguments, runs the command, and says how it went.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A reader that hung up does not need to be told.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(Box::pin(dispatch(cli.command)));
    // What is still under way has had its time; a name that is being looked up could take long yet.
    runtime.shutdown_background();
    match ended {
        Ok(Ended::Done) => ExitCode::SUCCESS,
        Ok(Ended::Failed) => ExitCode::from(1),
        Ok(Ended::FoundSomething) => ExitCode::from(3),
        Err(CommandError::Config(problems)) => {
            complain(&problems.to_string());
            ExitCode::from(2)
        }
        Err(CommandError::Usage(message)) => {
            complain(&message);
            ExitCode::from(2)
        }
        Err(CommandError::Other(error)) => {
            complain(&ErrorChain(error.as_ref()).to_string());
            ExitCode::from(1)
        }
    }
}

async fn dispatch(command: Command) -> Result<Ended, CommandError> {
    match command {
        Command::Demo(args) => demo::demo(args).await,
        Command::Run => roles::run(Roles::ALL).await,
        Command::Serve => roles::run(Roles::SERVE).await,
        Command::Work => roles::run(Roles::WORK).await,
        Command::Dispatch => roles::run(Roles::DISPATCH).await,
        Command::Send(args) => send::send(args).await,
        Command::Migrate(args) => migrate::migrate(args).await,
        Command::Doctor(args) => doctor::doctor(args).await,
        Command::Events(command) => events::events(command).await,
        Command::Failures(args) => failures::failures(args).await,
        Command::Outbox(command) => outbox::outbox(command).await,
        Command::Payments(command) => payments::payments(command).await,
        Command::Replay(args) => replay::replay(args).await,
        Command::Sources(command) => sources::sources(command).await,
        Command::Actions(command) => actions::actions(command).await,
        Command::Users(command) => users::users(command).await,
        Command::Completions(args) => completions::completions(&args),
        Command::Man(args) => manual::man(&args),
    }
}

fn load_config() -> Result<Config, CommandError> {
    Config::from_process_environment().map_err(|problems| CommandError::Config(problems.into()))
}

/// The whole tree of commands, for tests and generated documents.
pub fn command() -> clap::Command {
    Cli::command()
}

/// A number that differs from process to process, for jitter and for generated ids.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that draws chance; everything else takes a seed"
)]
fn fresh_seed() -> u64 {
    rand::random()
}
