//! `users`: what is mirrored, what was paid, and where it has been delivered.

use anyhow::Context;
use clap::{Args, Subcommand};
use console::style;

use super::engines::database::existing_store;
use super::output::{or_dash, say, say_json, shown};
use super::{CommandError, Ended, load_config};
use crate::config::Config;
use crate::model::ledger::UserReport;
use crate::model::outbox::{DeliveryState, OutboxEntry};
use crate::model::user::UserId;

mod payments;

#[derive(Debug, Subcommand)]
pub(super) enum UsersCommand {
    /// Show one user: the mirror, the payment facts, the verdict and its delivery
    #[command(after_help = "\
Examples:
  hookmirror users show user_2g7np7Hrk0SN6kj5EDMLDaKNL0S
  hookmirror users show user_2g7np7Hrk0SN6kj5EDMLDaKNL0S --json")]
    Show(ShowArgs),
}

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Clerk's user id, user_…
    id: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn users(command: UsersCommand) -> Result<Ended, CommandError> {
    let UsersCommand::Show(args) = command;
    let config = load_config()?;
    let id = UserId::parse(&args.id)
        .ok_or_else(|| CommandError::Usage(format!("{:?} is not a user id", args.id)))?;
    let store = existing_store(&config).await?;
    let report = store.find_user(&id).await?.with_context(|| {
        format!(
            "nothing is known of {id}: no event about such a user was applied (users are found \
                 by Clerk's id, `user_…`, and by nothing else)"
        )
    })?;
    let instance = report.user.as_ref().and_then(|user| user.source.as_ref());
    if args.json {
        say_json(&report)?;
    } else {
        let missing =
            (!config.has_clerk_key(instance)).then(|| Config::clerk_key_is_set_by(instance));
        say(&describe(&report, missing));
    }
    Ok(Ended::Done)
}

/// The report for people.
fn describe(report: &UserReport, missing_key: Option<&str>) -> String {
    let mut text = vec![style(&report.id).bold().to_string()];
    match (&report.user, report.deleted_at) {
        (_, Some(deleted_at)) => text.push(format!(
            "deleted at {deleted_at}; only this is kept, and no late event brings the user back"
        )),
        (None, None) => text.push("not mirrored: no event about this user has arrived".to_owned()),
        (Some(user), None) => {
            let verified = if user.email_verified {
                "verified"
            } else {
                "not verified"
            };
            let email = user
                .email
                .as_ref()
                .map(|email| format!("{} ({verified})", shown(email)));
            let names: Vec<&str> = [&user.first_name, &user.last_name]
                .into_iter()
                .filter_map(|name| name.as_deref())
                .collect();
            for (name, value) in [
                (
                    "name",
                    or_dash((!names.is_empty()).then(|| shown(&names.join(" ")))),
                ),
                ("e-mail", or_dash(email)),
                ("phone", or_dash(user.phone.as_deref().map(shown))),
                ("user name", or_dash(user.username.as_deref().map(shown))),
                (
                    "external id",
                    or_dash(user.external_id.as_deref().map(shown)),
                ),
                ("created", or_dash(user.created_at)),
                ("updated", user.updated_at.to_string()),
                ("revision", user.revision.clone()),
                ("mirrored", user.synced_at.to_string()),
                ("source", or_dash(user.source.as_ref())),
            ] {
                text.push(format!("{name:<12} {value}"));
            }
        }
    }

    text.extend(payments::describe(report));
    if let Some(outbox) = &report.outbox {
        text.push(format!("\n{}", style("Clerk").bold()));
        text.push(delivery(outbox, missing_key));
    }
    text.join("\n")
}

/// What Clerk should hold, and what it holds. `missing_key` is the setting without which nothing is sent.
fn delivery(outbox: &OutboxEntry, missing_key: Option<&str>) -> String {
    let desired = &outbox.desired;
    let text = match (outbox.state, missing_key) {
        (DeliveryState::Delivered, _) => {
            format!("holds {desired}, confirmed at {}", outbox.updated_at)
        }
        (DeliveryState::UserGone, _) => {
            "the user does not exist at Clerk: nothing to deliver".to_owned()
        }
        (DeliveryState::Parked, _) => format!(
            "refuses {desired}: {}",
            outbox
                .last_error
                .as_deref()
                .unwrap_or("no reason was given")
        ),
        (DeliveryState::Discarded, _) => format!(
            "{desired} is not sent: someone gave up on it; `hookmirror outbox retry {}` sends it",
            outbox.user_id
        ),
        (DeliveryState::Pending, Some(setting)) => {
            format!("{desired} waits: set {setting}, restart, and it will be sent")
        }
        (DeliveryState::Pending, None) => {
            let next = or_dash(outbox.next_attempt_at);
            let failed = match &outbox.last_error {
                // A refused key counts as no failure of this entry's.
                Some(error) if outbox.failures == 0 => format!(" (last answer: {error})"),
                Some(error) => format!(" ({} failed attempts, the last: {error})", outbox.failures),
                None => String::new(),
            };
            format!("{desired} is due at {next}{failed}")
        }
    };
    match &outbox.delivered {
        Some(delivered) if delivered != desired && outbox.state != DeliveryState::UserGone => {
            format!("{text}\nholds {delivered}, as far as is known")
        }
        _ => text,
    }
}
