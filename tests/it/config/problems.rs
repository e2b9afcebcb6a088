//! Every problem by its code, and all of them at once.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use hookmirror::config::{Config, Origin};

use super::{CLERK_SECRET, SettingsFile, codes, load, loaded, problems};

/// Settings that are wrong each in one way, and the code of that way. The last one of several is
/// to blame.
const WRONG: &[(&str, &[(&str, &str)])] = &[
    ("invalid_listen_address", &[("HOOKMIRROR_LISTEN", "8080")]),
    (
        "invalid_listen_address",
        &[("HOOKMIRROR_LISTEN", "localhost:8080")],
    ),
    (
        "not_a_whole_number",
        &[("HOOKMIRROR_MAX_BODY_BYTES", "1MiB")],
    ),
    (
        "not_a_whole_number",
        &[("HOOKMIRROR_MAX_CONNECTIONS", "-1")],
    ),
    (
        "not_a_whole_number",
        &[("HOOKMIRROR_MAX_CONNECTIONS", "99999999999999999999999")],
    ),
    ("out_of_range", &[("HOOKMIRROR_MAX_BODY_BYTES", "1023")]),
    (
        "out_of_range",
        &[("HOOKMIRROR_MAX_BODY_BYTES", "268435457")],
    ),
    ("out_of_range", &[("HOOKMIRROR_TOLERANCE_SECONDS", "0")]),
    ("out_of_range", &[("HOOKMIRROR_TOLERANCE_SECONDS", "86401")]),
    ("out_of_range", &[("HOOKMIRROR_CONFIRM_TIMEOUT_MS", "0")]),
    ("out_of_range", &[("HOOKMIRROR_REQUEST_TIMEOUT_MS", "0")]),
    ("out_of_range", &[("HOOKMIRROR_MAX_CONNECTIONS", "0")]),
    ("out_of_range", &[("HOOKMIRROR_SHUTDOWN_SECONDS", "3601")]),
    (
        "buffer_smaller_than_body",
        &[("HOOKMIRROR_MAX_BUFFERED_BYTES", "1048575")],
    ),
    (
        "buffer_smaller_than_body",
        &[("HOOKMIRROR_MAX_BODY_BYTES", "67108865")],
    ),
    (
        "invalid_database_url",
        &[("DATABASE_URL", "postgres:mirror")],
    ),
    (
        "invalid_database_url",
        &[("DATABASE_URL", "postgres://me:a#b@db/mirror")],
    ),
    (
        "invalid_database_url",
        &[("DATABASE_URL", "postgres://me:a/b@db:x/mirror")],
    ),
    ("invalid_amqp_url", &[("AMQP_URL", "localhost")]),
    ("invalid_amqp_url", &[("AMQP_URL", "http://localhost")]),
    ("invalid_amqp_url", &[("AMQP_URL", "amqp:localhost")]),
    ("invalid_amqp_url", &[("AMQP_URL", "amqp:///vhost")]),
    (
        "invalid_amqp_url",
        &[("AMQP_URL", "amqp://me:a#b@localhost")],
    ),
    (
        "not_a_whole_number",
        &[("HOOKMIRROR_SPOOL_MAX_BYTES", "1GiB")],
    ),
    (
        "database_not_durable",
        &[("DATABASE_URL", "sqlite::memory:")],
    ),
    (
        "database_not_durable",
        &[("DATABASE_URL", "sqlite://:memory:")],
    ),
    (
        "database_not_durable",
        &[("DATABASE_URL", "sqlite:x?mode=memory")],
    ),
    (
        "invalid_database_url",
        &[("DATABASE_URL", "mysql://db/mirror")],
    ),
    ("invalid_database_url", &[("DATABASE_URL", "mirror.db")]),
    ("invalid_database_url", &[("DATABASE_URL", "sqlite:")]),
    ("invalid_database_url", &[("DATABASE_URL", "sqlite://")]),
    (
        "invalid_database_url",
        &[("DATABASE_URL", "sqlite:directory/")],
    ),
    (
        "invalid_database_url",
        &[("DATABASE_URL", "sqlite:mirror.db?mode=ro")],
    ),
    (
        "database_is_the_queue",
        &[("DATABASE_URL", "sqlite:./hookmirror-data/queue.db")],
    ),
    (
        "database_is_the_queue",
        &[
            ("HOOKMIRROR_DATA_DIR", "/var/lib/hookmirror/"),
            (
                "DATABASE_URL",
                "sqlite:/var/lib/x/../hookmirror/queue.db-wal",
            ),
        ],
    ),
    (
        "database_is_the_queue",
        &[
            ("HOOKMIRROR_DATA_DIR", "."),
            ("DATABASE_URL", "sqlite:queue.lock"),
        ],
    ),
    (
        "invalid_signing_secret",
        &[("CLERK_WEBHOOK_SIGNING_SECRET", "plJ3nmyCDGBKInavdOK15jsl")],
    ),
    (
        "invalid_signing_secret",
        &[("CLERK_WEBHOOK_SIGNING_SECRET", "whsec_not*base64")],
    ),
    (
        "invalid_signing_secret",
        &[("STRIPE_WEBHOOK_SECRET", "whsec_")],
    ),
    (
        "invalid_signing_secret",
        &[("STRIPE_WEBHOOK_SECRET", "sk_test_wrong_one")],
    ),
    (
        "empty_signing_secret",
        &[("STRIPE_WEBHOOK_SECRET", "whsec_a,")],
    ),
    (
        "empty_signing_secret",
        &[("STRIPE_WEBHOOK_SECRET", "whsec_a, ,whsec_b")],
    ),
    ("empty_signing_secret", &[("STRIPE_WEBHOOK_SECRET", " ")]),
    ("not_a_flag", &[("STRIPE_LIVEMODE", "yes")]),
    ("not_a_flag", &[("STRIPE_LIVEMODE", "TRUE")]),
    (
        "shared_signing_secret",
        &[
            ("CLERK_WEBHOOK_SIGNING_SECRET", "whsec_AAA="),
            ("STRIPE_WEBHOOK_SECRET", "whsec_a,whsec_AAA"),
        ],
    ),
    (
        "conflicting_names",
        &[
            ("CLERK_WEBHOOK_SECRET", "whsec_AAAA"),
            ("CLERK_WEBHOOK_SIGNING_SECRET", CLERK_SECRET),
        ],
    ),
    (
        "clerk_key_is_publishable",
        &[("CLERK_SECRET_KEY", "pk_test_a")],
    ),
    (
        "invalid_clerk_secret_key",
        &[("CLERK_SECRET_KEY", "whsec_a")],
    ),
    ("invalid_clerk_secret_key", &[("CLERK_SECRET_KEY", "sk_")]),
    (
        "invalid_clerk_secret_key",
        &[("CLERK_SECRET_KEY", "sk_test_a sk_test_b")],
    ),
    (
        "invalid_clerk_api_url",
        &[("CLERK_API_URL", "api.clerk.com/v1")],
    ),
    (
        "invalid_clerk_api_url",
        &[("CLERK_API_URL", "ftp://api.clerk.com")],
    ),
    (
        "invalid_clerk_api_url",
        &[("CLERK_API_URL", "https://me:pw@api.clerk.com")],
    ),
    (
        "invalid_clerk_api_url",
        &[("CLERK_API_URL", "https://api.clerk.com/?a=b")],
    ),
    (
        "clerk_api_url_not_encrypted",
        &[("CLERK_API_URL", "http://api.clerk.com/v1")],
    ),
    (
        "clerk_api_url_not_encrypted",
        &[("CLERK_API_URL", "http://localhost.evil.example/v1")],
    ),
    (
        "clerk_api_url_not_encrypted",
        &[("CLERK_API_URL", "http://127.0.0.1.evil.example/v1")],
    ),
    (
        "invalid_log_filter",
        &[("HOOKMIRROR_LOG", "hookmirror=loud")],
    ),
    ("invalid_log_filter", &[("HOOKMIRROR_LOG", "inof")]),
    (
        "invalid_log_filter",
        &[("HOOKMIRROR_LOG", "sqlx=warn,warning")],
    ),
    ("invalid_log_format", &[("HOOKMIRROR_LOG_FORMAT", "JSON")]),
    (
        "config_file_unreadable",
        &[("HOOKMIRROR_CONFIG", "/nowhere/hookmirror.toml")],
    ),
];

