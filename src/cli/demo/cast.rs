//! Who is in the story, and what they buy.

use super::payloads::{Checkout, Person};

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

/// Someone who has no part in it.
pub(super) const PASSER_BY: Person = Person {
    id: "user_2demoNiklaus",
    first_name: "Niklaus",
    last_name: "Wirth",
    email: "niklaus@example.com",
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
