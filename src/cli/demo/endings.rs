//! How the story ends for everyone in it.

use super::cast::{ADA, ALAN, BARBARA, EDSGER, GRACE};
use super::payloads::Person;

/// How a person must be seen at the end.
pub(super) struct Ending {
    pub(super) person: Person,
    /// The first name in the mirror; `None` if there must be no such user in it.
    pub(super) first_name: Option<&'static str>,
    pub(super) paid: bool,
    /// `stripe.payment` and `stripe.paid` in Clerk's public metadata; `None` for nothing.
    pub(super) at_clerk: Option<(&'static str, bool)>,
}

/// Everyone's end of the story.
pub(super) fn endings() -> [Ending; 5] {
    let paid = Some(("paid", true));
    [
        Ending {
            person: ADA,
            first_name: Some("Augusta Ada"),
            paid: true,
            at_clerk: paid,
        },
        Ending {
            person: GRACE,
            first_name: Some("Grace Brewster"),
            paid: true,
            at_clerk: paid,
        },
        Ending {
            person: BARBARA,
            first_name: Some("Barbara"),
            paid: false,
            at_clerk: Some(("unpaid", false)),
        },
        Ending {
            person: EDSGER,
            first_name: Some("Edsger"),
            paid: false,
            at_clerk: Some(("refunded", false)),
        },
        Ending {
            person: ALAN,
            first_name: None,
            paid: false,
            at_clerk: None,
        },
    ]
}
