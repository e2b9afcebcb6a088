//! What is sent twice, and in which order.

use rand::RngExt;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::seq::index::sample;

use super::Delivery;

/// How events become deliveries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanOptions {
    /// How many in a hundred deliveries are sent a second time, with the same id and body; rounded
    /// up to whole deliveries. More than a hundred count as a hundred.
    pub duplicates_percent: u8,
    /// Whether to mix them all up.
    pub shuffle: bool,
    /// What decides which and where. The same seed decides the same.
    pub seed: u64,
}

/// Adds duplicates and shuffles. A duplicate stands somewhere after its original, unless all is
/// shuffled.
pub fn plan(deliveries: Vec<Delivery>, options: PlanOptions) -> Vec<Delivery> {
    let mut rng = StdRng::seed_from_u64(options.seed);
    let once = deliveries.len();
    let percent = usize::from(options.duplicates_percent.min(100));
    let twice = sample(&mut rng, once, (once * percent).div_ceil(100));

    // The original stands at its own place, the duplicate after whatever stands at a later one.
    let mut placed: Vec<(usize, Delivery)> = deliveries.into_iter().enumerate().collect();
    for original in twice {
        let place = rng.random_range(original..once);
        let duplicate = placed[original].1.clone();
        placed.push((place, duplicate));
    }
    placed.sort_by_key(|(place, _)| *place);

    let mut planned: Vec<Delivery> = placed.into_iter().map(|(_, delivery)| delivery).collect();
    if options.shuffle {
        planned.shuffle(&mut rng);
    }
    planned
}
