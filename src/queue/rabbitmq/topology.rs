//! What this program needs in the broker: exchanges, queues and bindings, as data.

use std::collections::BTreeMap;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ExchangeKind};
use serde::Serialize;

use super::error::RabbitError;

/// How often a message may be handed out again before it is given up on. Comfortably above what
/// deployments and outages cost, as each of those charges whatever is unacknowledged.
const DELIVERY_LIMIT: i32 = 20;

/// The names that are used in the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// Where events are published. Others may bind queues of their own: it carries verified events
    /// only.
    pub events_exchange: String,
    /// From where workers take events.
    pub work_queue: String,
    /// Where the work queue sends what it gives up on.
    pub dead_exchange: String,
    /// Where that is kept.
    pub dead_queue: String,
}

impl Default for Topology {
    /// The names that others rely on.
    fn default() -> Self {
        Self {
            events_exchange: "hookmirror.events".to_owned(),
            work_queue: "hookmirror.work".to_owned(),
            dead_exchange: "hookmirror.dead".to_owned(),
            dead_queue: "hookmirror.dead".to_owned(),
        }
    }
}

/// A topology in the form of the broker's own definition files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Definitions {
    /// All exchanges.
    pub exchanges: Vec<ExchangeDefinition>,
    /// All queues.
    pub queues: Vec<QueueDefinition>,
    /// All bindings.
    pub bindings: Vec<BindingDefinition>,
}

/// One exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExchangeDefinition {
    /// Its name.
    pub name: String,
    /// `topic` or `fanout`.
    pub r#type: &'static str,
    /// Survives a restart of the broker.
    pub durable: bool,
    /// Goes with its last binding.
    pub auto_delete: bool,
    /// Takes nothing from clients.
    pub internal: bool,
    /// Further arguments.
    pub arguments: BTreeMap<&'static str, Argument>,
}

/// One queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QueueDefinition {
    /// Its name.
    pub name: String,
    /// Survives a restart of the broker.
    pub durable: bool,
    /// Goes with its last consumer.
    pub auto_delete: bool,
    /// Further arguments.
    pub arguments: BTreeMap<&'static str, Argument>,
}

/// One binding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BindingDefinition {
    /// The exchange.
    pub source: String,
    /// The queue.
    pub destination: String,
    /// Always `queue`.
    pub destination_type: &'static str,
    /// The pattern.
    pub routing_key: &'static str,
    /// Further arguments.
    pub arguments: BTreeMap<&'static str, Argument>,
}

/// The value of an argument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Argument {
    /// A number.
    Number(i32),
    /// A text.
    Text(String),
}

/// How many messages wait to be handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// In the work queue. What consumers hold is not counted.
    pub work: u32,
    /// In the queue of dead letters.
    pub dead: u32,
}

impl Topology {
    /// Everything that has to be there. What dead letters go to comes first: a queue that has
    /// nowhere to send them would drop them.
    pub fn definitions(&self) -> Definitions {
        let quorum = ("x-queue-type", Argument::Text("quorum".to_owned()));
        Definitions {
            exchanges: vec![
                exchange(&self.dead_exchange, "fanout"),
                exchange(&self.events_exchange, "topic"),
            ],
            queues: vec![
                queue(&self.dead_queue, [quorum.clone()]),
                queue(
                    &self.work_queue,
                    [
                        quorum,
                        ("x-delivery-limit", Argument::Number(DELIVERY_LIMIT)),
                        (
                            "x-dead-letter-exchange",
                            Argument::Text(self.dead_exchange.clone()),
                        ),
                        (
                            "x-dead-letter-strategy",
                            Argument::Text("at-least-once".to_owned()),
                        ),
                        // Without it the broker quietly falls back to at-most-once.
                        ("x-overflow", Argument::Text("reject-publish".to_owned())),
                    ],
                ),
            ],
            bindings: vec![
                binding(&self.dead_exchange, &self.dead_queue, ""),
                binding(&self.events_exchange, &self.work_queue, "#"),
            ],
        }
    }

