//! One line of the audit log, with the reference server's names where it has them.

use serde_json::{Map, Value};
use tenure_replica::{AuditRecord, Who};
use tenure_wire::{ErrorCode, SessionId, Zxid};

use crate::admin::Moment;

/// One record, not written out yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct AuditLine {
    /// Wall clock, milliseconds since the Unix epoch.
    wall_ms: i64,
    operation: &'static str,
    session: Option<SessionId>,
    who: Vec<Who>,
    ip: Option<String>,
    path: Option<String>,
    znode_type: Option<&'static str>,
    acl: Option<String>,
    error: Option<ErrorCode>,
    zxid: Option<Zxid>,
    /// What else there is to say.
    detail: Option<(&'static str, Value)>,
}

impl AuditLine {
    /// What a replica has recorded.
    pub(crate) fn of_client(record: AuditRecord, wall_ms: i64) -> Self {
        let AuditRecord { operation, session, who, path, znode_type, acl, error, zxid } = record;
        let is_address = |who: &&Who| *who.scheme == *"ip";
        Self {
            wall_ms,
            operation,
            session: Some(session),
            ip: who.iter().find(is_address).map(|who| who.user.to_string()),
            who,
            path,
            znode_type,
            acl,
            error,
            zxid: Some(zxid),
            detail: None,
        }
    }

    /// What an operator had done: which operation, who, from where.
    pub(crate) fn of_operator(
        operation: &'static str,
        user: Option<&str>,
        ip: String,
        wall_ms: i64,
    ) -> Self {
        let shown = user.and_then(|user| user.split_once(':'));
        let who = shown.into_iter().chain([("ip", &*ip)]);
        let who = who.map(|(scheme, user)| Who { scheme: scheme.into(), user: user.into() });
        let who = who.collect();
        Self { wall_ms, operation, who, ip: Some(ip), ..Self::default() }
    }

    /// What the server itself did.
    pub(crate) fn of_server(operation: &'static str, wall_ms: i64) -> Self {
        Self { wall_ms, operation, ..Self::default() }
    }

    /// That so many records are missing here.
    pub(super) fn lost(count: u64) -> Self {
        let detail = Some(("count", count.into()));
        Self { detail, ..Self::of_server("auditRecordsLost", crate::admin::wall_ms()) }
    }

    /// It did not succeed.
    pub(crate) fn failed(self, error: ErrorCode) -> Self {
        Self { error: Some(error), ..self }
    }

    /// Says more.
    pub(crate) fn with(self, name: &'static str, value: impl Into<Value>) -> Self {
        Self { detail: Some((name, value.into())), ..self }
    }

    /// How much its texts take, about.
    pub(super) fn text_bytes(&self) -> usize {
        let len = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let who: usize = self.who.iter().map(|who| who.scheme.len() + who.user.len()).sum();
        256 + len(&self.path) + len(&self.acl) + who
    }

    /// Appends the line.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut fields = Map::new();
        let mut put = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                fields.insert(name.to_owned(), value.into());
            }
        };
        put("time", Some(Moment::of(self.wall_ms).iso()));
        put("session", self.session.map(|session| session.to_string()));
        // As the reference server has it: names alone with commas between, the address among them.
        let (mut who, ips): (Vec<&Who>, _) = self.who.iter().partition(|who| *who.scheme != *"ip");
        who.extend::<Vec<_>>(ips);
        let users: Vec<&str> = who.iter().map(|who| &*who.user).collect();
        put("user", (!users.is_empty()).then(|| users.join(",")));
        put("ip", self.ip.clone());
        put("operation", Some(self.operation.to_owned()));
        put("znode", self.path.clone());
        put("znode_type", self.znode_type.map(str::to_owned));
        put("acl", self.acl.clone());
        let result = if self.error.is_none() { "success" } else { "failure" };
        put("result", Some(result.to_owned()));
        put("error", self.error.map(|error| format!("{error:?}")));
        put("zxid", self.zxid.map(|zxid| zxid.to_string()));
        let identities: Vec<Value> = self.who.iter().map(|who| who.to_string().into()).collect();
        if !identities.is_empty() {
            fields.insert("identities".to_owned(), identities.into());
        }
        if let Some((name, value)) = &self.detail {
            fields.insert((*name).to_owned(), value.clone());
        }
        out.extend_from_slice(Value::Object(fields).to_string().as_bytes());
        out.push(b'\n');
    }
}
