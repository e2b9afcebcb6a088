//! Input of people who mean harm, or of bytes that went wrong: whatever reads it says yes or no, in
//! bounded time, and never panics.
//!
//! A *target* is a function that takes bytes and states what must hold of them ([`signatures`],
//! [`payloads`], [`settings`], [`rows`], [`messages`], [`queries`]). Every run shows each target its
//! corpus (`fixtures/hostile/<target>/`, a file for each thing that somebody once thought of or that
//! was found) and then mutations of it, which are the same in every run ([`mutations`]). An input that
//! fails is written to a file, and the test says where it is and how it joins the corpus. [`growth`] shows that
//! more of the same costs more in proportion, and [`pipeline`] sends the worst of it all the way through.
//!
//! A few thousand inputs for each target in an ordinary run. `HOSTILE_CASES=1000000` tries more; the
//! first of them are those of the ordinary run.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use self::mutations::Mutations;

mod growth;
mod messages;
mod mutations;
mod payloads;
mod pipeline;
mod queries;
mod rows;
mod settings;
mod signatures;

/// Inputs for each target, beside the corpus.
const CASES: usize = 2_500;
/// No input is so large that a debug build on a busy machine needs this long for it.
const LONGEST: Duration = Duration::from_secs(10);

/// What a target is shown: its corpus, these seeds, and mutations of all of them with words that mean
/// something there.
struct Inputs {
    target: &'static str,
    corpus: Vec<Vec<u8>>,
    mutations: Mutations,
    shown: usize,
    cases: usize,
}

impl Inputs {
    fn new(
        target: &'static str,
        words: &'static [&'static str],
        seeds: impl IntoIterator<Item = Vec<u8>>,
    ) -> Self {
        let mut corpus: Vec<Vec<u8>> = files(&corpus_of(target))
            .iter()
            .map(|file| fs::read(file).unwrap())
            .collect();
        assert!(!corpus.is_empty(), "fixtures/hostile/{target} is empty");
        corpus.extend(seeds);
        Self {
            target,
            mutations: Mutations::new(target, words),
            shown: 0,
            cases: corpus.len() + cases(),
            corpus,
        }
    }

    /// For a target that costs so many times what others cost.
    fn fewer(self, times: usize) -> Self {
        let mutations = (self.cases - self.corpus.len()) / times;
        Self {
            cases: self.corpus.len() + mutations,
            ..self
        }
    }

    /// Shows everything to a target that needs nothing but the bytes.
    fn each(self, mut property: impl FnMut(&[u8])) {
        for input in self {
            property(&input.bytes);
            input.survived();
        }
    }
}

impl Iterator for Inputs {
    type Item = Input;

    fn next(&mut self) -> Option<Input> {
        let number = self.shown;
        self.shown += 1;
        let bytes = match self.corpus.get(number) {
            Some(entry) => entry.clone(),
            None if number < self.cases => self.mutations.next(&self.corpus),
            None => return None,
        };
        Some(Input {
            target: self.target,
            bytes,
            begun: Instant::now(),
        })
    }
}

/// One input. If the test panics while it is in hand, it is kept.
struct Input {
    target: &'static str,
    bytes: Vec<u8>,
    begun: Instant,
}

impl Input {
    /// What had to hold held, and soon enough.
    fn survived(self) {
        let took = self.begun.elapsed();
        assert!(
            took < LONGEST,
            "{} bytes took {took:?}: is it the input, or the machine?",
            self.bytes.len()
        );
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let mut hasher = DefaultHasher::new();
        self.bytes.hash(&mut hasher);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile");
        let path = folder.join(format!("{}-{:016x}", self.target, hasher.finish()));
        let kept = fs::create_dir_all(&folder).and_then(|()| fs::write(&path, &self.bytes));
        match kept {
            Ok(()) => eprintln!(
                "the input that failed is in {path}; to show it to every run, name it for what it is:\n  \
                 cp {path} fixtures/hostile/{target}/WHAT-IT-SHOWS",
                path = path.display(),
                target = self.target
            ),
            Err(error) => eprintln!("the input that failed could not be kept: {error}"),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a setting of the test, not of the program"
)]
fn cases() -> usize {
    std::env::var("HOSTILE_CASES").map_or(CASES, |cases| cases.parse().expect("a number of cases"))
}

fn corpus_of(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/hostile")
        .join(target)
}

/// The files of a folder, in a fixed order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

/// An input of two parts: what stands before the first empty line, and what follows it.
fn in_two(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&bytes[..at], &bytes[at + 2..]),
        None => (bytes, b""),
    }
}

/// Makes an input of two parts.
fn of_two(first: impl AsRef<[u8]>, second: impl AsRef<[u8]>) -> Vec<u8> {
    [first.as_ref(), b"\n\n", second.as_ref()].concat()
}
