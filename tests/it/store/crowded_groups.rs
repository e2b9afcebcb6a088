//! Groups of failures, written by many workers at once.

use hookmirror::model::changes::Planned;

use crate::support::database::Database;
use crate::support::given::{at, failing};

/// Workers fail in the same ways at once, each in an order of its own.
pub(super) async fn workers_that_fail_alike_do_not_hinder_each_other(database: &Database) {
    let places = ["data.a", "data.b", "data.c", "data.d", "data.e"];
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            let store = database.store.clone();
            tokio::spawn(async move {
                for round in 0..10 {
                    let mut batch: Vec<Planned> = places
                        .iter()
                        .map(|place| {
                            let event = format!("evt_{worker}_{round}_{place}");
                            failing(&event, "invoice.paid", place)
                        })
                        .collect();
                    batch.rotate_left(worker);
                    store.apply(&batch, at(round)).await.unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    let counts: Vec<_> = database
        .store
        .list_failures(&[], 100)
        .await
        .unwrap()
        .iter()
        .map(|group| (group.failed, group.occurrences))
        .collect();
    assert_eq!(counts, [(40, 40); 5]);
}
