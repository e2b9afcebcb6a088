//! Who may push, and the secrets that prove it.

use secrecy::SecretString;

use super::problems::Fault;
use super::reader::Reader;
use super::setting::{DefaultValue, Setting};
use crate::model::source::{Provider, Source};
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

/// One source and what its webhooks are signed with.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// The source.
    pub source: Source,
    /// Any of them may have signed. Each has the form of a secret of this provider. None at all
    /// means that the source accepts nothing.
    pub secrets: Vec<SecretString>,
}

impl SourceSettings {
    /// The setting that holds its secrets.
    pub fn variable(&self) -> &'static str {
        secrets_setting(self.source.provider).name
    }
}

const fn secrets_setting(provider: Provider) -> &'static Setting {
    match provider {
        Provider::Clerk => &CLERK_SECRETS,
        Provider::Stripe => &STRIPE_SECRETS,
    }
}

pub(super) fn read(reader: &mut Reader) -> Vec<SourceSettings> {
    Provider::ALL
        .into_iter()
        .map(|provider| SourceSettings {
            source: provider.into(),
            secrets: read_secrets(reader, provider),
        })
        .collect()
}

/// Tells what is wrong with each secret of the list, not only with the first bad one.
fn read_secrets(reader: &mut Reader, provider: Provider) -> Vec<SecretString> {
    let setting = secrets_setting(provider);
    let Some(written) = reader.written(setting) else {
        return Vec::new();
    };
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
        reader.report(setting, Some(written.origin.clone()), fault);
    }
    secrets
}
