//! The mirror of users.

use hookmirror::model::changes::{Outcome, Planned};
use hookmirror::model::ledger::MirroredUser;
use hookmirror::model::source::SourceName;
use hookmirror::model::user::User;
use hookmirror::store::Store;

use super::{apply, outcomes, permutations, report};
use crate::support::given::{at, delete, mirror, user, user_id};

async fn mirrored(store: &dyn Store, id: &str) -> MirroredUser {
    report(store, id).await.user.unwrap()
}

pub(super) async fn the_newest_revision_wins_in_any_order_and_any_split(store: &dyn Store) {
    let mut number = 0;
    for order in permutations(&[1, 2, 3, 4]) {
        for split in 0..=order.len() {
            number += 1;
            let id = format!("user_{number}");
            let batch: Vec<Planned> = order
                .iter()
                .map(|time| {
                    let state = user(&id, *time, &format!("name at {time}"));
                    mirror(&format!("msg_{number}_{time}"), state)
                })
                .collect();
            apply(store, 0, &batch[..split]).await;
            apply(store, 1, &batch[split..]).await;

            let found = mirrored(store, &id).await;
            let newest = user(&id, 4, "name at 4");
            assert_eq!(found.first_name, newest.first_name, "{order:?} at {split}");
            assert_eq!(found.revision, newest.revision.as_str());
            assert_eq!(found.updated_at, at(4));
        }
    }
}

pub(super) async fn an_equal_revision_writes_nothing(store: &dyn Store) {
    apply(store, 10, &[mirror("msg_1", user("user_a", 1, "Ann"))]).await;
    let again = [mirror("msg_2", user("user_a", 1, "Ann"))];
    assert_eq!(outcomes(store, 20, &again).await, [Outcome::UserUnchanged]);
    let older = [mirror("msg_3", user("user_a", 0, "Anna"))];
    assert_eq!(outcomes(store, 30, &older).await, [Outcome::UserStale]);

    let found = mirrored(store, "user_a").await;
    assert_eq!(found.synced_at, at(10));
    assert_eq!(found.first_name.as_deref(), Some("Ann"));
}

pub(super) async fn a_tombstone_is_final(store: &dyn Store) {
    let before = mirror("msg_1", user("user_a", 1, "Ann"));
    let gone = delete("msg_2", "user_a", 5);
    let after = mirror("msg_3", user("user_a", 9, "Anna"));
    for (number, order) in permutations(&[before, gone, after]).into_iter().enumerate() {
        for split in 0..=order.len() {
            let id = format!("user_{number}_{split}");
            let order: Vec<Planned> = order
                .iter()
                .map(|planned| for_user(&id, planned.clone()))
                .collect();
            apply(store, 0, &order[..split]).await;
            apply(store, 1, &order[split..]).await;

            let found = report(store, &id).await;
            assert_eq!(found.user, None, "{order:?} split at {split}");
            assert_eq!(found.deleted_at, Some(at(5)));
        }
    }
    let dead = "user_0_0";
    let late = [mirror("msg_late", user(dead, 99, "Ann"))];
    assert_eq!(outcomes(store, 2, &late).await, [Outcome::UserGone]);
}

/// The same event about another user, and so another event.
fn for_user(id: &str, planned: Planned) -> Planned {
    use hookmirror::model::changes::{Changes, Decision};

    let event = format!("{}_{id}", planned.event.key.id);
    match planned.decision {
        Decision::Apply(Changes::MirrorUser(state)) => {
            let time = state.updated_at.since(at(0)).as_secs();
            let time = i64::try_from(time).unwrap();
            mirror(&event, user(id, time, &state.first_name.unwrap()))
        }
        Decision::Apply(Changes::DeleteUser { .. }) => delete(&event, id, 5),
        other => panic!("{other:?}"),
    }
}

