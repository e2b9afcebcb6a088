//! Sources: those that are always there, and those that the file lists.

use hookmirror::config::{Config, Origin, SourceSettings};
use hookmirror::model::source::{Provider, SourceName};
use secrecy::ExposeSecret;

use super::{CLERK_SECRET, SettingsFile, codes, loaded, problems};

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

#[test]
fn an_instance_is_in_use_that_pushes_or_can_be_written_to() {
    let names = |config: &Config| {
        let instances = config.clerk_instances();
        let names = instances.iter().map(|(name, _)| name.to_string());
        names.collect::<Vec<_>>()
    };
    let eu = SourceName::parse("clerk-eu").unwrap();
    let key = ("CLERK_SECRET_KEY", "sk_test_a");
    let config = loaded(&[]);
    assert_eq!(names(&config), [""; 0]);
    assert!(!config.has_clerk_key(None));
    let config = loaded(&[key]);
    assert_eq!(names(&config), ["clerk"]);
    assert!(config.has_clerk_key(Some(&eu)), "there is no other");

    let file = SettingsFile::new(
        "[[source]]\nname = 'clerk-eu'\nprovider = 'clerk'\nsecrets = 'whsec_AAAA'\n",
    );
    let config = loaded(&[file.named()]);
    assert_eq!(
        names(&config),
        ["clerk-eu"],
        "the one of `clerk` is not used"
    );
    let config = loaded(&[file.named(), key]);
    assert_eq!(names(&config), ["clerk", "clerk-eu"]);
    assert!(config.has_clerk_key(None));
    assert!(config.has_clerk_key(Some(&Provider::Clerk.into())));
    assert!(!config.has_clerk_key(Some(&eu)));
}
