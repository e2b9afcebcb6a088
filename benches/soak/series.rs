//! Figures over time, and whether they grow.
//!
//! The rule: the run is cut into three parts. The first is for caches and pools to fill and does not
//! count. A figure *grows* if its median over the last part is above its median over the middle part by
//! more than a share of that, and by more than a floor below which nothing is said. What comes and goes
//! (a write-ahead log between two checkpoints, dead rows between two vacuums, a lag) has a larger share.

use std::fmt::Write;

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const BARS_WIDE: usize = 40;

/// How much more the last part may have than the middle one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bound {
    pub(crate) share: f64,
    pub(crate) floor: f64,
}

/// One figure, with a value for each sample; a process that is away has none.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) bound: Bound,
    pub(crate) values: Vec<Option<f64>>,
}

/// What the rule says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) middle: f64,
    pub(crate) last: f64,
    pub(crate) grows: bool,
}

impl Series {
    /// `None` where a part has no value.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        let part = self.values.len() / 3;
        let (rest, last) = self.values.split_at(self.values.len() - part);
        let middle = median(&rest[rest.len() - part..])?;
        let last = median(last)?;
        let more = last - middle;
        Some(Verdict {
            middle,
            last,
            grows: more > middle * self.bound.share && more > self.bound.floor,
        })
    }

    /// The values as bars, from zero to the largest.
    pub(crate) fn bars(&self) -> String {
        let most = self.values.iter().flatten().copied().fold(0.0, f64::max);
        let wide = BARS_WIDE.min(self.values.len());
        let mut bars = String::new();
        for bar in 0..wide {
            let from = bar * self.values.len() / wide;
            let to = ((bar + 1) * self.values.len() / wide).max(from + 1);
            let height = median(&self.values[from..to]).map(|value| value / most.max(f64::EPSILON));
            bars.push(height.map_or(' ', |height| {
                BARS[((height * 8.0) as usize).min(BARS.len() - 1)]
            }));
        }
        bars
    }
}

fn median(values: &[Option<f64>]) -> Option<f64> {
    let mut values: Vec<f64> = values.iter().flatten().copied().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// All series of a run.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) series: Vec<Series>,
    /// Seconds since the beginning, of each sample.
    pub(crate) times: Vec<f64>,
}

impl Table {
    /// One sample of everything.
    pub(crate) fn add(&mut self, at: f64, sample: Vec<(String, &'static str, Bound, f64)>) {
        self.times.push(at);
        for (name, unit, bound, value) in sample {
            let known = self.series.iter_mut().find(|series| series.name == name);
            let series = match known {
                Some(series) => series,
                None => {
                    self.series.push(Series {
                        name,
                        unit,
                        bound,
                        values: Vec::new(),
                    });
                    let last = self.series.len() - 1;
                    &mut self.series[last]
                }
            };
            series.values.resize(self.times.len() - 1, None);
            series.values.push(Some(value));
        }
        for series in &mut self.series {
            series.values.resize(self.times.len(), None);
        }
    }

    /// The data of the graph.
    pub(crate) fn csv(&self) -> String {
        let mut csv = "seconds".to_owned();
        for series in &self.series {
            let _ = write!(csv, ",{} ({})", series.name, series.unit);
        }
        for (place, at) in self.times.iter().enumerate() {
            let _ = write!(csv, "\n{at:.0}");
            for series in &self.series {
                match series.values[place] {
                    Some(value) => {
                        let _ = write!(csv, ",{value}");
                    }
                    None => csv.push(','),
                }
            }
        }
        csv.push('\n');
        csv
    }

    /// Prints each series with its verdict; answers how many grow, or cannot be judged.
    pub(crate) fn print(&self) -> usize {
        let mut bad = 0;
        println!(
            "{:<34} {:<40} {:>12} {:>12}  verdict",
            "series", "from the start to the end", "middle", "last"
        );
        for series in &self.series {
            let (name, unit) = (format!("{} ({})", series.name, series.unit), series.bars());
            let Some(verdict) = series.verdict() else {
                println!("{name:<34} {unit:<40} too few samples");
                bad += 1;
                continue;
            };
            let word = if verdict.grows { "GROWS" } else { "flat" };
            bad += usize::from(verdict.grows);
            println!(
                "{name:<34} {unit:<40} {:>12.1} {:>12.1}  {word}",
                verdict.middle, verdict.last
            );
        }
        bad
    }
}