#[test]
fn a_database_may_live_beside_the_queue_or_have_its_name_elsewhere() {
    for url in [
        "sqlite:hookmirror-data/queue-of-people.db",
        "sqlite:other/queue.db",
    ] {
        loaded(&[("DATABASE_URL", url)]);
    }
}

#[test]
fn each_problem_has_its_code_and_blames_its_setting() {
    for (code, environment) in WRONG {
        let (setting, _) = environment.last().expect("something is set");
        let found = problems(environment);
        assert_eq!(codes(&found), [(*code, *setting)], "{environment:?}");
        assert_eq!(
            found[0].origin,
            Some(Origin::Environment),
            "{environment:?}"
        );
    }
}

#[test]
fn problems_of_all_sections_are_reported_together() {
    let file = SettingsFile::new("HOOKMIRROR_LISTN = '127.0.0.1:1'\nHOOKMIRROR_DATA_DIR = true\n");
    let result = load(&[
        file.named(),
        ("DATABASE_URL", "postgres:mirror"),
        ("AMQP_URL", "broker"),
        ("HOOKMIRROR_LISTEN", "nowhere"),
        ("HOOKMIRROR_MAX_BODY_BYTES", "0"),
        ("HOOKMIRROR_TOLERANCE_SECONDS", "0"),
        ("CLERK_WEBHOOK_SECRET", "nothing, whsec_*"),
        ("STRIPE_WEBHOOK_SECRET", "whsec_"),
        ("CLERK_SECRET_KEY", "pk_live_a"),
        ("CLERK_API_URL", "http://clerk.example"),
        ("HOOKMIRROR_LOG", "inof"),
        ("HOOKMIRROR_LOG_FORMAT", "xml"),
        ("HOOKMIRROR_SHUTDOWN_SECONDS", "soon"),
        ("HOOKMIRROR_LOGS", "info"),
    ]);
    let problems = result.expect_err("all of it is wrong");

    assert_eq!(
        codes(problems.problems()),
        [
            ("unknown_setting", "HOOKMIRROR_LISTN"),
            ("wrong_type", "HOOKMIRROR_DATA_DIR"),
            ("invalid_database_url", "DATABASE_URL"),
            ("invalid_amqp_url", "AMQP_URL"),
            ("invalid_listen_address", "HOOKMIRROR_LISTEN"),
            ("out_of_range", "HOOKMIRROR_MAX_BODY_BYTES"),
            ("out_of_range", "HOOKMIRROR_TOLERANCE_SECONDS"),
            ("invalid_signing_secret", "CLERK_WEBHOOK_SIGNING_SECRET"),
            ("invalid_signing_secret", "CLERK_WEBHOOK_SIGNING_SECRET"),
            ("invalid_signing_secret", "STRIPE_WEBHOOK_SECRET"),
            ("clerk_key_is_publishable", "CLERK_SECRET_KEY"),
            ("clerk_api_url_not_encrypted", "CLERK_API_URL"),
            ("invalid_log_filter", "HOOKMIRROR_LOG"),
            ("invalid_log_format", "HOOKMIRROR_LOG_FORMAT"),
            ("not_a_whole_number", "HOOKMIRROR_SHUTDOWN_SECONDS"),
        ]
    );
    let report = problems.to_string();
    let lines: Vec<&str> = report.lines().collect();
    assert_eq!(
        lines.len(),
        1 + 15 + 1 + 1,
        "a heading, one line each, warnings"
    );
    assert_eq!(lines[0], "there are 15 problems with the settings:");
    assert_eq!(
        lines[5],
        "  5. HOOKMIRROR_LISTEN (from the environment) is \"nowhere\", not an IP address and a \
         port; write both, such as `127.0.0.1:8080`, or `0.0.0.0:8080` for all interfaces \
         [invalid_listen_address]"
    );
    assert!(lines[17].contains("did you mean HOOKMIRROR_LOG?"));
}

