//! A service with more sources than two, from its settings file to what people see of it.

use std::sync::Arc;

use hookmirror::model::user::UserId;

use super::process::{CLERK_KEY, CREATED, Home, PAID, fixture, wait_until};
use crate::support::clerk::FakeClerk;
use crate::support::clerk::server::ClerkServer;

const ADA: &str = "user_2xPrK8sQvD1nWyB4tGjMzH6cEoU";

// All secrets are made of what no output may hold.
const FILE: &str = "\
[[source]]
name = 'stripe'
provider = 'stripe'
livemode = true

[[source]]
name = 'stripe-test'
provider = 'stripe'
livemode = false
secrets = ['whsec_stripeMARKERnew', 'whsec_stripeMARKERold']

[[source]]
name = 'clerk-eu'
provider = 'clerk'
secrets = 'whsec_TUFSS0VSTUFSS0VSYW5vdGhlcg=='
secret_key = 'sk_test_MARKERofAnotherInstance'
";

fn home() -> Home {
    let home = Home::new();
    let file = home.write("hookmirror.toml", FILE).display().to_string();
    home.with("HOOKMIRROR_CONFIG", &file)
}

fn recorded(home: &Home, events: u64) {
    wait_until("all is recorded", || {
        home.json(["events", "stats", "--json"])["recorded"] == events
    });
}

