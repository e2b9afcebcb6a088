//! The demo: the first thing that anyone sees.

use std::net::TcpListener;

use super::process::{Home, is_ready, wait_until};

#[test]
fn it_tells_the_whole_story_and_ends() {
    let home = Home::unconfigured();
    let story = home.output(["demo", "--exit"]);
    for (scene, outcome) in [
        ("Four people sign up", "202 applied (user_mirrored)"),
        ("the newer change arrives first", "202 applied (user_stale)"),
        ("delivered three times", "202 applied (user_mirrored) ×3"),
        ("Alan deletes his account", "202 applied (user_gone)"),
        ("Ada pays by card", "202 applied (payment_recorded)"),
        ("the success overtakes", "202 applied (payment_recorded)"),
        ("lets it expire", "202 applied (payment_recorded)"),
        (
            "before anyone has heard of him",
            "202 applied (user_mirrored)",
        ),
        ("in two parts", "202 applied (payment_recorded)"),
        ("forges a webhook", "401 signature_mismatch"),
        ("ten minutes ago", "401 timestamp_out_of_tolerance"),
        ("nobody handles", "202 ignored (type_not_handled)"),
        ("makes no sense", "202 failed (payload_invalid)"),
    ] {
        let scene = story
            .split("\n\n")
            .find(|paragraph| paragraph.contains(scene))
            .unwrap_or_else(|| panic!("no scene {scene:?} in {story}"));
        assert!(scene.contains(outcome), "no {outcome:?} in {scene}");
    }
    for figure in [
        "23 requests = 2 turned away + 21 accepted, of 19 distinct events",
        "19 distinct events = 17 applied + 1 ignored + 1 failed",
        "✓ all 40 checks hold",
    ] {
        assert!(story.contains(figure), "no {figure:?} in {story}");
    }
    assert!(!story.contains('✗'), "{story}");
    assert!(!story.contains('\u{1b}'), "colours in a pipe");
    let (scenes, _) = story.split_once("The mirror, and").unwrap();
    let wide: Vec<&str> = scenes.lines().filter(|l| l.chars().count() > 80).collect();
    assert!(
        matches!(wide[..], [line] if line.ends_with("checkout.session.async_payment_succeeded")),
        "wider than a terminal: {wide:#?}"
    );
    let left = std::fs::read_dir(home.path()).unwrap().count();
    assert_eq!(left, 0, "it leaves something behind");
}

#[test]
fn an_address_that_is_taken_is_named_with_the_argument_that_changes_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = Home::unconfigured().run(["demo", "--exit", "--listen", &address]);
    ran.failed_with(1, &[&address, "--listen", "in use"]);
}

#[test]
fn it_stays_until_told_to_end_and_what_it_suggests_works() {
    let home = Home::unconfigured();
    let address = home.address.to_string();
    let demo = home.start(["demo", "--listen", &address]);
    wait_until("the story is told", || {
        demo.stdout().contains("To receive real webhooks")
    });
    assert!(is_ready(home.address));

    let said = demo.stdout();
    let settings = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("export HOOKMIRROR_CONFIG="))
        .unwrap()
        .to_owned();
    let visitor = Home::unconfigured().with("HOOKMIRROR_CONFIG", &settings);
    let suggested: Vec<Vec<&str>> = said
        .lines()
        .filter_map(|line| line.split_once("hookmirror ")?.1.split_once(' '))
        .map(|(command, rest)| std::iter::once(command).chain(rest.split(' ')).collect())
        .filter(|words: &Vec<&str>| ["events", "users", "send"].contains(&words[0]))
        .collect();
    assert_eq!(suggested.len(), 4, "{said}");
    let printed: Vec<String> = suggested
        .iter()
        .map(|words| visitor.output(words.iter().copied()))
        .collect();
    assert!(
        printed[0].contains("msg_demo_created_ada"),
        "{}",
        printed[0]
    );
    assert!(printed[1].contains("\"id\":42"), "{}", printed[1]);
    assert!(
        printed[2].contains("Grace Brewster Hopper"),
        "{}",
        printed[2]
    );
    assert!(printed[3].contains("600 accepted"), "{}", printed[3]);
    let health = visitor.output(["doctor"]);
    assert!(health.contains("and is ready"), "{health}");

    demo.signal("INT");
    let (status, _, stderr) = demo.wait();
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
    let directory = std::path::Path::new(&settings).parent().unwrap();
    assert!(!directory.exists(), "{} is left", directory.display());
}
