//! What is done after each kind of failure, as one table.

use std::time::Duration;

use hookmirror::clerk_api::{ClerkApiError, Disposition};

#[test]
fn every_failure_has_its_disposition() {
    let wait = Some(Duration::from_secs(7));
    let table = [
        (400, Disposition::Park),
        (401, Disposition::KeyRefused),
        (402, Disposition::Park),
        (403, Disposition::KeyRefused),
        // What stands in front of Clerk, or a wrong address of it, knows no user.
        (404, Disposition::Retry),
        (408, Disposition::Retry),
        (409, Disposition::Retry),
        (422, Disposition::Park),
        (425, Disposition::Retry),
        (429, Disposition::Throttled(wait)),
        (302, Disposition::Retry),
        (500, Disposition::Retry),
        (503, Disposition::Retry),
        (599, Disposition::Retry),
    ];
    for (status, expected) in table {
        let error = ClerkApiError::Answered {
            status,
            code: "no_code".to_owned(),
            retry_after: wait,
        };
        assert_eq!(error.disposition(), expected, "status {status}");
    }
    for (status, code, expected) in [
        (404, "resource_not_found", Disposition::UserGone),
        (409, "resource_locked", Disposition::Retry),
        (409, "user_managed_by_scim", Disposition::Park),
    ] {
        let error = ClerkApiError::Answered {
            status,
            code: code.to_owned(),
            retry_after: None,
        };
        assert_eq!(error.disposition(), expected, "{status} {code}");
    }
    assert_eq!(
        ClerkApiError::NoAnswer("cut".into()).disposition(),
        Disposition::Retry
    );
    assert_eq!(
        ClerkApiError::Unaddressable.disposition(),
        Disposition::Park
    );
}