pub(super) async fn the_earliest_deletion_stands(store: &dyn Store) {
    let first = [delete("msg_1", "user_a", 50)];
    assert_eq!(outcomes(store, 0, &first).await, [Outcome::UserDeleted]);
    for (event, told, stands) in [("msg_2", 60, 50), ("msg_3", 40, 40), ("msg_4", 45, 40)] {
        let again = [delete(event, "user_a", told)];
        assert_eq!(outcomes(store, 1, &again).await, [Outcome::UserGone]);
        assert_eq!(report(store, "user_a").await.deleted_at, Some(at(stands)));
    }

    let both = [delete("msg_5", "user_b", 9), delete("msg_6", "user_b", 8)];
    apply(store, 2, &both).await;
    assert_eq!(report(store, "user_b").await.deleted_at, Some(at(8)));
}

pub(super) async fn every_column_comes_back_as_it_went_in(store: &dyn Store) {
    let mut state = user("user_a", 7, "Ann");
    apply(store, 9, &[mirror("msg_1", state.clone())]).await;
    assert_eq!(mirrored(store, "user_a").await, shown(&state, 9));

    state = user("user_a", 8, "Anna");
    state.external_id = None;
    state.email = None;
    state.email_verified = false;
    state.phone = None;
    state.username = None;
    state.last_name = None;
    state.banned = true;
    state.locked = false;
    state.created_at = None;
    apply(store, 10, &[mirror("msg_2", state.clone())]).await;
    assert_eq!(mirrored(store, "user_a").await, shown(&state, 10));
}

fn shown(user: &User, synced_at: i64) -> MirroredUser {
    let user = user.clone();
    MirroredUser {
        external_id: user.external_id,
        email: user.email,
        email_verified: user.email_verified,
        phone: user.phone,
        username: user.username,
        first_name: user.first_name,
        last_name: user.last_name,
        banned: user.banned,
        locked: user.locked,
        created_at: user.created_at,
        updated_at: user.updated_at,
        revision: user.revision.as_str().to_owned(),
        synced_at: at(synced_at),
        source: SourceName::parse("clerk"),
    }
}

/// As `mirror`, told by this source.
fn told_by(source: &str, event_id: &str, state: User) -> Planned {
    let mut planned = mirror(event_id, state);
    planned.event.key.source = SourceName::parse(source).unwrap();
    planned
}

pub(super) async fn a_user_belongs_to_the_source_that_told_of_the_newest_state(store: &dyn Store) {
    let source_of = async |id: &str| mirrored(store, id).await.source;
    let mut number = 0;
    for order in permutations(&[(1, "clerk"), (2, "clerk-eu"), (3, "clerk")]) {
        for split in 0..=order.len() {
            number += 1;
            let (ann, bob) = (format!("user_{number}_ann"), format!("user_{number}_bob"));
            let told = |(time, source): &(i64, &str)| match time {
                // Ann was last heard of from `clerk-eu`, Bob from `clerk`.
                3 => told_by(source, &format!("msg_{number}_3"), user(&bob, 3, "Bob")),
                time => {
                    let event = format!("msg_{number}_{time}");
                    told_by(source, &event, user(&ann, *time, "Ann"))
                }
            };
            let batch: Vec<Planned> = order.iter().map(told).collect();
            apply(store, 0, &batch[..split]).await;
            apply(store, 1, &batch[split..]).await;
            assert_eq!(source_of(&ann).await, SourceName::parse("clerk-eu"));
            assert_eq!(source_of(&bob).await, SourceName::parse("clerk"));
        }
    }
    // Who tells of the same state once more has no say in it.
    let again = told_by("clerk", "msg_again", user("user_1_ann", 2, "Ann"));
    assert_eq!(outcomes(store, 2, &[again]).await, [Outcome::UserUnchanged]);
    let source = source_of("user_1_ann").await;
    assert_eq!(source, SourceName::parse("clerk-eu"));
}

pub(super) async fn nothing_is_known_of_a_stranger(store: &dyn Store) {
    apply(store, 0, &[mirror("msg_1", user("user_a", 1, "Ann"))]).await;
    let found = store.find_user(&user_id("user_b")).await.unwrap();
    assert_eq!(found, None);
    // Ids are told apart to the letter.
    let found = store.find_user(&user_id("USER_A")).await.unwrap();
    assert_eq!(found, None);
}
