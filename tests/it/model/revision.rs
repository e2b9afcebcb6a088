//! The text order of revisions, by which databases compare them, is the order of the states.

use hookmirror::model::time::Timestamp;
use hookmirror::model::user::{Revision, UserChange};
use proptest::prelude::*;

fn change() -> impl Strategy<Value = UserChange> {
    prop_oneof![Just(UserChange::Created), Just(UserChange::Updated)]
}

/// Times that tie, neighbours across a power of ten, and any at all that a user can carry.
fn millis() -> impl Strategy<Value = i64> {
    prop_oneof![
        0_i64..3,
        (1_u32..14, -1_i64..=1).prop_map(|(digits, step)| 10_i64.pow(digits) + step),
        0_i64..=253_402_300_799_999,
    ]
}

proptest! {
    #[test]
    fn text_order_is_order_in_time_then_created_before_updated(
        a in (millis(), change()), b in (millis(), change()),
        data in ("[a-z]{0,3}", "[a-z]{0,3}"),
    ) {
        let one = Revision::new(Timestamp::from_millis(a.0), a.1, &data.0);
        let other = Revision::new(Timestamp::from_millis(b.0), b.1, &data.1);
        let text_order = one.as_str().cmp(other.as_str());
        prop_assert_eq!(text_order, one.cmp(&other));
        if a == b {
            prop_assert_eq!(one == other, data.0 == data.1);
        } else {
            prop_assert_eq!(text_order, a.cmp(&b));
        }
    }

    #[test]
    fn all_have_the_same_width_and_survive_storage(millis in any::<i64>(), change in change()) {
        let revision = Revision::new(Timestamp::from_millis(millis), change, "{}");
        prop_assert_eq!(revision.as_str().len(), 35);
        prop_assert_eq!(Revision::from_stored(revision.as_str().to_owned()), revision);
    }
}
