//! What can go wrong between this program and the broker, and whether waiting helps.

use std::time::Duration;

use lapin::ErrorKind;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};

/// The broker cannot be used.
///
/// Never holds the URL: there is a password in it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RabbitError {
    /// The URL cannot be read.
    #[error("the broker's URL cannot be read: write amqp://user:password@host:5672/vhost")]
    Url,
    /// Nobody answers there.
    #[error("the broker cannot be reached")]
    Unreachable(#[source] lapin::Error),
    /// The broker takes too long.
    #[error("the broker did not {action} within {} ms", after.as_millis())]
    TimedOut {
        /// What was asked of it.
        action: &'static str,
        /// How long we waited.
        after: Duration,
    },
    /// The user or the password is wrong.
    #[error("the broker refuses the user name or the password")]
    Credentials(#[source] lapin::Error),
    /// The virtual host is not there, or not for this user.
    #[error(
        "the virtual host `{name}` cannot be entered: create it and let the user in, or name another \
         one at the end of the URL (the default one is written %2f)"
    )]
    VirtualHost {
        /// Its name.
        name: String,
        /// The broker's words.
        #[source]
        source: lapin::Error,
    },
    /// A queue or an exchange is there and is another one.
    #[error(
        "{thing} exists with another {argument}: {found} there, {wanted} wanted; nothing in it is \
         changed by this program: empty and delete it, then it is declared anew"
    )]
    Mismatch {
        /// Which queue or exchange.
        thing: String,
        /// The argument that differs.
        argument: String,
        /// Its value in the broker.
        found: String,
        /// The value that this program needs.
        wanted: String,
    },
    /// The user lacks a permission.
    #[error(
        "the broker does not allow this user to {action}: grant it configure, write and read on \
         `{names}`"
    )]
    AccessRefused {
        /// What was tried.
        action: &'static str,
        /// What the permission has to cover.
        names: String,
        /// The broker's words.
        #[source]
        source: lapin::Error,
    },
    /// A queue or an exchange is not there (any more).
    #[error("the broker does not have what is needed to {action}")]
    Missing {
        /// What was tried.
        action: &'static str,
        /// The broker's words.
        #[source]
        source: lapin::Error,
    },
    /// The connection or the channel is gone.
    #[error("the broker was lost while trying to {action}")]
    Lost {
        /// What was tried.
        action: &'static str,
        /// Why.
        #[source]
        source: lapin::Error,
    },
    /// The connection or the channel was found gone.
    #[error("the connection to the broker is gone")]
    Gone,
    /// The broker has ended the consumption.
    #[error("the broker no longer delivers from {queue}: was the queue deleted?")]
    Cancelled {
        /// From where.
        queue: String,
    },
    /// This program has closed the queue.
    #[error("the queue is closed")]
    Closed,
}

impl RabbitError {
    /// Whether it will be the same tomorrow unless somebody changes a setting or the broker.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::Url
            | Self::Credentials(_)
            | Self::VirtualHost { .. }
            | Self::Mismatch { .. }
            | Self::AccessRefused { .. } => true,
            Self::Unreachable(_)
            | Self::TimedOut { .. }
            | Self::Missing { .. }
            | Self::Lost { .. }
            | Self::Gone
            | Self::Cancelled { .. }
            | Self::Closed => false,
        }
    }

    /// Reads an error of the attempt to connect.
    pub(super) fn of_connecting(vhost: &str, source: lapin::Error) -> Self {
        match protocol_error(&source) {
            Some(AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)) => Self::Credentials(source),
            Some(AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED)) => Self::VirtualHost {
                name: vhost.to_owned(),
                source,
            },
            _ => Self::Unreachable(source),
        }
    }

    /// Reads an error of anything that was tried on an open connection.
    pub(super) fn of(action: &'static str, names: &str, source: lapin::Error) -> Self {
        let text = match source.kind() {
            ErrorKind::ProtocolError(error) => error.get_message().to_string(),
            _ => String::new(),
        };
        match protocol_error(&source) {
            Some(AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED)) => {
                mismatch(&text).unwrap_or(Self::Lost { action, source })
            }
            Some(AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)) => Self::AccessRefused {
                action,
                names: names.to_owned(),
                source,
            },
            Some(AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND)) => Self::Missing { action, source },
            _ => Self::Lost { action, source },
        }
    }
}

fn protocol_error(error: &lapin::Error) -> Option<AMQPErrorKind> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some(error.kind().clone()),
        _ => None,
    }
}

/// Takes the broker's sentence apart: `inequivalent arg 'x' for queue 'q' in vhost '/': received
/// the value '1' of type 'signedint' but current is the value '2' of type 'signedint'`.
fn mismatch(text: &str) -> Option<RabbitError> {
    let (_, rest) = text.split_once("inequivalent arg '")?;
    let (argument, rest) = rest.split_once("' for ")?;
    let (thing, values) = rest.split_once(": received ")?;
    let (wanted, found) = values.split_once(" but current is ")?;
    let thing = thing
        .split_once(" in vhost")
        .map_or(thing, |(thing, _)| thing);
    Some(RabbitError::Mismatch {
        thing: format!("the {thing}"),
        argument: argument.to_owned(),
        found: value(found),
        wanted: value(wanted),
    })
}

fn value(text: &str) -> String {
    let text = text.strip_prefix("the value ").unwrap_or(text);
    let end = text.find(" of type").unwrap_or(text.len());
    text[..end].replace('\'', "").trim().to_owned()
}
