//! Settings: from text that people write to values that the rest can rely on.
//!
//! Three layers, the later over the earlier: the defaults, the TOML file that `HOOKMIRROR_CONFIG`
//! names, the environment. An empty value is no value. [`SETTINGS`] lists all that can be set; each
//! section has a file of its own and reads its part through the [`Reader`], which
//! knows where every value was written and collects what is wrong.
//!
//! Guaranteed: [`Config::load`] reports every [`Problem`] at once, with a stable code and a remedy,
//! and never quotes a value that is, or may hold, a secret. It writes nothing. A misspelt key in the
//! file is a problem; a misspelt variable is only a warning, because orchestrators add variables
//! that nobody asked for.
//!
//! NOT guaranteed: that what is set works: that the address is free, the database opens, the key is
//! accepted. Only [`with_writable_data_dir`] touches the disk. Relative paths are relative to the
//! working directory, in the file as well.
//!
//! This is the only module that reads the process's environment.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

mod admin;
mod clerk;
mod data_dir;
mod database;
mod entitlement;
mod entry;
mod file;
mod ingress;
mod layer;
mod logging;
mod problems;
mod queue;
mod reader;
mod retention;
mod service_url;
mod setting;
mod sources;
mod traces;

pub use admin::AdminSettings;
pub use clerk::ClerkSettings;
pub use data_dir::check_data_dir;
pub use database::DatabaseUrl;
pub use ingress::IngressSettings;
pub use logging::{LogFormat, LogSettings};
pub use problems::{ConfigProblems, Origin, Problem};
pub use queue::BrokerSettings;
pub use service_url::ServiceUrl;
pub use setting::{DefaultValue, Setting};
pub use sources::SourceSettings;
pub use traces::TraceSettings;

use crate::model::entitlement::Policy;
use crate::model::retention::RetentionPolicy;
use crate::model::source::{Provider, SourceName};
use reader::Reader;
use setting::Number;

const SHUTDOWN_SECONDS: Number = Number::of(
    Setting {
        name: "HOOKMIRROR_SHUTDOWN_SECONDS",
        alias: None,
        default: DefaultValue::Text("20"),
        meaning: "how long work in flight may take to finish after SIGTERM",
    },
    0,
    3600,
    "an orchestrator kills the process long before that",
);

/// All that can be set, in the order in which people should read it.
pub const SETTINGS: &[Setting] = &[
    setting::CONFIG,
    database::DATABASE_URL,
    queue::AMQP_URL,
    data_dir::DATA_DIR,
    queue::SPOOL_MAX_BYTES.setting,
    ingress::LISTEN,
    admin::LISTEN,
    admin::TOKEN,
    sources::CLERK_SECRETS,
    sources::STRIPE_SECRETS,
    sources::STRIPE_LIVEMODE,
    clerk::SECRET_KEY,
    clerk::API_URL,
    clerk::WRITES,
    clerk::WRITES_PER_USER.setting,
    entitlement::PAST_DUE_IS_PAID,
    retention::KEEP_PAYLOADS,
    retention::KEEP_EVENTS,
    retention::ERASE_AFTER,
    ingress::MAX_BODY_BYTES.setting,
    ingress::MAX_BUFFERED_BYTES.setting,
    ingress::MAX_CONNECTIONS.setting,
    ingress::REQUEST_TIMEOUT_MS.setting,
    ingress::CONFIRM_TIMEOUT_MS.setting,
    ingress::TOLERANCE_SECONDS.setting,
    SHUTDOWN_SECONDS.setting,
    logging::LOG,
    logging::LOG_FORMAT,
    traces::ENDPOINT,
    traces::HEADERS,
    traces::SERVICE,
];

/// Settings that are true or false. In the file they may be written without quotes.
const FLAGS: [&str; 2] = [
    sources::STRIPE_LIVEMODE.name,
    entitlement::PAST_DUE_IS_PAID.name,
];

/// Every setting, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the embedded queue, or the spool, lives. Not known to be writable, or to be there.
    pub data_dir: PathBuf,
    /// Where the mirror and its ledger live.
    pub database: DatabaseUrl,
    /// The broker; `None` for the embedded queue.
    pub broker: Option<BrokerSettings>,
    /// The public listener.
    pub ingress: IngressSettings,
    /// The private listener.
    pub admin: AdminSettings,
    /// Who may push, each with its secrets; one entry for every source that exists, `clerk` and
    /// `stripe` first.
    pub sources: Vec<SourceSettings>,
    /// The Backend API of the Clerk instance behind the source `clerk`.
    pub clerk: ClerkSettings,
    /// What counts as paid.
    pub policy: Policy,
    /// How long what was received is kept.
    pub retention: RetentionPolicy,
    /// What is logged and how.
    pub log: LogSettings,
    /// Where traces go.
    pub traces: TraceSettings,
    /// How long work in flight may take to finish once shutdown has begun.
    pub shutdown_deadline: Duration,
    /// The login name of whoever runs this, as the environment tells it.
    pub login: Option<String>,
    /// What was written and has no effect.
    pub warnings: Vec<Problem>,
}

