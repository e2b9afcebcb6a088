//! What may be done in few places only: say that something is durable, look at a secret, read the environment.

use std::fs;
use std::path::Path;

use super::{sources, words_after};

#[test]
fn only_the_queue_says_that_an_event_is_durable() {
    for source in sources() {
        assert!(
            source.path.starts_with("queue/") || !source.code.contains("by_stable_storage"),
            "src/{} makes the proof that only an engine of the queue may make",
            source.path
        );
    }
}

#[test]
fn unsafe_code_is_forbidden() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let manifest: toml::Table = fs::read_to_string(manifest).unwrap().parse().unwrap();
    let forbidden = manifest["lints"]["rust"]["unsafe_code"].as_str();
    assert_eq!(forbidden, Some("forbid"), "`deny` could be allowed again");
}

/// What is derived from a secret is compared in constant time, or by a digest of it: in these places,
/// and in no other. Whoever needs a secret's text elsewhere has to be put on this list.
#[test]
fn secrets_are_looked_at_in_few_places() {
    const MAY_EXPOSE: [&str; 7] = [
        "admin/access.rs",
        "clerk_api/http.rs",
        "cli/",
        "config/",
        "provider/mod.rs",
        "queue/rabbitmq/wire.rs",
        "sender/post.rs",
    ];
    for source in sources() {
        assert!(
            !source.code.contains("expose_secret")
                || MAY_EXPOSE
                    .iter()
                    .any(|place| source.path.starts_with(place)),
            "src/{} looks at a secret",
            source.path
        );
        let compares = ["verify_slice", "verify_ignoring_timestamp"];
        let compares = compares.iter().any(|word| source.code.contains(word));
        assert!(
            !compares || source.path.starts_with("provider/"),
            "src/{} checks a signature",
            source.path
        );
    }
    let of = |path: &str| {
        let mut all = sources().into_iter();
        all.find(|source| source.path == path).unwrap().code
    };
    assert!(of("provider/stripe/signature.rs").contains("verify_slice"));
    assert!(of("provider/clerk/signature.rs").contains("verify_ignoring_timestamp"));
    assert!(of("admin/access.rs").contains("Sha256::digest(given) == expected"));
}

#[test]
fn only_config_reads_the_environment() {
    for source in sources() {
        let reads = words_after(&source.code, "env::")
            .into_iter()
            .any(|word| word.starts_with("var"))
            || words_after(&source.code, "std::env::")
                .into_iter()
                .any(|word| word.starts_with("var"));
        assert!(
            !reads || source.path.starts_with("config/"),
            "src/{} reads the environment",
            source.path
        );
    }
}
