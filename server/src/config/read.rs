//! From a file, a text or positional arguments to a checked `ServerConfig`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Warning};
use super::keys::{self, OnBad};
use super::my_id::read_my_id;
use super::properties::{self, Property};
use super::settings::{AdminSettings, SessionSettings, WordList};
use super::{Member, ServerConfig};
use tenure_wire::Listen;

/// What a file has said so far, before what concerns several keys is checked.
pub(crate) struct Draft {
    pub(crate) config: ServerConfig,
    pub(crate) client_port: Option<u16>,
    pub(crate) client_host: Option<Option<String>>,
    pub(crate) secure_client_port: Option<u16>,
    pub(crate) secure_client_host: Option<Option<String>>,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) data_log_dir: Option<PathBuf>,
    pub(crate) min_timeout_ms: Option<u32>,
    pub(crate) max_timeout_ms: Option<u32>,
    pub(crate) words_listed: bool,
    pub(crate) prometheus_named: bool,
    pub(crate) prometheus: Listen,
    /// Sentences that the key being applied wants told as warnings.
    pub(crate) notes: Vec<String>,
}

/// Files larger than this are not a configuration.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// What a file that lacks `tickTime` gets, unlike a server without a file.
const FILE_TICK_MS: u32 = 3000;

impl ServerConfig {
    /// Reads a `zoo.cfg`, the dynamic file it names, and `myid` beside the data.
    pub fn from_file(path: &Path) -> Result<(Self, Vec<Warning>), ConfigError> {
        Self::from_edited_file(path, &read_text(path)?)
    }

    /// As [`from_file`](Self::from_file), with another text in place of the file's own.
    pub fn from_edited_file(path: &Path, text: &str) -> Result<(Self, Vec<Warning>), ConfigError> {
        Self::check_edited_file(path, text).into_result()
    }

    /// As [`from_edited_file`](Self::from_edited_file), without stopping at the first mistake.
    pub fn check_edited_file(path: &Path, text: &str) -> Checked {
        let origin = path.display().to_string();
        let mut reader = Reader::new(&origin);
        reader.read(text);
        if let Some(dynamic) = reader.draft.config.ensemble.dynamic_config_file.clone() {
            reader.origin = dynamic.display().to_string();
            match read_text(&dynamic) {
                Ok(text) => reader.read(&text),
                Err(error) => reader.errors.push(error),
            }
            reader.origin = origin;
        }
        let my_id = read_my_id(reader.draft.data_dir.as_deref());
        let my_id = my_id.unwrap_or_else(|error| {
            reader.errors.push(error);
            None
        });
        let is_nobody = reader.errors.is_empty() && my_id.is_none();
        if reader.draft.config.ensemble.is_distributed() && is_nobody {
            reader.missing("myid", "a file of that name in dataDir that holds its N");
        }
        let mut checked = reader.finish(my_id);
        checked.config.origin = Some(path.to_owned());
        checked.config.initial_text = text.to_owned();
        checked
    }

    /// Reads the text of a `zoo.cfg`; `origin` names it in messages. No other file is read, so an
    /// ensemble's `dynamicConfigFile` and `myid` stay unseen.
    pub fn from_text(text: &str, origin: &str) -> Result<(Self, Vec<Warning>), ConfigError> {
        let mut reader = Reader::new(origin);
        reader.read(text);
        let mut checked = reader.finish(None);
        checked.config.initial_text = text.to_owned();
        checked.into_result()
    }

    /// The standalone shorthand of the reference server's command line:
    /// `port dataDir [tickTime] [maxClientCnxns]`.
    pub fn from_shorthand(arguments: &[&str]) -> Result<Self, ConfigError> {
        let bad = |argument: &str, expected: &str| ConfigError::BadArgument {
            argument: argument.to_owned(),
            expected: expected.to_owned(),
        };
        let [port, data_dir, rest @ ..] = arguments else {
            return Err(bad(&arguments.join(" "), SHORTHAND));
        };
        if rest.len() > 2 {
            return Err(bad(rest[2], SHORTHAND));
        }
        let mut draft = Draft::new();
        let fields = ["clientPort", "dataDir", "tickTime", "maxClientCnxns"];
        for (name, value) in fields.into_iter().zip([*port, *data_dir].iter().chain(rest)) {
            let key = keys::find(name).expect("the four names are keys");
            (key.apply)(&mut draft, value.trim()).map_err(|expected| bad(value, &expected))?;
        }
        let reader = Reader { draft, ..Reader::new("arguments") };
        reader.finish(None).into_result().map(|(config, _)| config)
    }
}

/// A configuration with all that is wrong with it.
#[derive(Debug)]
pub struct Checked {
    /// What it says, as far as it makes sense.
    pub config: ServerConfig,
    /// Why no server can start with it, in the order of the file.
    pub errors: Vec<ConfigError>,
    /// What its owner should know.
    pub warnings: Vec<Warning>,
    /// Keys that are accepted without effect.
    pub ignored: Vec<Warning>,
}

