//! How long things are kept.

use std::time::Duration;

use hookmirror::model::retention::RetentionPolicy;

use super::{codes, loaded, problems};

const DAY: Duration = Duration::from_secs(86_400);
const PAYLOADS: &str = "HOOKMIRROR_KEEP_PAYLOADS_DAYS";
const EVENTS: &str = "HOOKMIRROR_KEEP_EVENTS_DAYS";
const ERASE: &str = "HOOKMIRROR_ERASE_AFTER_DAYS";

#[test]
fn days_are_days_and_zero_is_for_ever_but_not_for_erasing() {
    let default = RetentionPolicy {
        payloads: Some(90 * DAY),
        events: None,
        deleted: Some(30 * DAY),
    };
    assert_eq!(loaded(&[]).retention, default);
    let least = loaded(&[(PAYLOADS, "4"), (EVENTS, "45"), (ERASE, "0")]).retention;
    let expected = RetentionPolicy {
        payloads: Some(4 * DAY),
        events: Some(45 * DAY),
        deleted: Some(Duration::ZERO),
    };
    assert_eq!(least, expected);
    let for_ever = loaded(&[(PAYLOADS, "0"), (EVENTS, "0"), (ERASE, "never")]).retention;
    assert_eq!(for_ever, RetentionPolicy::default());
}

#[test]
fn what_a_provider_may_send_again_must_be_kept() {
    for (setting, value, code, word) in [
        (
            PAYLOADS,
            "3",
            "out_of_range",
            "Stripe sends a failed event again for three days",
        ),
        (PAYLOADS, "3651", "out_of_range", "ten years"),
        (
            PAYLOADS,
            "never",
            "not_a_whole_number",
            "0 to keep them for ever",
        ),
        (EVENTS, "44", "out_of_range", "sent again for 30 days"),
        (ERASE, "-1", "not_a_whole_number", "or `never`"),
    ] {
        let problems = problems(&[(setting, value)]);
        assert_eq!(codes(&problems), [(code, setting)], "{value}");
        let said = problems[0].to_string();
        assert!(said.contains(word), "no {word:?} in {said}");
    }
}
