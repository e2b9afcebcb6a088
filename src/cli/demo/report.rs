//! What the reader of the demo sees, and whether it is what it must be.

use std::net::SocketAddr;
use std::path::Path;

use console::{Alignment, measure_text_width, pad_str, style};
use serde_json::Value;

use super::super::output::{or_dash, say, state, table, terminal_width};
use super::Observation;
use super::endings::endings;
use super::stage::{Answer, Stage};
use super::story::{Expected, Scene};
use crate::model::ledger::EventFilter;
use crate::model::state::EventState;
use crate::model::user::UserId;
use crate::ops::account::Account;

/// Tells the story and keeps count of what was not as it must be.
pub(super) struct Reporter {
    checks: usize,
    wrong: Vec<String>,
}

impl Reporter {
    /// Says what is about to happen.
    pub(super) fn begin(address: SocketAddr) -> Self {
        say(&format!(
            "{}\n\n\
             Clerk and Stripe tell an application what happens by posting signed webhooks:\n\
             late, twice, in any order. hookmirror verifies each one, keeps it durably before\n\
             it answers, and keeps a database and Clerk's metadata true to all of them.\n\
             Watch it do that, with made-up people and a stand-in for Clerk's API, at\n\
             http://{address}.",
            style("hookmirror demo").bold()
        ));
        Self {
            checks: 0,
            wrong: Vec::new(),
        }
    }

    fn check(&mut self, holds: bool, what_is_wrong: impl FnOnce() -> String) -> bool {
        self.checks += 1;
        if !holds {
            self.wrong.push(what_is_wrong());
        }
        holds
    }

    /// Shows one scene.
    pub(super) fn scene(&mut self, number: usize, scene: &Scene, seen: &[Observation]) {
        say(&format!("\n{:>2}  {}", number, style(scene.title).bold()));
        for (post, observation) in scene.posts.iter().zip(seen) {
            let good = self.check(observation.is_as_expected(&post.expected), || {
                format!(
                    "scene {number}, {}: expected {}, saw {}",
                    post.note,
                    expectation(&post.expected),
                    sight(observation)
                )
            });
            let mark = if good {
                style("✓").green()
            } else {
                style("✗").red().bold()
            };
            let line = format!(
                "  {mark} {:<18} {} ",
                post.note,
                pad_str(&sight(observation), 30, Alignment::Left, None)
            );
            let room = terminal_width()
                .map(|width| usize::from(width).saturating_sub(measure_text_width(&line)));
            let event_type = fitting(post.delivery.event_type.as_str(), room);
            say(&format!("{line}{}", style(event_type).dim()));
        }
        say(&format!("    {} {}", style("▸").cyan(), scene.lesson));
    }

    /// Shows the mirror beside what Clerk holds.
    pub(super) async fn people(&mut self, stage: &Stage) -> anyhow::Result<()> {
        let mut rows = Vec::new();
        for ending in endings() {
            let Some(id) = UserId::parse(ending.person.id) else {
                continue;
            };
            let report = stage.store().find_user(&id).await?;
            let user = report.as_ref().and_then(|report| report.user.as_ref());
            let entitlement = report
                .as_ref()
                .and_then(|report| report.entitlement.as_ref());
            let paid = entitlement.is_some_and(|entitlement| entitlement.paid);
            let at_clerk = stage.clerk().metadata_of(&id);
            let stripe = at_clerk
                .as_ref()
                .and_then(|metadata| metadata.get("stripe"));

            let name = ending.person.first_name;
            let first_name = user.and_then(|user| user.first_name.as_deref());
            self.check(first_name == ending.first_name, || {
                format!(
                    "{name}: expected {:?} in the mirror, saw {first_name:?}",
                    ending.first_name
                )
            });
            self.check(paid == ending.paid, || {
                format!("{name}: expected paid to be {}, saw {paid}", ending.paid)
            });
            let seen = stripe.map(|stripe| (stripe.get("payment"), stripe.get("paid")));
            let expected = ending
                .at_clerk
                .map(|(payment, paid)| (Value::from(payment), Value::from(paid)));
            let wanted = expected
                .as_ref()
                .map(|(payment, paid)| (Some(payment), Some(paid)));
            self.check(seen == wanted, || {
                format!("{name}: expected {wanted:?} at Clerk, saw {seen:?}")
            });

            rows.push(match user {
                Some(user) => vec![
                    [&user.first_name, &user.last_name]
                        .into_iter()
                        .filter_map(|name| name.as_deref())
                        .collect::<Vec<_>>()
                        .join(" "),
                    if paid {
                        style("paid").green().to_string()
                    } else {
                        style("not paid").yellow().to_string()
                    },
                    or_dash(stripe.and_then(|stripe| stripe.get("payment")?.as_str())),
                    or_dash(entitlement.map(|entitlement| &entitlement.reason)),
                ],
                None => vec![
                    style(name).dim().to_string(),
                    style("deleted").dim().to_string(),
                    "–".to_owned(),
                    style("nothing personal is kept").dim().to_string(),
                ],
            });
        }
        say(&format!(
            "\n{}\n",
            style("The mirror, and what Clerk holds").bold()
        ));
        say(&table(&["NAME", "MEMBER", "AT CLERK", "BECAUSE"], rows));
        say("\nAT CLERK is public_metadata.stripe.payment, which a session token can carry.");
        Ok(())
    }

