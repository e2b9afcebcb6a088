//! What can be wrong with the sources that the file lists, and that no message quotes a secret.

use super::{SettingsFile, codes, load, problems};

const MARK: &str = "m4rk";

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
