//! The public listener and its limits.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::problems::{Fault, Origin, quoted};
use super::reader::Reader;
use super::setting::{DefaultValue, Number, Setting};

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

pub(super) const LISTEN: Setting = Setting {
    name: "HOOKMIRROR_LISTEN",
    alias: None,
    default: DefaultValue::Text("127.0.0.1:8080"),
    meaning: "address and port of the public listener",
};

pub(super) const MAX_BODY_BYTES: Number = Number::of(
    Setting {
        name: "HOOKMIRROR_MAX_BODY_BYTES",
        alias: None,
        default: DefaultValue::Text("1048576"),
        meaning: "larger bodies get 413",
    },
    1024,
    256 << 20,
    "below, real webhooks do not fit; above, no provider sends them",
);

pub(super) const MAX_BUFFERED_BYTES: Number = Number::of(
    Setting {
        name: "HOOKMIRROR_MAX_BUFFERED_BYTES",
        alias: None,
        default: DefaultValue::Text("67108864"),
        meaning: "all bodies in memory together; when they are more, those that have been arriving the longest get 503",
    },
    1024,
    1 << 32,
    "it has to hold a body, and to fit into memory",
);

pub(super) const MAX_CONNECTIONS: Number = Number::of(
    Setting {
        name: "HOOKMIRROR_MAX_CONNECTIONS",
        alias: None,
        default: DefaultValue::Text("10000"),
        meaning: "open connections; when another one comes, who has kept us waiting the longest is closed",
    },
    1,
    1_000_000,
    "without a connection nothing comes in, and each takes a file descriptor",
);

pub(super) const REQUEST_TIMEOUT_MS: Number = Number::of(
    Setting {
        name: "HOOKMIRROR_REQUEST_TIMEOUT_MS",
        alias: None,
        default: DefaultValue::Text("10000"),
        meaning: "how long a body may take to arrive once the headers are there",
    },
    1,
    600_000,
    "no body arrives in 0 ms, and no provider waits longer than 10 minutes",
);

pub(super) const CONFIRM_TIMEOUT_MS: Number = Number::of(
    Setting {
        name: "HOOKMIRROR_CONFIRM_TIMEOUT_MS",
        alias: None,
        default: DefaultValue::Text("5000"),
        meaning: "how long the queue may take to confirm an event; then 503",
    },
    1,
    600_000,
    "nothing is durable in 0 ms, and no provider waits longer than 10 minutes",
);

pub(super) const TOLERANCE_SECONDS: Number = Number::of(
    Setting {
        name: "HOOKMIRROR_TOLERANCE_SECONDS",
        alias: None,
        default: DefaultValue::Text("300"),
        meaning: "how old, or how far in the future, a signature may be",
    },
    1,
    86_400,
    "0 would refuse whatever was not signed in this very second, and more than a day would let old \
     requests be sent again by whoever saw them",
);

/// The public listener: where it is, and what one process takes on at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Larger bodies are refused.
    pub max_body_bytes: usize,
    /// All bodies in memory together; never less than one body may have.
    pub max_buffered_bytes: usize,
    /// Open connections.
    pub max_connections: usize,
    /// How long the headers may take, and the body after them.
    pub request_timeout: Duration,
    /// How old, or how far in the future, a signature may be.
    pub tolerance: Duration,
    /// How long the queue may take to confirm an event.
    pub confirm_timeout: Duration,
}

impl Default for IngressSettings {
    /// What holds when nothing is set.
    fn default() -> Self {
        Self {
            listen: DEFAULT_LISTEN,
            max_body_bytes: as_size(MAX_BODY_BYTES.default),
            max_buffered_bytes: as_size(MAX_BUFFERED_BYTES.default),
            max_connections: as_size(MAX_CONNECTIONS.default),
            request_timeout: Duration::from_millis(REQUEST_TIMEOUT_MS.default),
            tolerance: Duration::from_secs(TOLERANCE_SECONDS.default),
            confirm_timeout: Duration::from_millis(CONFIRM_TIMEOUT_MS.default),
        }
    }
}

impl IngressSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let settings = Self {
            listen: reader.read(&LISTEN, DEFAULT_LISTEN, parse_address),
            max_body_bytes: as_size(reader.number(&MAX_BODY_BYTES)),
            max_buffered_bytes: as_size(reader.number(&MAX_BUFFERED_BYTES)),
            max_connections: as_size(reader.number(&MAX_CONNECTIONS)),
            request_timeout: Duration::from_millis(reader.number(&REQUEST_TIMEOUT_MS)),
            tolerance: Duration::from_secs(reader.number(&TOLERANCE_SECONDS)),
            confirm_timeout: Duration::from_millis(reader.number(&CONFIRM_TIMEOUT_MS)),
        };
        if settings.max_buffered_bytes < settings.max_body_bytes {
            settings.report_too_small_a_buffer(reader);
        }
        settings
    }

    /// Blames the setting that was written: it may be either of the two.
    fn report_too_small_a_buffer(&self, reader: &mut Reader) {
        let (buffered, body) = (&MAX_BUFFERED_BYTES.setting, &MAX_BODY_BYTES.setting);
        let origin = reader.origin(buffered);
        let (setting, origin, what, remedy) = if origin == Origin::Default {
            let what = format!(
                "is {}, more than {} has room for",
                self.max_body_bytes, buffered.name
            );
            let remedy = format!("raise {} as well", buffered.name);
            (body, reader.origin(body), what, remedy)
        } else {
            let what = format!(
                "is {}, less than one body may have",
                self.max_buffered_bytes
            );
            let remedy = format!(
                "make it at least {}, which is {}",
                body.name, self.max_body_bytes
            );
            (buffered, origin, what, remedy)
        };
        let fault = Fault::new("buffer_smaller_than_body", what, remedy);
        reader.report(setting, Some(origin), fault);
    }
}

/// Reads an address to listen at.
pub(super) fn parse_address(text: &str) -> Result<SocketAddr, Fault> {
    text.parse().map_err(|_| {
        Fault::new(
            "invalid_listen_address",
            format!("is {}, not an IP address and a port", quoted(text)),
            "write both, such as `127.0.0.1:8080`, or `0.0.0.0:8080` for all interfaces",
        )
    })
}

/// Where addresses are narrower than the number, the widest one stands for it.
fn as_size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
