//! `[[source]]` in the settings file, as it was written: what has the right type, each with its line.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::layer::Written;
use super::problems::{Fault, Origin, Problem};
use super::setting::{is_setting, likely};

/// The key of the list.
pub(super) const SOURCE: &str = "source";

const NAME: &str = "source.name";
const PROVIDER: &str = "source.provider";
const SECRETS: &str = "source.secrets";
const LIVEMODE: &str = "source.livemode";
const SECRET_KEY: &str = "source.secret_key";
const API_URL: &str = "source.api_url";
const KEYS: [&str; 6] = [NAME, PROVIDER, SECRETS, LIVEMODE, SECRET_KEY, API_URL];

/// One source. Has no `Debug`: it holds secrets. An empty text is no value, as everywhere.
#[derive(Clone)]
pub(super) struct Entry {
    /// Where it begins.
    pub(super) origin: Origin,
    pub(super) name: Option<Written>,
    pub(super) provider: Option<Written>,
    /// One or more, separated by commas.
    pub(super) secrets: Option<Written>,
    /// `true` or `false`.
    pub(super) livemode: Option<Written>,
    pub(super) secret_key: Option<Written>,
    pub(super) api_url: Option<Written>,
    /// Keys with a value of the wrong type. They were reported, and are not missing.
    unusable: Vec<&'static str>,
}

/// A settings file, to tell the lines in it.
pub(super) struct Place<'a> {
    path: &'a Path,
    /// The bytes after which a line begins.
    ends: Vec<usize>,
}

impl<'a> Place<'a> {
    pub(super) fn new(path: &'a Path, text: &str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at).collect();
        Self { path, ends }
    }

    /// The line of a byte.
    pub(super) fn origin(&self, byte: usize) -> Origin {
        Origin::File {
            path: self.path.to_owned(),
            line: 1 + self.ends.partition_point(|end| *end < byte),
        }
    }
}

/// Reads the list of sources; `origin` is where its key stands.
pub(super) fn read(
    value: DeValue<'_>,
    origin: Origin,
    place: &Place<'_>,
    problems: &mut Vec<Problem>,
) -> Vec<Entry> {
    let not_a_list = |what: String| {
        let remedy = "begin each source with a line `[[source]]`, in double brackets";
        Fault::new("source_not_a_list", what, remedy)
    };
    let list = match value {
        DeValue::Array(list) => list,
        DeValue::Table(_) => {
            let fault = not_a_list("is a single table, but there may be many".to_owned());
            problems.push(fault.of(SOURCE, Some(origin)));
            return Vec::new();
        }
        other => {
            let what = format!("is of type {}, not a list of tables", other.type_str());
            problems.push(not_a_list(what).of(SOURCE, Some(origin)));
            return Vec::new();
        }
    };
    let mut entries = Vec::new();
    for item in list {
        let origin = place.origin(item.span().start);
        match item.into_inner() {
            DeValue::Table(table) => entries.push(Entry::read(table, origin, place, problems)),
            other => {
                let what = format!("holds something of type {}, not a table", other.type_str());
                problems.push(not_a_list(what).of(SOURCE, Some(origin)));
            }
        }
    }
    entries
}

