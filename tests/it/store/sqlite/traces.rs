//! What is erased is not in the files any more.

use std::fs;

use hookmirror::model::operator::Mode;
use hookmirror::store::{Retention, Store};

use super::{FILE, open};
use crate::store::apply;
use crate::support::directory::directory;
use crate::support::given::{asked, at, for_real, ignore, mirror, user};

/// How often the text stands in the database and in its log.
fn found(directory: &tempfile::TempDir, text: &str) -> usize {
    let files = [FILE.to_owned(), format!("{FILE}-wal")];
    let files = files.iter().map(|name| directory.path().join(name));
    let bytes = files.map(|path| fs::read(path).unwrap_or_default());
    let count = |bytes: Vec<u8>| {
        let windows = bytes.windows(text.len());
        windows.filter(|window| *window == text.as_bytes()).count()
    };
    bytes.map(count).sum()
}

#[tokio::test]
async fn what_was_erased_is_not_in_the_files() {
    const SMALL: &str = "ada.small@example.test";
    const LARGE: &str = "ada.large@example.test";
    let directory = directory();
    let store = open(&directory).await;
    store.migrate().await.unwrap();
    let mut small = ignore("msg_1", "session.created");
    small.event.body = SMALL.into();
    // On pages of its own, which nobody else needs afterwards.
    let mut large = ignore("msg_2", "session.created");
    large.event.body = LARGE.repeat(2000).into();
    small.subject = Some("user_a".to_owned());
    large.subject = Some("user_a".to_owned());
    let other = mirror("msg_3", user("user_b", 1, "Bob"));
    apply(&store, 0, &[small, large, other]).await;
    assert!(found(&directory, SMALL) > 0 && found(&directory, LARGE) > 1000);

    let subjects = ["user_a".to_owned()];
    let dry = asked(Mode::DryRun);
    store.erase(&subjects, &dry, at(1)).await.unwrap();
    store.clear_traces().await.unwrap();
    assert!(found(&directory, SMALL) > 0, "a dry run leaves everything");

    store
        .erase(&subjects, &asked(for_real()), at(2))
        .await
        .unwrap();
    store.clear_traces().await.unwrap();
    assert_eq!((found(&directory, SMALL), found(&directory, LARGE)), (0, 0));
    assert!(found(&directory, "user_b@example.test") > 0);
}