#[test]
fn a_bad_secret_is_told_by_its_place_in_the_list() {
    let found = problems(&[("STRIPE_WEBHOOK_SECRET", "whsec_a,oops,whsec_b")]);
    assert_eq!(
        found[0].what,
        "holds 3 secrets, of which number 2 does not begin with `whsec_`"
    );
}

#[test]
fn what_the_edges_of_ranges_allow() {
    let config = loaded(&[
        ("HOOKMIRROR_MAX_BODY_BYTES", "1024"),
        ("HOOKMIRROR_MAX_BUFFERED_BYTES", "1024"),
        ("HOOKMIRROR_TOLERANCE_SECONDS", "86400"),
        ("HOOKMIRROR_SHUTDOWN_SECONDS", "0"),
    ]);
    assert_eq!(config.ingress.max_buffered_bytes, 1024);
    assert_eq!(config.ingress.tolerance.as_secs(), 86_400);
    assert!(config.shutdown_deadline.is_zero());
}

#[test]
fn plain_http_is_for_this_machine_only() {
    for url in [
        "http://localhost:4010",
        "http://127.0.0.9:4010/v1/",
        "http://[::1]:4010/",
        "HTTPS://API.CLERK.COM/v1//",
    ] {
        let config = loaded(&[("CLERK_API_URL", url)]);
        assert_eq!(
            config.clerk.api_url,
            url.trim_end_matches('/')
                .replace("HTTPS://API.CLERK.COM", "https://api.clerk.com"),
        );
    }
}

#[test]
fn what_is_not_unicode_is_reported_if_it_is_ours_and_ignored_if_not() {
    let bytes = || OsString::from_vec(vec![b's', 0xff]);
    let result = Config::load_os([
        ("HOOKMIRROR_DATA_DIR".into(), bytes()),
        ("PATH".into(), bytes()),
        (bytes(), "x".into()),
    ]);
    let problems = result.expect_err("a directory that is not text");
    assert_eq!(
        codes(problems.problems()),
        [("not_unicode", "HOOKMIRROR_DATA_DIR")]
    );
    assert_eq!(problems.problems()[0].origin, Some(Origin::Environment));
}
