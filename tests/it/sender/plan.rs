//! What is sent twice, and in which order.

use std::collections::BTreeMap;

use hookmirror::model::event::EventKey;
use hookmirror::sender::{Delivery, PlanOptions, plan};
use proptest::prelude::*;

use super::deliveries;

fn places(planned: &[Delivery]) -> BTreeMap<EventKey, Vec<usize>> {
    let mut places: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (place, delivery) in planned.iter().enumerate() {
        places.entry(delivery.key()).or_default().push(place);
    }
    places
}

#[test]
fn nothing_asked_for_nothing_done() {
    let before = deliveries(10);
    assert_eq!(plan(before.clone(), PlanOptions::default()), before);
    let all = PlanOptions {
        duplicates_percent: 100,
        shuffle: true,
        seed: 3,
    };
    assert_eq!(plan(Vec::new(), all), []);
}

#[test]
fn the_seed_decides() {
    let options = |seed| PlanOptions {
        duplicates_percent: 30,
        shuffle: true,
        seed,
    };
    let planned = plan(deliveries(50), options(3));
    assert_eq!(planned, plan(deliveries(50), options(3)));
    assert_ne!(planned, plan(deliveries(50), options(4)));
}

proptest! {
    #[test]
    fn duplicates_are_counted_and_come_after(count in 0..80_usize, percent in 0..=120_u8, seed: u64) {
        let options = PlanOptions { duplicates_percent: percent, shuffle: false, seed };
        let before = deliveries(count);
        let planned = plan(before.clone(), options);
        let expected = (count * usize::from(percent.min(100))).div_ceil(100);
        prop_assert_eq!(planned.len(), count + expected);

        // The first of each, in order, are the originals: no duplicate comes before its own.
        let mut seen = std::collections::HashSet::new();
        let firsts: Vec<_> = planned.iter().filter(|d| seen.insert(d.key())).cloned().collect();
        prop_assert_eq!(firsts, before);
        for (key, places) in places(&planned) {
            prop_assert!(places.len() <= 2, "{} is there {} times", key, places.len());
            let same = places.iter().all(|place| planned[*place] == planned[places[0]]);
            prop_assert!(same);
        }
    }

    #[test]
    fn shuffling_loses_nothing(count in 0..80_usize, percent in 0..=100_u8, seed: u64) {
        let options = |shuffle| PlanOptions { duplicates_percent: percent, shuffle, seed };
        let keys = |planned: Vec<Delivery>| {
            let mut keys: Vec<_> = planned.iter().map(Delivery::key).collect();
            keys.sort();
            keys
        };
        let plain = plan(deliveries(count), options(false));
        let shuffled = plan(deliveries(count), options(true));
        if count >= 20 {
            prop_assert_ne!(&plain, &shuffled);
        }
        prop_assert_eq!(keys(plain), keys(shuffled));
    }
}