impl Config {
    /// Whether events are kept in the data directory: always, or while the broker is away.
    pub fn keeps_events_on_disk(&self) -> bool {
        self.broker
            .as_ref()
            .is_none_or(|broker| broker.spool_max_bytes > 0)
    }

    /// The Clerk instances in use, each by its source: those that push to us or can be written to.
    pub fn clerk_instances(&self) -> Vec<(&SourceName, &ClerkSettings)> {
        let instance = |source: &'_ SourceSettings| -> bool {
            let key = source
                .clerk
                .as_ref()
                .and_then(|clerk| clerk.secret_key.as_ref());
            !source.secrets.is_empty() || key.is_some()
        };
        let in_use = self.sources.iter().filter(|source| instance(source));
        in_use
            .filter_map(|source| Some((&source.source.name, source.clerk.as_ref()?)))
            .collect()
    }

    /// Whether there is a key to the Clerk instance of users who came from this source; of users who
    /// are not mirrored, whether there is one at all.
    pub fn has_clerk_key(&self, source: Option<&SourceName>) -> bool {
        let instances = self.clerk_instances();
        let several = instances.len() > 1;
        instances.iter().any(|(name, clerk)| {
            let is_theirs = !several || source.is_none_or(|source| source == *name);
            is_theirs && clerk.secret_key.is_some()
        })
    }

    /// What to set so that there is a key to the Clerk instance of users who came from this source.
    pub fn clerk_key_is_set_by(source: Option<&SourceName>) -> &'static str {
        match source {
            Some(source) if *source != Provider::Clerk.into() => {
                "`secret_key` of its `[[source]]` in the settings file"
            }
            _ => clerk::SECRET_KEY.name,
        }
    }

    /// Reads the settings of this process.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn from_process_environment() -> Result<Self, ConfigProblems> {
        Self::load_os(std::env::vars_os())
    }

    /// Reads the settings from an environment and the file that it names. Of variables that are
    /// there twice, the last one counts.
    ///
    /// # Errors
    ///
    /// With all problems at once.
    pub fn load(
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigProblems> {
        let environment = environment.into_iter();
        Self::load_os(environment.map(|(name, value)| (name.into(), value.into())))
    }

    /// As [`load`](Self::load), from an environment as the operating system hands it over: values
    /// need not be text.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn load_os(
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigProblems> {
        let mut reader = Reader::open(environment);
        sources::describe_built_in(&mut reader);
        let mut config = Self {
            database: DatabaseUrl::read(&mut reader),
            data_dir: data_dir::read(&mut reader),
            broker: BrokerSettings::read(&mut reader),
            ingress: IngressSettings::read(&mut reader),
            admin: AdminSettings::read(&mut reader),
            sources: sources::read(&mut reader),
            clerk: ClerkSettings::read(&mut reader),
            policy: entitlement::read(&mut reader),
            retention: retention::read(&mut reader),
            log: LogSettings::read(&mut reader),
            traces: TraceSettings::read(&mut reader),
            shutdown_deadline: Duration::from_secs(reader.number(&SHUTDOWN_SECONDS)),
            login: reader.login.take(),
            warnings: Vec::new(),
        };
        sources::connect(&mut reader, &mut config.sources, &config.clerk);
        database::keep_apart(&mut reader, &config.database, &config.data_dir);
        let (problems, warnings) = reader.finish();
        if problems.is_empty() {
            return Ok(Self { warnings, ..config });
        }
        Err(ConfigProblems::new(problems, warnings, config.data_dir))
    }
}

/// Adds to what loading found whether the data directory can be written to, so that a process that
/// is about to use it reports everything in one go. Creates the directory if it is missing. Does
/// not look at it while it is not certain which one is meant.
///
/// # Errors
///
/// With all problems at once.
pub fn with_writable_data_dir(
    loaded: Result<Config, ConfigProblems>,
) -> Result<Config, ConfigProblems> {
    match loaded {
        Ok(config) => match check_data_dir(&config.data_dir) {
            None => Ok(config),
            Some(problem) => Err(ConfigProblems::new(
                vec![problem],
                config.warnings,
                config.data_dir,
            )),
        },
        Err(mut problems) => {
            let uncertain = [data_dir::DATA_DIR.name, setting::CONFIG.name];
            let is_certain = !problems
                .problems()
                .iter()
                .any(|problem| uncertain.contains(&problem.setting.as_str()));
            if is_certain && let Some(problem) = check_data_dir(problems.data_dir()) {
                problems.push(problem);
            }
            Err(problems)
        }
    }
}
