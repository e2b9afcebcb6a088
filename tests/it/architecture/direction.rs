//! Who may name whom.

use std::collections::{BTreeMap, BTreeSet};

use super::{names_library, sources, words_after};

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
