//! `man`: the manual, one page a command, made of the same text as `--help`.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use clap_mangen::Man;

use super::output::say;
use super::{CommandError, Ended, command};

/// Print the manual page, or write one page for each command
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hookmirror man | man -l -
  hookmirror man --output /usr/local/share/man/man1")]
pub(super) struct ManArgs {
    /// Write all pages into this directory, which is created if it is missing
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub(super) fn man(args: &ManArgs) -> Result<Ended, CommandError> {
    let Some(directory) = &args.output else {
        let mut page = Vec::new();
        Man::new(command()).render(&mut page)?;
        // A reader that hung up is no error.
        let _ = io::stdout().lock().write_all(&page);
        return Ok(Ended::Done);
    };
    let shown = directory.display();
    std::fs::create_dir_all(directory).with_context(|| format!("cannot create {shown}"))?;
    clap_mangen::generate_to(command(), directory)
        .with_context(|| format!("cannot write to {shown}"))?;
    say(&format!(
        "the pages are in {shown}: `man hookmirror` is the first"
    ));
    Ok(Ended::Done)
}
