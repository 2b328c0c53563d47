//! What somebody wants of a history, beside its seed.

use tenure_client::machine::PlantedBug as ClientBug;
use tenure_replica::PlantedBug as ReplicaBug;

/// What a history is to be like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes {
    /// A mistake planted in everybody who can make it.
    pub bug: Option<Bug>,
    /// Which kind of world it happens in.
    pub kind: Kind,
    /// Whether one line is kept for each event.
    pub keeps_lines: bool,
}

/// A mistake for the checkers to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// In every client.
    Client(ClientBug),
    /// In every replica.
    Replica(ReplicaBug),
    /// In every server around its replica.
    Host(HostBug),
}

/// A mistake of a server that is none of its replica: the simulator plays disk and network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostBug {
    /// A batch is said to be durable as soon as it was handed over; the disk writes it when it
    /// likes.
    SkipsSync,
    /// Notifications are sent behind the replies they should have come before.
    NotifiesLate,
}

/// A kind of world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Everything happens.
    #[default]
    Busy,
    /// The same without what was added to histories later, so that a seed found before still
    /// stands for what it was found with: no znodes that all change, no faults of disks, no
    /// strangers.
    First,
    /// Three servers that nothing happens to, for a long time, while clients come and go.
    Quiet,
}
