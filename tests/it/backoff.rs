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
