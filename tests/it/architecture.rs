//! Who may name whom: the direction that `src/lib.rs` promises, read from the source.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each top-level module, and the modules of ours that it may name. What is missing here may name
/// nothing; a module that is not listed fails the test.
const MAY_NAME: &[(&str, &[&str])] = &[
    (
        "admin",
        &[
            "clock",
            "error_chain",
            "metrics",
            "model",
            "ops",
            "outbox",
            "store",
        ],
    ),
    ("backoff", &[]),
    ("clerk_api", &["http_client", "model"]),
    (
        "cli",
        &[
            "admin",
            "backoff",
            "clerk_api",
            "clock",
            "config",
            "error_chain",
            "ingress",
            "metrics",
            "model",
            "ops",
            "outbox",
            "provider",
            "queue",
            "retention",
            "scheduler",
            "sender",
            "shutdown",
            "store",
            "telemetry",
            "traces",
            "worker",
        ],
    ),
    ("clock", &["model"]),
    ("config", &["model", "provider"]),
    ("error_chain", &[]),
    ("handlers", &["error_chain", "model", "provider"]),
    ("http_client", &[]),
    (
        "ingress",
        &[
            "clock",
            "error_chain",
            "metrics",
            "model",
            "provider",
            "queue",
            "traces",
        ],
    ),
    ("metrics", &["model"]),
    ("model", &[]),
    ("ops", &["error_chain", "model", "store"]),
    (
        "outbox",
        &[
            "backoff",
            "clerk_api",
            "clock",
            "error_chain",
            "model",
            "store",
            "traces",
        ],
    ),
    ("provider", &["model"]),
    ("queue", &["backoff", "clock", "error_chain", "model"]),
    (
        "retention",
        &["backoff", "clock", "error_chain", "model", "store"],
    ),
    (
        "scheduler",
        &["backoff", "clock", "error_chain", "model", "queue", "store"],
    ),
    (
        "sender",
        &["clock", "error_chain", "http_client", "model", "provider"],
    ),
    ("shutdown", &[]),
    ("store", &["model"]),
    ("telemetry", &["config"]),
    (
        "traces",
        &["backoff", "error_chain", "http_client", "model"],
    ),
    (
        "worker",
        &[
            "backoff",
            "clock",
            "error_chain",
            "handlers",
            "metrics",
            "model",
            "queue",
            "store",
            "traces",
        ],
    ),
];

/// Libraries that only some places may name: by path prefix below `src/`.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("sqlx", &["store/", "queue/embedded/"]),
    ("lapin", &["queue/rabbitmq/", "telemetry.rs"]),
    (
        "axum",
        &["admin/", "ingress/", "cli/demo/stand_in_clerk.rs"],
    ),
    ("hyper", &["ingress/"]),
    ("hyper_util", &["ingress/"]),
    (
        "reqwest",
        &[
            "clerk_api/http.rs",
            "http_client.rs",
            "sender/",
            "traces/otlp.rs",
        ],
    ),
    ("prometheus_client", &["admin/page.rs", "metrics/"]),
    ("opentelemetry_proto", &["traces/otlp.rs"]),
    ("prost", &["traces/otlp.rs"]),
    ("utoipa_axum", &["admin/api/"]),
    ("utoipa", &["admin/api/", "model/", "ops/"]),
    ("svix", &["provider/clerk/"]),
    ("hmac", &["provider/stripe/"]),
    ("clap", &["cli/"]),
    ("clap_complete", &["cli/"]),
    ("clap_mangen", &["cli/"]),
    ("comfy_table", &["cli/"]),
    ("console", &["cli/"]),
    ("indicatif", &["cli/"]),
    ("anyhow", &["cli/"]),
    ("tempfile", &["cli/demo/", "config/"]),
    ("rlimit", &["cli/"]),
    ("toml", &["config/"]),
    ("strsim", &["config/"]),
    ("tracing_subscriber", &["telemetry.rs", "config/logging.rs"]),
    (
        "chrono",
        &["model/time.rs", "http_client.rs", "store/postgres/"],
    ),
    ("backon", &["backoff.rs", "sender/"]),
];

/// What is pure stays so: none of these in there.
const PURE: &[&str] = &["model/", "provider/", "handlers/"];
const IMPURE_LIBRARIES: &[&str] = &["tokio", "lapin", "sqlx", "axum", "reqwest", "tracing"];