    /// Declares everything on a channel that is thrown away: a refusal closes its channel.
    ///
    /// What is there already is compared by the broker, argument by argument; what is missing comes
    /// into being. So this verifies and heals at once.
    pub(super) async fn declare(&self, connection: &Connection) -> Result<Depth, RabbitError> {
        let definitions = self.definitions();
        let failed = |action| move |source| RabbitError::of(action, &self.names(), source);
        let channel = connection
            .create_channel()
            .await
            .map_err(failed("open a channel"))?;
        for exchange in definitions.exchanges {
            declare_exchange(&channel, exchange)
                .await
                .map_err(failed("declare an exchange"))?;
        }
        let mut depth = Depth { work: 0, dead: 0 };
        for queue in definitions.queues {
            let name = queue.name.clone();
            let messages = declare_queue(&channel, queue)
                .await
                .map_err(failed("declare a queue"))?;
            if name == self.work_queue {
                depth.work = messages;
            } else {
                depth.dead = messages;
            }
        }
        for binding in definitions.bindings {
            bind(&channel, binding)
                .await
                .map_err(failed("bind a queue"))?;
        }
        // Only tidiness: the channel would go with its last handle.
        let _ = channel.close(200, "OK".into()).await;
        Ok(depth)
    }

    /// What a user's permissions have to cover.
    pub(super) fn names(&self) -> String {
        let mut names = [
            self.events_exchange.as_str(),
            &self.work_queue,
            &self.dead_exchange,
            &self.dead_queue,
        ];
        names.sort_unstable();
        let mut names = names.to_vec();
        names.dedup();
        names.join("|")
    }
}

fn exchange(name: &str, r#type: &'static str) -> ExchangeDefinition {
    ExchangeDefinition {
        name: name.to_owned(),
        r#type,
        durable: true,
        auto_delete: false,
        internal: false,
        arguments: BTreeMap::new(),
    }
}

fn queue<const N: usize>(name: &str, arguments: [(&'static str, Argument); N]) -> QueueDefinition {
    QueueDefinition {
        name: name.to_owned(),
        durable: true,
        auto_delete: false,
        arguments: arguments.into(),
    }
}

fn binding(source: &str, destination: &str, routing_key: &'static str) -> BindingDefinition {
    BindingDefinition {
        source: source.to_owned(),
        destination: destination.to_owned(),
        destination_type: "queue",
        routing_key,
        arguments: BTreeMap::new(),
    }
}

async fn declare_exchange(channel: &Channel, exchange: ExchangeDefinition) -> lapin::Result<()> {
    let kind = match exchange.r#type {
        "fanout" => ExchangeKind::Fanout,
        _ => ExchangeKind::Topic,
    };
    let options = ExchangeDeclareOptions {
        durable: exchange.durable,
        auto_delete: exchange.auto_delete,
        internal: exchange.internal,
        ..ExchangeDeclareOptions::default()
    };
    channel
        .exchange_declare(
            exchange.name.into(),
            kind,
            options,
            table(exchange.arguments),
        )
        .await
}

/// Answers how many messages are ready in it.
async fn declare_queue(channel: &Channel, queue: QueueDefinition) -> lapin::Result<u32> {
    let options = QueueDeclareOptions {
        durable: queue.durable,
        auto_delete: queue.auto_delete,
        ..QueueDeclareOptions::default()
    };
    let declared = channel
        .queue_declare(queue.name.into(), options, table(queue.arguments))
        .await?;
    Ok(declared.message_count())
}

async fn bind(channel: &Channel, binding: BindingDefinition) -> lapin::Result<()> {
    channel
        .queue_bind(
            binding.destination.into(),
            binding.source.into(),
            binding.routing_key.into(),
            QueueBindOptions::default(),
            table(binding.arguments),
        )
        .await
}

fn table(arguments: BTreeMap<&'static str, Argument>) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        let value = match value {
            Argument::Number(number) => AMQPValue::LongInt(number),
            Argument::Text(text) => AMQPValue::LongString(text.into()),
        };
        table.insert(name.into(), value);
    }
    table
}
