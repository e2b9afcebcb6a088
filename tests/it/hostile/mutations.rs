//! Inputs made of other inputs: the same ones in every run, whatever machine it is.

use std::ops::Range;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Long enough for anything that counts, short enough for thousands of them.
const LONGEST: usize = 64 * 1024;
const MOST_EDITS: usize = 4;
const MOST_REPEATS: usize = 300;
/// Numbers at the ends of what something can hold.
const NUMBERS: [&str; 9] = [
    "-1",
    "0",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "1e400",
    "-0.0",
    "1e-400",
    "99999999999999999999999999999999",
];

/// An endless row of mutations.
pub(super) struct Mutations {
    chance: StdRng,
    words: &'static [&'static str],
}

impl Mutations {
    /// The name of the target is the seed.
    pub(super) fn new(target: &str, words: &'static [&'static str]) -> Self {
        let mut seed = [0; 32];
        for (place, byte) in target.bytes().enumerate() {
            seed[place % 32] ^= byte;
        }
        Self {
            chance: StdRng::from_seed(seed),
            words,
        }
    }

    /// Of one entry, with pieces of another.
    pub(super) fn next(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = corpus[self.chance.random_range(0..corpus.len())].clone();
        for _ in 0..self.chance.random_range(1..=MOST_EDITS) {
            self.edit(&mut bytes, corpus);
            bytes.truncate(LONGEST);
        }
        bytes
    }

    fn edit(&mut self, bytes: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let piece = self.piece(bytes.len());
        match self.chance.random_range(0..10) {
            0 if !bytes.is_empty() => {
                let at = self.chance.random_range(0..bytes.len());
                bytes[at] ^= 1 << self.chance.random_range(0..8);
            }
            1 if !bytes.is_empty() => {
                let at = self.chance.random_range(0..bytes.len());
                bytes[at] = self.chance.random();
            }
            2 => drop(bytes.drain(piece)),
            3 => bytes.truncate(piece.start),
            4 => {
                let again = bytes[piece.clone()].repeat(self.repeats());
                bytes.splice(piece, again);
            }
            5 => {
                let other = &corpus[self.chance.random_range(0..corpus.len())];
                let theirs = self.piece(other.len());
                bytes.splice(piece, other[theirs].iter().copied());
            }
            6 => {
                let number = NUMBERS[self.chance.random_range(0..NUMBERS.len())];
                let digits = digits_from(bytes, piece.start);
                bytes.splice(digits, number.bytes());
            }
            7 => {
                let same = vec![self.chance.random::<u8>(); self.repeats()];
                bytes.splice(piece.start..piece.start, same);
            }
            _ => {
                let word = self.words[self.chance.random_range(0..self.words.len())];
                let end = if self.chance.random() {
                    piece.start
                } else {
                    piece.end
                };
                bytes.splice(piece.start..end, word.bytes());
            }
        }
    }

    /// Mostly short ones: they leave something of the form.
    fn piece(&mut self, length: usize) -> Range<usize> {
        let start = self.chance.random_range(0..=length);
        let most = if self.chance.random_range(0..4) == 0 {
            length
        } else {
            16
        };
        start..(start + self.chance.random_range(0..=most)).min(length)
    }

    fn repeats(&mut self) -> usize {
        let few = self.chance.random_range(0..4) > 0;
        self.chance
            .random_range(1..=if few { 4 } else { MOST_REPEATS })
    }
}

/// The next number from here on; where there is none, nothing at this place.
fn digits_from(bytes: &[u8], start: usize) -> Range<usize> {
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    let Some(first) = bytes[start..].iter().position(is_digit) else {
        return start..start;
    };
    let first = start + first;
    let length = bytes[first..].iter().take_while(|byte| is_digit(byte));
    first..first + length.count()
}