impl Checked {
    /// The configuration, if a server can start with it.
    pub fn into_result(self) -> Result<(ServerConfig, Vec<Warning>), ConfigError> {
        match self.errors.into_iter().next() {
            None => Ok((self.config, self.warnings)),
            Some(first) => Err(first),
        }
    }
}

const SHORTHAND: &str = "port dataDir [tickTime] [maxClientCnxns]";

impl Draft {
    fn new() -> Self {
        let config = ServerConfig {
            client: None,
            tick_ms: FILE_TICK_MS,
            admin: AdminSettings::default(),
            ..ServerConfig::default()
        };
        Self {
            config,
            client_port: None,
            client_host: None,
            secure_client_port: None,
            secure_client_host: None,
            data_dir: None,
            data_log_dir: None,
            min_timeout_ms: None,
            max_timeout_ms: None,
            words_listed: false,
            prometheus_named: false,
            prometheus: Listen::everywhere(7000),
            notes: Vec::new(),
        }
    }
}

/// Reads properties into a draft, remembering where each key stood.
struct Reader {
    origin: String,
    draft: Draft,
    seen: HashMap<String, (String, u32, String)>,
    errors: Vec<ConfigError>,
    warnings: Vec<Warning>,
    ignored: Vec<Warning>,
}

impl Reader {
    fn new(origin: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            draft: Draft::new(),
            seen: HashMap::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
            ignored: Vec::new(),
        }
    }

    fn read(&mut self, text: &str) {
        match properties::parse(text) {
            Ok(parsed) => parsed.into_iter().for_each(|property| self.apply(property)),
            Err(bad) => self.errors.push(ConfigError::BadEscape {
                origin: self.origin.clone(),
                line: bad.line,
                escape: bad.escape,
            }),
        }
    }

    fn apply(&mut self, property: Property) {
        let Property { line, key, value } = property;
        let name = match key.strip_prefix("zookeeper.") {
            Some(bare) => {
                self.warn(line, &key, format!("read as {bare}; a file needs no prefix"));
                bare
            }
            None => key.as_str(),
        };
        let shown = if keys::is_secret(name) { "***".to_owned() } else { value.clone() };
        let place = (self.origin.clone(), line, shown.clone());
        if let Some((_, earlier, _)) = self.seen.insert(name.to_owned(), place) {
            self.warn(line, &key, format!("set before, on line {earlier}; this one counts"));
        }
        let (on_bad, outcome) = match keys::find(name) {
            Some(known) => (known.on_bad, (known.apply)(&mut self.draft, &value)),
            None => match keys::apply_numbered(&mut self.draft, name, &value) {
                Some(result) => result,
                None => {
                    self.warn(line, &key, unknown(name));
                    return;
                }
            },
        };
        for note in std::mem::take(&mut self.draft.notes) {
            self.warn(line, &key, note);
        }
        match (outcome, on_bad) {
            (Ok(()), _) if keys::is_ignored(name) => {
                let ignored = self.warning(line, &key, IGNORED.into());
                self.ignored.push(ignored);
            }
            (Ok(()), _) => {}
            (Err(expected), OnBad::Fail) => self.errors.push(ConfigError::BadValue {
                origin: self.origin.clone(),
                line,
                key,
                value: shown,
                expected,
            }),
            (Err(expected), OnBad::Warn) => {
                let message = format!("{shown:?} has no effect: expected {expected}");
                self.warn(line, &key, message);
            }
        }
    }

    fn warn(&mut self, line: u32, key: &str, message: String) {
        let warning = self.warning(line, key, message);
        self.warnings.push(warning);
    }

    fn warning(&self, line: u32, key: &str, message: String) -> Warning {
        Warning { origin: self.origin.clone(), line, key: key.to_owned(), message }
    }

    /// Checks what concerns several keys, and fills in what follows from others.
    fn finish(mut self, my_id: Option<u64>) -> Checked {
        self.draft.config.ensemble.my_id = my_id;
        self.settle_folders();
        self.settle_timeouts();
        self.settle_listeners();
        self.settle_ensemble();
        self.settle_authentication();
        if self.draft.config.tree.read_only_mode
            && !self.draft.words_listed
            && let WordList::Only(words) = &mut self.draft.config.four_letter_words
        {
            words.insert("isro".into());
        }
        if self.draft.prometheus_named {
            self.draft.config.metrics.prometheus = Some(self.draft.prometheus.clone());
        }
        let Self { draft, errors, warnings, ignored, .. } = self;
        Checked { config: draft.config, errors, warnings, ignored }
    }

    fn settle_folders(&mut self) {
        let Some(data_dir) = self.draft.data_dir.take() else {
            return self.missing("dataDir", "the folder for snapshots and log");
        };
        let log_dir = self.draft.data_log_dir.take().unwrap_or_else(|| data_dir.clone());
        self.draft.config.data_dir = data_dir;
        self.draft.config.data_log_dir = log_dir;
    }

    fn settle_timeouts(&mut self) {
        let by_tick = SessionSettings::for_tick(self.draft.config.tick_ms);
        let min = self.draft.min_timeout_ms.unwrap_or(by_tick.min_timeout_ms);
        let max = self.draft.max_timeout_ms.unwrap_or(by_tick.max_timeout_ms);
        if min > max {
            // One of the two stands in the file: the tick alone gives bounds in order.
            let (key, expected) = match self.draft.min_timeout_ms {
                Some(_) => ("minSessionTimeout", format!("at most maxSessionTimeout, {max}")),
                None => ("maxSessionTimeout", format!("at least minSessionTimeout, {min}")),
            };
            return self.bad_combination(key, expected);
        }
        self.draft.config.sessions.min_timeout_ms = min;
        self.draft.config.sessions.max_timeout_ms = max;
    }

    fn settle_listeners(&mut self) {
        let draft = &mut self.draft;
        let (host, port) = (draft.client_host.take(), draft.client_port);
        let (secure_host, secure_port) =
            (draft.secure_client_host.take(), draft.secure_client_port);
        if host.is_some() && port.is_none() {
            let expected = "clientPort beside it".into();
            return self.bad_combination("clientPortAddress", expected);
        }
        if secure_host.is_some() && secure_port.is_none() {
            let expected = "secureClientPort beside it".into();
            return self.bad_combination("secureClientPortAddress", expected);
        }
        let mine = self.draft.config.ensemble.me().cloned();
        let member = |pick: fn(Member) -> Option<Listen>| mine.clone().and_then(pick);
        self.draft.config.client = match port {
            Some(port) => Some(Listen { host: host.flatten(), port }),
            None => member(|m| m.client),
        };
        self.draft.config.secure_client = match secure_port {
            Some(port) => Some(Listen { host: secure_host.flatten(), port }),
            None => member(|m| m.secure_client),
        };
        if self.draft.config.client.is_none() {
            let message = "missing: no client can connect without TLS";
            self.warn(0, "clientPort", message.into());
        }
    }

    fn settle_ensemble(&mut self) {
        let ensemble = &self.draft.config.ensemble;
        if !ensemble.is_distributed() {
            return;
        }
        let (init_limit, sync_limit) = (ensemble.init_limit, ensemble.sync_limit);
        if init_limit.is_none() {
            self.missing("initLimit", "ticks a follower has to catch up");
        }
        if sync_limit.is_none() {
            self.missing("syncLimit", "ticks a follower may fall silent");
        }
    }

    fn settle_authentication(&mut self) {
        let auth = &self.draft.config.auth;
        if auth.fips == Some(true) && !auth.sasl_users.is_empty() {
            let message = "forbids MD5, so no client can authenticate with SASL DIGEST-MD5";
            self.warn(0, "fips-mode", message.into());
        }
        let auth = &self.draft.config.auth;
        if let Some(scheme) = auth.unavailable_scheme() {
            let key = match auth.require_sasl {
                true => "sessionRequireClientSASLAuth",
                false => "enforce.auth.schemes",
            };
            let expected = format!(
                "schemes that clients can authenticate by here: {scheme:?} is \
                 none, so nobody could enter"
            );
            return self.bad_combination(key, expected);
        }
        if auth.enforced && auth.required_schemes().is_empty() {
            self.missing("enforce.auth.schemes", "beside enforce.auth.enabled=true");
        }
    }

    /// A key that must be there is not, unless its value was no good already.
    fn missing(&mut self, key: &str, expected: &str) {
        if !self.seen.contains_key(key) {
            self.errors.push(ConfigError::Missing {
                origin: self.origin.clone(),
                key: key.to_owned(),
                expected: expected.to_owned(),
            });
        }
    }

    fn bad_combination(&mut self, key: &str, expected: String) {
        let (origin, line, value) = self.seen.get(key).cloned().unwrap_or_default();
        self.errors.push(ConfigError::BadValue {
            origin,
            line,
            key: key.to_owned(),
            value,
            expected,
        });
    }
}

/// What is said of a key that means nothing here.
const IGNORED: &str =
    "accepted without effect: there is nothing here that it could set; the line can go";

fn unknown(name: &str) -> String {
    match keys::nearest(name) {
        Some(near) => format!("unknown key, ignored; is {near} meant?"),
        None => String::from("unknown key, ignored"),
    }
}

/// The file as UTF-8, with or without a byte order mark, or as Latin-1 (the format's first
/// encoding) if it is not UTF-8.
pub fn read_text(path: &Path) -> Result<String, ConfigError> {
    let unreadable =
        |source| ConfigError::Unreadable { origin: path.display().to_string(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    // Not the file's size: a pipe or a device has none.
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let message = format!("more than {MAX_FILE_BYTES} bytes are too many for a configuration");
        return Err(unreadable(io::Error::other(message)));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)),
        Err(latin) => Ok(latin.into_bytes().into_iter().map(char::from).collect()),
    }
}
