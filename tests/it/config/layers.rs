//! Defaults, file and environment: which one counts, and what the file may say.

use std::path::PathBuf;

use hookmirror::config::{DatabaseUrl, LogFormat};
use secrecy::ExposeSecret;

use super::{CLERK_SECRET, SettingsFile, codes, load, loaded, problems};

#[test]
fn the_environment_goes_before_the_file_and_the_file_before_the_default() {
    let file = SettingsFile::new(
        "HOOKMIRROR_DATA_DIR = 'from-file'\n\
         HOOKMIRROR_MAX_CONNECTIONS = 7\n\
         HOOKMIRROR_LOG_FORMAT = 'text'\n",
    );
    let config = loaded(&[
        file.named(),
        ("HOOKMIRROR_DATA_DIR", "from-environment"),
        ("HOOKMIRROR_LOG_FORMAT", ""),
    ]);
    assert_eq!(config.data_dir, PathBuf::from("from-environment"));
    assert_eq!(config.ingress.max_connections, 7);
    assert_eq!(
        config.log.format,
        Some(LogFormat::Text),
        "empty is not a value"
    );
    assert_eq!(config.ingress.listen.port(), 8080);
}

#[test]
fn a_wrong_value_in_the_file_is_no_problem_where_the_environment_has_a_right_one() {
    let file = SettingsFile::new("HOOKMIRROR_LISTEN = 'nowhere'\nCLERK_SECRET_KEY = ''\n");
    let config = loaded(&[file.named(), ("HOOKMIRROR_LISTEN", "[::1]:9")]);
    assert_eq!(config.ingress.listen.to_string(), "[::1]:9");
    assert!(config.clerk.secret_key.is_none());
}

#[test]
fn problems_in_the_file_name_their_line() {
    let file = SettingsFile::new(
        "# about\n\
         \n\
         HOOKMIRROR_LISTEN = '8080'\n\
         HOOKMIRROR_TOLERANCE_SECONDS = 0\n\
         hookmirror_data_dir = 'x'\n\
         HOOKMIRROR_MAX_CONNECTIONS = 1.5\n\
         HOOKMIRROR_MAX_BODY_BYTES = 0x10_0000\n\
         HOOKMIRROR_CONFIG = 'other.toml'\n\
         AMQP_URL = 'broker'\n\
         [[sources]]\n\
         name = 'second'\n",
    );
    let mut found: Vec<_> = problems(&[file.named()])
        .into_iter()
        .map(|problem| (problem.origin, problem.code, problem.setting))
        .collect();
    let mut expected = [
        (3, "invalid_listen_address", "HOOKMIRROR_LISTEN"),
        (4, "out_of_range", "HOOKMIRROR_TOLERANCE_SECONDS"),
        (5, "unknown_setting", "hookmirror_data_dir"),
        (6, "wrong_type", "HOOKMIRROR_MAX_CONNECTIONS"),
        (7, "wrong_type", "HOOKMIRROR_MAX_BODY_BYTES"),
        (8, "nested_config_file", "HOOKMIRROR_CONFIG"),
        (9, "invalid_amqp_url", "AMQP_URL"),
        (10, "unknown_setting", "sources"),
    ]
    .map(|(line, code, setting)| (file.line(line), code, setting.to_owned()));
    found.sort_by(|a, b| a.2.cmp(&b.2));
    expected.sort_by(|a, b| a.2.cmp(&b.2));
    assert_eq!(found, expected);
}

#[test]
fn a_file_that_is_not_toml_is_reported_with_the_line_and_without_its_text() {
    for (content, line) in [
        (
            "HOOKMIRROR_LOG = 'info'\nCLERK_SECRET_KEY = sk_live_m4rk\n",
            2,
        ),
        ("\n\nSTRIPE_WEBHOOK_SECRET = \"whsec_m4rk\n", 3),
        ("sk_live_m4rk\n", 1),
        ("A = 'm4rk'\nA = 'm4rk'\n", 2),
        ("= 'm4rk'", 1),
    ] {
        let file = SettingsFile::new(content);
        let report = load(&[file.named()]).expect_err("not TOML");
        let found = report.problems();
        assert_eq!(
            codes(found),
            [("config_file_not_toml", "HOOKMIRROR_CONFIG")]
        );
        assert_eq!(found[0].origin, file.line(line), "{content}");
        assert!(!format!("{report}{report:?}").contains("m4rk"), "{report}");
    }
}

#[test]
fn a_file_that_is_not_text_or_has_no_end_is_unreadable() {
    let binary = SettingsFile::new([b'a', 0xff, b'\n']);
    for path in [binary.named().1, "/dev/zero", "/"] {
        let found = problems(&[("HOOKMIRROR_CONFIG", path)]);
        assert_eq!(
            codes(&found),
            [("config_file_unreadable", "HOOKMIRROR_CONFIG")],
            "{path}"
        );
    }
}

