//! Why a server is not let in, as both ends log it.

use std::fmt;

use super::hello::Versions;

/// Why a server is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Versions { me: u64, from: u64, theirs: Versions },
    OtherServer { me: u64, to: u64 },
    OtherCluster { me: u64, ours: u64, from: u64, theirs: u64 },
    OtherMembers { me: u64, from: u64 },
    NoMember { me: u64, from: u64 },
    OtherHost { me: u64, from: u64 },
    Busy { me: u64 },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Refusal::Versions { me, from, theirs } => write!(
                f,
                "member {me} speaks versions {} of the protocol between members, server {from} \
                 versions {theirs}: upgrade the older of them to a release in between first",
                Versions::OURS
            ),
            Refusal::OtherServer { me, to } => write!(
                f,
                "this is member {me} and not member {to}: a server.N line gives the wrong address, \
                 or a server runs with the wrong myid"
            ),
            Refusal::OtherCluster { me, ours, from, theirs } => write!(
                f,
                "member {me} belongs to the ensemble {ours:016x}, server {from} to the ensemble \
                 {theirs:016x}: one of them runs on the data folder of another ensemble, or alone \
                 on one restored from a backup (a member that lost its data gets it from the \
                 others: empty its dataDir except myid), or a server.N line gives the wrong address"
            ),
            Refusal::OtherMembers { me, from } => {
                write!(f, "member {me} and server {from} have different server.N lines")
            }
            Refusal::NoMember { me, from } => {
                write!(f, "server {from} is not among the members of the ensemble of member {me}")
            }
            Refusal::OtherHost { me, from } => write!(
                f,
                "member {me} finds no host of server {from}'s server.N line in the certificate \
                 that it shows: issue one with them as alternative names, or set \
                 ssl.quorum.clientHostnameVerification=false"
            ),
            Refusal::Busy { me } => write!(f, "member {me} is receiving too many snapshots"),
        }
    }
}
