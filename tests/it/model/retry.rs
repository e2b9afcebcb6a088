//! When an event is tried again.

use std::collections::BTreeSet;
use std::time::Duration;

use hookmirror::model::retry::next_attempt;
use hookmirror::model::time::Timestamp;
use proptest::prelude::*;

use crate::support::given::{at, key};

/// What the runbook says, in seconds.
const WAITS: [u64; 9] = [10, 60, 300, 900, 1800, 3600, 10_800, 21_600, 28_800];

proptest! {
    #[test]
    fn each_wait_is_as_long_as_planned_and_jitter_adds_less_than_a_fifth(
        id in "evt_[a-z]{1,12}",
        attempt in 1..=9_u32,
        now in -1_000_000..1_000_000_i64,
    ) {
        let key = key(&id);
        let next = next_attempt(&key, attempt, at(now)).unwrap();
        let planned = Duration::from_secs(WAITS[attempt as usize - 1]);
        let wait = next.since(at(now));
        prop_assert!(planned <= wait && wait < planned + planned / 5, "{wait:?}");
        prop_assert_eq!(next_attempt(&key, attempt, at(now)), Some(next));
        // The time of the failure moves the next attempt, and decides nothing else.
        let later = next_attempt(&key, attempt, at(now + 7)).unwrap();
        prop_assert_eq!(later.since(next), Duration::from_secs(7));
    }
}

#[test]
fn the_tenth_attempt_is_the_last() {
    let key = key("evt_1");
    assert!(next_attempt(&key, 9, at(0)).is_some());
    for attempt in [0, 10, 11, u32::MAX] {
        assert_eq!(next_attempt(&key, attempt, at(0)), None, "{attempt}");
    }
}

#[test]
fn those_who_fail_together_are_tried_again_apart() {
    for attempt in [1, 9] {
        let times: BTreeSet<Timestamp> = (0..100)
            .filter_map(|n| next_attempt(&key(&format!("evt_{n}")), attempt, at(0)))
            .collect();
        assert!(times.len() > 90, "{} of 100 differ", times.len());
        // Over the whole of the jitter, not in one corner of it.
        let (first, last) = (times.first().unwrap(), times.last().unwrap());
        let most = Duration::from_secs(WAITS[attempt as usize - 1]) / 5;
        assert!(last.since(*first) > most.mul_f32(0.8), "attempt {attempt}");
    }
    let same_source_other_attempt = |attempt| {
        let planned = Duration::from_secs(WAITS[attempt as usize - 1]);
        let next = next_attempt(&key("evt_1"), attempt, at(0)).unwrap();
        next.since(at(0).plus(planned)).div_duration_f32(planned)
    };
    assert_ne!(same_source_other_attempt(8), same_source_other_attempt(9));
}

#[test]
fn the_end_of_time_is_no_overflow() {
    let end = Timestamp::from_millis(i64::MAX);
    assert_eq!(next_attempt(&key("evt_1"), 1, end), Some(end));
}
