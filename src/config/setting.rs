//! What a setting is, and how a misspelt one is recognised.

use std::fmt;

use super::SETTINGS;
use super::problems::{Fault, quoted};

/// The prefix of the names that are ours alone.
pub(super) const PREFIX: &str = "HOOKMIRROR_";

/// From here on two names are taken for the same one, misspelt (1 is equality). Low enough for
/// `LOG_LEVEL` and `STRIPE_WEBHOOK_SIGNING_SECRET`, high enough to be silent about strangers.
const LIKENESS: f64 = 0.84;

/// One thing that can be set, by this name, in the environment and in the settings file alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// Another name for it.
    pub alias: Option<&'static str>,
    /// What holds when it is not set.
    pub default: DefaultValue,
    /// What it is for, to be read after the name.
    pub meaning: &'static str,
}

impl Setting {
    /// Whether it goes by this name.
    pub(super) fn is_named(&self, name: &str) -> bool {
        self.name == name || self.alias == Some(name)
    }
}

/// Where the settings file is.
pub(super) const CONFIG: Setting = Setting {
    name: "HOOKMIRROR_CONFIG",
    alias: None,
    default: DefaultValue::Described("none"),
    meaning: "TOML file with any of these settings, by the same names; the environment wins over it",
};

/// Whether a setting goes by this name.
pub(super) fn is_setting(name: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.is_named(name))
}

/// Reads a setting that is true or false.
pub(super) fn parse_flag(text: &str) -> Result<bool, Fault> {
    text.trim().parse().map_err(|_| {
        let what = format!("is {}, neither `true` nor `false`", quoted(text));
        Fault::new("not_a_flag", what, "write one of the two, or unset it")
    })
}

/// What holds when a setting is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// The same as if this had been written.
    Text(&'static str),
    /// Something that is not a value, in words.
    Described(&'static str),
}

impl fmt::Display for DefaultValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Described(text) => f.write_str(text),
        }
    }
}

/// A setting that is a whole number.
pub(super) struct Number {
    pub(super) setting: Setting,
    pub(super) min: u64,
    pub(super) max: u64,
    /// Why the range ends where it ends.
    pub(super) reason: &'static str,
    pub(super) default: u64,
}

impl Number {
    /// Takes the default from the setting's own text. As this runs in constants only, a default
    /// that is no number, or out of range, does not compile.
    pub(super) const fn of(setting: Setting, min: u64, max: u64, reason: &'static str) -> Self {
        let DefaultValue::Text(text) = setting.default else {
            panic!("a number has a number for its default");
        };
        let Ok(default) = u64::from_str_radix(text, 10) else {
            panic!("the default of a number is written in digits");
        };
        assert!(min <= default && default <= max);
        Self {
            setting,
            min,
            max,
            reason,
            default,
        }
    }
}

/// The setting that was probably meant by a name that none has.
pub(super) fn suggestion_for(unknown: &str) -> Option<&'static str> {
    let unknown = unknown.to_ascii_uppercase().replace(['-', '.'], "_");
    let names = SETTINGS
        .iter()
        .flat_map(|setting| [Some(setting.name), setting.alias])
        .flatten();
    likely(&unknown, names)
}

/// The one of these names that was probably meant.
pub(super) fn likely(
    unknown: &str,
    names: impl IntoIterator<Item = &'static str>,
) -> Option<&'static str> {
    names
        .into_iter()
        .map(|name| (likeness(unknown, name), name))
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

/// How alike two names are. A common prefix is left out: it would make all of ours look alike.
fn likeness(unknown: &str, name: &str) -> f64 {
    let unknown = unknown.strip_prefix(PREFIX).unwrap_or(unknown);
    let name = name.strip_prefix(PREFIX).unwrap_or(name);
    strsim::jaro_winkler(unknown, name)
}
