//! What a query asks for: as much of PromQL as the files of `deploy/` use.

use std::collections::BTreeSet;

/// One selector: a metric of ours and what its labels must be.
#[derive(Debug)]
pub(super) struct Selector {
    pub(super) metric: String,
    /// The label, and the values that are named for it.
    pub(super) labels: Vec<(String, Vec<String>)>,
}

const PREFIX: &str = "hookmirror_";

/// All selectors of a query, or of any other text.
pub(super) fn selectors(text: &str) -> Vec<Selector> {
    let mut found = Vec::new();
    for (start, _) in text.match_indices(PREFIX) {
        if text[..start].ends_with(is_word) {
            continue;
        }
        let name = text[start..].split(|c| !is_word(c)).next().unwrap();
        let rest = &text[start + name.len()..];
        let matchers = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        found.push(Selector {
            metric: name.to_owned(),
            labels: matchers
                .map(|(inside, _)| labels(inside))
                .unwrap_or_default(),
        });
    }
    found
}

fn labels(matchers: &str) -> Vec<(String, Vec<String>)> {
    let matchers = matchers.split(',').filter(|matcher| !matcher.is_empty());
    let label = |matcher: &str| {
        let (name, value) = matcher.split_once(['=', '!']).unwrap_or((matcher, ""));
        let value = value.trim_start_matches(['=', '~']).trim_matches('"');
        // A variable of Grafana's is any value.
        let values = value.split('|');
        let values = values.filter(|value| !value.is_empty() && !value.starts_with('$'));
        (name.to_owned(), values.map(str::to_owned).collect())
    };
    matchers.map(label).collect()
}

/// The labels by which a query groups or matches.
pub(super) fn grouping(query: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for word in [" by (", " on ("] {
        for (start, _) in query.match_indices(word) {
            let (inside, _) = query[start + word.len()..].split_once(')').unwrap();
            let labels = inside.split(',').map(str::trim);
            found.extend(labels.filter(|label| !label.is_empty()).map(str::to_owned));
        }
    }
    found
}

/// The labels that a text fills in: `{{ $labels.NAME }}` of Prometheus, `{{NAME}}` of Grafana.
pub(super) fn filled_in(text: &str) -> BTreeSet<String> {
    let alerts = text.split("$labels.").skip(1);
    let legends = text.split("{{").skip(1);
    let names = alerts.chain(legends);
    let names = names.map(|rest| rest.split(|c| !is_word(c)).next().unwrap());
    let names = names.filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}
