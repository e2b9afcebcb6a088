//! The settings file: TOML with the variables' own names as keys, texts or whole numbers as values,
//! and `[[source]]` for further sources.
//!
//! Messages never come from the parser's own rendering, which quotes the line that it stumbles over.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::FLAGS;
use super::entry::{self, Entry, Place, SOURCE};
use super::layer::{Layer, Written};
use super::problems::{Fault, Origin, Problem};
use super::setting::{CONFIG, is_setting, likely, suggestion_for};

/// No settings file is nearly as long; a device or a database named by mistake is.
const MAX_BYTES: u64 = 256 * 1024;

/// Settings of the contract that later versions will have.
const LATER: [&str; 2] = ["STRIPE_SECRET_KEY", "STRIPE_API_URL"];

/// What a settings file sets.
#[derive(Default)]
pub(super) struct SettingsFile {
    pub(super) settings: Layer,
    pub(super) sources: Vec<Entry>,
}

/// Reads what the file sets. A file that cannot be read in full sets nothing.
pub(super) fn read(path: &Path, named_by: &Origin, problems: &mut Vec<Problem>) -> SettingsFile {
    let text = match read_text(path) {
        Ok(text) => text,
        Err(error) => {
            let fault = Fault::new(
                "config_file_unreadable",
                format!("names a file that cannot be read: {error}"),
                "name a readable TOML file, or unset it",
            );
            problems.push(fault.of(CONFIG.name, Some(named_by.clone())));
            return SettingsFile::default();
        }
    };
    let place = Place::new(path, &text);
    let table = match DeTable::parse(&text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            let start = error.span().map_or(0, |span| span.start);
            let fault = Fault::new(
                "config_file_not_toml",
                format!("names a file that is not TOML here: {}", error.message()),
                "write settings as `NAME = \"text\"` or `NAME = 123`",
            );
            let origin = place.origin(start);
            problems.push(fault.of(CONFIG.name, Some(origin)));
            return SettingsFile::default();
        }
    };

    let mut found = Vec::new();
    let mut file = SettingsFile::default();
    for (key, value) in table {
        let origin = place.origin(key.span().start);
        let name = key.into_inner().into_owned();
        if name == SOURCE {
            file.sources = entry::read(value.into_inner(), origin, &place, &mut found);
            continue;
        }
        match text_of(&name, value) {
            Ok(text) => {
                let written = Written {
                    text,
                    origin,
                    named: None,
                };
                file.settings.insert(name, written);
            }
            Err(fault) => found.push(fault.of(name, Some(origin))),
        }
    }
    // The parser hands keys out by name; people read a file from the top.
    found.sort_by_key(|problem| match problem.origin {
        Some(Origin::File { line, .. }) => line,
        Some(Origin::Default | Origin::Environment) | None => 0,
    });
    problems.append(&mut found);
    file
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?
        .take(MAX_BYTES + 1)
        .read_to_string(&mut text)?;
    if u64::try_from(read).is_ok_and(|read| read > MAX_BYTES) {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "it is longer than 256 KiB",
        ));
    }
    Ok(text)
}

/// The text of a value, as it would be written in the environment.
fn text_of(name: &str, value: Spanned<DeValue<'_>>) -> Result<String, Fault> {
    if name == CONFIG.name {
        return Err(Fault::new(
            "nested_config_file",
            "stands in a settings file",
            "remove it: only the environment names the file",
        ));
    }
    if !is_setting(name) {
        return Err(unknown(name));
    }
    match value.into_inner() {
        DeValue::String(text) => Ok(text.into_owned()),
        DeValue::Boolean(flag) if FLAGS.contains(&name) => Ok(flag.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
        other => Err(Fault::new(
            "wrong_type",
            format!(
                "is neither a text nor a decimal whole number but of type {}",
                other.type_str()
            ),
            "put it in double quotes",
        )),
    }
}

fn unknown(name: &str) -> Fault {
    let remedy = if LATER.contains(&name) {
        "remove it: this version has no such setting".to_owned()
    } else if let Some(meant) = suggestion_for(name) {
        format!("did you mean {meant}?")
    } else if likely(&name.to_ascii_lowercase(), [SOURCE]).is_some() {
        format!("did you mean `[[{SOURCE}]]`?")
    } else {
        "remove it, or correct its name".to_owned()
    };
    Fault::new("unknown_setting", "is not a setting", remedy)
}
