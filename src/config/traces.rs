//! Where traces go. The names are OpenTelemetry's own.

use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::problems::Fault;
use super::reader::Reader;
use super::service_url::ServiceUrl;
use super::setting::{DefaultValue, Setting};

const DEFAULT_SERVICE: &str = "hookmirror";

pub(super) const ENDPOINT: Setting = Setting {
    name: "OTEL_EXPORTER_OTLP_ENDPOINT",
    alias: None,
    default: DefaultValue::Described("none: no traces are sent"),
    meaning: "OpenTelemetry collector that takes OTLP over HTTP (protobuf); `/v1/traces` is added",
};

pub(super) const HEADERS: Setting = Setting {
    name: "OTEL_EXPORTER_OTLP_HEADERS",
    alias: None,
    default: DefaultValue::Described("none"),
    meaning: "headers for the collector, such as a key: `name=value`, separated by commas",
};

pub(super) const SERVICE: Setting = Setting {
    name: "OTEL_SERVICE_NAME",
    alias: None,
    default: DefaultValue::Text(DEFAULT_SERVICE),
    meaning: "what this process is called in traces",
};

/// Where traces go.
#[derive(Clone, Debug)]
pub struct TraceSettings {
    /// The collector; without one there are none.
    pub endpoint: Option<ServiceUrl>,
    /// What it wants to be told with each request; sensitive.
    pub headers: HeaderMap,
    /// What this process is called.
    pub service: String,
}

impl TraceSettings {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let service = DEFAULT_SERVICE.to_owned();
        Self {
            endpoint: reader.read(&ENDPOINT, None, |text| parse_endpoint(text).map(Some)),
            headers: reader.read(&HEADERS, HeaderMap::new(), parse_headers),
            service: reader.read(&SERVICE, service, |text| Ok(text.trim().to_owned())),
        }
    }
}

fn parse_endpoint(text: &str) -> Result<ServiceUrl, Fault> {
    let invalid = |what| {
        let remedy = "write it like `http://127.0.0.1:4318`";
        Fault::new("invalid_otlp_endpoint", what, remedy)
    };
    let url = ServiceUrl::parse(text, &["https", "http"], invalid)?;
    let has_query = Url::parse(text.trim()).is_ok_and(|url| url.query().is_some());
    if !url.has_host() || has_query {
        return Err(invalid(
            "is not the address of a host, or goes on after `?`".to_owned(),
        ));
    }
    Ok(url)
}

/// As OpenTelemetry's environment has it. Never quotes it: there are keys in it.
fn parse_headers(text: &str) -> Result<HeaderMap, Fault> {
    let invalid = || {
        let what = "is not a list of headers".to_owned();
        let remedy =
            "write `name=value`, separated by commas; other characters as `%` and two digits";
        Fault::new("invalid_otlp_headers", what, remedy)
    };
    let mut headers = HeaderMap::new();
    for header in text.split(',').filter(|header| !header.trim().is_empty()) {
        let (name, value) = header.split_once('=').ok_or_else(invalid)?;
        let value = percent_decoded(value.trim()).ok_or_else(invalid)?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| invalid())?;
        let mut value = HeaderValue::from_bytes(&value).map_err(|_| invalid())?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.as_bytes().split_at_checked(2)?;
        let mut byte = [0];
        hex::decode_to_slice(digits, &mut byte).ok()?;
        bytes.extend(byte);
        bytes.extend(rest);
    }
    Some(bytes)
}
