//! Processes that are started again when they end, as systemd would.

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
    killed: bool,
    peak_rss_kib: u64,
    lifeline: Arc<Mutex<Lifeline>>,
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

    /// `kill -9`; it stays away for so long.
    pub(super) fn kill(&self, away: Duration) {
        let mut state = self.state();
        state.held_until = Instant::now() + away;
        state.killed = true;
        if let Some(running) = &state.running {
            running.signal("KILL");
        }
    }

    /// `STOP` or `CONT`.
    pub(super) fn signal(&self, name: &str) {
        if let Some(running) = &self.state().running {
            running.signal(name);
        }
    }

    pub(super) fn starts(&self) -> u32 {
        self.state().starts
    }

    pub(super) fn ended_by_itself(&self) -> u32 {
        self.state().ended_by_itself
    }

    pub(super) fn peak_rss_kib(&self) -> u64 {
        self.state().peak_rss_kib
    }

    /// Starts it again if it has ended; looks at its memory if it has not.
    fn look_after(&self) {
        let mut state = self.state();
        if let Some(running) = &mut state.running {
            if !running.has_ended() {
                let peak = peak_rss_kib(running.id());
                state.peak_rss_kib = state.peak_rss_kib.max(peak);
                return;
            }
            let pid = running.id();
            state.lifeline.lock().unwrap().ended(pid);
            // Dropped, it is searched for secrets that it wrote.
            state.running = None;
            if !state.killed {
                state.ended_by_itself += 1;
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

/// The most that a process has had in memory; 0 if it is gone.
pub(super) fn peak_rss_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse().ok())
        .unwrap_or_default()
}
