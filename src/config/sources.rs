//! Who may push, and the secrets that prove it.
//!
//! `clerk` and `stripe` are always there, and have settings of their own; the settings file may list
//! more. An entry of that list with one of the two names says the same as those settings.

use secrecy::{ExposeSecret, SecretString};

use super::clerk::{self, ClerkSettings};
use super::entry::Entry;
use super::layer::Written;
use super::problems::{Fault, Origin, quoted};
use super::reader::Reader;
use super::setting::{DefaultValue, Setting, parse_flag};
use crate::model::source::{Provider, Source, SourceName};
use crate::provider::check_secret;

pub(super) const CLERK_SECRETS: Setting = Setting {
    name: "CLERK_WEBHOOK_SIGNING_SECRET",
    alias: Some("CLERK_WEBHOOK_SECRET"),
    default: DefaultValue::Described("none: `clerk` answers 503"),
    meaning: "signing secret of the Clerk endpoint; more than one, separated by commas, while one is rotated",
};

pub(super) const STRIPE_SECRETS: Setting = Setting {
    name: "STRIPE_WEBHOOK_SECRET",
    alias: None,
    default: DefaultValue::Described("none: `stripe` answers 503"),
    meaning: "signing secret of the Stripe endpoint; more than one, separated by commas, while one is rotated",
};

pub(super) const STRIPE_LIVEMODE: Setting = Setting {
    name: "STRIPE_LIVEMODE",
    alias: None,
    default: DefaultValue::Described("unset: both are taken"),
    meaning: "`true`: `stripe` is for live events, and test events are kept as `ignored`; `false`: the other way round",
};

/// One source and what its webhooks are signed with.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// The source.
    pub source: Source,
    /// Any of them may have signed. Each has the form of a secret of this provider, and no other
    /// source has it. None at all means that the source accepts nothing.
    pub secrets: Vec<SecretString>,
    /// Where the secrets were written.
    pub secrets_from: Origin,
    /// The Backend API of the instance that pushes here; of Clerk's sources only.
    pub clerk: Option<ClerkSettings>,
}

impl SourceSettings {
    /// What to set so that it has secrets.
    pub fn secrets_are_set_by(&self) -> &'static str {
        if is_built_in(&self.source) {
            secrets_setting(self.source.provider).name
        } else {
            "`secrets` of its `[[source]]` in the settings file"
        }
    }
}

fn is_built_in(source: &Source) -> bool {
    source.name == source.provider.into()
}

const fn secrets_setting(provider: Provider) -> &'static Setting {
    match provider {
        Provider::Clerk => &CLERK_SECRETS,
        Provider::Stripe => &STRIPE_SECRETS,
    }
}

fn provider_named(name: &str) -> Option<Provider> {
    let mut all = Provider::ALL.into_iter();
    all.find(|provider| provider.as_str() == name)
}

/// Lets the file's entries for `clerk` and `stripe` be settings like others.
pub(super) fn describe_built_in(reader: &mut Reader) {
    let said = settings_of(&reader.sources());
    reader.add_weakest(said);
}

/// The settings that the file's entries for `clerk` and `stripe` amount to.
fn settings_of(entries: &[Entry]) -> Vec<(&'static Setting, Written)> {
    let text = |written: &'_ Option<Written>| written.as_ref().map(|written| written.text.clone());
    let of_provider = |provider: Provider| {
        let name = Some(provider.as_str());
        let entry = entries
            .iter()
            .find(|entry| text(&entry.name).as_deref() == name)?;
        // Of another provider, it says nothing about this one.
        let fits = text(&entry.provider).is_none_or(|text| Some(text.as_str()) == name);
        fits.then_some((provider, entry))
    };
    let said = Provider::ALL.into_iter().filter_map(of_provider);
    said.flat_map(|(provider, entry)| {
        let Entry {
            secrets,
            livemode,
            secret_key,
            api_url,
            ..
        } = entry.clone();
        match provider {
            Provider::Clerk => [
                (&CLERK_SECRETS, secrets),
                (&clerk::SECRET_KEY, secret_key),
                (&clerk::API_URL, api_url),
            ]
            .to_vec(),
            Provider::Stripe => [(&STRIPE_SECRETS, secrets), (&STRIPE_LIVEMODE, livemode)].to_vec(),
        }
    })
    .filter_map(|(setting, written)| Some((setting, written?)))
    .collect()
}

