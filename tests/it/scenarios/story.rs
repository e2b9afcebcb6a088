//! Stories as they stand in the file.

use hookmirror::model::entitlement::Entitlement;

/// One history in words.
pub(super) struct Story {
    pub(super) heading: &'static str,
    pub(super) name: &'static str,
    /// Whether a late renewal ends access.
    pub(super) is_strict: bool,
    pub(super) steps: Vec<&'static str>,
    /// Who, and what; ann first.
    pub(super) verdicts: Vec<(&'static str, Verdict)>,
}

/// `yes, paid, complete, checkout_paid`, or `nothing`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict(String);

impl Verdict {
    pub(super) fn of(entitlement: Option<&Entitlement>) -> Self {
        let Some(known) = entitlement else {
            return Self("nothing".to_owned());
        };
        let paid = if known.paid { "yes" } else { "no" };
        let rule = known.rule.map_or("no rule", |rule| rule.as_str());
        Self(format!(
            "{paid}, {}, {}, {rule}",
            known.payment, known.status
        ))
    }

    /// Its parts: paid, payment, status, rule.
    pub(super) fn parts(&self) -> [&str; 4] {
        let mut parts = self.0.split(", ");
        [(); 4].map(|()| parts.next().unwrap_or("-"))
    }
}

/// Reads the whole file.
pub(super) fn read(text: &'static str) -> Vec<Story> {
    let mut stories: Vec<Story> = Vec::new();
    let mut heading = "";
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(verdict) = line.strip_prefix("=> ") {
            let (user, verdict) = verdict.split_once(": ").unwrap_or(("ann", verdict));
            let verdict = (user, Verdict(verdict.to_owned()));
            stories.last_mut().unwrap().verdicts.push(verdict);
        } else if let Some(words) = line.strip_prefix("= ") {
            heading = words;
        } else if let Some(name) = line.strip_prefix("# ") {
            stories.push(Story {
                heading,
                name,
                is_strict: false,
                steps: Vec::new(),
                verdicts: Vec::new(),
            });
        } else {
            let story = stories.last_mut().unwrap();
            assert!(
                story.verdicts.is_empty(),
                "{}: a verdict too early",
                story.name
            );
            if line == "(a late renewal ends access)" {
                story.is_strict = true;
            } else {
                story.steps.push(line);
            }
        }
    }
    for story in &stories {
        let first = story.verdicts.first().map(|(user, _)| *user);
        assert_eq!(first, Some("ann"), "{}: no verdict on ann", story.name);
    }
    stories
}