    /// Shows what a person should look at.
    pub(super) async fn failures(&mut self, stage: &Stage) -> anyhow::Result<()> {
        let filter = EventFilter {
            states: vec![EventState::Failed],
            ..EventFilter::default()
        };
        let failed = stage.store().list_events(&filter, 100).await?;
        say(&format!(
            "\n{}\n",
            style("Failed, for a person to look at").bold()
        ));
        let rows = failed
            .into_iter()
            .map(|event| {
                vec![
                    event.key.to_string(),
                    event.event_type.to_string(),
                    event.last_error.unwrap_or_default(),
                ]
            })
            .collect();
        say(&table(&["EVENT", "TYPE", "WHY"], rows));
        Ok(())
    }

    /// Shows that nothing is missing.
    pub(super) fn account(&mut self, scenes: &[Scene], account: &Account) {
        let posts = scenes.iter().flat_map(|scene| &scene.posts);
        let refused = posts
            .clone()
            .filter(|post| matches!(post.expected, Expected::Refused { .. }))
            .count();
        let accepted: std::collections::BTreeSet<_> = posts
            .clone()
            .filter(|post| matches!(post.expected, Expected::Recorded { .. }))
            .map(|post| post.delivery.key())
            .collect();
        let posts = posts.count();
        let count = accepted.len() as u64;
        self.check(account.accepted == count, || {
            format!(
                "expected {count} events in the account, saw {}",
                account.accepted
            )
        });
        let deliveries = (posts - refused) as u64;
        self.check(account.deliveries == deliveries, || {
            format!(
                "expected {deliveries} deliveries, saw {}",
                account.deliveries
            )
        });

        let mut states: Vec<String> = Vec::new();
        for wanted in EventState::ALL {
            let of_state: u64 = account
                .states
                .iter()
                .filter(|count| count.state == wanted)
                .map(|count| count.events)
                .sum();
            if of_state > 0 {
                states.push(format!("{of_state} {}", state(wanted)));
            }
        }
        say(&format!(
            "\n{}\n\n{posts} requests = {refused} turned away + {deliveries} accepted, of \
             {} distinct events\n{} distinct events = {}",
            style("Nothing vanished").bold(),
            account.accepted,
            account.accepted,
            states.join(" + ")
        ));
    }

    /// The verdict.
    pub(super) fn finish(self) -> bool {
        if self.wrong.is_empty() {
            say(&format!(
                "\n{} all {} checks hold: every answer, every row, and Clerk's metadata",
                style("✓").green().bold(),
                self.checks
            ));
            return true;
        }
        say(&format!(
            "\n{} {} of {} checks do NOT hold:",
            style("✗").red().bold(),
            self.wrong.len(),
            self.checks
        ));
        for wrong in &self.wrong {
            say(&format!("  {wrong}"));
        }
        false
    }
}

/// The end of a type is what tells it from others: what does not fit goes from its front.
fn fitting(event_type: &str, room: Option<usize>) -> String {
    let mut rest = event_type;
    let mut cut = String::new();
    while room.is_some_and(|room| cut.len() + rest.len() > room) {
        let Some((_, shorter)) = rest.split_once('.') else {
            break;
        };
        rest = shorter;
        cut = "..".to_owned();
    }
    cut + rest
}

fn expectation(expected: &Expected) -> String {
    match expected {
        Expected::Recorded {
            state,
            outcome,
            deliveries,
        } => format!("{state}, {outcome}, {deliveries} deliveries"),
        Expected::Refused { status, code } => format!("{status} {code}"),
    }
}

fn sight(observation: &Observation) -> String {
    match (&observation.answer, &observation.ledger) {
        (Answer::Accepted, Some((event_state, outcome, deliveries))) => {
            let times = match deliveries {
                1 => String::new(),
                n => format!(" ×{n}"),
            };
            format!("202 {} ({outcome}){times}", state(*event_state))
        }
        (Answer::Accepted, None) => "202, and not in the ledger".to_owned(),
        (Answer::Refused { status, code }, None) => {
            format!("{} {code}", style(status).red())
        }
        (Answer::Refused { status, code }, Some(_)) => {
            format!("{status} {code}, and in the ledger all the same")
        }
        (Answer::None { because }, _) => format!("no answer: {because}"),
    }
}

/// What to try next, while the demo still runs: with its settings, and a payload to send.
pub(super) fn how_to_look_further(address: SocketAddr, settings: &Path, payload: &Path) {
    let program = std::env::current_exe()
        .ok()
        .and_then(|path| {
            let here = std::env::current_dir().ok()?;
            let shown = path.strip_prefix(&here).unwrap_or(&path);
            Some(shown.display().to_string())
        })
        .unwrap_or_else(|| "hookmirror".to_owned());
    let mirror = settings.with_file_name("mirror.db");
    say(&format!(
        "\n{}\n\n\
         The demo keeps running at http://{address} until Ctrl-C. In another terminal:\n\n  \
         export HOOKMIRROR_CONFIG={}\n  \
         {program} events list\n  \
         {program} events show clerk/msg_demo_unintelligible --reveal\n  \
         {program} users show user_2demoGrace\n  \
         {program} send {} --count 500 --duplicates 20\n  \
         {program} doctor\n  \
         sqlite3 {} 'SELECT first_name, paid, reason FROM members'\n\n\
         There, unset all settings of hookmirror, such as DATABASE_URL: the environment\n\
         wins over that file.\n\n\
         To receive real webhooks, see `{program} run --help`.",
        style("Look around").bold(),
        settings.display(),
        payload.display(),
        mirror.display(),
    ));
}
