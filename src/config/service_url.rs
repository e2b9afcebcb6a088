//! The address of a service, with the password that may stand in it.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::problems::Fault;

/// The address of a service. What is printed has neither user nor password nor options.
#[derive(Clone)]
pub struct ServiceUrl {
    full: SecretString,
    shown: String,
}

impl ServiceUrl {
    /// Takes a URL of one of these schemes. `invalid` makes a fault of what is wrong.
    pub(super) fn parse(
        text: &str,
        schemes: &[&str],
        invalid: impl Fn(String) -> Fault,
    ) -> Result<Self, Fault> {
        let url = Url::parse(text.trim()).map_err(|error| {
            // A password with such a character in it is the usual reason.
            invalid(format!(
                "is not a URL: {error} (in a password, `@`, `:`, `/`, `?`, `#` and `%` are written \
                 percent-encoded)"
            ))
        })?;
        if !schemes.contains(&url.scheme()) {
            let wanted: Vec<_> = schemes
                .iter()
                .map(|scheme| format!("`{scheme}:`"))
                .collect();
            return Err(invalid(format!(
                "begins with neither {}",
                wanted.join(" nor ")
            )));
        }
        if url.cannot_be_a_base() {
            return Err(invalid("has no `//` after its scheme".to_owned()));
        }
        if url.fragment().is_some() {
            return Err(invalid(
                "goes on after `#`, which in a password is written `%23`".to_owned(),
            ));
        }
        Ok(Self::of(&url))
    }

    fn of(url: &Url) -> Self {
        let host = url.host_str().unwrap_or_default();
        let port = url
            .port()
            .map_or_else(String::new, |port| format!(":{port}"));
        Self {
            full: url.as_str().into(),
            shown: format!("{}://{host}{port}{}", url.scheme(), url.path()),
        }
    }

    /// The same without a path that is nothing but a slash.
    pub(super) fn without_lone_slash(self) -> Self {
        match Url::parse(self.full.expose_secret()) {
            Ok(mut url) if url.path() == "/" => {
                url.set_path("");
                Self::of(&url)
            }
            _ => self,
        }
    }

    /// Whether it names a host.
    pub(super) fn has_host(&self) -> bool {
        !self.shown.contains(":///")
    }

    /// All of it, to connect with.
    pub fn secret(&self) -> &SecretString {
        &self.full
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceUrl({})", self.shown)
    }
}

impl PartialEq for ServiceUrl {
    fn eq(&self, other: &Self) -> bool {
        self.full.expose_secret() == other.full.expose_secret()
    }
}

impl Eq for ServiceUrl {}
