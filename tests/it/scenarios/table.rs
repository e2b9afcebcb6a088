//! The stories with their verdicts, for people.

use comfy_table::{ContentArrangement, Table, presets};

use super::story::Story;

const WIDTH: u16 = 160;

/// What happens, a step a line.
fn steps(story: &Story, between: &str) -> String {
    let policy = story.is_strict.then_some("(a late renewal ends access)");
    let steps: Vec<&str> = policy
        .into_iter()
        .chain(story.steps.iter().copied())
        .collect();
    steps.join(between)
}

/// As `yes, paid, complete`, and the sentence, with the rule before it.
fn cells(story: &Story, why: &str) -> [String; 3] {
    let [paid, payment, status, rule] = story.verdicts[0].1.parts();
    if paid == "nothing" {
        let whose = story.verdicts.get(1).map_or("", |_| "it is bob's: ");
        return [
            "no".to_owned(),
            "-".to_owned(),
            format!("{whose}there is nothing of ann's"),
        ];
    }
    let state = format!("{payment} / {status}");
    [paid.to_owned(), state, format!("{rule}: {why}")]
}

/// One table for each heading.
pub(super) fn for_terminals(stories: &[Story], why: &[String]) -> String {
    let mut text = String::new();
    for (heading, stories) in sections(stories, why) {
        let mut table = Table::new();
        table
            .load_style(presets::UTF8_FULL)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(WIDTH)
            .set_header(["story", "what happens", "paid", "payment / status", "why"]);
        for (story, why) in stories {
            let [paid, state, why] = cells(story, why);
            table.add_row([story.name.to_owned(), steps(story, "\n"), paid, state, why]);
        }
        text.push_str(&format!("\n{heading}\n{table}\n"));
    }
    text
}

/// The page that is kept.
pub(super) fn markdown(stories: &[Story], why: &[String]) -> String {
    let mut text = format!(
        "# What makes a member paid\n\n\
         {} histories and what they come to. Each is played to both databases in its order, backwards, \
         and with\neverything told twice. The steps are a day apart, unless they say otherwise; `late` \
         is what was said before the step\nabove it and arrives after it. All of it is about ann; \
         `payment / status` is what Clerk is told.\n\n\
         Written by `UPDATE_GOLDEN=1 cargo test --test it scenarios::on_sqlite` from \
         `tests/it/scenarios/stories.txt`.\n",
        stories.len()
    );
    for (heading, stories) in sections(stories, why) {
        text.push_str(&format!(
            "\n## {heading}\n\n| story | what happens | paid | payment / status | why |\n\
             | --- | --- | --- | --- | --- |\n"
        ));
        for (story, why) in stories {
            let [paid, state, why] = cells(story, why);
            let steps = steps(story, "<br>");
            let name = story.name;
            text.push_str(&format!(
                "| {name} | {steps} | {paid} | {state} | {why} |\n"
            ));
        }
    }
    text
}

type Section<'a> = (&'static str, Vec<(&'a Story, &'a str)>);

fn sections<'a>(stories: &'a [Story], why: &'a [String]) -> Vec<Section<'a>> {
    let mut sections: Vec<Section<'a>> = Vec::new();
    for (story, why) in stories.iter().zip(why) {
        match sections.last_mut() {
            Some((heading, stories)) if *heading == story.heading => stories.push((story, why)),
            _ => sections.push((story.heading, vec![(story, why)])),
        }
    }
    sections
}