#[test]
fn each_source_has_its_path_its_secret_and_its_part_of_the_ledger() {
    let home = home();
    let _service = home.serve();
    let (paid, created) = (fixture(PAID), fixture(CREATED));
    // A test event, sent to both accounts of Stripe: it counts at one of them.
    home.output(["send", &paid]);
    home.output(["send", &paid, "--source", "stripe-test"]);
    home.output(["send", &created, "--source", "clerk-eu"]);
    recorded(&home, 3);

    let listed = |source: &str| {
        let events = home.json(["events", "list", "--source", source, "--json"]);
        let events = events.as_array().unwrap().iter();
        let words = events.map(|event| format!("{} {}", event["state"], event["outcome"]));
        words.collect::<Vec<_>>()
    };
    assert_eq!(listed("stripe"), [r#""ignored" "test_event""#]);
    assert_eq!(listed("stripe-test"), [r#""applied" "payment_recorded""#]);
    assert_eq!(listed("clerk-eu"), [r#""applied" "user_mirrored""#]);
    assert_eq!(listed("clerk"), Vec::<String>::new());

    let shown = home.output(["users", "show", ADA]);
    assert!(shown.contains("source       clerk-eu\n"), "{shown}");
    let shown = home.json(["users", "show", ADA, "--json"]);
    assert_eq!(shown["user"]["source"], "clerk-eu");
    assert_eq!(shown["entitlement"]["paid"], true);

    let stats = home.output(["events", "stats"]);
    let ignored: Vec<&str> = stats
        .lines()
        .skip_while(|line| !line.contains("IGNORED AS"))
        .skip(1)
        .take(1)
        .flat_map(str::split_whitespace)
        .collect();
    assert_eq!(ignored, ["stripe", "test_event", "1"], "{stats}");
    let stats = home.json(["events", "stats", "--json"]);
    let expected = serde_json::json!([{"source": "stripe", "outcome": "test_event", "events": 1}]);
    assert_eq!(stats["ignored"], expected);

    let said = home.output(["doctor"]);
    let file = home.path().join("hookmirror.toml").display().to_string();
    for fact in [
        "clerk (clerk) is at /webhooks/clerk, with 1 signing secret from the environment"
            .to_owned(),
        "stripe (stripe) is at /webhooks/stripe, for live events only, with 1 signing secret from \
         the environment"
            .to_owned(),
        format!(
            "stripe-test (stripe) is at /webhooks/stripe-test, for test events only, with 2 signing \
             secrets from {file}, line 10"
        ),
        format!(
            "clerk-eu (clerk) is at /webhooks/clerk-eu, with 1 signing secret from {file}, line 15"
        ),
        "1 test event reached the live source `stripe`".to_owned(),
    ] {
        assert!(said.contains(&fact), "no {fact:?} in {said}");
    }
}

#[test]
fn a_source_accepts_no_other_ones_secret() {
    let home = home();
    let _service = home.serve();
    let (paid, created) = (fixture(PAID), fixture(CREATED));
    let address = home.address;
    for (file, signed_by, sent_to) in [
        (&paid, "stripe", "stripe-test"),
        (&paid, "stripe-test", "stripe"),
        (&created, "clerk", "clerk-eu"),
        (&created, "clerk-eu", "clerk"),
    ] {
        let url = format!("http://{address}/webhooks/{sent_to}");
        let ran = home.run(["send", file, "--source", signed_by, "--url", &url]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stdout.contains("signature_mismatch"), "{ran:?}");
    }
    assert_eq!(home.json(["events", "stats", "--json"])["accepted"], 0);
    home.run(["send", &paid, "--source", "stripe-3"])
        .failed_with(2, &["stripe-3", "clerk, stripe, stripe-test, clerk-eu"]);
}

#[test]
fn what_is_wrong_with_the_list_keeps_the_service_from_starting() {
    let home = home();
    let wrong = FILE
        .replacen("name = 'stripe-test'", "name = 'clerk-eu'", 1)
        .replacen("whsec_stripeMARKERold", "whsec_stripeMARKERstripeMARKER", 1)
        .replacen("livemode = true", "live_mode = true", 1);
    let file = home.write("wrong.toml", &wrong).display().to_string();
    let home = home.with("HOOKMIRROR_CONFIG", &file);
    for command in ["run", "serve"] {
        home.run([command]).failed_with(
            2,
            &[
                "there are 3 problems",
                "wrong.toml, line 4) is not a setting; did you mean `livemode`?",
                "wrong.toml, line 13) is `clerk-eu`, which another source is named already",
                "wrong.toml, line 10) holds a secret that the source `stripe` has as well",
            ],
        );
    }
}

/// Two Clerk instances, each with an API of its own: a payment reaches the user's.
#[tokio::test(flavor = "multi_thread")]
async fn metadata_goes_to_the_instance_of_its_user() {
    const KEY: &str = "sk_test_MARKERofTheFirst";
    const OTHER_KEY: &str = "sk_test_MARKERofTheOther";
    let (first, other) = (Arc::<FakeClerk>::default(), Arc::<FakeClerk>::default());
    let ada = UserId::parse(ADA).unwrap();
    first.lose(&ada);
    let at_first = ClerkServer::start(Arc::clone(&first), KEY).await;
    let at_other = ClerkServer::start(Arc::clone(&other), OTHER_KEY).await;
    let home = Home::new();
    let file = format!(
        "[[source]]\nname = 'clerk-eu'\nprovider = 'clerk'\n\
         secrets = 'whsec_TUFSS0VSTUFSS0VSYW5vdGhlcg=='\n\
         secret_key = '{OTHER_KEY}'\napi_url = '{}'\n",
        at_other.api_url()
    );
    let file = home.write("hookmirror.toml", &file).display().to_string();
    let home = home
        .with("HOOKMIRROR_CONFIG", &file)
        .with("CLERK_SECRET_KEY", KEY)
        .with("CLERK_API_URL", &at_first.api_url());
    tokio::task::spawn_blocking(move || {
        let _service = home.serve();
        home.output(["send", &fixture(PAID)]);
        home.output(["send", &fixture(CREATED), "--source", "clerk-eu"]);
        wait_until("Clerk has confirmed", || {
            home.json(["users", "show", ADA, "--json"])["outbox"]["state"] == "delivered"
        });
    })
    .await
    .unwrap();
    assert_eq!(other.metadata(&ada)["stripe"]["paid"], true);
    assert_eq!(first.metadata(&ada), serde_json::json!({}));
}

/// Another instance's key is of no use to this user.
#[test]
fn the_key_that_is_missing_is_the_one_of_the_users_instance() {
    let home = Home::new();
    let file = "[[source]]\nname = 'clerk-eu'\nprovider = 'clerk'\n\
                secrets = 'whsec_TUFSS0VSTUFSS0VSYW5vdGhlcg=='\n";
    let file = home.write("hookmirror.toml", file).display().to_string();
    let home = home
        .with("HOOKMIRROR_CONFIG", &file)
        .with("CLERK_SECRET_KEY", CLERK_KEY);
    let _service = home.serve();
    home.output(["send", &fixture(CREATED), "--source", "clerk-eu"]);
    wait_until("the user is mirrored", || {
        let shown = home.run(["users", "show", ADA, "--json"]).stdout;
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap_or_default();
        shown["user"]["source"] == "clerk-eu"
    });
    home.output(["send", &fixture(PAID)]);
    wait_until("it is to be sent", || {
        home.json(["users", "show", ADA, "--json"])["outbox"]["state"] == "pending"
    });
    for command in [["users", "show", ADA].as_slice(), &["doctor"]] {
        let shown = home.output(command.iter().copied());
        assert!(
            shown.contains("set `secret_key` of its `[[source]]`"),
            "{shown}"
        );
        assert!(!shown.contains("set CLERK_SECRET_KEY"), "{shown}");
    }
}
