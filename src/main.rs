//! The `hookmirror` executable. Everything is in the library; see `hookmirror::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    hookmirror::cli::main()
}
