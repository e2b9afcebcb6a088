//! A disk that is full for a while, for real: a process whose files must not grow.
//!
//! SQLite ends the transaction by itself then, behind the driver's back. What matters is that the
//! same process works again as soon as there is room, without a restart.

use std::process::Command;

use hookmirror::model::changes::Planned;
use hookmirror::queue::Publisher;
use hookmirror::queue::embedded::EmbeddedQueue;
use hookmirror::store::Store;

use super::open;
use crate::store::{apply, everything};
use crate::support::directory::directory;
use crate::support::given::{at, event, ignore};

/// In units of 512 bytes. Room for the schema and small events, not for [`HUGE`].
const LIMIT: &str = "2000";
const HUGE: usize = 4 * 1024 * 1024;

/// Runs an ignored test of this file in a process of its own, where files must not grow beyond the
/// limit, and where trying so is an error and not the end.
fn run_confined(test: &str) {
    let script = format!("trap '' XFSZ; ulimit -f {LIMIT}; exec \"$@\"");
    let output = Command::new("sh")
        .args(["-c", &script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

fn assert_confined(directory: &tempfile::TempDir) {
    let written = std::fs::write(directory.path().join("probe"), vec![0; HUGE]);
    assert!(written.is_err(), "to be run with a limit on file sizes");
}

fn huge(id: &str) -> Planned {
    let mut planned = ignore(id, "a.type");
    planned.event.body = vec![b'x'; HUGE].into();
    planned
}

#[test]
fn the_store_recovers_from_a_full_disk() {
    run_confined("store::sqlite::full_disk::store_in_confinement");
}

#[tokio::test]
#[ignore = "run by another test, with a limit on file sizes"]
async fn store_in_confinement() {
    let directory = directory();
    assert_confined(&directory);
    let store = open(&directory).await;
    store.migrate().await.unwrap();
    apply(&store, 0, &[ignore("evt_1", "a.type")]).await;
    for _ in 0..3 {
        let batch = [ignore("evt_2", "a.type"), huge("evt_3")];
        assert!(store.apply(&batch, at(0)).await.is_err());
        assert_eq!(everything(&store).await.len(), 1, "nothing was written");
    }
    apply(&store, 1, &[ignore("evt_2", "a.type")]).await;
    assert_eq!(everything(&store).await.len(), 2);
}

#[test]
fn the_embedded_queue_recovers_from_a_full_disk() {
    run_confined("store::sqlite::full_disk::queue_in_confinement");
}

#[tokio::test]
#[ignore = "run by another test, with a limit on file sizes"]
async fn queue_in_confinement() {
    let directory = directory();
    assert_confined(&directory);
    let queue = EmbeddedQueue::open(directory.path()).await.unwrap();
    let publisher = queue.publisher();
    let _ = publisher.publish(event("evt_1", "a.type")).await.unwrap();
    for _ in 0..3 {
        assert!(publisher.publish(huge("evt_2").event).await.is_err());
    }
    let _ = publisher.publish(event("evt_3", "a.type")).await.unwrap();
    publisher.ready().await.unwrap();
}
