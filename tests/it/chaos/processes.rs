//! Processes that are started again when they end, as systemd would.
//!
//! No fault of the schedule is a reason for one of them to end or to panic: each role waits for its
//! engines. Whatever ended though nobody had killed it has crashed.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::disk::Disk;
use crate::cli::process::{Home, Running};
use crate::support::lifeline::Lifeline;

const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// systemd's default.
const BEFORE_RESTART: Duration = Duration::from_millis(100);
const SIGKILL: i32 = 9;

/// One process of the installation, whichever it is just now.
pub(super) struct Process {
    // Before the directory that it is in.
    state: Mutex<State>,
    pub(super) name: &'static str,
    role: &'static str,
    pub(super) home: Home,
    /// What its data directory is on, if that is its own.
    pub(super) disk: Option<Disk>,
}

struct State {
    running: Option<Running>,
    /// Not to be started again before this.
    held_until: Instant,
    starts: u32,
    /// How often it ended though nobody had killed it.
    ended_by_itself: u32,
    /// What of it there was to see, of all that have ended.
    crashes: Vec<String>,
    killed: bool,
    peak_rss_kib: u64,
    lifeline: Arc<Mutex<Lifeline>>,
}

impl State {
    /// Whoever can get a signal.
    fn alive(&mut self) -> Option<&mut Running> {
        let running = self.running.as_mut()?;
        (!running.has_ended()).then_some(running)
    }
}

impl Process {
    pub(super) fn start(
        name: &'static str,
        role: &'static str,
        home: Home,
        disk: Option<Disk>,
        lifeline: &Arc<Mutex<Lifeline>>,
    ) -> Arc<Self> {
        let process = Self {
            name,
            role,
            home,
            disk,
            state: Mutex::new(State {
                running: None,
                held_until: Instant::now(),
                starts: 0,
                ended_by_itself: 0,
                crashes: Vec::new(),
                killed: false,
                peak_rss_kib: 0,
                lifeline: Arc::clone(lifeline),
            }),
        };
        process.begin(&mut process.state());
        Arc::new(process)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn command(&self) -> Command {
        let command = self.home.command([self.role]);
        match &self.disk {
            Some(disk) => disk.seen_by(&command),
            None => command,
        }
    }

    fn begin(&self, state: &mut State) {
        let running = self.home.launch(&mut self.command());
        state.lifeline.lock().unwrap().began(running.id());
        state.running = Some(running);
        state.starts += 1;
        state.killed = false;
    }

    /// Whether the process of now has said that it is ready.
    pub(super) fn is_ready(&self) -> bool {
        let state = self.state();
        let running = state.running.as_ref();
        running.is_some_and(|running| running.stderr().contains("ready: "))
    }

    /// What the process of now has written to its log.
    pub(super) fn log(&self) -> String {
        let state = self.state();
        state
            .running
            .as_ref()
            .map_or_else(String::new, Running::stderr)
    }

    /// `kill -9`; it stays away for so long. Answers which start of it that ended; `None` if there was
    /// nobody to kill.
    pub(super) fn kill(&self, away: Duration) -> Option<u32> {
        let mut state = self.state();
        state.alive()?.signal("KILL");
        state.held_until = Instant::now() + away;
        state.killed = true;
        Some(state.starts)
    }

    /// `STOP` or `CONT`; `None` if there was nobody to get it.
    pub(super) fn signal(&self, name: &str) -> Option<()> {
        self.state().alive().map(|running| running.signal(name))
    }

    pub(super) fn starts(&self) -> u32 {
        self.state().starts
    }

    pub(super) fn ended_by_itself(&self) -> u32 {
        self.state().ended_by_itself
    }

    /// Each end by itself, and each line in which one of them says that something panicked.
    pub(super) fn crashes(&self) -> Vec<String> {
        let mut crashes = self.state().crashes.clone();
        crashes.extend(panics(self.name, &self.log()));
        crashes
    }

    pub(super) fn peak_rss_kib(&self) -> u64 {
        self.state().peak_rss_kib
    }

    /// Starts it again if it has ended; looks at its memory if it has not.
    fn look_after(&self) {
        let mut state = self.state();
        if let Some(running) = &mut state.running {
            let Some(status) = running.ended() else {
                let peak = peak_rss_kib(running.id());
                state.peak_rss_kib = state.peak_rss_kib.max(peak);
                return;
            };
            let (pid, log) = (running.id(), running.stderr());
            state.lifeline.lock().unwrap().ended(pid);
            // Dropped, it is searched for secrets that it wrote.
            state.running = None;
            state.crashes.extend(panics(self.name, &log));
            if !(state.killed && status.signal() == Some(SIGKILL)) {
                let (name, last) = (self.name, log.lines().last().unwrap_or_default());
                let crash = format!("{name} ended by itself, {status}: {last}");
                state.crashes.push(crash);
                state.ended_by_itself += 1;
            }
            if !state.killed {
                state.held_until = Instant::now() + BEFORE_RESTART;
            }
        }
        if state.held_until <= Instant::now() {
            self.begin(&mut state);
        }
    }
}

/// Looks after them until it is aborted.
pub(super) fn supervise(processes: Vec<Arc<Process>>) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            for process in &processes {
                process.look_after();
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
}

fn panics(name: &str, log: &str) -> Vec<String> {
    let lines = log.lines().filter(|line| line.contains("panicked"));
    lines.map(|line| format!("{name}: {line}")).collect()
}

/// The most that a process has had in memory; 0 if it is gone.
pub(super) fn peak_rss_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse().ok())
        .unwrap_or_default()
}

#[test]
fn who_is_killed_has_not_crashed_and_who_ends_otherwise_has() {
    use crate::cli::process::wait_until;
    let lifeline = Arc::new(Mutex::new(Lifeline::new()));
    let away = Duration::from_secs(3600);
    let gone = |process: &Process| {
        process.look_after();
        process.state().running.is_none()
    };

    let killed = Process::start("killed", "run", Home::new(), None, &lifeline);
    wait_until("it is ready", || killed.is_ready());
    assert_eq!(killed.signal("STOP"), Some(()));
    assert_eq!(killed.kill(away), Some(1));
    wait_until("it is gone", || gone(&killed));
    assert_eq!((killed.kill(away), killed.signal("STOP")), (None, None));
    assert_eq!((killed.crashes(), killed.ended_by_itself()), (vec![], 0));

    // Though somebody killed it when it was too late.
    let ended = Process::start("ended", "no-such-command", Home::new(), None, &lifeline);
    wait_until("it ends", || ended.state().alive().is_none());
    assert_eq!(ended.kill(away), None);
    wait_until("it is gone", || gone(&ended));
    let crashes = ended.crashes();
    assert!(
        matches!(&crashes[..], [crash] if crash.starts_with("ended ended by itself, exit status: 2")),
        "{crashes:?}"
    );
    assert_eq!(ended.ended_by_itself(), 1);
}

#[test]
fn a_panic_is_seen_in_a_log() {
    let log = "INFO ready\nthread 'main' panicked at src/lib.rs:1:1:\nboom\n";
    let seen = panics("work-1", log);
    assert_eq!(seen, ["work-1: thread 'main' panicked at src/lib.rs:1:1:"]);
}
