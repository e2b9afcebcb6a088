//! The private listener: where it is, and who may ask.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use secrecy::SecretString;

use super::ingress::parse_address;
use super::problems::Fault;
use super::reader::Reader;
use super::setting::{DefaultValue, Setting};

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8081);

/// Shorter tokens can be guessed.
const SHORTEST_TOKEN: usize = 16;

pub(super) const LISTEN: Setting = Setting {
    name: "HOOKMIRROR_ADMIN_LISTEN",
    alias: None,
    default: DefaultValue::Text("127.0.0.1:8081"),
    meaning: "address and port of the private listener, with metrics and JSON API; `off`: none",
};

pub(super) const TOKEN: Setting = Setting {
    name: "HOOKMIRROR_ADMIN_TOKEN",
    alias: None,
    default: DefaultValue::Described("none: the private listener is for this machine only"),
    meaning: "bearer token that the private listener asks for, for metrics and JSON API alike; 16 characters or more",
};

/// The private listener.
#[derive(Clone, Debug)]
pub struct AdminSettings {
    /// Where it listens; `None`: nowhere. On this machine only, unless there is a token.
    pub listen: Option<SocketAddr>,
    /// What whoever asks has to know.
    pub token: Option<SecretString>,
}

impl AdminSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let settings = Self {
            listen: reader.read(&LISTEN, Some(DEFAULT_LISTEN), |text| match text.trim() {
                "off" => Ok(None),
                address => parse_address(address).map(Some),
            }),
            token: reader.read(&TOKEN, None, |text| parse_token(text.trim()).map(Some)),
        };
        let is_written = reader.written(&TOKEN).is_some();
        let is_open = settings.listen.is_some_and(|at| !at.ip().is_loopback());
        if is_open && !is_written {
            let origin = reader.origin(&LISTEN);
            let fault = Fault::new(
                "admin_listener_without_token",
                "can be reached from other machines, and asks nobody who they are",
                format!("set {}, or listen on 127.0.0.1, or write `off`", TOKEN.name),
            );
            reader.report(&LISTEN, Some(origin), fault);
        }
        settings
    }

    /// Whether it listens where it does because nobody has said otherwise.
    pub fn is_at_the_default(&self) -> bool {
        self.listen == Some(DEFAULT_LISTEN)
    }
}

fn parse_token(token: &str) -> Result<SecretString, Fault> {
    let remedy = "make one up, such as with `openssl rand -hex 24`";
    if !token.bytes().all(|b| b.is_ascii_graphic()) {
        let what = "holds a space or another character that a header cannot carry";
        return Err(Fault::new("invalid_admin_token", what, remedy));
    }
    if token.len() < SHORTEST_TOKEN {
        let what = format!("has fewer than {SHORTEST_TOKEN} characters, which can be guessed");
        return Err(Fault::new("invalid_admin_token", what, remedy));
    }
    Ok(token.into())
}
