//! Who is in the story, and how each of them must be seen at its end.

use super::payloads::{Checkout, Person};

/// How a person must be seen at the end.
pub(super) struct Ending {
    pub(super) person: Person,
    /// The first name in the mirror; `None` if there must be no such user in it.
    pub(super) first_name: Option<&'static str>,
    pub(super) paid: bool,
    /// `stripe.payment` and `stripe.paid` in Clerk's public metadata; `None` for nothing.
    pub(super) at_clerk: Option<(&'static str, bool)>,
}

pub(super) const ADA: Person = Person {
    id: "user_2demoAda",
    first_name: "Ada",
    last_name: "Byron",
    email: "ada@example.com",
};
pub(super) const GRACE: Person = Person {
    id: "user_2demoGrace",
    first_name: "Grace",
    last_name: "Murray",
    email: "grace@example.com",
};
pub(super) const ALAN: Person = Person {
    id: "user_2demoAlan",
    first_name: "Alan",
    last_name: "Turing",
    email: "alan@example.com",
};
pub(super) const BARBARA: Person = Person {
    id: "user_2demoBarbara",
    first_name: "Barbara",
    last_name: "Huberman",
    email: "barbara@example.com",
};
pub(super) const EDSGER: Person = Person {
    id: "user_2demoEdsger",
    first_name: "Edsger",
    last_name: "Dijkstra",
    email: "edsger@example.com",
};

/// Everyone whom Clerk knows when the story begins.
pub(super) const PEOPLE: [Person; 5] = [ADA, GRACE, ALAN, BARBARA, EDSGER];

pub(super) const ADAS_CHECKOUT: Checkout = Checkout {
    id: "cs_test_demoAda",
    buyer: ADA,
    customer: "cus_demoAda",
    amount: 4900,
};
pub(super) const GRACES_CHECKOUT: Checkout = Checkout {
    id: "cs_test_demoGrace",
    buyer: GRACE,
    customer: "cus_demoGrace",
    amount: 4900,
};
pub(super) const BARBARAS_CHECKOUT: Checkout = Checkout {
    id: "cs_test_demoBarbara",
    buyer: BARBARA,
    customer: "cus_demoBarbara",
    amount: 4900,
};
pub(super) const EDSGERS_CHECKOUT: Checkout = Checkout {
    id: "cs_test_demoEdsger",
    buyer: EDSGER,
    customer: "cus_demoEdsger",
    amount: 9900,
};

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
            paid: true,
            at_clerk: paid,
        },
        Ending {
            person: ALAN,
            first_name: None,
            paid: false,
            at_clerk: None,
        },
    ]
}