/// A source, and the key that its secrets stand under.
struct Found {
    settings: SourceSettings,
    secrets_named: &'static str,
}

/// Reads which sources there are. Those of Clerk are not connected yet.
pub(super) fn read(reader: &mut Reader) -> Vec<SourceSettings> {
    let mut found: Vec<Found> = Provider::ALL
        .into_iter()
        .map(|provider| built_in(reader, provider))
        .collect();
    let mut names: Vec<(SourceName, Origin)> = Vec::new();
    for entry in reader.sources() {
        let settings = listed(reader, &entry, &mut names);
        found.extend(settings.map(|settings| {
            Found {
                settings,
                secrets_named: entry
                    .secrets
                    .and_then(|written| written.named)
                    .unwrap_or(""),
            }
        }));
    }
    refuse_shared_secrets(reader, &found);
    found.into_iter().map(|found| found.settings).collect()
}

fn built_in(reader: &mut Reader, provider: Provider) -> Found {
    let setting = secrets_setting(provider);
    let written = reader.written(setting);
    let secrets = match &written {
        Some(written) => read_secrets(reader, provider, setting.name, written),
        None => Vec::new(),
    };
    let livemode = match provider {
        Provider::Clerk => None,
        Provider::Stripe => reader.read(&STRIPE_LIVEMODE, None, |text| parse_flag(text).map(Some)),
    };
    Found {
        secrets_named: match &written {
            Some(written) => written.named.unwrap_or(setting.name),
            None => setting.name,
        },
        settings: SourceSettings {
            source: Source {
                livemode,
                ..provider.into()
            },
            secrets,
            secrets_from: written.map_or(Origin::Default, |written| written.origin),
            clerk: None,
        },
    }
}

/// A source that only the file knows; `None` where the entry describes another one, or none.
fn listed(
    reader: &mut Reader,
    entry: &Entry,
    names: &mut Vec<(SourceName, Origin)>,
) -> Option<SourceSettings> {
    let name = reader.field(entry.name.as_ref(), parse_name);
    let provider = reader.field(entry.provider.as_ref(), parse_provider);
    let like = name.as_ref().and_then(|name| provider_named(name.as_str()));
    for key in entry.missing(like.is_none()) {
        let fault = Fault::new("missing_key", "is missing", "add it below its `[[source]]`");
        reader.complain(key, entry.origin.clone(), fault);
    }
    if let (Some(name), Some(written)) = (&name, &entry.name) {
        refuse_duplicate(reader, name, written, names);
    }
    if let (Some(like), Some(provider), Some(written)) = (like, provider, &entry.provider)
        && like != provider
    {
        let what = format!("is `{provider}`, but the source `{like}` is always one of {like}'s");
        let remedy = format!("write `{like}`, or give the source another name");
        let fault = Fault::new("provider_mismatch", what, remedy);
        reader.blame("", written, fault);
    }
    // Without it, nothing can be said about the rest.
    let provider = provider?;
    refuse_what_is_not_of(reader, provider, entry);
    if like.is_some() {
        return None;
    }
    let livemode = match provider {
        Provider::Clerk => None,
        Provider::Stripe => reader.field(entry.livemode.as_ref(), parse_flag),
    };
    let written = entry.secrets.as_ref()?;
    let secrets = read_secrets(reader, provider, "", written);
    Some(SourceSettings {
        secrets,
        secrets_from: written.origin.clone(),
        source: Source {
            name: name?,
            provider,
            livemode,
        },
        clerk: None,
    })
}

fn parse_name(text: &str) -> Result<SourceName, Fault> {
    let name = SourceName::parse(text).ok_or_else(|| {
        let what = format!("is {}, which cannot be a part of a path", quoted(text));
        let remedy = "write 1 to 63 lower-case letters, digits and hyphens";
        Fault::new("invalid_source_name", what, remedy)
    })?;
    if name == SourceName::unknown() {
        let what = format!("is `{name}`, which stands for messages that tell no source");
        return Err(Fault::new("reserved_source_name", what, "choose another"));
    }
    Ok(name)
}

fn parse_provider(text: &str) -> Result<Provider, Fault> {
    provider_named(text).ok_or_else(|| {
        let what = format!("is {}, neither `clerk` nor `stripe`", quoted(text));
        Fault::new("unknown_provider", what, "write one of the two")
    })
}

