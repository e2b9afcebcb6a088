//! Where sections get their values from: the layers, and what has been found wrong so far.
//!
//! An entry of the file's list of sources that is named like its provider is the weakest layer: another
//! way to write that provider's settings.

use std::ffi::OsString;
use std::path::Path;

use super::entry::Entry;
use super::file::{self, SettingsFile};
use super::layer::{Layer, Written};
use super::problems::{Fault, Origin, Problem, quoted};
use super::setting::{CONFIG, Number, PREFIX, Setting, is_setting, suggestion_for};

/// Variables that Kubernetes gives every container when a service is named `hookmirror`.
const SERVICE_LINKS: [&str; 2] = ["HOOKMIRROR_SERVICE_", "HOOKMIRROR_PORT_"];

/// Where a login name may be, the best first: `sudo` tells who is behind `root`.
const LOGIN: [&str; 3] = ["SUDO_USER", "USER", "LOGNAME"];

/// Hands out values by setting and collects what is wrong with them. A value that cannot be used is
/// reported and its default goes on in its place, so that one pass finds everything.
pub(super) struct Reader {
    /// The strongest first.
    layers: [Layer; 3],
    /// The sources that the file lists.
    sources: Vec<Entry>,
    /// Whether `NO_COLOR` asks for none. Not a setting of ours: it speaks to all programs.
    pub(super) no_color: bool,
    /// Who runs this, from the first of [`LOGIN`] that is set. Not a setting of ours either.
    pub(super) login: Option<String>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Reader {
    /// Reads the environment, and the file that it names.
    pub(super) fn open(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut problems = Vec::new();
        let mut warnings = Vec::new();
        let mut variables = Layer::new();
        let mut no_color = false;
        let mut logins = [const { None }; LOGIN.len()];
        for (name, value) in environment {
            // A name that is not text is none of ours.
            let Ok(name) = name.into_string() else {
                continue;
            };
            if name == "NO_COLOR" {
                no_color = !value.is_empty();
            }
            if let Some(place) = LOGIN.iter().position(|login| *login == name) {
                logins[place] = value.to_str().map(str::to_owned);
            }
            let origin = Origin::Environment;
            if !is_setting(&name) {
                let fault = unknown_variable(&name, &value.to_string_lossy());
                warnings.extend(fault.map(|fault| fault.of(name, Some(origin))));
                continue;
            }
            match value.into_string() {
                Ok(text) => {
                    let written = Written {
                        text,
                        origin,
                        named: None,
                    };
                    variables.insert(name, written);
                }
                Err(_) => {
                    let fault = Fault::new("not_unicode", "is not UTF-8 text", "write it again");
                    problems.push(fault.of(name, Some(origin)));
                }
            }
        }
        variables.retain(|_, written| !written.text.is_empty());
        let SettingsFile {
            mut settings,
            sources,
        } = match variables.get(CONFIG.name) {
            Some(path) => file::read(Path::new(&path.text), &path.origin, &mut problems),
            None => SettingsFile::default(),
        };
        settings.retain(|_, written| !written.text.is_empty());
        Self {
            layers: [variables, settings, Layer::new()],
            sources,
            no_color,
            login: logins.into_iter().flatten().find(|login| !login.is_empty()),
            problems,
            warnings,
        }
    }

    /// Takes in what the file says elsewhere than under the settings' own names: weaker than both.
    pub(super) fn add_weakest(&mut self, said: Vec<(&'static Setting, Written)>) {
        for (setting, written) in said {
            let key = written.named.unwrap_or(setting.name);
            let origin = Some(written.origin.clone());
            let [variables, settings, weakest] = &mut self.layers;
            if let Some((name, _)) = find(variables, setting) {
                let what = format!("has no effect: {name} is set in the environment");
                let fault = Fault::new("overridden", what, "remove one of the two");
                self.warnings.push(fault.of(key, origin));
            } else if let Some((name, above)) = find(settings, setting) {
                let what = format!("is written as {name} as well ({})", above.origin);
                let fault = Fault::new("conflicting_names", what, "remove one of the two");
                self.problems.push(fault.of(key, origin));
            } else {
                weakest.insert(setting.name.to_owned(), written);
            }
        }
    }

    /// The sources that the file lists, as they were written.
    pub(super) fn sources(&self) -> Vec<Entry> {
        self.sources.clone()
    }

    /// What was written for a setting, from the strongest layer that has it under either name.
    pub(super) fn written(&mut self, setting: &Setting) -> Option<Written> {
        for layer in &self.layers {
            let written = layer.get(setting.name);
            let under_alias = setting
                .alias
                .and_then(|alias| Some((alias, layer.get(alias)?)));
            match (written, under_alias) {
                (None, None) => {}
                (Some(written), None) | (None, Some((_, written))) => return Some(written.clone()),
                (Some(written), Some((alias, other))) => {
                    if written.text.trim() == other.text.trim() {
                        return Some(written.clone());
                    }
                    let fault = Fault::new(
                        "conflicting_names",
                        format!("and {alias} are two names of one setting and differ"),
                        format!("unset {alias}"),
                    );
                    let origin = Some(written.origin.clone());
                    self.problems.push(fault.of(setting.name, origin));
                    return None;
                }
            }
        }
        None
    }

    /// Reads a setting; `default` if it is not set, or cannot be used.
    pub(super) fn read<T>(
        &mut self,
        setting: &Setting,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> T {
        let Some(written) = self.written(setting) else {
            return default;
        };
        parse(&written.text).unwrap_or_else(|fault| {
            self.blame(setting.name, &written, fault);
            default
        })
    }

    /// Reads a value that is no setting; `None` if there is none, or it cannot be used.
    pub(super) fn field<T>(
        &mut self,
        written: Option<&Written>,
        parse: impl FnOnce(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let written = written?;
        match parse(&written.text) {
            Ok(value) => Some(value),
            Err(fault) => {
                self.blame("", written, fault);
                None
            }
        }
    }

    /// Reads a whole number.
    pub(super) fn number(&mut self, number: &Number) -> u64 {
        self.read(&number.setting, number.default, |text| {
            let Number { min, max, .. } = number;
            let remedy = format!("write a whole number from {min} to {max}");
            let value: u64 = text.parse().map_err(|_| {
                let what = format!("is {}, not a whole number", quoted(text));
                Fault::new("not_a_whole_number", what, remedy.clone())
            })?;
            if (*min..=*max).contains(&value) {
                return Ok(value);
            }
            let what = format!("is {value}, out of range: {}", number.reason);
            Err(Fault::new("out_of_range", what, remedy))
        })
    }

    /// Where the value in effect was written.
    pub(super) fn origin(&mut self, setting: &Setting) -> Origin {
        self.written(setting)
            .map_or(Origin::Default, |written| written.origin)
    }

    /// Keeps a problem for the report.
    pub(super) fn report(&mut self, setting: &Setting, origin: Option<Origin>, fault: Fault) {
        self.problems.push(fault.of(setting.name, origin));
    }

    /// Keeps a problem with what was written under this name, or under its own.
    pub(super) fn blame(&mut self, name: &str, written: &Written, fault: Fault) {
        let name = written.named.unwrap_or(name);
        self.complain(name, written.origin.clone(), fault);
    }

    /// Keeps a problem with what stands somewhere.
    pub(super) fn complain(&mut self, name: &str, origin: Origin, fault: Fault) {
        self.problems.push(fault.of(name, Some(origin)));
    }

    /// All problems and all warnings, in the order in which they were found.
    pub(super) fn finish(self) -> (Vec<Problem>, Vec<Problem>) {
        (self.problems, self.warnings)
    }
}

/// What a layer says of a setting, and the name it says it under.
fn find<'a>(layer: &'a Layer, setting: &Setting) -> Option<(&'static str, &'a Written)> {
    let names = [Some(setting.name), setting.alias];
    let mut names = names.into_iter().flatten();
    names.find_map(|name| Some((name, layer.get(name)?)))
}

/// What to say about a variable that is no setting; nothing where it is not meant for us.
fn unknown_variable(name: &str, value: &str) -> Option<Fault> {
    let upper = name.to_ascii_uppercase();
    let is_service_link = SERVICE_LINKS.iter().any(|link| name.starts_with(link))
        || (name == "HOOKMIRROR_PORT" && value.contains("://"));
    if !upper.starts_with(PREFIX) || is_service_link {
        return None;
    }
    let remedy = match suggestion_for(name) {
        Some(meant) => format!("did you mean {meant}?"),
        None => "unset it, or correct its name".to_owned(),
    };
    Some(Fault::new("unknown_setting", "is not a setting", remedy))
}
