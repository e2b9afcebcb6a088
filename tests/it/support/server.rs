//! Servers that live no longer than the tests.
//!
//! A static is never dropped and a test process can be killed, so a server is started by a guard: a
//! shell whose input is a pipe that this process holds. When the pipe closes, for whatever reason,
//! the guard kills the server and removes its directory.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Prints the processes below one.
const DESCENDANTS: &str = r#"
descendants() {
    for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do
        echo "$child"
        descendants "$child"
    done
}
"#;

/// The server is a session leader, so that no signal from a terminal reaches it. It is waited for
/// until it stands still, or it could start one more that nobody kills; and for each of the killed, or
/// one that still ends would be in the way of a server that is started on the same directory.
const GUARD: &str = r#"
trap '' HUP INT TERM
directory=$1
shift
( trap - HUP INT TERM; exec setsid "$@" ) </dev/null >>"$directory/log" 2>&1 &
server=$!
echo "$server"
read -r word
kill -STOP "$server"
until grep -qs '^State:.[TtZ]' /proc/"$server"/status; do sleep 0.01; done
all="$server $(descendants "$server")"
kill -KILL $all
for each in $all; do
    while grep -qs '^State:.[^Z]' /proc/"$each"/status; do sleep 0.01; done
done
wait "$server"
[ "$word" = keep ] || rm -rf "$directory"
"#;

/// A server that ends, by SIGKILL, when this is dropped or this process ends.
#[derive(Debug)]
pub(crate) struct Guarded {
    guard: Child,
    /// The server's own process.
    pid: u32,
}

impl Guarded {
    /// Runs a command until then; after that, `directory` is removed. What the server prints goes to
    /// `log` in there.
    pub(crate) fn start<S: AsRef<OsStr>>(directory: &Path, command: &[S]) -> Self {
        let mut guard = Command::new("sh")
            .args(["-c", &format!("{DESCENDANTS}{GUARD}"), "guard"])
            .arg(directory)
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut pid = String::new();
        BufReader::new(guard.stdout.take().unwrap())
            .read_line(&mut pid)
            .unwrap();
        Self {
            guard,
            pid: pid.trim().parse().unwrap(),
        }
    }

    /// Sends a signal to the server and to all that it has started; some of those may be gone when it
    /// arrives.
    pub(crate) fn signal(&self, signal: &str) {
        let script = format!(
            r#"{DESCENDANTS}
            kill -"$1" "$2" || exit 1
            for each in $(descendants "$2"); do kill -"$1" "$each" 2>/dev/null; done
            exit 0"#
        );
        let status = Command::new("sh")
            .args(["-c", &script, "sh", signal, &self.pid.to_string()])
            .status()
            .unwrap();
        assert!(status.success(), "cannot send {signal} to {}", self.pid);
    }

    /// Kills the server and all that it has started, and keeps its directory.
    pub(crate) fn kill(mut self) {
        let stdin = self.guard.stdin.as_mut().unwrap();
        stdin.write_all(b"keep\n").unwrap();
    }

    /// Whether the server still runs.
    pub(crate) fn is_running(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// A port of the loopback that nobody listens on now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Finds a program on the path, else by looking into `elsewhere`; the last of several.
pub(crate) fn find(program: &str, elsewhere: impl IntoIterator<Item = PathBuf>) -> Option<PathBuf> {
    let output = Command::new("sh")
        .args(["-c", r#"command -v "$1""#, "sh", program])
        .output()
        .unwrap();
    let found = String::from_utf8(output.stdout).unwrap();
    if output.status.success() {
        return Some(PathBuf::from(found.trim()));
    }
    let candidates = elsewhere.into_iter().map(|folder| folder.join(program));
    candidates.filter(|path| path.is_file()).last()
}

/// What to put before a command so that it runs as `user`, if this process is root: most servers
/// refuse to be run by root, or should.
pub(crate) fn as_user(user: &str) -> Vec<String> {
    let id = Command::new("id").arg("-u").output().unwrap();
    if id.stdout.trim_ascii() != b"0" {
        return Vec::new();
    }
    let command = format!("setpriv --reuid={user} --regid={user} --clear-groups --");
    command.split(' ').map(str::to_owned).collect()
}
