//! Who pushes events to us.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// A provider whose signatures we can verify and whose events we understand.
///
/// Adding a variant makes the compiler list every place that has to learn about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Identity; its webhooks are signed and delivered by Svix.
    Clerk,
    /// Payments; signs its webhooks itself.
    Stripe,
}

impl Provider {
    /// All providers.
    pub const ALL: [Self; 2] = [Self::Clerk, Self::Stripe];

    /// The name used in paths, settings and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clerk => "clerk",
            Self::Stripe => "stripe",
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of a source: a path segment, a ledger key and a metrics label at once.
///
/// One to 63 lower-case ASCII letters, digits and hyphens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
#[schema(value_type = String)]
pub struct SourceName(Arc<str>);

impl SourceName {
    /// Takes a name that keeps to the rule; `None` otherwise.
    pub fn parse(name: &str) -> Option<Self> {
        let fits = (1..=63).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        fits.then(|| Self(name.into()))
    }

    /// What a message is filed under when nothing tells where it came from.
    pub fn unknown() -> Self {
        Self("unknown".into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Provider> for SourceName {
    fn from(provider: Provider) -> Self {
        Self(provider.as_str().into())
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for SourceName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// One origin of events: a Clerk instance or a Stripe account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name, unique among all sources.
    pub name: SourceName,
    /// What it speaks.
    pub provider: Provider,
    /// Whether only live events (`true`) or only test events (`false`) are meant for it; `None`: both
    /// are taken. Clerk's events do not say what they are.
    pub livemode: Option<bool>,
}

impl From<Provider> for Source {
    /// The source that exists without configuration and is named like its provider.
    fn from(provider: Provider) -> Self {
        Self {
            name: provider.into(),
            provider,
            livemode: None,
        }
    }
}

/// All sources that are known, by name.
#[derive(Clone, Debug)]
pub struct Sources(Vec<Source>);

impl Sources {
    /// The source of a name; `None` where it is not (or no longer) configured.
    pub fn find(&self, name: &SourceName) -> Option<&Source> {
        self.0.iter().find(|source| source.name == *name)
    }
}

impl Default for Sources {
    /// `clerk` and `stripe`, which exist without configuration.
    fn default() -> Self {
        Self(Provider::ALL.into_iter().map(Source::from).collect())
    }
}

impl FromIterator<Source> for Sources {
    fn from_iter<I: IntoIterator<Item = Source>>(sources: I) -> Self {
        Self(sources.into_iter().collect())
    }
}
