//! One place where settings are written, and what is written there.

use std::collections::BTreeMap;

use super::problems::Origin;

/// A value as it was written. Has no `Debug`: it may be a secret.
#[derive(Clone)]
pub(super) struct Written {
    pub(super) text: String,
    pub(super) origin: Origin,
    /// The key it stands under, where that is not the name of a setting.
    pub(super) named: Option<&'static str>,
}

/// Everything that was written in one place, by name.
pub(super) type Layer = BTreeMap<String, Written>;
