//! Sources: those that are always there, and those that the file lists.

use hookmirror::config::{Config, Origin, SourceSettings};
use hookmirror::model::source::Provider;
use secrecy::ExposeSecret;

use super::{CLERK_SECRET, SettingsFile, codes, load, loaded, problems};

const MARK: &str = "m4rk";

fn source<'a>(config: &'a Config, name: &str) -> &'a SourceSettings {
    let mut sources = config.sources.iter();
    sources
        .find(|settings| settings.source.name.as_str() == name)
        .unwrap()
}

fn secrets(settings: &SourceSettings) -> Vec<&str> {
    let secrets = settings.secrets.iter();
    secrets.map(ExposeSecret::expose_secret).collect()
}

/// Name, provider, livemode, secrets.
fn shape(settings: &SourceSettings) -> (&str, Provider, Option<bool>, Vec<&str>) {
    let source = &settings.source;
    let name = source.name.as_str();
    (name, source.provider, source.livemode, secrets(settings))
}

/// Key and URL of the Backend API that a source's instance has.
fn api(settings: &SourceSettings) -> (Option<&str>, &str) {
    let clerk = settings.clerk.as_ref().unwrap();
    let key = clerk.secret_key.as_ref().map(ExposeSecret::expose_secret);
    (key, &clerk.api_url)
}

#[test]
fn two_sources_are_there_without_a_file() {
    let config = loaded(&[("STRIPE_WEBHOOK_SECRET", "whsec_a")]);
    let shapes: Vec<_> = config.sources.iter().map(shape).collect();
    assert_eq!(
        shapes,
        [
            ("clerk", Provider::Clerk, None, vec![]),
            ("stripe", Provider::Stripe, None, vec!["whsec_a"]),
        ]
    );
    let origins: Vec<_> = config.sources.iter().map(|s| &s.secrets_from).collect();
    assert_eq!(origins, [&Origin::Default, &Origin::Environment]);
}

#[test]
fn the_file_lists_more() {
    let file = SettingsFile::new(
        "STRIPE_LIVEMODE = true\n\
         \n\
         [[source]]\n\
         name = 'clerk-eu'\n\
         provider = 'clerk'\n\
         secrets = 'whsec_AAAA, whsec_BBBB'\n\
         secret_key = ' sk_live_eu'\n\
         api_url = 'http://127.0.0.1:9/v1/'\n\
         \n\
         [[source]]\n\
         name = 'shop-2'\n\
         provider = 'stripe'\n\
         livemode = false\n\
         secrets = [\n  'whsec_c',\n  'whsec_d,whsec_e',\n]\n\
         [[source]]\n\
         name = 'clerk-us'\n\
         provider = 'clerk'\n\
         secrets = ['whsec_CCCC']\n",
    );
    let config = loaded(&[
        file.named(),
        ("CLERK_SECRET_KEY", "sk_live_first"),
        ("CLERK_API_URL", "https://clerk.example/v1"),
    ]);
    let shapes: Vec<_> = config.sources.iter().map(shape).collect();
    assert_eq!(
        shapes,
        [
            ("clerk", Provider::Clerk, None, vec![]),
            ("stripe", Provider::Stripe, Some(true), vec![]),
            (
                "clerk-eu",
                Provider::Clerk,
                None,
                vec!["whsec_AAAA", "whsec_BBBB"]
            ),
            (
                "shop-2",
                Provider::Stripe,
                Some(false),
                vec!["whsec_c", "whsec_d", "whsec_e"]
            ),
            ("clerk-us", Provider::Clerk, None, vec!["whsec_CCCC"]),
        ]
    );
    let shop = source(&config, "shop-2");
    assert_eq!(Some(shop.secrets_from.clone()), file.line(14));
    assert!(shop.clerk.is_none());
    let first = (Some("sk_live_first"), "https://clerk.example/v1");
    assert_eq!(api(source(&config, "clerk")), first);
    let eu = (Some("sk_live_eu"), "http://127.0.0.1:9/v1");
    assert_eq!(api(source(&config, "clerk-eu")), eu);
    // An instance never gets another one's key.
    let us = (None, "https://clerk.example/v1");
    assert_eq!(api(source(&config, "clerk-us")), us);
}

