//! `failures`: what fails, in groups, and what people say about it.

use super::process::{Home, fixture, wait_until};

const ODD: &str = r#"{"type":"user.updated","data":{"id":7},"timestamp":1}"#;

/// Three events that fail alike, and one that does not fail.
fn home_with_failures() -> (Home, String) {
    let home = Home::new().with("USER", "ann");
    let service = home.serve();
    home.write("odd.json", ODD);
    home.output(["send", "odd.json", "--count=3", "--source=clerk"]);
    home.output(["send", &fixture(super::process::CREATED)]);
    wait_until("all is recorded", || {
        home.json(["events", "stats", "--json"])["recorded"] == 4
    });
    drop(service);
    let groups = home.json(["failures", "--json"]);
    let fingerprint = groups[0]["fingerprint"].as_str().unwrap().to_owned();
    (home, fingerprint)
}

/// What is said where every group is resolved, or there is none.
const NONE_OPEN: &str = "no failures but resolved ones, if any: see `hookmirror failures --all`\n";

#[test]
fn where_nothing_has_failed_there_is_nothing_to_show() {
    let home = Home::new();
    home.output(["migrate"]);
    assert_eq!(home.output(["failures"]), NONE_OPEN);
    assert_eq!(home.output(["failures", "list", "--all", "--json"]), "[]\n");
    home.run(["failures", "show", "f00"])
        .failed_with(1, &["f00", "failures --all"]);
    home.run(["failures", "resolve", "f00"])
        .failed_with(1, &["nothing has failed", "f00"]);
    home.run(["failures", "resolve"])
        .failed_with(2, &["FINGERPRINT"]);
    home.run(["failures", "--state", "broken"])
        .failed_with(2, &["open, acknowledged, resolved"]);
    home.run(["failures", "resolve", "f00", "--execute"])
        .failed_with(2, &["--reason"]);
}

#[test]
fn what_fails_alike_is_one_thing_to_look_into() {
    let (home, fingerprint) = home_with_failures();
    let listed = home.output(["failures"]);
    assert!(
        listed.contains(&fingerprint) && listed.contains("open"),
        "{listed}"
    );
    let groups = home.json(["failures", "list", "--json"]);
    assert_eq!(groups.as_array().unwrap().len(), 1, "{groups}");
    assert_eq!(
        (&groups[0]["failed"], &groups[0]["occurrences"]),
        (&3.into(), &3.into())
    );
    let shown = home.output(["failures", "show", &fingerprint]);
    for fact in [
        "payload_invalid",
        "failed now    3",
        &format!("hookmirror events list --fingerprint {fingerprint}"),
        &format!("hookmirror replay --fingerprint {fingerprint} --preview"),
    ] {
        assert!(shown.contains(fact), "no {fact:?} in {shown}");
    }
    let report = home.json(["failures", "show", &fingerprint, "--json"]);
    assert_eq!(report["newest"].as_array().unwrap().len(), 3);
}

#[test]
fn a_group_is_resolved_by_a_person_with_a_reason() {
    let (home, fingerprint) = home_with_failures();
    let looked = home.run(["failures", "resolve", &fingerprint]);
    assert_eq!(looked.code, Some(3), "{looked:?}");
    assert!(
        looked.stdout.contains("would resolve 1 group"),
        "{looked:?}"
    );
    let words = [
        "failures",
        "resolve",
        &fingerprint,
        "--execute",
        "--reason=fixed",
    ];
    let done = home.output(words);
    assert!(
        done.contains("resolved 1 group; recorded as action 2 of ann"),
        "{done}"
    );
    assert!(done.contains("3 events of it failed and stay so"), "{done}");
    assert_eq!(home.output(["failures"]), NONE_OPEN);
    assert!(home.output(["failures", "--all"]).contains("resolved"));
    let shown = home.output(["failures", "show", &fingerprint]);
    assert!(shown.contains("by ann: fixed"), "{shown}");
    assert_eq!(home.output(words), "there is nothing to do\n");
    let words = [
        "failures",
        "reopen",
        &fingerprint,
        "--execute",
        "--reason=no",
        "--json",
    ];
    assert_eq!(home.json(words)["action"]["changed"], 1);
    assert!(home.output(["failures"]).contains("open"));
}

/// What comes from the provider again, and what is replayed too early, tells of the same defect.
#[test]
fn a_group_that_was_resolved_too_early_is_open_again_by_itself() {
    let (home, fingerprint) = home_with_failures();
    let resolve = ["failures", "resolve", &fingerprint];
    let resolve = || home.output(resolve.into_iter().chain(["--execute", "--reason=fixed"]));
    let failing_again = |occurrences: u64| {
        let mut groups = serde_json::Value::Null;
        wait_until("it is open again", || {
            groups = home.json(["failures", "--json"]);
            groups[0]["occurrences"] == occurrences
        });
        let group = &groups[0];
        assert_eq!(group["fingerprint"], fingerprint.as_str());
        assert_eq!(group["state"], "open", "{group}");
        assert!(
            group["reopened_at"].as_str() >= group["decided"]["at"].as_str(),
            "{group}"
        );
        // Who was wrong about it is still to be seen.
        assert_eq!(group["decided"]["by"], "ann", "{group}");
        let listed = home.output(["failures"]);
        assert!(listed.contains(&fingerprint), "{listed}");
        group["failed"].as_u64()
    };
    assert!(resolve().contains("resolved 1 group"));
    let open = || home.json(["failures", "--json"]);
    assert_eq!(open(), serde_json::json!([]));
    let _service = home.serve();
    assert_eq!(open(), serde_json::json!([]));
    home.output([
        "send",
        "odd.json",
        "--source=clerk",
        "--seed=2",
        "--count=2",
    ]);
    assert_eq!(failing_again(5), Some(5));

    assert!(resolve().contains("resolved 1 group"));
    let these = ["replay", "--fingerprint", &fingerprint, "--execute"];
    home.output(these.into_iter().chain(["--reason=fixed"]));
    assert_eq!(failing_again(10), Some(5));
    // Nobody but ann, and nobody more often.
    let actions = home.json(["actions", "list", "--action=failures reopen", "--json"]);
    assert_eq!(actions, serde_json::json!([]));
}
