//! Many events of few files.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::Delivery;
use super::rewrite::{self, Text};
use super::template::{Outline, Template};
use crate::model::event::EventId;
use crate::model::source::Provider;

/// Makes `count` events of the templates (each one once, if no count is given). Event `i` is made
/// of template `i % k` in generation `i / k`.
///
/// Generation 0 is the files, byte for byte. Every further generation tells the same story of other
/// people: each id of a person, an event or a payment object and each e-mail address is replaced,
/// everywhere and in all files of the generation in the same way, and nothing else is touched. So
/// files that share a user still do.
///
/// Clerk's bodies carry no event id; it is derived from seed, generation and the bytes of the file.
/// Two files with the same bytes are the same event.
pub fn generate(templates: &[Template], count: Option<usize>, seed: u64) -> Vec<Delivery> {
    let count = count.unwrap_or(templates.len());
    let names: BTreeSet<String> = templates
        .iter()
        .flat_map(|template| rewrite::named_ids(&template.body))
        .collect();
    let texts: Vec<Text> = templates
        .iter()
        .map(|template| Text::new(template.body.clone(), &names))
        .collect();
    (0_u64..)
        .flat_map(|generation| {
            templates
                .iter()
                .zip(&texts)
                .map(move |(template, text)| delivery(template, text, seed, generation))
        })
        // An endless iterator over no templates would never come to its first element.
        .take(if templates.is_empty() { 0 } else { count })
        .collect()
}

fn delivery(template: &Template, text: &Text, seed: u64, generation: u64) -> Delivery {
    let body = match generation {
        0 => template.body.clone(),
        _ => Bytes::from(text.in_generation(seed, generation)),
    };
    let outline = Outline::of(&body);
    let id = match template.source.provider {
        Provider::Clerk => {
            let letters = rewrite::letters(seed, generation, &template.body);
            EventId::parse(&format!("msg_{letters}"))
        }
        Provider::Stripe => outline.id(),
    };
    Delivery {
        source: template.source.clone(),
        // The same id that a receiver gives to a body without one.
        id: id.unwrap_or_else(|| EventId::of_body(&body)),
        event_type: outline.event_type(),
        body,
    }
}