#[test]
fn an_entry_for_a_source_that_is_always_there_says_its_settings() {
    let file = SettingsFile::new(
        "[[source]]\n\
         name = 'stripe'\n\
         provider = 'stripe'\n\
         livemode = true\n\
         [[source]]\n\
         name = 'clerk'\n\
         provider = 'clerk'\n\
         secrets = ['whsec_AAAA']\n\
         secret_key = 'sk_test_file'\n\
         api_url = 'https://clerk.example'\n",
    );
    let config = loaded(&[file.named(), ("STRIPE_WEBHOOK_SECRET", "whsec_a")]);
    assert_eq!(config.warnings, []);
    let shapes: Vec<_> = config.sources.iter().map(shape).collect();
    assert_eq!(
        shapes,
        [
            ("clerk", Provider::Clerk, None, vec!["whsec_AAAA"]),
            ("stripe", Provider::Stripe, Some(true), vec!["whsec_a"]),
        ]
    );
    let clerk = source(&config, "clerk");
    assert_eq!(Some(clerk.secrets_from.clone()), file.line(8));
    let of_the_file = (Some("sk_test_file"), "https://clerk.example/");
    assert_eq!(api(clerk).0, of_the_file.0);
    assert_eq!(config.clerk.api_url, of_the_file.1.trim_end_matches('/'));
    let key = config.clerk.secret_key.as_ref().unwrap();
    assert_eq!(key.expose_secret(), "sk_test_file");
}

#[test]
fn the_environment_goes_before_an_entry_with_a_warning() {
    let file = SettingsFile::new(
        "[[source]]\n\
         name = 'clerk'\n\
         provider = 'clerk'\n\
         secrets = ['whsec_m4rk', 'not even a secret']\n\
         secret_key = 'sk_live_m4rk'\n\
         [[source]]\n\
         name = 'stripe'\n\
         provider = 'stripe'\n\
         livemode = true\n",
    );
    let config = loaded(&[
        file.named(),
        ("CLERK_WEBHOOK_SECRET", CLERK_SECRET),
        ("CLERK_SECRET_KEY", "sk_live_env"),
        ("STRIPE_LIVEMODE", "false"),
    ]);
    assert_eq!(secrets(source(&config, "clerk")), [CLERK_SECRET]);
    assert_eq!(api(source(&config, "clerk")).0, Some("sk_live_env"));
    assert_eq!(source(&config, "stripe").source.livemode, Some(false));
    assert_eq!(
        codes(&config.warnings),
        [
            ("overridden", "source.secrets"),
            ("overridden", "source.secret_key"),
            ("overridden", "source.livemode"),
        ]
    );
    assert_eq!(config.warnings[0].origin, file.line(4));
    let said = config.warnings[0].to_string();
    assert!(
        said.contains("CLERK_WEBHOOK_SECRET is set in the environment"),
        "{said}"
    );
    assert!(!format!("{:?}{config:?}", config.warnings).contains(MARK));
}

#[test]
fn what_the_file_says_in_two_ways_is_refused() {
    let file = SettingsFile::new(
        "STRIPE_WEBHOOK_SECRET = 'whsec_a'\n\
         [[source]]\n\
         name = 'stripe'\n\
         provider = 'stripe'\n\
         secrets = ['whsec_b']\n",
    );
    let found = problems(&[file.named()]);
    assert_eq!(codes(&found), [("conflicting_names", "source.secrets")]);
    assert_eq!(found[0].origin, file.line(5));
    assert!(found[0].what.contains("STRIPE_WEBHOOK_SECRET"));
    assert!(found[0].what.contains("line 1)"));
}

