//! What makes a member paid: histories in words, each with its verdict.
//!
//! The histories are in `stories.txt`; who knows payments can read and write them without knowing
//! Rust. A line that begins with `=` is a heading, with `#` the name of a story, with `=>` the verdict
//! on ann (or on `bob:`): paid or not, where the money stands, how far the checkout has come, the
//! rule; or `nothing`. The lines between are what Stripe tells, a day apart unless they say otherwise
//! (`sentence`). Each story is played to the real store in its order, backwards, and with everything
//! told twice; a person's deeds come when they can.
//!
//! `cargo test --quiet --test it scenarios::on_sqlite -- --nocapture` prints the table, and
//! `fixtures/scenarios.md` is the same; `UPDATE_GOLDEN=1` writes it.

use std::collections::BTreeSet;

use hookmirror::model::entitlement::{Entitlement, Rule};
use hookmirror::model::payment::Attribution;
use hookmirror::store::Store;

use self::sentence::{Deed, Teller};
use self::story::{Story, Verdict};
use crate::support::database::{self, Database};
use crate::support::given::{asked, at, for_real, tell, user_id};
use crate::support::golden;

mod sentence;
mod story;
mod table;

const PAGE: &str = "fixtures/scenarios.md";
const STORIES: &str = include_str!("stories.txt");

/// How a story is told.
#[derive(Clone, Copy, Debug)]
enum Telling {
    InOrder,
    Backwards,
    Twice,
}

const TELLINGS: [Telling; 3] = [Telling::InOrder, Telling::Backwards, Telling::Twice];

#[tokio::test]
async fn on_sqlite() {
    let stories = story::read(STORIES);
    let why = play_all(&database::sqlite().await, &stories).await;
    println!("{}", table::for_terminals(&stories, &why));
    golden::compare(PAGE, &table::markdown(&stories, &why));
}

#[tokio::test]
async fn on_postgres() {
    let stories = story::read(STORIES);
    let why = play_all(&database::postgres().await, &stories).await;
    golden::compare(PAGE, &table::markdown(&stories, &why));
}

#[test]
fn every_rule_has_a_story() {
    let stories = story::read(STORIES);
    let names: BTreeSet<&str> = stories.iter().map(|story| story.name).collect();
    assert_eq!(names.len(), stories.len(), "every name once");
    let told: BTreeSet<&str> = stories
        .iter()
        .flat_map(|story| &story.verdicts)
        .map(|(_, verdict)| verdict.parts()[3])
        .filter(|rule| *rule != "-")
        .collect();
    let rules: BTreeSet<&str> = Rule::ALL.iter().map(|rule| rule.as_str()).collect();
    assert_eq!(told, rules);
}

/// Plays all stories to one database, so that they show to have nothing to do with each other. Answers
/// why, for each: the sentence about ann.
async fn play_all(database: &Database, stories: &[Story]) -> Vec<String> {
    let usual = &*database.store;
    let strict = database.strict().await;
    let mut sentences = Vec::new();
    for (number, story) in stories.iter().enumerate() {
        let mut told = Vec::new();
        for telling in TELLINGS {
            // Every telling has ids of its own.
            let tag = format!("~{number}{}", telling as u8);
            let store = if story.is_strict { &*strict } else { usual };
            play(store, story, telling, &tag).await;
            for (user, wanted) in &story.verdicts {
                let seen = entitlement(usual, user, &tag).await;
                let verdict = Verdict::of(seen.as_ref());
                assert_eq!(verdict, *wanted, "{}, {telling:?}, {user}", story.name);
            }
            let why = entitlement(usual, "ann", &tag).await;
            told.push(why.map_or_else(String::new, |why| why.reason.replace(&tag, "")));
        }
        assert_eq!(
            told,
            vec![told[0].clone(); TELLINGS.len()],
            "{}",
            story.name
        );
        sentences.push(told.swap_remove(0));
    }
    sentences
}

async fn entitlement(store: &dyn Store, user: &str, tag: &str) -> Option<Entitlement> {
    let user = user_id(&format!("user_{user}{tag}"));
    let report = store.find_user(&user).await.unwrap();
    report.and_then(|report| report.entitlement)
}

async fn play(store: &dyn Store, story: &Story, telling: Telling, tag: &str) {
    let deeds = Teller::new(tag).tell_all(&story.steps);
    let mut deeds: Vec<(usize, Deed)> = deeds.into_iter().enumerate().collect();
    match telling {
        Telling::InOrder => {}
        Telling::Backwards => deeds.reverse(),
        Telling::Twice => deeds.extend(deeds.clone()),
    }
    let mut put_off = Vec::new();
    for (step, deed) in deeds {
        match deed {
            Deed::Told(fact) => {
                let event = tell(&format!("evt_{step}{tag}"), fact);
                store.apply(&[event], at(0)).await.unwrap();
            }
            Deed::Given { what, user } => {
                if !give(store, &what, &user).await {
                    put_off.push((what, user));
                }
            }
        }
    }
    for (what, user) in put_off {
        assert!(give(store, &what, &user).await, "{what} never came");
    }
}

/// Whether there was anything to give.
async fn give(store: &dyn Store, what: &str, user: &str) -> bool {
    let Some(ownership) = store.find_ownership(what).await.unwrap() else {
        return false;
    };
    let from = ownership.owner.as_ref();
    let given = store
        .attribute(what, &user_id(user), from, &asked(for_real()), at(0))
        .await;
    assert_eq!(given.unwrap().attribution, Attribution::Done);
    true
}
