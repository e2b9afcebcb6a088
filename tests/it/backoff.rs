//! How long is waited after the n-th failure.

use std::collections::BTreeSet;
use std::time::Duration;

use hookmirror::backoff::Backoff;
use proptest::prelude::*;

fn backoff(seed: u64) -> Backoff {
    Backoff {
        first: Duration::from_millis(500),
        longest: Duration::from_secs(60),
        seed,
    }
}

proptest! {
    #[test]
    fn it_doubles_up_to_the_longest_and_jitter_adds_as_much_at_most(
        seed: u64,
        failures in prop_oneof![0..12_u32, any::<u32>()],
    ) {
        let doubled = Duration::from_millis(500).saturating_mul(1 << failures.min(20));
        let least = doubled.min(Duration::from_secs(60));
        let delay = backoff(seed).delay(failures);
        prop_assert!((least..=2 * least).contains(&delay), "{delay:?} after {failures}");
        prop_assert_eq!(delay, backoff(seed).delay(failures));
        let spread = backoff(seed).full_jitter(failures);
        prop_assert!(spread <= least, "{spread:?} after {failures}");
    }
}

#[test]
fn full_jitter_begins_at_nothing_and_reaches_the_whole_delay() {
    let waits: Vec<Duration> = (0..1000).map(|seed| backoff(seed).full_jitter(2)).collect();
    let cap = Duration::from_secs(2);
    let share = |low: u32, high: u32| {
        let within = waits
            .iter()
            .filter(|wait| (cap * low / 4..cap * high / 4).contains(*wait));
        within.count()
    };
    for quarter in 0..4 {
        let found = share(quarter, quarter + 1);
        assert!(
            (200..300).contains(&found),
            "{found} of 1000 in quarter {quarter}"
        );
    }
}

#[test]
fn those_who_fail_together_come_back_apart() {
    let delays: BTreeSet<Duration> = (0..100)
        .map(|n| backoff(7).of(&format!("user_{n}")).delay(3))
        .collect();
    assert!(delays.len() > 90, "{} of 100 differ", delays.len());

    let processes: BTreeSet<Duration> = (0..100)
        .map(|seed| backoff(seed).of("user_1").delay(3))
        .collect();
    assert!(processes.len() > 90, "{} of 100 differ", processes.len());
}