fn refuse_duplicate(
    reader: &mut Reader,
    name: &SourceName,
    written: &Written,
    names: &mut Vec<(SourceName, Origin)>,
) {
    match names.iter().find(|(other, _)| other == name) {
        Some((_, first)) => {
            let what = format!("is `{name}`, which another source is named already ({first})");
            let fault = Fault::new("duplicate_source_name", what, "name each source once");
            reader.blame("", written, fault);
        }
        None => names.push((name.clone(), written.origin.clone())),
    }
}

fn refuse_what_is_not_of(reader: &mut Reader, provider: Provider, entry: &Entry) {
    let strange: &[&Option<Written>] = match provider {
        Provider::Clerk => &[&entry.livemode],
        Provider::Stripe => &[&entry.secret_key, &entry.api_url],
    };
    let what = match provider {
        Provider::Clerk => {
            "cannot be had of a source of Clerk's: its events do not say what they are"
        }
        Provider::Stripe => "is for sources of Clerk's, and this one is of Stripe's",
    };
    for written in strange.iter().copied().flatten() {
        let fault = Fault::new("not_of_this_provider", what, "remove it");
        reader.blame("", written, fault);
    }
}

/// Tells what is wrong with each secret of the list, not only with the first bad one.
fn read_secrets(
    reader: &mut Reader,
    provider: Provider,
    name: &str,
    written: &Written,
) -> Vec<SecretString> {
    let items: Vec<&str> = written.text.split(',').map(str::trim).collect();
    let mut secrets = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let which = match items.len() {
            1 => String::new(),
            n => format!("holds {n} secrets, of which number {} ", index + 1),
        };
        let fault = if item.is_empty() {
            Fault::new(
                "empty_signing_secret",
                format!("{which}is empty"),
                "remove the stray comma or space",
            )
        } else if let Err(problem) = check_secret(provider, item) {
            Fault::new(
                "invalid_signing_secret",
                format!("{which}{problem}"),
                format!("use the `whsec_…` that the {provider} dashboard shows for this endpoint"),
            )
        } else {
            secrets.push(SecretString::from(*item));
            continue;
        };
        reader.blame(name, written, fault);
    }
    secrets
}

/// Whoever holds a secret of two sources could have one event recorded under both.
fn refuse_shared_secrets(reader: &mut Reader, found: &[Found]) {
    for (place, later) in found.iter().enumerate() {
        for earlier in &found[..place] {
            let (earlier, later, key) = (&earlier.settings, &later.settings, later.secrets_named);
            if !share_a_secret(&earlier.secrets, &later.secrets) {
                continue;
            }
            let (name, origin) = (&earlier.source.name, &earlier.secrets_from);
            let fault = Fault::new(
                "shared_signing_secret",
                format!("holds a secret that the source `{name}` has as well ({origin})"),
                "use the one of this endpoint: with a shared one, each event could come in twice",
            );
            reader.complain(key, later.secrets_from.clone(), fault);
        }
    }
}

fn share_a_secret(one: &[SecretString], other: &[SecretString]) -> bool {
    // The padding of base64 may be left out.
    let key = |secret: &'_ SecretString| secret.expose_secret().trim_end_matches('=').to_owned();
    one.iter()
        .any(|one| other.iter().any(|other| key(one) == key(other)))
}

/// Tells each source of Clerk's which Backend API its instance has. `clerk` is that of `clerk`; the
/// others have its URL unless they name one of their own, and never its key.
pub(super) fn connect(reader: &mut Reader, sources: &mut [SourceSettings], clerk: &ClerkSettings) {
    for settings in sources.iter_mut() {
        let is_clerks = settings.source.provider == Provider::Clerk;
        settings.clerk = is_clerks.then(|| clerk.clone());
    }
    let text = |written: &'_ Option<Written>| written.as_ref().map(|written| written.text.clone());
    for entry in reader.sources() {
        let name = text(&entry.name).unwrap_or_default();
        let provider = text(&entry.provider).unwrap_or_default();
        // What an entry for `clerk` says is in its settings.
        if provider_named(&provider) != Some(Provider::Clerk) || provider_named(&name).is_some() {
            continue;
        }
        let instance = clerk.of_instance(reader, &entry);
        let mut sources = sources.iter_mut();
        if let Some(settings) = sources.find(|settings| settings.source.name.as_str() == name) {
            settings.clerk = Some(instance);
        }
    }
}
