//! `doctor`: all findings, and what to do about them.

use std::net::TcpListener;

use serde_json::Value;

use super::process::{CLERK_KEY, Home, PAID, Ran, fixture, free_address, wait_until};

/// The findings of `doctor --json`: what was looked at, how it is, what was said.
fn findings(home: &Home) -> (Option<i32>, Vec<(String, String, String)>) {
    let Ran { code, stdout, .. } = home.run(["doctor", "--json"]);
    let findings: Vec<Value> = serde_json::from_str(&stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let findings = findings
        .iter()
        .map(|f| (text(&f["check"]), text(&f["level"]), text(&f["message"])))
        .collect();
    (code, findings)
}

fn levels(findings: &[(String, String, String)]) -> Vec<(&str, &str)> {
    findings
        .iter()
        .map(|(check, level, _)| (check.as_str(), level.as_str()))
        .collect()
}

#[test]
fn where_nothing_is_configured_it_says_what_to_set_and_touches_nothing() {
    // The default addresses may be taken on this machine.
    let home = Home::unconfigured();
    let home = {
        let address = home.address.to_string();
        home.with("HOOKMIRROR_LISTEN", &address)
            .with("HOOKMIRROR_ADMIN_LISTEN", &free_address().to_string())
    };
    let (code, findings) = findings(&home);
    assert_eq!(code, Some(0));
    assert_eq!(
        levels(&findings),
        [
            ("settings", "ok"),
            ("sources", "warning"),
            ("sources", "warning"),
            ("clerk", "warning"),
            ("data", "ok"),
            ("listener", "ok"),
            ("metrics", "ok"),
            ("queue", "ok"),
            ("database", "ok"),
        ]
    );
    for (check, level, message) in &findings {
        assert!(
            level == "ok" || message.contains(": set "),
            "{check}: {message}"
        );
    }
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn it_knows_whether_the_one_who_answers_is_hookmirror() {
    let home = Home::new();
    let service = home.serve();
    let (code, found) = findings(&home);
    assert_eq!(code, Some(0));
    let listener = found
        .iter()
        .find(|finding| finding.0 == "listener")
        .unwrap();
    assert!(listener.2.contains("is ready"), "{listener:?}");
    let said = home.output(["doctor"]);
    assert_eq!(said.lines().count(), found.len(), "{said}");
    drop(service);

    let stranger = TcpListener::bind(home.address).unwrap();
    let answering = std::thread::spawn(move || {
        let (mut connection, _) = stranger.accept().unwrap();
        let mut request = [0; 1024];
        let _ = std::io::Read::read(&mut connection, &mut request);
        std::io::Write::write_all(&mut connection, b"HTTP/1.1 200 OK\r\n\r\nhello").unwrap();
    });
    let (code, found) = findings(&home);
    answering.join().unwrap();
    assert_eq!(code, Some(1));
    let listener = found
        .iter()
        .find(|finding| finding.0 == "listener")
        .unwrap();
    assert_eq!(listener.1, "problem");
    assert!(listener.2.contains("HOOKMIRROR_LISTEN"), "{listener:?}");
}

#[test]
fn it_reports_everything_that_does_not_work() {
    let home = Home::new();
    home.write("file", "");
    let blocked = home.path().join("file/data").display().to_string();
    let home = home.with("HOOKMIRROR_DATA_DIR", &blocked);
    home.write("broken.db", "this is not a database");
    let broken = format!("sqlite:{}", home.path().join("broken.db").display());
    let home = home
        .with("DATABASE_URL", &broken)
        .with("HOOKMIRROR_LISTEN", "192.0.2.1:80");
    let (code, found) = findings(&home);
    assert_eq!(code, Some(1));
    let problems: Vec<&str> = found
        .iter()
        .filter(|finding| finding.1 == "problem")
        .map(|finding| finding.0.as_str())
        .collect();
    assert_eq!(problems, ["data", "listener", "database"], "{found:#?}");
}

#[test]
fn wrong_settings_are_findings_like_others() {
    let home = Home::new()
        .with("HOOKMIRROR_LISTEN", "nowhere")
        .with("AMQP_URL", "amqp://me:TUFSS0VS#@broker")
        .with("HOOKMIRROR_LISTN", "x");
    let (code, found) = findings(&home);
    assert_eq!(code, Some(1));
    assert_eq!(
        levels(&found),
        [
            ("settings", "problem"),
            ("settings", "problem"),
            ("settings", "warning"),
        ]
    );
}

#[test]
fn metadata_that_clerk_does_not_take_is_not_called_well() {
    // Nobody listens there.
    let nowhere = format!("http://{}/v1", free_address());
    let home = Home::new()
        .with("CLERK_SECRET_KEY", CLERK_KEY)
        .with("CLERK_API_URL", &nowhere);
    let _service = home.serve();
    home.output(["send", &fixture(PAID)]);
    wait_until("a delivery has failed", || {
        let outbox = &findings(&home).1.pop().unwrap();
        outbox.0 == "outbox" && outbox.1 == "warning"
    });
    let (code, found) = findings(&home);
    assert_eq!(code, Some(0), "the service itself works");
    let (_, _, message) = found.last().unwrap();
    for word in ["1 user ", "did not answer", "outbox show user_"] {
        assert!(message.contains(word), "no {word:?} in {message:?}");
    }
}

#[test]
fn it_tells_whose_the_private_address_is() {
    let address = free_address();
    let home = Home::new().with("HOOKMIRROR_ADMIN_LISTEN", &address.to_string());
    let metrics = || {
        let (code, found) = findings(&home);
        let finding = found.into_iter().find(|finding| finding.0 == "metrics");
        (code, finding.unwrap())
    };
    let service = home.serve();
    let (code, (_, level, message)) = metrics();
    assert_eq!((code, level.as_str()), (Some(0), "ok"), "{message}");
    assert!(message.contains("hookmirror tells them"), "{message}");

    drop(service);
    let _somebody_else = TcpListener::bind(address).unwrap();
    let (code, (_, level, message)) = metrics();
    assert_eq!((code, level.as_str()), (Some(1), "problem"), "{message}");
    assert!(message.contains("HOOKMIRROR_ADMIN_LISTEN"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_sends_is_not_called_on_its_way_for_ever() {
    let home = Home::new();
    {
        let _service = home.serve();
        home.output(["send", &fixture(PAID)]);
        wait_until("it is to be sent", || {
            home.json(["outbox", "list", "--json"])["states"][0]["entries"] == 1
        });
    }
    let home = home.with("CLERK_SECRET_KEY", CLERK_KEY);
    home.change("UPDATE outbox SET desired_at = '2026-01-01T00:00:00.000Z'")
        .await;
    let (code, found) = findings(&home);
    let (check, level, message) = found.last().unwrap();
    assert_eq!(code, Some(0));
    assert_eq!((check.as_str(), level.as_str()), ("outbox", "warning"));
    assert!(
        message.contains("`hookmirror run` or `dispatch`"),
        "{message}"
    );
}