impl Entry {
    fn read(
        table: DeTable<'_>,
        origin: Origin,
        place: &Place<'_>,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut entry = Self {
            origin,
            name: None,
            provider: None,
            secrets: None,
            livemode: None,
            secret_key: None,
            api_url: None,
            unusable: Vec::new(),
        };
        for (key, value) in table {
            let origin = place.origin(key.span().start);
            let key = format!("{SOURCE}.{}", key.into_inner());
            let Some(known) = KEYS.into_iter().find(|known| *known == key) else {
                problems.push(unknown(&key).of(key, Some(origin)));
                continue;
            };
            let text = match known {
                SECRETS => secrets(value.into_inner()),
                LIVEMODE => flag(value.into_inner()),
                _ => text(value.into_inner()),
            };
            match text {
                Ok(text) => {
                    *entry.field(known) = text.map(|text| Written {
                        text,
                        origin,
                        named: Some(known),
                    });
                }
                Err(fault) => {
                    entry.unusable.push(known);
                    problems.push(fault.of(known, Some(origin)));
                }
            }
        }
        entry
    }

    fn field(&mut self, key: &str) -> &mut Option<Written> {
        match key {
            NAME => &mut self.name,
            PROVIDER => &mut self.provider,
            SECRETS => &mut self.secrets,
            LIVEMODE => &mut self.livemode,
            SECRET_KEY => &mut self.secret_key,
            _ => &mut self.api_url,
        }
    }

    /// Those of the needed keys that are not there.
    pub(super) fn missing(&self, needs_secrets: bool) -> Vec<&'static str> {
        let needed = [
            (NAME, self.name.is_none()),
            (PROVIDER, self.provider.is_none()),
            (SECRETS, self.secrets.is_none() && needs_secrets),
        ];
        needed
            .into_iter()
            .filter(|(key, is_missing)| *is_missing && !self.unusable.contains(key))
            .map(|(key, _)| key)
            .collect()
    }
}

fn unknown(key: &str) -> Fault {
    let short = key.trim_start_matches(SOURCE).trim_start_matches('.');
    let remedy = if is_setting(short) {
        "move it above the first `[[source]]`: what follows one belongs to it".to_owned()
    } else if let Some(meant) = likely(key, KEYS) {
        let meant = meant.trim_start_matches(SOURCE).trim_start_matches('.');
        format!("did you mean `{meant}`?")
    } else {
        "remove it: a source has `name`, `provider`, `secrets`, `livemode`, and of Clerk also \
         `secret_key` and `api_url`"
            .to_owned()
    };
    Fault::new("unknown_setting", "is not a setting", remedy)
}

fn wrong_type(found: &DeValue<'_>, wanted: &str, remedy: &str) -> Fault {
    let what = format!("is not {wanted} but of type {}", found.type_str());
    Fault::new("wrong_type", what, remedy)
}

fn text(value: DeValue<'_>) -> Result<Option<String>, Fault> {
    match value {
        DeValue::String(text) => Ok(Some(text.into_owned()).filter(|text| !text.is_empty())),
        other => Err(wrong_type(&other, "a text", "put it in double quotes")),
    }
}

fn flag(value: DeValue<'_>) -> Result<Option<String>, Fault> {
    match value {
        DeValue::Boolean(flag) => Ok(Some(flag.to_string())),
        other => {
            let remedy = "write `true` or `false`, without quotes";
            Err(wrong_type(&other, "true or false", remedy))
        }
    }
}

fn secrets(value: DeValue<'_>) -> Result<Option<String>, Fault> {
    match value {
        DeValue::Array(list) => list_of_secrets(list).map(Some),
        DeValue::String(text) => Ok(Some(text.into_owned()).filter(|text| !text.is_empty())),
        other => {
            let remedy = "write `secrets = [\"whsec_…\"]`";
            Err(wrong_type(&other, "a list of texts", remedy))
        }
    }
}

fn list_of_secrets(list: DeArray<'_>) -> Result<String, Fault> {
    if list.is_empty() {
        return Err(Fault::new(
            "no_signing_secret",
            "is an empty list, so that every webhook would be refused",
            "write the secret that the provider shows for this endpoint",
        ));
    }
    let texts = list.into_iter().map(Spanned::into_inner).enumerate();
    let texts = texts.map(|(index, item)| match item {
        DeValue::String(text) => Ok(text.into_owned()),
        other => {
            let what = format!(
                "holds something of type {} as number {}, not a text",
                other.type_str(),
                index + 1
            );
            let remedy = "put each secret in double quotes";
            Err(Fault::new("wrong_type", what, remedy))
        }
    });
    let texts: Vec<String> = texts.collect::<Result<_, _>>()?;
    Ok(texts.join(","))
}
