//! Where events wait for the worker: the embedded queue, or a broker with a spool in front of it.

use super::problems::Fault;
use super::reader::Reader;
use super::service_url::ServiceUrl;
use super::setting::{DefaultValue, Number, Setting};

pub(super) const AMQP_URL: Setting = Setting {
    name: "AMQP_URL",
    alias: None,
    default: DefaultValue::Described("unset: the embedded queue"),
    meaning: "RabbitMQ, as `amqp://user:password@host:5672/vhost` or `amqps:`",
};

pub(super) const SPOOL_MAX_BYTES: Number = Number::of(
    Setting {
        name: "HOOKMIRROR_SPOOL_MAX_BYTES",
        alias: None,
        default: DefaultValue::Text("1073741824"),
        meaning: "events kept in the data directory while RabbitMQ is away; beyond it 503; 0: no spool",
    },
    0,
    1 << 50,
    "no disk is that large",
);

/// A broker, and what to do while it is away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerSettings {
    /// Where it is.
    pub url: ServiceUrl,
    /// How many bytes of events the spool may hold; 0 for no spool at all.
    pub spool_max_bytes: u64,
}

impl BrokerSettings {
    /// Reads them; `None` where no broker is set.
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let spool_max_bytes = reader.number(&SPOOL_MAX_BYTES);
        let url = reader.read(&AMQP_URL, None, |text| parse_url(text).map(Some))?;
        Some(Self {
            url,
            spool_max_bytes,
        })
    }
}

fn parse_url(text: &str) -> Result<ServiceUrl, Fault> {
    let invalid = |what| {
        let remedy = "write it like `amqp://user:password@host:5672/vhost`, or without the path \
                      for the vhost `/`";
        Fault::new("invalid_amqp_url", what, remedy)
    };
    let url = ServiceUrl::parse(text, &["amqp", "amqps"], invalid)?;
    if !url.has_host() {
        return Err(invalid("names no host".to_owned()));
    }
    // As the specification of these URLs has it, the path is the vhost without its slash: a lone
    // slash is the vhost without a name, which nobody has and many write.
    Ok(url.without_lone_slash())
}
