//! What of a row of `events` a replay leaves as it is, in SQL that both engines understand.

/// Sets a column, unless [`EventState::after_replay`](crate::model::state::EventState::after_replay)
/// says that the state before stands. For other
/// deliveries it never does: what is settled, and failures of what waits, do not come here.
macro_rules! unless_it_stands {
    ($column:literal) => {
        unless_it_stands!($column, "")
    };
    // Nor if this holds.
    ($column:literal, $nor_if:literal) => {
        concat!(
            $column,
            " = CASE WHEN (events.state = 'applied' AND excluded.state <> 'waiting') \
              OR (events.state IN ('ignored', 'waiting') \
              AND excluded.state IN ('failed', 'retrying'))",
            $nor_if,
            " THEN events.",
            $column,
            " ELSE excluded.",
            $column,
            " END, "
        )
    };
}

pub(super) use unless_it_stands;
