//! How long what was received is kept.

use std::time::Duration;

use super::problems::{Fault, quoted};
use super::reader::Reader;
use super::setting::{DefaultValue, Setting};
use crate::model::retention::RetentionPolicy;

const DAY: Duration = Duration::from_secs(86_400);
/// Ten years: what is to be kept for longer is to be kept for ever.
const MOST_DAYS: u32 = 3650;
/// Stripe sends a failed event again for three days.
const LEAST_DAYS_OF_PAYLOADS: u32 = 4;
/// At Stripe people can have an event sent again for 30 days.
const LEAST_DAYS_OF_EVENTS: u32 = 45;

pub(super) const KEEP_PAYLOADS: Setting = Setting {
    name: "HOOKMIRROR_KEEP_PAYLOADS_DAYS",
    alias: None,
    default: DefaultValue::Text("90"),
    meaning: "how long payloads of finished events are kept; their rows stay, with a hash; 0: for ever",
};

pub(super) const KEEP_EVENTS: Setting = Setting {
    name: "HOOKMIRROR_KEEP_EVENTS_DAYS",
    alias: None,
    default: DefaultValue::Text("0"),
    meaning: "how long finished events are kept at all; 0: for ever",
};

pub(super) const ERASE_AFTER: Setting = Setting {
    name: "HOOKMIRROR_ERASE_AFTER_DAYS",
    alias: None,
    default: DefaultValue::Text("30"),
    meaning: "how long after a user was deleted the payloads about them are erased; 0: within the hour; `never`",
};

pub(super) fn read(reader: &mut Reader) -> RetentionPolicy {
    RetentionPolicy {
        payloads: reader.read(&KEEP_PAYLOADS, Some(90 * DAY), |text| {
            let why = "Stripe sends a failed event again for three days, and whoever looks into a \
                       failure needs its payload";
            keep(text, LEAST_DAYS_OF_PAYLOADS, why)
        }),
        events: reader.read(&KEEP_EVENTS, None, |text| {
            let why =
                "at Stripe an event can be sent again for 30 days, and would then be new here";
            keep(text, LEAST_DAYS_OF_EVENTS, why)
        }),
        deleted: reader.read(&ERASE_AFTER, Some(30 * DAY), |text| {
            if text.trim() == "never" {
                return Ok(None);
            }
            let remedy = format!("write a whole number from 0 to {MOST_DAYS}, or `never`");
            Ok(Some(days(text, &remedy)? * DAY))
        }),
    }
}

/// Days from `least` on; zero: for ever.
fn keep(text: &str, least: u32, why: &str) -> Result<Option<Duration>, Fault> {
    let remedy =
        format!("write a whole number from {least} to {MOST_DAYS}, or 0 to keep them for ever");
    match days(text, &remedy)? {
        0 => Ok(None),
        days if days < least => {
            let what = format!("is {days}, too few days: {why}");
            Err(Fault::new("out_of_range", what, remedy))
        }
        days => Ok(Some(days * DAY)),
    }
}

fn days(text: &str, remedy: &str) -> Result<u32, Fault> {
    let days: u32 = text.trim().parse().map_err(|_| {
        let what = format!("is {}, not a whole number", quoted(text));
        Fault::new("not_a_whole_number", what, remedy)
    })?;
    if days <= MOST_DAYS {
        return Ok(days);
    }
    let what = format!("is {days}, more than ten years");
    Err(Fault::new("out_of_range", what, remedy))
}
