//! The shutdown, begun by hand and by real signals to a real process.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use hookmirror::shutdown::Shutdown;

#[tokio::test]
async fn all_handles_hear_of_it_those_made_later_as_well() {
    let shutdown = Shutdown::new();
    let handle = shutdown.handle();
    let role = tokio::spawn({
        let handle = handle.clone();
        async move { handle.begun().await }
    });
    assert!(!handle.has_begun());

    shutdown.begin();
    shutdown.begin();
    role.await.expect("the role returns");
    assert!(handle.has_begun());
    shutdown.handle().begun().await;
}

#[tokio::test]
async fn an_owner_that_is_dropped_has_begun_it() {
    let handle = Shutdown::new().handle();
    handle.begun().await;
}

#[tokio::test]
async fn a_token_hears_of_it_and_cannot_begin_it() {
    let shutdown = Shutdown::new();
    let handle = shutdown.handle();
    let (stopped, running) = (handle.token(), handle.token());
    stopped.cancel();
    assert!(!handle.has_begun() && !running.is_cancelled());
    shutdown.begin();
    assert!(running.is_cancelled());
}

#[test]
fn a_first_signal_begins_it_and_a_second_one_ends_the_process() {
    for signals in [["TERM", "TERM"], ["INT", "INT"], ["INT", "TERM"]] {
        let mut process = Process::start();
        process.wait_for("listening");
        process.send(signals[0]);
        process.wait_for("begun");
        process.send(signals[1]);
        let status = process.child.wait().expect("it ends");
        assert_eq!(status.code(), Some(130), "{signals:?}");
    }
}

/// Stops of itself after a while, for whoever runs ignored tests and sends no signals.
#[test]
#[ignore = "is the process that the test above sends signals to"]
fn process_that_does_not_want_to_end() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let shutdown = Shutdown::on_signals().expect("signals");
        eprintln!("listening");
        let busy = async {
            shutdown.handle().begun().await;
            eprintln!("begun");
            std::future::pending::<()>().await;
        };
        let ended = tokio::time::timeout(Duration::from_secs(20), busy).await;
        assert!(ended.is_err());
    });
}

struct Process {
    child: Child,
    output: Lines<BufReader<ChildStderr>>,
}

impl Process {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "shutdown::process_that_does_not_want_to_end"])
            .args(["--ignored", "--nocapture"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let stderr = child.stderr.take().expect("it is piped");
        let output = BufReader::new(stderr).lines();
        Self { child, output }
    }

    fn wait_for(&mut self, said: &str) {
        let found = self
            .output
            .by_ref()
            .map_while(Result::ok)
            .any(|line| line == said);
        assert!(found, "the process ended before it said {said:?}");
    }

    fn send(&self, signal: &str) {
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -{signal} {}", self.child.id())])
            .status()
            .expect("a shell");
        assert!(sent.success());
    }
}