struct Source {
    /// Below `src/`.
    path: String,
    /// Without comments.
    code: String,
    lines: usize,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let code = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect::<Vec<_>>()
                .join("\n");
            sources.push(Source {
                path: path
                    .strip_prefix(&root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned(),
                code,
                lines: text.lines().count(),
            });
        }
    }
    assert!(sources.len() > 40, "the source was not found");
    sources
}

/// The words that follow `prefix` wherever it is not part of a longer word.
fn words_after<'a>(code: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    code.match_indices(prefix)
        .filter(|(at, _)| {
            let before = code[..*at].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
        })
        .flat_map(|(at, _)| {
            let rest = &code[at + prefix.len()..];
            let end = rest
                .find(|c: char| !(c.is_alphanumeric() || c == '_'))
                .unwrap_or(rest.len());
            let group = rest
                .strip_prefix('{')
                .map_or("", |rest| rest.split('}').next().unwrap());
            std::iter::once(&rest[..end]).chain(
                group
                    .split(',')
                    .map(|item| item.trim().split(':').next().unwrap()),
            )
        })
        .filter(|word| !word.is_empty())
        .collect()
}

fn names_library(code: &str, library: &str) -> bool {
    !words_after(code, &format!("{library}::")).is_empty()
        || code.contains(&format!("use {library};"))
        || !words_after(code, &format!("{library}::*")).is_empty()
}

#[test]
fn modules_name_only_what_is_below_them() {
    let may_name: BTreeMap<&str, &[&str]> = MAY_NAME.iter().copied().collect();
    let mut seen = BTreeSet::new();
    for source in sources() {
        let module = source
            .path
            .split('/')
            .next()
            .unwrap()
            .trim_end_matches(".rs");
        if module == "lib" || module == "main" {
            continue;
        }
        let allowed = may_name
            .get(module)
            .unwrap_or_else(|| panic!("`{module}` is in no direction: list it in this test"));
        for named in words_after(&source.code, "crate::") {
            assert!(
                named == module || allowed.contains(&named),
                "src/{} names crate::{named}, which `{module}` must not",
                source.path
            );
            if named != module {
                seen.insert((module.to_owned(), named.to_owned()));
            }
        }
    }
    for (module, allowed) in may_name {
        for named in allowed {
            assert!(
                seen.contains(&(module.to_owned(), (*named).to_owned())),
                "`{module}` no longer names `{named}`: take it off the list"
            );
        }
    }
}

#[test]
fn the_direction_has_no_circles() {
    let may_name: BTreeMap<&str, &[&str]> = MAY_NAME.iter().copied().collect();
    fn below<'a>(
        module: &'a str,
        may_name: &BTreeMap<&'a str, &'a [&'a str]>,
        path: &mut Vec<&'a str>,
    ) {
        assert!(!path.contains(&module), "a circle: {path:?} {module}");
        path.push(module);
        for named in may_name.get(module).copied().unwrap_or_default() {
            below(named, may_name, path);
        }
        path.pop();
    }
    for module in may_name.keys() {
        below(module, &may_name, &mut Vec::new());
    }
}

#[test]
fn libraries_stay_where_they_belong() {
    for source in sources() {
        for (library, places) in ONLY_IN {
            let allowed = places.iter().any(|place| source.path.starts_with(place));
            assert!(
                allowed || !names_library(&source.code, library),
                "src/{} names {library}, which belongs to {places:?}",
                source.path
            );
        }
        if PURE.iter().any(|place| source.path.starts_with(place)) {
            for library in IMPURE_LIBRARIES {
                assert!(
                    !names_library(&source.code, library),
                    "src/{} names {library}, but is pure",
                    source.path
                );
            }
        }
    }
}

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

#[test]
fn every_file_reads_in_one_sitting_and_is_named_for_what_it_does() {
    const VAGUE: [&str; 5] = ["util", "common", "helper", "manager", "misc"];
    for source in sources() {
        assert!(
            source.lines <= 450,
            "src/{} has {} lines: what else does it do?",
            source.path,
            source.lines
        );
        let vague = VAGUE.iter().find(|word| source.path.contains(*word));
        assert_eq!(vague, None, "src/{} is named for nothing", source.path);
    }
}
