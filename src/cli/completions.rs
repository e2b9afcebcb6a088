//! `completions`: what a shell needs to complete our commands.

use std::io::{self, Write};

use clap::Args;
use clap_complete::Shell;

use super::{CommandError, Ended, command};

/// Print a script with which a shell completes commands and options
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  hookmirror completions bash > /etc/bash_completion.d/hookmirror
  hookmirror completions zsh > /usr/local/share/zsh/site-functions/_hookmirror
  hookmirror completions fish > ~/.config/fish/completions/hookmirror.fish")]
pub(super) struct CompletionsArgs {
    /// Which shell
    shell: Shell,
}

pub(super) fn completions(args: &CompletionsArgs) -> Result<Ended, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "hookmirror", &mut script);
    // A reader that hung up is no error.
    let _ = io::stdout().lock().write_all(&script);
    Ok(Ended::Done)
}
