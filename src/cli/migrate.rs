//! `migrate`: the schema, brought up to date or compared.

use anyhow::Context;
use clap::Args;

use super::engines::database::{Database, cannot_use};
use super::output::say;
use super::{CommandError, Ended, load_config};

/// Bring the database's schema up to date
///
/// Applies the migrations that the database does not have yet. `run`, `work` and
/// `dispatch` do the same at their start.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hookmirror migrate
  hookmirror migrate --check")]
pub(super) struct MigrateArgs {
    /// Only tell which migrations are missing; exit with 3 if there are any
    #[arg(long)]
    check: bool,
}

pub(super) async fn migrate(args: MigrateArgs) -> Result<Ended, CommandError> {
    let config = load_config()?;
    let url = &config.database;
    if args.check {
        let pending = match Database::open_existing(url, config.policy).await? {
            Some(database) => {
                let pending = database.store().pending_migrations().await;
                pending.with_context(|| cannot_use(url))?
            }
            None => {
                say(&format!(
                    "there is no database at {url} yet: `hookmirror migrate` creates it"
                ));
                return Ok(Ended::FoundSomething);
            }
        };
        if pending.is_empty() {
            say("the schema is current");
            return Ok(Ended::Done);
        }
        for name in pending {
            say(&format!("not applied: {name}"));
        }
        return Ok(Ended::FoundSomething);
    }

    let database = Database::open(url, config.policy).await?;
    let applied = database.store().migrate().await;
    let applied = applied.with_context(|| cannot_use(url))?;
    database.close().await;
    if applied.is_empty() {
        say("the schema is current, nothing to apply");
    }
    for name in applied {
        say(&format!("applied {name}"));
    }
    Ok(Ended::Done)
}
