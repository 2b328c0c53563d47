//! What applications do with znodes that all of them change: registers, whose versions tell their
//! states apart, and sequential znodes.

use tenure_client::machine::{Failure, Reply};
use tenure_client::{SessionId, Stat};
use tenure_wire::{Acl, Create, OpCode, Request, Response};

use super::{Asker, NODE_EXISTS, What, create, get, known};
use crate::checks::{REGISTERS, register_path, value_of};
use crate::world::{Rule, World};

/// A request about such a znode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shared {
    Make(usize),
    Set {
        register: usize,
        value: u64,
        version: i32,
    },
    Read {
        register: usize,
        /// The sync before it.
        sync: Option<u64>,
    },
    Enqueue {
        is_ephemeral: bool,
    },
    Dequeue(String),
}

/// What one session knows of them.
#[derive(Debug, Default)]
pub(super) struct View {
    /// Registers tried to be made.
    made: [bool; REGISTERS],
    /// The newest versions seen.
    versions: [Option<i32>; REGISTERS],
    /// Its own sequential znodes.
    queue: Vec<String>,
}

const QUEUE: &str = "/q-";

impl World {
    /// A step more, by chance of its own.
    pub(super) fn use_shared(&mut self, client: usize) {
        let chosen = self.extra.below(1000);
        let register = self.extra.below(REGISTERS as u64) as usize;
        let is_conditional = self.extra.per_mille(500);
        let is_ephemeral = self.extra.per_mille(700);
        if chosen >= 980 {
            return self.intrude(client);
        }
        let value = self.ledger.next_name();
        let Some(application) = self.application(client).filter(|a| !a.is_closing) else { return };
        let view = &mut application.shared;
        match chosen {
            0..600 if !std::mem::replace(&mut view.made[register], true) => {
                let path = register_path(register);
                self.ask(client, What::Shared(Shared::Make(register)), &create(path, 0), None);
            }
            0..300 => {
                let version = view.versions[register].filter(|_| is_conditional).unwrap_or(-1);
                let bytes = value.to_be_bytes();
                let (path, data) = (register_path(register).into(), Some(&bytes[..]));
                let set = Request::SetData { path, data, version };
                let what = Shared::Set { register, value, version };
                self.ask(client, What::Shared(what), &set, None);
            }
            300..600 => {
                let is_fresh = is_conditional;
                let sync = is_fresh.then_some(application.requests.len() as u64);
                if is_fresh {
                    let sync = Request::Sync { path: register_path(register).into() };
                    self.ask(client, What::Sync, &sync, None);
                }
                let what = What::Shared(Shared::Read { register, sync });
                self.ask(client, what, &get(register_path(register), false), None);
            }
            600..800 => {
                let (op, acl) = (OpCode::Create, vec![Acl::OPEN]);
                let flags = if is_ephemeral { 3 } else { 2 };
                let create =
                    Create { op, path: QUEUE.into(), data: None, acl, flags, ttl_ms: None };
                let what = Shared::Enqueue { is_ephemeral };
                self.ask(client, What::Shared(what), &Request::Create(create), None);
            }
            800..900 => {
                if let Some(path) = view.queue.pop() {
                    self.ledger.queue.unsure(&path);
                    let delete = Request::Delete { path: path.as_str().into(), version: -1 };
                    self.ask(client, What::Shared(Shared::Dequeue(path.clone())), &delete, None);
                }
            }
            _ => {}
        }
    }

    pub(super) fn shared_answered(
        &mut self,
        asker: &Asker,
        shared: Shared,
        outcome: &Result<Reply, Failure>,
    ) {
        match shared {
            Shared::Set { register, value, version } => {
                let Ok(reply) = outcome else { return };
                let Ok(Response::Stat(stat)) = Response::decode(OpCode::SetData, &reply.body)
                else {
                    return;
                };
                if version != -1 && stat.version != version + 1 {
                    self.violated(Rule::Linearizable, || {
                        format!("a set that asked for version {version} made {}", stat.version)
                    });
                }
                if stat.mzxid != reply.zxid {
                    self.violated(Rule::Linearizable, || {
                        format!("a set made change {}, says a reply of {}", stat.mzxid, reply.zxid)
                    });
                }
                self.counts.add("registers set");
                self.register_seen(asker.client, register, value, &stat);
            }
            Shared::Read { register, .. } => {
                let Ok(reply) = outcome else { return };
                if let Ok(Response::Data { data, stat }) =
                    Response::decode(OpCode::GetData, &reply.body)
                {
                    self.register_seen(asker.client, register, value_of(data), &stat);
                }
            }
            Shared::Enqueue { is_ephemeral } => self.enqueued(asker, is_ephemeral, outcome),
            Shared::Dequeue(path) => {
                if let Some(happened) = known(outcome) {
                    self.ledger.queue.dequeued(&path, happened);
                }
            }
            Shared::Make(_) => {}
        }
    }

    /// A session sees no state of a register older than one that it has seen before.
    fn register_seen(&mut self, client: usize, register: usize, value: u64, stat: &Stat) {
        let (version, zxid) = (stat.version, stat.mzxid);
        if let Err(wrong) = self.ledger.order.register(register, version, value, zxid) {
            self.violated(Rule::Linearizable, || wrong);
        }
        let Some(application) = self.application(client) else { return };
        let before = application.shared.versions[register].replace(version);
        if before.is_some_and(|before| before > version) {
            self.violated(Rule::SessionsInOrder, || {
                format!("client {client} saw version {before:?} of a register, then {version}")
            });
        }
    }

    fn enqueued(&mut self, asker: &Asker, is_ephemeral: bool, outcome: &Result<Reply, Failure>) {
        let reply = match outcome {
            Ok(reply) => reply,
            Err(Failure::Code(NODE_EXISTS)) => {
                let text = format!("client {} was given a number in use", asker.client);
                return self.violated(Rule::NumbersGivenOnce, || text);
            }
            Err(_) => return,
        };
        let Ok(Response::Path(path)) = Response::decode(OpCode::Create, &reply.body) else {
            return;
        };
        self.counts.add("numbers given");
        let owner = is_ephemeral.then_some(SessionId(asker.own));
        if let Err(wrong) = self.ledger.queue.enqueued(&path, owner, reply.zxid) {
            return self.violated(Rule::NumbersGivenOnce, || wrong);
        }
        if let Some(application) = self.application(asker.client) {
            application.shared.queue.push(path.into_owned());
        }
    }
}
