//! How much Clerk is sent.

use super::{codes, loaded, problems};

#[test]
fn the_limit_is_that_of_the_key_unless_told_otherwise() {
    let writes = |environment: &[(&str, &str)]| {
        let clerk = loaded(environment).clerk;
        (clerk.writes_per_window, clerk.writes_per_user)
    };
    let live = ("CLERK_SECRET_KEY", "sk_live_x");
    assert_eq!(writes(&[]), (100, 10));
    assert_eq!(writes(&[("CLERK_SECRET_KEY", "sk_test_x")]), (100, 10));
    assert_eq!(writes(&[live]), (1000, 10));
    let share = ("CLERK_WRITES_PER_10_SECONDS", "500");
    assert_eq!(writes(&[live, share]), (500, 10));
    let of_user = ("CLERK_WRITES_PER_USER_PER_10_SECONDS", "5");
    assert_eq!(writes(&[live, of_user]), (1000, 5));
}

#[test]
fn a_limit_that_cannot_be_kept_is_refused() {
    let name = "CLERK_WRITES_PER_10_SECONDS";
    for (value, code) in [
        ("1", "out_of_range"),
        ("100001", "out_of_range"),
        ("many", "not_a_whole_number"),
    ] {
        assert_eq!(codes(&problems(&[(name, value)])), [(code, name)]);
    }
}

#[test]
fn whoever_is_behind_sudo_is_who_acts() {
    let login = |environment: &[(&str, &str)]| loaded(environment).login;
    assert_eq!(login(&[]), None);
    assert_eq!(login(&[("USER", "ann")]).as_deref(), Some("ann"));
    let sudo = [("USER", "root"), ("SUDO_USER", "ann")];
    assert_eq!(login(&sudo).as_deref(), Some("ann"));
}