#[test]
fn unknown_keys_come_with_the_name_that_was_meant() {
    for (key, meant) in [
        ("HOOKMIRROR_LISTN", "HOOKMIRROR_LISTEN"),
        ("HOOKMIRROR_LOG_LEVEL", "HOOKMIRROR_LOG"),
        ("HOOKMIRROR_MAX_BODY", "HOOKMIRROR_MAX_BODY_BYTES"),
        ("hookmirror-data-dir", "HOOKMIRROR_DATA_DIR"),
        ("listen", "HOOKMIRROR_LISTEN"),
        ("DATABASE", "DATABASE_URL"),
        ("STRIPE_WEBHOOK_SIGNING_SECRET", "STRIPE_WEBHOOK_SECRET"),
        ("CLERK_WEBHOOK_SECRETS", "CLERK_WEBHOOK_SECRET"),
        ("STRIPE_LIVE_MODE", "STRIPE_LIVEMODE"),
        ("sources", "`[[source]]`"),
        ("Source", "`[[source]]`"),
    ] {
        let file = SettingsFile::new(format!("{key} = 'x'\n"));
        let found = problems(&[file.named()]);
        assert_eq!(codes(&found), [("unknown_setting", key)]);
        assert_eq!(found[0].remedy, format!("did you mean {meant}?"), "{key}");
    }
}

#[test]
fn keys_of_later_versions_and_of_strangers_get_no_guess() {
    for key in ["STRIPE_SECRET_KEY", "STRIPE_API_URL", "colour"] {
        let file = SettingsFile::new(format!("{key} = 'x'\n"));
        let found = problems(&[file.named()]);
        assert_eq!(codes(&found), [("unknown_setting", key)]);
        assert!(found[0].remedy.starts_with("remove it"), "{}", found[0]);
    }
}

#[test]
fn unknown_variables_of_ours_are_warnings_and_those_of_others_are_none() {
    let config = loaded(&[
        ("HOOKMIRROR_ADMIN_PASSWORD", "m4rk"),
        ("HOOKMIRROR_DATADIR", "/data"),
        ("HOOKMIRROR_PORT", "8080"),
        ("STRIPE_SECRET_KEY", "sk_test_x"),
        ("STRIPE_API_URL", "https://api.stripe.com"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector"),
        ("DATABSE_URL", "x"),
    ]);
    assert_eq!(
        codes(&config.warnings),
        [
            ("unknown_setting", "HOOKMIRROR_ADMIN_PASSWORD"),
            ("unknown_setting", "HOOKMIRROR_DATADIR"),
            ("unknown_setting", "HOOKMIRROR_PORT"),
        ]
    );
    assert_eq!(
        config.warnings[1].remedy,
        "did you mean HOOKMIRROR_DATA_DIR?"
    );
    assert!(!format!("{:?}", config.warnings).contains("m4rk"));
}

#[test]
fn what_kubernetes_adds_for_a_service_of_our_name_is_no_warning() {
    let config = loaded(&[
        ("HOOKMIRROR_SERVICE_HOST", "10.0.0.1"),
        ("HOOKMIRROR_SERVICE_PORT", "80"),
        ("HOOKMIRROR_PORT", "tcp://10.0.0.1:80"),
        ("HOOKMIRROR_PORT_80_TCP_ADDR", "10.0.0.1"),
    ]);
    assert_eq!(config.warnings, []);
}

#[test]
fn either_name_of_the_clerk_secret_will_do() {
    let secrets = |environment: &[(&str, &str)]| -> Vec<String> {
        let clerk = loaded(environment).sources.swap_remove(0);
        assert_eq!(clerk.source.name.as_str(), "clerk");
        let secrets = clerk.secrets.iter();
        secrets.map(|s| s.expose_secret().to_owned()).collect()
    };
    let padded = format!(" {CLERK_SECRET} , whsec_AAAA\n");
    let both = [CLERK_SECRET, "whsec_AAAA"];
    assert_eq!(secrets(&[("CLERK_WEBHOOK_SECRET", &padded)]), both);
    assert_eq!(secrets(&[("CLERK_WEBHOOK_SIGNING_SECRET", &padded)]), both);
    let agreeing = [
        ("CLERK_WEBHOOK_SIGNING_SECRET", CLERK_SECRET),
        ("CLERK_WEBHOOK_SECRET", CLERK_SECRET),
    ];
    assert_eq!(secrets(&agreeing), [CLERK_SECRET]);

    // The layer counts before the name.
    let file = SettingsFile::new("CLERK_WEBHOOK_SIGNING_SECRET = 'whsec_BBBB'\n");
    let over_file = [file.named(), ("CLERK_WEBHOOK_SECRET", CLERK_SECRET)];
    assert_eq!(secrets(&over_file), [CLERK_SECRET]);
    assert!(secrets(&[]).is_empty());
}

#[test]
fn both_spellings_of_a_database_url_name_the_same_file() {
    for (url, path) in [
        ("sqlite:mirror.db", "mirror.db"),
        ("sqlite://mirror.db", "mirror.db"),
        ("sqlite:/var/lib/m.db", "/var/lib/m.db"),
        ("sqlite:///var/lib/m.db", "/var/lib/m.db"),
        ("sqlite:50%25 off.db", "50%25 off.db"),
    ] {
        let database = loaded(&[("DATABASE_URL", url)]).database;
        assert_eq!(database, DatabaseUrl::Sqlite(path.into()), "{url}");
    }
}
