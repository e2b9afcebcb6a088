//! What counts as paid, as far as that is left to whoever runs the application.

use super::reader::Reader;
use super::setting::{DefaultValue, Setting, parse_flag};
use crate::model::entitlement::Policy;

pub(super) const PAST_DUE_IS_PAID: Setting = Setting {
    name: "HOOKMIRROR_PAST_DUE_IS_PAID",
    alias: None,
    default: DefaultValue::Text("true"),
    meaning: "`true`: a subscription stays paid while a renewal is late and Stripe still tries; `false`: it does not; give every process the same",
};

pub(super) fn read(reader: &mut Reader) -> Policy {
    let default = Policy::default();
    Policy {
        past_due_is_paid: reader.read(&PAST_DUE_IS_PAID, default.past_due_is_paid, parse_flag),
    }
}
