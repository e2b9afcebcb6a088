//! Ends processes that outlive the test.
//!
//! What is dropped in order is ended by its own handle. But a test that is interrupted drops nothing: so
//! a shell knows the processes of this run, and waits on a pipe from it. When that closes, it kills
//! those that still are what they were.

use std::io::Write;
use std::process::{Child, ChildStdin, Command, Stdio};

const GUARD: &str = r#"
trap '' HUP INT TERM
pids=" "
while read -r word pid; do
    case $word in
    began) pids="$pids$pid " ;;
    ended) pids="${pids% "$pid" *} ${pids#* "$pid" }" ;;
    esac
done
for pid in $pids; do
    case $(readlink "/proc/$pid/exe") in
    "$PROGRAM"*) kill -9 "$pid" ;;
    esac
done
"#;

#[derive(Debug)]
pub(crate) struct Lifeline {
    guard: Child,
    words: Option<ChildStdin>,
}

impl Lifeline {
    pub(crate) fn new() -> Self {
        let mut guard = Command::new("sh")
            .args(["-c", GUARD])
            .env("PROGRAM", env!("CARGO_BIN_EXE_hookmirror"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let words = guard.stdin.take();
        Self { guard, words }
    }

    pub(crate) fn began(&mut self, pid: u32) {
        self.say(&format!("began {pid}\n"));
    }

    pub(crate) fn ended(&mut self, pid: u32) {
        self.say(&format!("ended {pid}\n"));
    }

    fn say(&mut self, words: &str) {
        let pipe = self.words.as_mut().unwrap();
        pipe.write_all(words.as_bytes()).unwrap();
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        drop(self.words.take());
        let _ = self.guard.wait();
    }
}
