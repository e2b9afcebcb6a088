//! `send`: what keeps it from sending, and what it says of answers.

use std::time::{Duration, Instant};

use super::process::{CREATED, Home, PAID, fixture};

#[test]
fn what_cannot_be_sent_is_named_with_what_to_do() {
    let home = Home::new();
    let created = fixture(CREATED);
    home.run(["send", "nowhere.json"])
        .failed_with(1, &["cannot read nowhere.json"]);
    home.run(["send", "."]).failed_with(1, &["cannot read ."]);
    home.write("note.json", "{\"hello\": 1}");
    home.run(["send", "note.json"])
        .failed_with(2, &["note.json", "--source"]);
    home.run(["send", &created, "--source", "paypal"])
        .failed_with(2, &["paypal", "clerk, stripe"]);
    home.run(["send", &created, "--url", "localhost:8080"])
        .failed_with(2, &["localhost:8080", "absolute"]);
    let ran = home.run(["send", &created, "--url", "ftp://jane:hunter2@localhost"]);
    ran.failed_with(2, &["absolute"]);
    assert!(!ran.stderr.contains("hunter2"), "{ran:?}");
    for wrong in [
        "--count=0",
        "--concurrency=0",
        "--duplicates=101",
        "--rate=0",
        "--rate=fast",
    ] {
        let ran = home.run(["send", &created, wrong]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
    }

    let home = home.without("STRIPE_WEBHOOK_SECRET");
    home.run(["send", &created, &fixture(PAID)])
        .failed_with(2, &["stripe", "STRIPE_WEBHOOK_SECRET"]);
}

#[test]
fn where_nothing_listens_it_fails_fast_and_says_who_should() {
    let home = Home::new();
    let begun = Instant::now();
    let ran = home.run(["send", &fixture(CREATED), "--count", "100"]);
    let address = home.address.to_string();
    ran.failed_with(1, &["nothing answers", &address, "hookmirror run"]);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_refusal_is_told_once_with_its_code_and_reason() {
    let home = Home::new();
    let _service = home.serve();
    let stranger = Home::new()
        .with("HOOKMIRROR_LISTEN", &home.address.to_string())
        .with(
            "CLERK_WEBHOOK_SIGNING_SECRET",
            "whsec_TUFSS0VSd3Jvbmcgc2VjcmV0IGhlcmU=",
        );
    let created = fixture(CREATED);
    let ran = stranger.run(["send", &created, "--count", "20"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""));
    assert_eq!(
        ran.stdout.matches("signature_mismatch").count(),
        1,
        "{ran:?}"
    );
    assert!(ran.stdout.contains("20 refused with 401"), "{ran:?}");

    let ran = stranger.run(["send", &created, "--count", "20", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(ran.code, Some(1));
    assert_eq!(report["accepted"], 0);
    assert_eq!(report["refused"]["401"]["count"], 20);
    assert_eq!(report["refused"]["401"]["code"], "signature_mismatch");
    assert_eq!(home.json(["events", "stats", "--json"])["accepted"], 0);
}

#[test]
fn the_same_seed_makes_the_same_events_and_a_dry_run_sends_none() {
    let home = Home::new();
    let plan = |seed| home.output(["send", &fixture(CREATED), "--count=50", "--dry-run", seed]);
    assert_eq!(plan("--seed=1"), plan("--seed=1"));
    assert_ne!(plan("--seed=1"), plan("--seed=2"));
}
