//! What a request says: parameters and bodies, bounded, with every problem told at once.

use std::ops::RangeInclusive;

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use super::problem::Problem;

/// Bodies are lists of names at most.
const LARGEST_BODY: usize = 64 * 1024;
/// Rows of a listing, unless the request says otherwise.
pub(super) const DEFAULT_LIMIT: u32 = 50;
/// Rows of a listing at most: there are pages.
const LARGEST_LIMIT: u32 = 1000;

/// The parameters of a query, each to be taken once.
#[derive(Debug)]
pub(super) struct Parameters {
    pairs: Vec<(String, String)>,
    problems: Vec<String>,
}

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self {
            pairs: form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
            problems: Vec::new(),
        })
    }
}

impl Parameters {
    /// Those that are there.
    pub(super) fn of<const N: usize>(values: [(&str, Option<String>); N]) -> Self {
        let given = values.into_iter();
        let given = given.filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Self {
            pairs: given.collect(),
            problems: Vec::new(),
        }
    }

    /// And these.
    pub(super) fn add(&mut self, name: &str, values: Vec<String>) {
        let values = values.into_iter().map(|value| (name.to_owned(), value));
        self.pairs.extend(values);
    }

    /// All values under this name.
    pub(super) fn many(&mut self, name: &str) -> Vec<String> {
        let taken = self.pairs.extract_if(.., |(known, _)| known == name);
        taken.map(|(_, value)| value).collect()
    }

    /// The only value under this name.
    pub(super) fn one(&mut self, name: &str) -> Option<String> {
        let mut values = self.many(name);
        if values.len() > 1 {
            self.problems
                .push(format!("{name} is given more than once"));
        }
        values.pop()
    }

    /// The only value under this name, understood.
    pub(super) fn parsed<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.one(name)?;
        match parse(&value) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.problems.push(format!("{name}: {problem}"));
                None
            }
        }
    }

    /// All values under this name, understood.
    pub(super) fn all_parsed<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let mut parsed = Vec::new();
        for value in self.many(name) {
            match parse(&value) {
                Ok(value) => parsed.push(value),
                Err(problem) => self.problems.push(format!("{name}: {problem}")),
            }
        }
        parsed
    }

    /// A number within bounds.
    pub(super) fn number(&mut self, name: &str, bounds: RangeInclusive<u32>) -> Option<u32> {
        self.parsed(name, |text| {
            let number = text.parse().ok().filter(|number| bounds.contains(number));
            number.ok_or_else(|| {
                let (least, most) = (bounds.start(), bounds.end());
                format!("write a number from {least} to {most}")
            })
        })
    }

    /// How many rows are wanted.
    pub(super) fn limit(&mut self) -> u32 {
        let limit = self.number("limit", 1..=LARGEST_LIMIT);
        limit.unwrap_or(DEFAULT_LIMIT)
    }

    /// `true`, `false`, or nothing, which is `false`.
    pub(super) fn flag(&mut self, name: &str) -> bool {
        let value = self.parsed(name, |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("write true or false".to_owned()),
        });
        value.unwrap_or_default()
    }

    /// Nothing else was said, and all that was said was understood.
    pub(super) fn finish(mut self) -> Result<(), Problem> {
        let unknown = self.pairs.iter();
        let unknown = unknown.map(|(name, _)| format!("{name:?} is no parameter of this path"));
        self.problems.extend(unknown);
        match self.problems.is_empty() {
            true => Ok(()),
            false => Err(Problem::Invalid(self.problems)),
        }
    }
}

/// A JSON body.
///
/// It has to be declared as JSON: a web page that someone on this machine looks at can send other types
/// here without asking, but not this one.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let declared = request.headers().get(CONTENT_TYPE);
        let is_json = declared
            .and_then(|kind| kind.to_str().ok())
            .is_some_and(|kind| {
                let kind = kind.split(';').next().unwrap_or_default();
                kind.trim().eq_ignore_ascii_case("application/json")
            });
        if !is_json {
            return Err(Problem::NotJson);
        }
        let body = to_bytes(request.into_body(), LARGEST_BODY).await;
        let body = body.map_err(|_| Problem::TooLarge)?;
        let value = serde_json::from_slice(&body);
        value
            .map(Self)
            .map_err(|error| Problem::invalid(format!("the body: {error}")))
    }
}

/// A list of a body, understood; or every problem in it.
pub(super) fn all_understood<T>(
    name: &str,
    values: &[String],
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, Problem> {
    let mut problems = Vec::new();
    let mut understood = Vec::with_capacity(values.len());
    for value in values {
        match parse(value) {
            Ok(value) => understood.push(value),
            Err(problem) => problems.push(format!("{name}: {value:?}: {problem}")),
        }
    }
    match problems.is_empty() {
        true => Ok(understood),
        false => Err(Problem::Invalid(problems)),
    }
}
