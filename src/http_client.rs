//! What our HTTP clients, of Clerk's API and of the webhooks that are sent, have in common.

use std::net::IpAddr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::HeaderMap;
use http::header::{DATE, HeaderName, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, Url, redirect};

/// A client that calls these addresses.
///
/// It follows no redirect: that would carry a key or a signed body to where nobody meant it to go.
/// It goes through the proxy that the environment names, but not if all addresses are on this
/// machine, where a proxy could only fail.
pub(crate) fn builder<'a>(urls: impl IntoIterator<Item = &'a Url>) -> ClientBuilder {
    let builder = Client::builder().redirect(redirect::Policy::none());
    if urls.into_iter().all(is_loopback) {
        builder.no_proxy()
    } else {
        builder
    }
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    })
}

/// Reads `Retry-After`, in both of its forms (RFC 9110, section 10.2.3): how long the
/// sender of these headers asks to be left alone. `None` if it does not say so in a form that can
/// be read.
///
/// A date is taken relative to the `Date` of the same answer: no clock but the other side's is
/// involved, so a clock that differs from ours does no harm. Without `Date`, a date says nothing.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = http_date(text)?;
    let now = http_date(text_of(headers, DATE)?)?;
    let seconds = until.signed_duration_since(now).num_seconds();
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

fn text_of(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn http_date(text: &str) -> Option<DateTime<Utc>> {
    Some(DateTime::parse_from_rfc2822(text).ok()?.to_utc())
}
