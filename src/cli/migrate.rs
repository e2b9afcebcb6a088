//! `migrate`: the schema, brought up to date or compared.

use clap::Args;

use super::output::say;
use super::{CommandError, Ended, load_config};
use crate::config::DatabaseUrl;
use crate::store::Store;
use crate::store::sqlite::SqliteStore;

/// Bring the database's schema up to date
///
/// Applies the migrations that the database does not have yet. `run` does the same at its start.
#[derive(Debug, Args)]
pub(super) struct MigrateArgs {
    /// Only tell which migrations are missing; exit with 3 if there are any
    #[arg(long)]
    check: bool,
}

pub(super) async fn migrate(args: MigrateArgs) -> Result<Ended, CommandError> {
    let config = load_config()?;
    let DatabaseUrl::Sqlite(path) = &config.database;
    if args.check {
        let pending = match SqliteStore::open_existing(path).await? {
            Some(store) => store.pending_migrations().await?,
            None => {
                say(&format!(
                    "there is no database at {} yet: `hookmirror migrate` creates it",
                    path.display()
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

    let store = SqliteStore::open(path).await?;
    let applied = store.migrate().await?;
    store.close().await;
    if applied.is_empty() {
        say("the schema is current, nothing to apply");
    }
    for name in applied {
        say(&format!("applied {name}"));
    }
    Ok(Ended::Done)
}
