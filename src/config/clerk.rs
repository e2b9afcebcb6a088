//! Clerk's Backend API: the key to it, and where it is.

use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use super::entry::Entry;
use super::problems::{Fault, quoted};
use super::reader::Reader;
use super::setting::{DefaultValue, Number, Setting};

const DEFAULT_API_URL: &str = "https://api.clerk.com/v1";

pub(super) const SECRET_KEY: Setting = Setting {
    name: "CLERK_SECRET_KEY",
    alias: None,
    default: DefaultValue::Described("none: metadata waits in the outbox"),
    meaning: "key to Clerk's Backend API",
};

pub(super) const API_URL: Setting = Setting {
    name: "CLERK_API_URL",
    alias: None,
    default: DefaultValue::Text(DEFAULT_API_URL),
    meaning: "Clerk's Backend API, version included",
};

/// Clerk's own limits, by the prefix of the key ("system limits" of its documentation).
const PRODUCTION_LIMIT: u32 = 1000;
const DEVELOPMENT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 100_000;

pub(super) const WRITES: Setting = Setting {
    name: "CLERK_WRITES_PER_10_SECONDS",
    alias: None,
    default: DefaultValue::Described("1000 for a key `sk_live_…`, else 100: Clerk's limits"),
    meaning: "writes to Clerk in any ten seconds, of this process: give each that uses the key its share",
};

pub(super) const WRITES_PER_USER: Number = Number::of(
    Setting {
        name: "CLERK_WRITES_PER_USER_PER_10_SECONDS",
        alias: None,
        default: DefaultValue::Text("10"),
        meaning: "the same, for one user",
    },
    1,
    10_000,
    "Clerk allows ten",
);

/// How to write to Clerk.
#[derive(Clone, Debug)]
pub struct ClerkSettings {
    /// Without it, what should be written waits in the outbox.
    pub secret_key: Option<SecretString>,
    /// The API's root, without a slash at its end. Encrypted, unless it is on this machine.
    pub api_url: String,
    /// Writes in any ten seconds, to all users together.
    pub writes_per_window: u32,
    /// Writes in any ten seconds, to one user.
    pub writes_per_user: u32,
}

impl Default for ClerkSettings {
    /// What holds when nothing is set.
    fn default() -> Self {
        Self {
            secret_key: None,
            api_url: DEFAULT_API_URL.to_owned(),
            writes_per_window: DEVELOPMENT_LIMIT,
            writes_per_user: u32::try_from(WRITES_PER_USER.default).unwrap_or(u32::MAX),
        }
    }
}

impl ClerkSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let default = Self::default();
        let secret_key = reader.read(&SECRET_KEY, default.secret_key, |text| {
            parse_key(text.trim()).map(Some)
        });
        let limit = limit_of(secret_key.as_ref());
        Self {
            api_url: reader.read(&API_URL, default.api_url, parse_url),
            writes_per_window: reader.read(&WRITES, limit, parse_writes),
            writes_per_user: u32::try_from(reader.number(&WRITES_PER_USER)).unwrap_or(u32::MAX),
            secret_key,
        }
    }
}

impl ClerkSettings {
    /// Those of another instance: with a key of its own, and with its own URL if it has one.
    pub(super) fn of_instance(&self, reader: &mut Reader, entry: &Entry) -> Self {
        let mut instance = self.clone();
        let key = entry.secret_key.as_ref();
        instance.secret_key = reader.field(key, |text| parse_key(text.trim()));
        if let Some(url) = reader.field(entry.api_url.as_ref(), parse_url) {
            instance.api_url = url;
        }
        instance
    }
}

fn limit_of(key: Option<&SecretString>) -> u32 {
    match key {
        Some(key) if key.expose_secret().starts_with("sk_live_") => PRODUCTION_LIMIT,
        _ => DEVELOPMENT_LIMIT,
    }
}

fn parse_writes(text: &str) -> Result<u32, Fault> {
    let remedy = || format!("write a whole number from 2 to {MAX_LIMIT}");
    let writes: u32 = text.parse().map_err(|_| {
        let what = format!("is {}, not a whole number", quoted(text));
        Fault::new("not_a_whole_number", what, remedy())
    })?;
    if (2..=MAX_LIMIT).contains(&writes) {
        return Ok(writes);
    }
    let what = format!("is {writes}, out of range");
    Err(Fault::new("out_of_range", what, remedy()))
}

fn parse_key(key: &str) -> Result<SecretString, Fault> {
    let invalid = |code, what| {
        let remedy = "copy the secret key, `sk_…`, from the API keys page of the Clerk dashboard";
        Err(Fault::new(code, what, remedy))
    };
    if key.starts_with("pk_") {
        return invalid(
            "clerk_key_is_publishable",
            "is the publishable key, which may not write",
        );
    }
    match key.strip_prefix("sk_") {
        None => invalid("invalid_clerk_secret_key", "does not begin with `sk_`"),
        Some("") => invalid("invalid_clerk_secret_key", "has nothing after `sk_`"),
        Some(rest) if !rest.bytes().all(|b| b.is_ascii_graphic()) => invalid(
            "invalid_clerk_secret_key",
            "holds a space or another character that no key has",
        ),
        Some(_) => Ok(key.into()),
    }
}

/// Takes the URL in the parser's own spelling, so that what was checked is what will be called.
fn parse_url(text: &str) -> Result<String, Fault> {
    let invalid = |what| {
        let remedy = format!("write it like `{DEFAULT_API_URL}`");
        Fault::new("invalid_clerk_api_url", what, remedy)
    };
    let url = Url::parse(text).map_err(|error| invalid(format!("is not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid(
            "begins with neither `https:` nor `http:`".to_owned(),
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("holds a user name or a password".to_owned()));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("goes on after its path".to_owned()));
    }
    if url.scheme() == "http" && !is_this_machine(&url) {
        return Err(Fault::new(
            "clerk_api_url_not_encrypted",
            "is plain `http:` to another machine and would send the secret key in clear",
            "use `https:`",
        ));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
