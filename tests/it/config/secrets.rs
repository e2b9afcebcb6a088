//! No secret ever comes back out of the settings, right or wrong ones.

use hookmirror::config::SETTINGS;

use super::{SettingsFile, load};

const MARK: &str = "m4rk";

/// Values with a secret in them, in every way in which one could come near a message.
const VALUES: [&str; 11] = [
    "whsec_m4rk",
    "whsec_m4rk,m4rk,whsec_m4rk*",
    "sk_live_m4rk",
    "sk_live_m4rk m4rk",
    "pk_live_m4rk sk_live_m4rk",
    "postgres://user:m4rk@db/mirror",
    "postgres://user:m4rk@db/mirror?password=m4rk",
    "amqps://user:m4rk@broker/vhost",
    "mysql://user:m4rk@db/mirror",
    "http://user:m4rk@clerk.example/v1",
    "https://user:m4rk@clerk.example/v1?key=sk_live_m4rk",
];

/// A path, module names and a name, in which anything can stand; once accepted they are shown as they
/// are.
const SHOWN_IF_ACCEPTED: [&str; 3] = ["HOOKMIRROR_DATA_DIR", "HOOKMIRROR_LOG", "OTEL_SERVICE_NAME"];

#[test]
fn no_secret_is_shown_whichever_setting_it_was_written_to() {
    let mut reports = 0;
    let names = SETTINGS
        .iter()
        .flat_map(|setting| [Some(setting.name), setting.alias])
        .flatten()
        .chain(["HOOKMIRROR_UNKNOWN"]);
    for name in names {
        for value in VALUES {
            let file = SettingsFile::new(format!("{name} = \"{value}\"\n"));
            for environment in [
                [(name, value), ("LANG", "C")],
                [file.named(), ("LANG", "C")],
            ] {
                let shown = match load(&environment) {
                    Ok(_) if SHOWN_IF_ACCEPTED.contains(&name) => continue,
                    Ok(config) => format!("{config:?}"),
                    Err(problems) => {
                        reports += 1;
                        format!("{problems}\n{problems:?}")
                    }
                };
                assert!(!shown.contains(MARK), "{name}={value}: {shown}");
            }
        }
    }
    assert!(reports > 200, "only {reports} were refused");
}

#[test]
fn free_text_secrets_are_not_quoted_where_secrets_belong() {
    for name in [
        "CLERK_WEBHOOK_SIGNING_SECRET",
        "CLERK_WEBHOOK_SECRET",
        "STRIPE_WEBHOOK_SECRET",
        "CLERK_SECRET_KEY",
        "DATABASE_URL",
        "AMQP_URL",
        "CLERK_API_URL",
    ] {
        let problems = load(&[(name, MARK)]).expect_err("not a value of any of them");
        let shown = format!("{problems}\n{problems:?}");
        assert!(!shown.contains(MARK), "{name}: {shown}");
    }
}
