//! Watch notifications.

use std::borrow::Cow;

use crate::jute::{DecodeError, Put, Reader};

/// The connection state that every notification of a server carries.
pub const SYNC_CONNECTED: i32 = 3;

/// What happened to a watched path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i32)]
pub enum EventType {
    /// Nothing: the connection's state changed.
    None = -1,
    /// The znode was created.
    NodeCreated = 1,
    /// The znode was deleted.
    NodeDeleted = 2,
    /// The znode's data was set.
    NodeDataChanged = 3,
    /// A child was created or deleted.
    NodeChildrenChanged = 4,
    /// A data watch was removed; only within a client.
    DataWatchRemoved = 5,
    /// A child watch was removed; only within a client.
    ChildWatchRemoved = 6,
    /// A persistent watch was removed; only within a client.
    PersistentWatchRemoved = 7,
}

impl EventType {
    /// The event of this code, if there is one.
    pub const fn from_i32(code: i32) -> Option<Self> {
        Some(match code {
            -1 => Self::None,
            1 => Self::NodeCreated,
            2 => Self::NodeDeleted,
            3 => Self::NodeDataChanged,
            4 => Self::NodeChildrenChanged,
            5 => Self::DataWatchRemoved,
            6 => Self::ChildWatchRemoved,
            7 => Self::PersistentWatchRemoved,
            _ => return None,
        })
    }

    /// The number on the wire.
    pub const fn code(self) -> i32 {
        self as i32
    }
}

/// The body of a notification.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WatcherEvent<'a> {
    /// What happened.
    pub kind: EventType,
    /// Connection state, `SYNC_CONNECTED` on the wire.
    pub state: i32,
    /// The path it happened to.
    pub path: Cow<'a, str>,
}

impl<'a> WatcherEvent<'a> {
    /// Appends the encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_i32(self.kind.code());
        out.put_i32(self.state);
        out.put_text(&self.path);
    }

    /// Reads one event.
    pub fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let offset = reader.offset();
        let code = reader.i32()?;
        let kind = EventType::from_i32(code).ok_or(DecodeError::Value {
            what: "event type",
            offset,
            value: code,
        })?;
        Ok(Self { kind, state: reader.i32()?, path: reader.text()? })
    }
}
