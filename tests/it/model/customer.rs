//! What is known of a customer is who was named first.

use hookmirror::model::payment::{Customer, PaymentFact};
use proptest::prelude::*;

use super::{merge_laws, named_user};

fn account() -> impl Strategy<Value = Customer> {
    named_user().prop_filter_map("names nobody", |named_user| {
        Some(Customer {
            id: "cus_1".to_owned(),
            named_user: named_user?,
        })
    })
}

merge_laws!(account());

proptest! {
    #[test]
    fn the_first_name_holds(a in account(), b in account()) {
        let first = a.named_user.clone().min(b.named_user.clone());
        prop_assert_eq!(a.merge(b).named_user, first);
    }
}
