//! Equal inputs give equal bytes, whatever the hash seeds; snapshot plus log gives the same state.
#![allow(clippy::unwrap_used, reason = "a failed expectation here is a failed test")]

mod harness;

use harness::{Got, World};
use tenure_replica::{Config, ConnId, EndReason, Input};
use tenure_wire::{Acl, Create, OpCode, Request};

/// Splitmix64: the seed names the history.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % bound
    }
}

fn config(hash_seed: u64) -> Config {
    Config { hash_seed, extended_types: true, snapshot_entries: 40, ..Config::default() }
}

fn path(random: &mut Random) -> String {
    let name = |random: &mut Random| format!("/n{}", random.below(6));
    match random.below(3) {
        0 => name(random),
        1 => name(random) + &name(random),
        _ => name(random) + &name(random) + &name(random),
    }
}

fn write(random: &mut Random) -> Request<'static> {
    let path = path(random).into();
    let version = if random.below(4) == 0 { random.below(3) as i32 } else { -1 };
    match random.below(8) {
        0..=3 => {
            let flags = [0, 0, 1, 2, 3, 4][random.below(6) as usize];
            let data = [None, Some(&b""[..]), Some(b"some data")][random.below(3) as usize];
            let (op, acl, ttl_ms) = (OpCode::Create2, vec![Acl::OPEN], None);
            Request::Create(Create { op, path, data, acl, flags, ttl_ms })
        }
        4 => Request::SetData { path, data: Some(b"other"), version },
        5 => Request::SetAcl { path, acl: vec![Acl::OPEN, Acl::OPEN], version },
        _ => Request::Delete { path, version },
    }
}

fn request(random: &mut Random) -> Request<'static> {
    let watch = random.below(2) == 0;
    match random.below(10) {
        0 => Request::GetData { path: path(random).into(), watch },
        1 => Request::Exists { path: path(random).into(), watch },
        2 => Request::GetChildren2 { path: path(random).into(), watch },
        3 => Request::AddWatch { path: path(random).into(), mode: i32::from(watch) },
        4 => Request::Multi((0..random.below(5)).map(|_| write(random)).collect()),
        5 => Request::GetEphemerals { prefix: "".into() },
        _ => write(random),
    }
}

/// Lives one history, and returns what every connection received.
fn live(seed: u64, hash_seed: u64) -> (World, Vec<(ConnId, Vec<Got>)>) {
    let mut random = Random(seed);
    let mut world = World::new(config(hash_seed));
    let mut clients = Vec::new();
    for step in 0..400 {
        match random.below(20) {
            0 if clients.len() < 5 => {
                let (conn, opened) = world.open(4_000 + random.below(8_000) as i32);
                clients.push((conn, opened.session));
            }
            1 => world.wait(random.below(3_000)),
            2 => world.settle(),
            3 if !clients.is_empty() => {
                let (conn, session) =
                    clients.swap_remove(random.below(clients.len() as u64) as usize);
                match random.below(3) {
                    0 => world.send(conn, step, &Request::CloseSession),
                    1 => world.step(Input::Disconnected { conn }),
                    _ => world
                        .step(Input::CloseSession { session, reason: EndReason::ClosedByOperator }),
                }
            }
            4 => world.step(Input::TakeSnapshot),
            // A slice of a snapshot or of a session's end between other requests.
            5 => world.step(Input::Work { snapshot_room: true }),
            _ if clients.is_empty() => {}
            _ => {
                let (conn, _) = clients[random.below(clients.len() as u64) as usize];
                world.send(conn, step, &request(&mut random));
            }
        }
    }
    world.settle();
    let got = std::mem::take(&mut world.got).into_iter().collect();
    (world, got)
}

/// The state as its snapshot shows it.
fn snapshot(world: &mut World) -> Vec<Vec<u8>> {
    world.step(Input::TakeSnapshot);
    world.settle();
    world.snapshots.last().unwrap().1.clone()
}

#[test]
fn the_same_history_gives_the_same_bytes_under_any_hash_seed() {
    for seed in 0..40 {
        let (mut first, answers) = live(seed, 1);
        let (mut second, others) = live(seed, 0xdead_beef);
        assert_eq!(answers, others, "seed {seed}: answers differ");
        assert_eq!(first.log, second.log, "seed {seed}: logs differ");
        assert_eq!(snapshot(&mut first), snapshot(&mut second), "seed {seed}: snapshots differ");
    }
}

#[test]
fn a_snapshot_and_the_log_behind_it_give_the_state_back() {
    let mut snapshots = 0;
    let mut znodes = 0;
    for seed in 100..140 {
        let (mut world, _) = live(seed, seed);
        let before = snapshot(&mut world);
        world.snapshots.pop();
        snapshots += world.snapshots.len();
        znodes += world.replica.state().tree.len();
        let zxid = world.last_zxid();
        let mut world = world.restart();
        assert_eq!(world.last_zxid(), zxid, "seed {seed}");
        let after = snapshot(&mut world);
        // The heads differ in the applied index, because the restart opened a new term.
        assert_eq!(tail(&before), tail(&after), "seed {seed}");
    }
    assert!(snapshots > 40 && znodes > 400, "too quiet to mean anything: {snapshots}, {znodes}");
}

/// All records behind the head, which is the first 44 bytes.
fn tail(chunks: &[Vec<u8>]) -> Vec<u8> {
    chunks.concat().split_off(44)
}
