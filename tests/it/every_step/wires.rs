//! The same scenarios on Postgres, behind a wire that is cut at every message: what happens inside of a
//! call, between the statements of a transaction, and around its commit.

use std::sync::Arc;

use super::end::Comparison;
use super::server::Server;
use super::steps::{Fault, Trip};
use super::world::{Run, World};
use super::{events, loops, operators, replays, retention};
use crate::support::wire::Wire;

/// As [`scenarios`](super), each with a database of its own.
macro_rules! wires {
    ($($area:ident: $($scenario:ident)+;)+) => {
        $($(#[tokio::test]
        async fn $scenario() {
            survive(stringify!($scenario), $area::$scenario).await;
        })+)+
    };
}

wires! {
    events:
        a_batch_of_all_sorts;
    loops:
        the_scheduler_runs_by_itself;
    replays:
        two_events_are_replayed;
    operators:
        metadata_is_sent_again_or_given_up
        failures_are_acknowledged_and_resolved;
    retention:
        all_that_is_old_goes_at_once;
}

/// From inside of a transaction a connection that is cut is the same as a process that is gone.
const CUTS: [Fault; 2] = [Fault::Refused, Fault::Unanswered];

/// Fewer messages than any scenario has.
const FEWEST: usize = 10;

/// Cuts the wire at the first message, at the second, and so on until there is none left to cut at.
async fn survive(scenario: &'static str, play: impl AsyncFn(&World)) {
    let server = Arc::new(Server::new().await);
    let mut run = Run {
        scenario,
        trip: None,
        wanted: Arc::default(),
    };
    let world = World::behind_a_wire(run.clone(), &server).await;
    play(&world).await;
    let messages = world.wire().map_or(0, Wire::units);
    assert!(messages > FEWEST, "{scenario}: only {messages} messages");
    let wanted = world.end().await;
    run.wanted = Arc::new(world.deeds.into_inner().unwrap());
    let mut comparison = Comparison::of(scenario);
    let mut failures = Vec::new();
    for fault in CUTS {
        for step in 1.. {
            server.empty().await;
            run.trip = Some(Trip { step, fault });
            let world = World::behind_a_wire(run.clone(), &server).await;
            play(&world).await;
            let is_cut = match world.wire() {
                Some(wire) => wire.has_broken().await,
                None => false,
            };
            // Where a role stops of its own accord there may be a message more or less each time.
            if !is_cut && step > messages {
                break;
            }
            let differences = comparison.differences(&wanted, &world.end().await);
            failures.extend(differences.iter().map(|what| world.tell(what)));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}