/// Entries that are wrong, each in one way: the code, the key, the line, and the entry.
const WRONG: &[(&str, &str, usize, &str)] = &[
    (
        "missing_key",
        "source.name",
        1,
        "provider = 'clerk'\nsecrets = 'whsec_AAAA'",
    ),
    (
        "missing_key",
        "source.provider",
        1,
        "name = 'a'\nsecrets = 'whsec_AAAA'",
    ),
    (
        "missing_key",
        "source.secrets",
        1,
        "name = 'a'\nprovider = 'clerk'",
    ),
    (
        "missing_key",
        "source.secrets",
        1,
        "name = 'a'\nprovider = 'clerk'\nsecrets = ''",
    ),
    (
        "missing_key",
        "source.provider",
        1,
        "name = 'clerk'\nsecrets = 'whsec_AAAA'",
    ),
    (
        "no_signing_secret",
        "source.secrets",
        4,
        "name = 'a'\nprovider = 'clerk'\nsecrets = []",
    ),
    (
        "empty_signing_secret",
        "source.secrets",
        4,
        "name = 'a'\nprovider = 'clerk'\nsecrets = ['']",
    ),
    (
        "empty_signing_secret",
        "source.secrets",
        4,
        "name = 'a'\nprovider = 'stripe'\nsecrets = ['whsec_a', '']",
    ),
    (
        "invalid_signing_secret",
        "source.secrets",
        4,
        "name = 'a'\nprovider = 'clerk'\nsecrets = ['whsec_m4rk*']",
    ),
    (
        "invalid_signing_secret",
        "source.secrets",
        4,
        "name = 'a'\nprovider = 'stripe'\nsecrets = 'm4rk'",
    ),
    (
        "invalid_signing_secret",
        "source.secrets",
        4,
        "name = 'clerk'\nprovider = 'clerk'\nsecrets = 'm4rk'",
    ),
    (
        "wrong_type",
        "source.secrets",
        4,
        "name = 'a'\nprovider = 'clerk'\nsecrets = 7",
    ),
    (
        "wrong_type",
        "source.secrets",
        4,
        "name = 'a'\nprovider = 'clerk'\nsecrets = ['whsec_m4rk', ['whsec_m4rk']]",
    ),
    (
        "wrong_type",
        "source.name",
        2,
        "name = 7\nprovider = 'clerk'\nsecrets = 'whsec_AAAA'",
    ),
    (
        "wrong_type",
        "source.livemode",
        2,
        "livemode = 'true'\nname = 'a'\nprovider = 'stripe'\nsecrets = 'whsec_a'",
    ),
    (
        "wrong_type",
        "source.livemode",
        2,
        "livemode = 1\nname = 'stripe'\nprovider = 'stripe'",
    ),
    (
        "invalid_source_name",
        "source.name",
        2,
        "name = 'Shop'\nprovider = 'stripe'\nsecrets = 'whsec_a'",
    ),
    (
        "invalid_source_name",
        "source.name",
        2,
        "name = 'whsec_m4rk'\nprovider = 'stripe'\nsecrets = 'whsec_a'",
    ),
    (
        "invalid_source_name",
        "source.name",
        2,
        "name = 'a/b'\nprovider = 'stripe'\nsecrets = 'whsec_a'",
    ),
    (
        "reserved_source_name",
        "source.name",
        2,
        "name = 'unknown'\nprovider = 'stripe'\nsecrets = 'whsec_a'",
    ),
    (
        "unknown_provider",
        "source.provider",
        3,
        "name = 'a'\nprovider = 'paypal'\nsecrets = 'whsec_a'",
    ),
    (
        "unknown_provider",
        "source.provider",
        3,
        "name = 'a'\nprovider = 'sk_live_m4rk'\nsecrets = 'whsec_a'",
    ),
    (
        "provider_mismatch",
        "source.provider",
        3,
        "name = 'clerk'\nprovider = 'stripe'\nsecrets = 'whsec_a'",
    ),
    (
        "not_of_this_provider",
        "source.livemode",
        5,
        "name = 'a'\nprovider = 'clerk'\nsecrets = 'whsec_AAAA'\nlivemode = true",
    ),
    (
        "not_of_this_provider",
        "source.livemode",
        4,
        "name = 'clerk'\nprovider = 'clerk'\nlivemode = true",
    ),
    (
        "not_of_this_provider",
        "source.secret_key",
        5,
        "name = 'a'\nprovider = 'stripe'\nsecrets = 'whsec_a'\nsecret_key = 'sk_live_m4rk'",
    ),
    (
        "not_of_this_provider",
        "source.api_url",
        4,
        "name = 'stripe'\nprovider = 'stripe'\napi_url = 'https://m4rk@x'",
    ),
    (
        "clerk_key_is_publishable",
        "source.secret_key",
        5,
        "name = 'a'\nprovider = 'clerk'\nsecrets = 'whsec_AAAA'\nsecret_key = 'pk_live_m4rk'",
    ),
    (
        "clerk_api_url_not_encrypted",
        "source.api_url",
        5,
        "name = 'a'\nprovider = 'clerk'\nsecrets = 'whsec_AAAA'\napi_url = 'http://m4rk.example'",
    ),
    (
        "invalid_clerk_secret_key",
        "source.secret_key",
        4,
        "name = 'clerk'\nprovider = 'clerk'\nsecret_key = 'm4rk'",
    ),
    (
        "unknown_setting",
        "source.colour",
        5,
        "name = 'a'\nprovider = 'stripe'\nsecrets = 'whsec_a'\ncolour = 'sk_live_m4rk'",
    ),
];

#[test]
fn each_problem_has_its_code_its_key_and_its_line() {
    for (code, key, line, entry) in WRONG {
        let file = SettingsFile::new(format!("[[source]]\n{entry}\n"));
        let report = load(&[file.named()]).expect_err(entry);
        let found = report.problems();
        assert_eq!(codes(found), [(*code, *key)], "{entry}");
        assert_eq!(found[0].origin, file.line(*line), "{entry}");
        assert!(!format!("{report}{report:?}").contains(MARK), "{report}");
    }
}

#[test]
fn misspelt_keys_come_with_the_one_that_was_meant() {
    for (key, meant) in [
        ("secret", "did you mean `secrets`?"),
        ("live_mode", "did you mean `livemode`?"),
        ("secretkey", "did you mean `secret_key`?"),
        ("nam", "did you mean `name`?"),
        ("HOOKMIRROR_LISTEN", "move it above"),
    ] {
        let file = SettingsFile::new(format!(
            "[[source]]\nname = 'a'\nprovider = 'stripe'\nsecrets = 'whsec_a'\n{key} = 'x'\n"
        ));
        let found = problems(&[file.named()]);
        assert_eq!(found[0].code, "unknown_setting");
        assert!(found[0].remedy.starts_with(meant), "{}", found[0]);
    }
}

