//! A payload made safe to be looked at: its shape, without what people entrusted to it.
//!
//! Guaranteed: of a value nothing is left but its length, its punctuation and where its digits and
//! capital letters are, unless it is on the short list below. Structure, names of fields, `true`,
//! `false` and `null` stay, and so does the layout, byte for byte. Any depth will do, and any number.
//! NOT guaranteed: that a name of a field tells nothing. Who keys an object by e-mail addresses shows
//! them.

use std::fmt::Write;

use serde::de::IgnoredAny;

/// Fields whose values decide what is done about an event. Their words stay readable.
const READABLE: [&str; 8] = [
    "created",
    "currency",
    "livemode",
    "mode",
    "object",
    "payment_status",
    "status",
    "type",
];
/// A readable word is no longer than this, and made of letters, digits and these.
const LONGEST_WORD: usize = 64;
const IN_WORDS: &str = "_.-";

/// Masks a payload. The `known` values, such as the event's own id and subject, stay readable where a
/// text is exactly one of them.
pub fn mask(payload: &[u8], known: &[&str]) -> String {
    match std::str::from_utf8(payload) {
        Ok(text) if serde_json::from_str::<IgnoredAny>(text).is_ok() => {
            Masking::new(text, known).run()
        }
        _ => String::from_utf8_lossy(payload)
            .chars()
            .map(masked)
            .collect(),
    }
}

/// A character of the same shape.
fn masked(c: char) -> char {
    match c {
        _ if c.is_uppercase() => 'X',
        _ if c.is_numeric() => '0',
        _ if c.is_ascii_punctuation() || c.is_ascii_whitespace() => c,
        _ => 'x',
    }
}

fn is_word(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || IN_WORDS.contains(c);
    text.len() <= LONGEST_WORD && text.chars().all(fits)
}

/// What the place is in that the reader is at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Object,
    Array,
}

/// One pass over a text that is JSON, with the brackets that are open on a stack of its own.
struct Masking<'t> {
    rest: &'t str,
    known: &'t [&'t str],
    open: Vec<Inside>,
    /// Whether the next text is the name of a field.
    names: bool,
    /// Whether the value of the field that was named last stays readable.
    readable: bool,
    masked: String,
}

impl<'t> Masking<'t> {
    fn new(text: &'t str, known: &'t [&'t str]) -> Self {
        Self {
            rest: text,
            known,
            open: Vec::new(),
            names: false,
            readable: false,
            masked: String::with_capacity(text.len()),
        }
    }

    fn run(mut self) -> String {
        while let Some(c) = self.rest.chars().next() {
            match c {
                '"' => self.text(),
                '-' | '0'..='9' => self.number(),
                _ => self.structure(c),
            }
        }
        self.masked
    }

    /// Brackets, commas, colons, spaces, and the words that stay.
    fn structure(&mut self, c: char) {
        match c {
            '{' => {
                self.open.push(Inside::Object);
                self.names = true;
            }
            '[' => {
                self.open.push(Inside::Array);
                self.names = false;
                self.readable = false;
            }
            '}' | ']' => {
                self.open.pop();
            }
            ',' => {
                self.names = self.open.last() == Some(&Inside::Object);
                self.readable = false;
            }
            ':' => self.names = false,
            _ => {}
        }
        let length = c.len_utf8();
        self.take(length);
    }

    /// Copies so many bytes.
    fn take(&mut self, length: usize) {
        let (taken, rest) = self.rest.split_at(length);
        self.masked.push_str(taken);
        self.rest = rest;
    }

    fn number(&mut self) {
        let is_part = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        if self.readable {
            return self.take(end);
        }
        let (number, rest) = self.rest.split_at(end);
        self.masked.extend(number.chars().map(|c| match c {
            '0'..='9' => '0',
            other => other,
        }));
        self.rest = rest;
    }

    fn text(&mut self) {
        let length = quoted_length(self.rest);
        let (quoted, rest) = self.rest.split_at(length);
        // A text that cannot be read, such as half of a pair of surrogates, has no word in it.
        let value: Option<String> = serde_json::from_str(quoted).ok();
        if self.names {
            self.readable = value.is_some_and(|name| READABLE.contains(&name.as_str()));
            return self.take(length);
        }
        let stays = value
            .as_deref()
            .is_some_and(|value| (self.readable && is_word(value)) || self.known.contains(&value));
        if stays {
            return self.take(length);
        }
        let value = value.unwrap_or_else(|| quoted.to_owned());
        let value: String = value.chars().map(masked).collect();
        // Nothing in it is left that JSON could refuse.
        let _ = write!(self.masked, "{}", serde_json::Value::String(value));
        self.rest = rest;
    }
}

/// Up to its closing quote, this included.
fn quoted_length(text: &str) -> usize {
    let mut escaped = false;
    let closing = text.char_indices().skip(1).find(|(_, c)| match c {
        '\\' if !escaped => {
            escaped = true;
            false
        }
        '"' if !escaped => true,
        _ => {
            escaped = false;
            false
        }
    });
    closing.map_or(text.len(), |(at, _)| at + 1)
}
