//! Sweeps as one of several processes makes them, and on databases with a past.

use super::apply;
use super::retention::erase_deleted;
use crate::support::database::Database;
use crate::support::given::{delete, mirror, user};

pub(super) async fn a_deletion_of_an_earlier_version_counts_from_the_first_sweep(
    database: &Database,
) {
    let store = &*database.store;
    apply(store, 1, &[mirror("msg_1", user("user_a", 1, "Ann"))]).await;
    apply(store, 2, &[delete("msg_2", "user_a", 2)]).await;
    database
        .execute("UPDATE user_tombstones SET recorded_at = NULL")
        .await;
    assert_eq!(erase_deleted(store, 4999, 5000).await, 0);
    assert_eq!(erase_deleted(store, 4999, 6000).await, 0);
    assert_eq!(erase_deleted(store, 5000, 6000).await, 2);
}