#[test]
fn what_is_no_list_of_tables_is_told_how_to_become_one() {
    for (content, line) in [
        ("\n[source]\nname = 'a'\nsecrets = 'whsec_m4rk'\n", 2),
        ("source.name = 'a'\n", 1),
        ("source = 'm4rk'\n", 1),
        ("source = [\n  'whsec_m4rk',\n]\n", 2),
    ] {
        let file = SettingsFile::new(content);
        let report = load(&[file.named()]).expect_err(content);
        let found = report.problems();
        assert_eq!(codes(found), [("source_not_a_list", "source")], "{content}");
        assert_eq!(found[0].origin, file.line(line), "{content}");
        assert!(found[0].remedy.contains("`[[source]]`"));
        assert!(!format!("{report}{report:?}").contains(MARK), "{report}");
    }
}

#[test]
fn a_name_is_given_once_and_a_secret_to_one_source() {
    let file = SettingsFile::new(
        "[[source]]\n\
         name = 'shop'\n\
         provider = 'stripe'\n\
         secrets = ['whsec_m4rk1']\n\
         [[source]]\n\
         name = 'shop'\n\
         provider = 'stripe'\n\
         secrets = ['whsec_m4rk2', 'whsec_m4rk3']\n\
         [[source]]\n\
         name = 'third'\n\
         provider = 'stripe'\n\
         secrets = ['whsec_new', 'whsec_m4rk3']\n\
         [[source]]\n\
         name = 'stripe'\n\
         provider = 'stripe'\n\
         [[source]]\n\
         name = 'stripe'\n\
         provider = 'stripe'\n\
         [[source]]\n\
         name = 'fourth'\n\
         provider = 'stripe'\n\
         secrets = 'whsec_m4rk0'\n",
    );
    let report = load(&[file.named(), ("STRIPE_WEBHOOK_SECRET", "whsec_m4rk0")])
        .expect_err("names and secrets twice");
    let found: Vec<_> = report
        .problems()
        .iter()
        .map(|problem| (problem.code, problem.origin.clone()))
        .collect();
    assert_eq!(
        found,
        [
            ("duplicate_source_name", file.line(6)),
            ("duplicate_source_name", file.line(17)),
            ("shared_signing_secret", file.line(12)),
            ("shared_signing_secret", file.line(22)),
        ]
    );
    let said = report.to_string();
    assert!(
        said.contains("source `stripe` has as well (from the environment)"),
        "{said}"
    );
    assert!(!format!("{said}{report:?}").contains(MARK), "{said}");
}

#[test]
fn all_that_is_wrong_with_all_entries_is_told_at_once() {
    let file = SettingsFile::new(
        "HOOKMIRROR_LISTN = 'x'\n\
         [[source]]\n\
         nmae = 'a'\n\
         secrets = [1]\n\
         [[source]]\n\
         provider = 'clerk'\n\
         name = 'A'\n\
         secrets = ['x', 'whsec_']\n\
         secret_key = 'pk_live_a'\n\
         api_url = 'ftp://x'\n\
         livemode = false\n",
    );
    let found = problems(&[file.named(), ("CLERK_SECRET_KEY", "x")]);
    assert_eq!(
        codes(&found),
        [
            ("unknown_setting", "HOOKMIRROR_LISTN"),
            ("unknown_setting", "source.nmae"),
            ("wrong_type", "source.secrets"),
            ("missing_key", "source.name"),
            ("missing_key", "source.provider"),
            ("invalid_source_name", "source.name"),
            ("not_of_this_provider", "source.livemode"),
            ("invalid_signing_secret", "source.secrets"),
            ("invalid_signing_secret", "source.secrets"),
            ("invalid_clerk_secret_key", "CLERK_SECRET_KEY"),
            ("clerk_key_is_publishable", "source.secret_key"),
            ("invalid_clerk_api_url", "source.api_url"),
        ]
    );
    assert_eq!(
        found[7].what,
        "holds 2 secrets, of which number 1 does not begin with `whsec_`"
    );
}

#[test]
fn nothing_of_an_accepted_source_prints_its_secrets() {
    let file = SettingsFile::new(
        "[[source]]\n\
         name = 'a'\n\
         provider = 'clerk'\n\
         secrets = ['whsec_m4rk']\n\
         secret_key = 'sk_live_m4rk'\n",
    );
    let config = loaded(&[file.named()]);
    assert_eq!(secrets(source(&config, "a")), ["whsec_m4rk"]);
    assert!(!format!("{config:?}").contains(MARK));
}
