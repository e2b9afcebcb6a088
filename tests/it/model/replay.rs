//! Names of triggers, states after replays, and the pace.

use std::time::Duration;

use hookmirror::model::event::Trigger;
use hookmirror::model::replay::pace::Pace;
use hookmirror::model::replay::{ReplayId, ReplayRate};
use hookmirror::model::state::EventState;
use hookmirror::model::time::Timestamp;
use proptest::prelude::*;

use crate::support::given::at;

#[test]
fn what_is_not_the_name_of_a_trigger_is_none() {
    for name in [
        "",
        "webhooks",
        "Webhook",
        "retry ",
        "replay",
        "replay:",
        "replay: 1",
        "replay:0",
        "replay:-1",
        "replay:+1",
        "replay:1 ",
        "replay:1.0",
        "replay:0x1",
        "replay:9223372036854775808",
        "replay:18446744073709551617",
        "replay:١",
        "replay:1\0",
        "REPLAY:1",
        "replay:replay:1",
        "replay:1;retry",
        "replay:１",
    ] {
        assert_eq!(Trigger::parse(name), None, "{name:?}");
    }
    assert_eq!(ReplayId::new(0), None);
    assert_eq!(ReplayId::new(-1), None);
}

#[test]
fn a_replay_leads_to_one_of_two_states() {
    use EventState::{Applied, Failed, Ignored, Retrying, Waiting};
    for before in EventState::ALL {
        for processed in [Applied, Ignored, Waiting, Retrying, Failed] {
            let fails = matches!(processed, Failed | Retrying);
            let expected = match before {
                Applied if processed != Waiting => before,
                Ignored | Waiting if fails => before,
                _ => processed,
            };
            assert_eq!(
                before.after_replay(processed),
                expected,
                "{before} {processed}"
            );
        }
    }
}

proptest! {
    #[test]
    fn the_name_of_a_trigger_can_be_read_back(number in 1..=i64::MAX) {
        let replay = Trigger::Replay(ReplayId::new(number).unwrap());
        for trigger in [Trigger::Webhook, Trigger::Retry, replay] {
            prop_assert_eq!(Trigger::parse(&trigger.name()), Some(trigger));
        }
    }

    #[test]
    fn any_text_is_a_name_or_none(text in "(replay:)?[ -~]{0,24}") {
        if let Some(Trigger::Replay(id)) = Trigger::parse(&text) {
            prop_assert!(id.get() > 0);
        }
    }

    /// However often it is asked: never ahead of the rate.
    #[test]
    fn the_pace_is_kept(
        rate in 1..=1000_u32,
        waits in prop::collection::vec(0..400_u64, 1..200),
    ) {
        let mut pace = Pace { rate: ReplayRate::new(rate).unwrap(), until: at(0) };
        let (mut now, mut events): (Timestamp, u64) = (at(0), 0);
        for wait in waits {
            now = now.plus(Duration::from_millis(wait));
            let allowed = pace.allows(now);
            if allowed == 0 {
                continue;
            }
            pace = pace.after(allowed, now);
            events += u64::from(allowed);
            let millis = u64::try_from(now.since(at(0)).as_millis()).unwrap();
            prop_assert!(events * 1000 <= millis * u64::from(rate), "{events} in {millis} ms");
        }
        prop_assert!(pace.until <= now.plus(Duration::from_millis(1)));
    }
}

#[test]
fn time_is_not_saved_up() {
    for (rate, most) in [(1, 1), (10, 3), (50, 15), (1000, 300)] {
        let rate = ReplayRate::new(rate).unwrap();
        let pace = Pace { rate, until: at(0) };
        assert_eq!(pace.allows(at(1_000_000)), most);
        let after = pace.after(most, at(1_000_000));
        assert_eq!(after.allows(at(1_000_000)), 0);
        assert_eq!(pace.allows(at(-5)), 0, "a clock that went back");
    }
    assert_eq!(ReplayRate::new(0), None);
    assert_eq!(ReplayRate::new(1001), None);
    let rate = ReplayRate::new(50).unwrap();
    assert_eq!(rate.time_for(101), Duration::from_secs(3));
}
