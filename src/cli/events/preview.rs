//! `events preview`.

use clap::Args;

use super::super::engines::database::existing_store;
use super::super::filter::FilterArgs;
use super::super::output::say_json;
use super::super::{CommandError, Ended, acting, preview};
use crate::config::Config;
use crate::model::ledger::EventFilter;
use crate::model::operator::Operator;
use crate::ops::preview::{MOST, Request};
use crate::ops::wanted;

#[derive(Debug, Args)]
pub(in crate::cli) struct PreviewArgs {
    #[command(flatten)]
    filter: FilterArgs,
    /// At most this many, the first received first
    #[arg(long, default_value_t = MOST,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST)))]
    limit: u32,
    /// Show names, addresses and metadata as they are
    #[arg(long)]
    reveal: bool,
    /// Who looks; without this, the login name
    #[arg(long, value_name = "NAME", value_parser = wanted::operator)]
    operator: Option<Operator>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn preview(config: &Config, args: PreviewArgs) -> Result<Ended, CommandError> {
    let store = existing_store(config).await?;
    let request = Request {
        filter: EventFilter::from(args.filter),
        limit: args.limit,
        reveal: args.reveal,
        operator: acting::who(args.operator, config),
    };
    let previewed = preview::of(config, &*store, request).await?;
    if args.json {
        say_json(&previewed)?;
    } else {
        preview::tell(&previewed);
    }
    Ok(if previewed.is_without_effect() {
        Ended::Done
    } else {
        Ended::FoundSomething
    })
}
