//! A small disk that can be full: a file system in memory, mounted where only one process sees it.
//!
//! The mount is in a namespace of a shell that waits on a pipe from this process. When that closes,
//! for whatever reason, the shell ends, and the mount with it. Needs root.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Far more than a run puts there.
const SIZE: &str = "128m";
/// What is left of a full one: SQLite needs some of it before it notices.
const LEFT: u64 = 64 * 1024;

#[derive(Debug)]
pub(super) struct Disk {
    keeper: Child,
    at: String,
}

impl Disk {
    /// Mounts one there; `None` where that is not allowed, or there is no program for it.
    pub(super) fn mount(at: &Path) -> Option<Self> {
        Self::mount_by("unshare", at)
    }

    fn mount_by(unshare: &str, at: &Path) -> Option<Self> {
        let script = r#"mount -t tmpfs -o "size=$2" tmpfs "$1" && echo mounted && read -r _"#;
        let at = at.to_str().unwrap().to_owned();
        let mut keeper = Command::new(unshare)
            .args(["--mount", "--propagation", "private"])
            .args(["sh", "-c", script, "sh", &at, SIZE])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut said = String::new();
        let mut stdout = BufReader::new(keeper.stdout.take().unwrap());
        stdout.read_line(&mut said).unwrap();
        let disk = Self { keeper, at };
        (said.trim() == "mounted").then_some(disk)
    }

    /// The same command, where the disk is seen. Its process is the command's own.
    pub(super) fn seen_by(&self, command: &Command) -> Command {
        let mut inside = self.inside();
        inside
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .stdin(Stdio::null());
        for (name, value) in command.get_envs() {
            inside.env(name, value.unwrap_or_default());
        }
        inside
    }

    /// Takes away what is free, nearly. What is there stays.
    pub(super) fn fill(&self) {
        let output = self
            .inside()
            .args(["stat", "-f", "-c", "%b %f %S", &self.at])
            .output()
            .unwrap();
        let figures = String::from_utf8(output.stdout).unwrap();
        let figures: Vec<u64> = figures
            .split_whitespace()
            .map(|figure| figure.parse().unwrap())
            .collect();
        let [all, free, unit] = figures[..] else {
            panic!("{figures:?} of the disk");
        };
        self.resize(&((all - free) * unit + LEFT).to_string());
    }

    /// Ends [`fill`](Self::fill).
    pub(super) fn make_room(&self) {
        self.resize(SIZE);
    }

    fn resize(&self, size: &str) {
        let option = format!("remount,size={size}");
        let status = self
            .inside()
            .args(["mount", "-o", &option, &self.at])
            .status()
            .unwrap();
        assert!(status.success(), "the disk cannot be resized");
    }

    fn inside(&self) -> Command {
        let namespace = format!("--mount=/proc/{}/ns/mnt", self.keeper.id());
        let mut command = Command::new("nsenter");
        command.args([&namespace, "--"]);
        command
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

#[test]
fn where_none_can_be_mounted_there_is_none() {
    for unshare in ["no-such-program", "false"] {
        let disk = Disk::mount_by(unshare, Path::new("/nowhere"));
        assert!(disk.is_none(), "{unshare}: {disk:?}");
    }
}
