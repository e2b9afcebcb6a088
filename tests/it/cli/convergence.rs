//! Thousands of deliveries, doubled and shuffled, come to exactly what their set says.

use hookmirror::cli::demo::stand_in_clerk::{self, StandInClerk};

use super::process::{CLERK_KEY, CREATED, DELETED, Home, PAID, UPDATED, fixture};
use super::reference::Reference;

/// An installation, and the Clerk it writes to.
pub(crate) async fn home_with_clerk() -> (Home, StandInClerk) {
    let clerk = stand_in_clerk::start(CLERK_KEY.to_owned().into())
        .await
        .unwrap();
    let home = Home::new()
        .with("CLERK_SECRET_KEY", CLERK_KEY)
        .with("CLERK_WRITES_PER_10_SECONDS", "100000")
        .with("CLERK_API_URL", &clerk.api_url());
    (home, clerk)
}

/// The arguments of `send` for a story of these files.
pub(crate) fn send(files: &[&str], options: &str) -> Vec<String> {
    let files = files.iter().map(|file| fixture(file));
    let options = options.split_whitespace().map(str::to_owned);
    std::iter::once("send".to_owned())
        .chain(files)
        .chain(options)
        .collect()
}

pub(crate) fn words(arguments: &[String]) -> impl Iterator<Item = &str> {
    arguments.iter().map(String::as_str)
}

/// What these sends come to, and everyone in them known at Clerk.
pub(crate) fn rehearse(home: &Home, clerk: &StandInClerk, sends: &[&[String]]) -> Reference {
    let mut reference = Reference::default();
    for send in sends {
        reference.add(&home.output(words(send).chain(["--dry-run"])));
    }
    reference.populate(clerk);
    reference
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_payments_are_mirrored_exactly() {
    let (home, clerk) = home_with_clerk().await;
    let story = send(
        &[CREATED, UPDATED, PAID],
        "--count 2000 --duplicates 20 --shuffle --seed 11",
    );
    let reference = rehearse(&home, &clerk, &[&story]);
    assert_eq!(reference.events.len(), 2000);
    assert_eq!(reference.deliveries, 2400);

    let _service = home.serve();
    let report = home.json(words(&story).chain(["--json"]));
    assert_eq!(report["accepted"], 2400, "{report}");
    home.come_to_rest().await;

    reference.check(&home, &clerk).await;
    let stats = home.json(["events", "stats", "--json"]);
    assert_eq!(stats["deliveries"], 2400, "{stats}");
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_that_come_at_any_time_stay() {
    let (home, clerk) = home_with_clerk().await;
    // The same seed: the first 100 people of the one are those of the other.
    let story = send(
        &[CREATED, UPDATED, PAID],
        "--count 900 --duplicates 20 --shuffle --seed 12",
    );
    let deletions = send(
        &[CREATED, DELETED, UPDATED],
        "--count 300 --duplicates 50 --shuffle --seed 12",
    );
    let reference = rehearse(&home, &clerk, &[&story, &deletions]);
    reference.has_everything();

    let service = home.serve();
    let sending = [home.start(words(&story)), home.start(words(&deletions))];
    for sending in sending {
        let (status, stdout, _) = sending.wait();
        assert!(status.success(), "{stdout}");
    }
    home.come_to_rest().await;
    reference.check(&home, &clerk).await;

    service.signal("TERM");
    let (status, _, log) = service.wait();
    assert_eq!(status.code(), Some(0));
    assert!(
        log.contains("shutting down") && !log.contains("ERROR"),
        "{log}"
    );
}
