//! The server is killed with SIGKILL at random points under concurrent writers, again and again.
//!
//! After each restart: every acknowledged write is there, each writer's znodes are what some
//! prefix of its requests leaves (so no half of a multi is visible), what was read before is still
//! there, live sessions resume with their ephemerals, closed ones do not, zxids never go back.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::collections::BTreeSet;
use std::io;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use support::client::{Established, Handshake};
use support::ops::EPHEMERAL;
use support::{Client, Op, Random, Reply, Server, foreign};

const WRITERS: usize = 4;
/// Children a writer keeps before it deletes the oldest.
const KEPT: u64 = 40;

/// One client that writes in its own part of the tree, and knows what must be there.
struct Writer {
    root: String,
    session: Established,
    random: Random,
    /// The highest zxid any reply has shown.
    last_zxid: i64,
    /// Requests that were sent, in order; the number of each is its place here plus one.
    sent: Vec<Write>,
    /// How many of them were acknowledged.
    acknowledged: usize,
    /// What the tree holds after the requests already settled in earlier rounds.
    settled: Model,
}

/// One kind of write; each leaves the number of its request somewhere.
#[derive(Clone, Copy, Debug)]
enum Write {
    Set,
    Create,
    Ephemeral,
    /// Sets two znodes and creates a third.
    Multi,
    /// Sets a znode and deletes the oldest child, if there is one.
    Drop(u64),
}

/// What a writer's part of the tree holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Model {
    /// Number of the last request.
    number: u64,
    set: u64,
    twins: (u64, u64),
    children: BTreeSet<u64>,
    ephemerals: BTreeSet<u64>,
}

impl Model {
    fn apply(&mut self, write: Write) {
        self.number += 1;
        let number = self.number;
        match write {
            Write::Set => self.set = number,
            Write::Create => drop(self.children.insert(number)),
            Write::Ephemeral => drop(self.ephemerals.insert(number)),
            Write::Multi => {
                self.twins = (number, number);
                self.children.insert(number);
            }
            Write::Drop(child) => {
                self.set = number;
                self.children.remove(&child);
            }
        }
    }

    /// The number of the last request this state shows.
    fn newest(&self) -> u64 {
        let newest = |numbers: &BTreeSet<u64>| numbers.last().copied().unwrap_or(0);
        let marks = [self.set, self.twins.0, newest(&self.children), newest(&self.ephemerals)];
        marks.into_iter().max().expect("four of them")
    }
}

impl Writer {
    fn new(server: &Server, root: String, random: Random) -> Self {
        let mut client = server.connect();
        let znodes = ["", "/set", "/twin1", "/twin2", "/c", "/e"];
        for znode in znodes {
            client.create(&format!("{root}{znode}"), b"0").unwrap();
        }
        let last_zxid = client.last_zxid;
        let session = client.session.clone();
        client.hang_up();
        Self {
            root,
            session,
            random,
            last_zxid,
            sent: Vec::new(),
            acknowledged: 0,
            settled: Model::default(),
        }
    }

    /// Resumes the session, as a client that has seen `last_zxid`.
    fn resume(&self, server: &Server) -> Client {
        let ticket = Handshake { last_zxid: self.last_zxid, ..Handshake::resume(&self.session) };
        let client = server.establish(&ticket);
        assert_eq!(client.session, self.session);
        client
    }

    /// Writes until the connection breaks.
    fn write(&mut self, mut client: Client) {
        let mut expected = self.settled.clone();
        loop {
            let burst = 1 + self.random.below(16);
            let ops: Vec<Op> = (0..burst)
                .map(|_| {
                    let write = self.choose(&expected);
                    self.sent.push(write);
                    expected.apply(write);
                    self.op(write, expected.number)
                })
                .collect();
            if client.try_send_all(&ops).is_err() {
                return;
            }
            for _ in 0..burst {
                let Ok(reply) = client.try_reply() else { return };
                self.acknowledge(&reply);
            }
        }
    }

    fn acknowledge(&mut self, reply: &Reply) {
        assert_eq!(reply.err, 0, "every write of a writer can succeed");
        assert!(reply.zxid > self.last_zxid, "zxid went from {} to {reply:?}", self.last_zxid);
        self.last_zxid = reply.zxid;
        self.acknowledged += 1;
    }

    fn choose(&mut self, expected: &Model) -> Write {
        match expected.children.first() {
            Some(&oldest) if expected.children.len() as u64 > KEPT => Write::Drop(oldest),
            _ if expected.ephemerals.len() as u64 > KEPT => {
                *self.random.pick(&[Write::Set, Write::Create, Write::Multi])
            }
            _ => *self.random.pick(&[Write::Set, Write::Create, Write::Ephemeral, Write::Multi]),
        }
    }

    fn op(&self, write: Write, number: u64) -> Op {
        let root = &self.root;
        let value = number.to_string().into_bytes();
        let set = |name: &str| Op::set_data(&format!("{root}/{name}"), &value, -1);
        let create = Op::create(&format!("{root}/c/{number}"), &value, 0);
        match write {
            Write::Set => set("set"),
            Write::Create => create,
            Write::Ephemeral => Op::create(&format!("{root}/e/{number}"), &value, EPHEMERAL),
            Write::Multi => Op::multi(&[set("twin1"), create, set("twin2")]),
            Write::Drop(child) => {
                Op::multi(&[set("set"), Op::delete(&format!("{root}/c/{child}"), -1)])
            }
        }
    }

    /// Compares the tree with the requests sent and acknowledged, and starts the next round there.
    fn settle(&mut self, client: &mut Client) {
        let observed = self.observe(client);
        let before = self.settled.number;
        let (least, most) = (before + self.acknowledged as u64, before + self.sent.len() as u64);
        let number = observed.newest().max(least);
        assert!(number <= most, "{}: request {number} was never sent", self.root);
        let mut expected = self.settled.clone();
        for write in &self.sent[..(number - before) as usize] {
            expected.apply(*write);
        }
        assert_eq!(
            Model { number, ..observed },
            expected,
            "{}: of {} requests {} were acknowledged; the tree is no prefix",
            self.root,
            self.sent.len(),
            self.acknowledged
        );
        self.settled = expected;
        self.sent.clear();
        self.acknowledged = 0;
        assert!(client.last_zxid >= self.last_zxid);
        self.last_zxid = client.last_zxid;
    }

    fn observe(&self, client: &mut Client) -> Model {
        let mut value = |name: &str| {
            let (data, _) = client.get(&format!("{}/{name}", self.root)).unwrap();
            String::from_utf8(data.unwrap()).unwrap().parse::<u64>().unwrap()
        };
        let (set, twins) = (value("set"), (value("twin1"), value("twin2")));
        let mut numbers = |name: &str| -> BTreeSet<u64> {
            let names = client.children(&format!("{}/{name}", self.root)).unwrap();
            names.iter().map(|name| name.parse().unwrap()).collect()
        };
        Model { number: 0, set, twins, children: numbers("c"), ephemerals: numbers("e") }
    }
}

/// Opens and closes sessions, and remembers what the server said about them.
#[derive(Default)]
struct Visitor {
    opened: Vec<Established>,
    closed: Vec<Established>,
}

impl Visitor {
    fn visit(&mut self, mut dial: impl FnMut() -> io::Result<support::Socket>) {
        loop {
            let Ok(mut socket) = dial() else { return };
            let Ok(session) = socket.try_handshake(&Handshake::new(30_000)) else { return };
            let mut client = Client::over(socket, session.clone());
            self.opened.push(session.clone());
            let ops = [Op::create("/visit", b"", EPHEMERAL), Op::close_session()];
            if client.try_send_all(&ops).is_err() {
                return;
            }
            if client.try_reply().is_err() || client.try_reply().is_err() {
                // It is unknown whether this one was closed.
                self.opened.pop();
                return;
            }
            self.opened.pop();
            self.closed.push(session);
        }
    }

    fn settle(&mut self, server: &Server) {
        for session in self.closed.drain(..).rev().take(3) {
            server.socket().expect_refusal(&Handshake::resume(&session));
        }
        for session in self.opened.drain(..) {
            let client = server.establish(&Handshake::resume(&session));
            assert_eq!(client.session, session);
            client.close();
        }
    }
}

/// Reads one writer's znode over and over; returns the highest number it saw.
fn read(mut client: Client, path: &str) -> u64 {
    let mut highest = 0;
    let op = Op::get_data(path, false);
    loop {
        if client.try_send_all(std::slice::from_ref(&op)).is_err() {
            return highest;
        }
        let Ok(reply) = client.try_reply() else { return highest };
        let data = support::record::Fields(&reply.body).buffer().unwrap();
        let number = String::from_utf8(data).unwrap().parse().unwrap();
        assert!(number >= highest, "a read went back from {highest} to {number}");
        highest = number;
    }
}

#[test]
fn no_acknowledged_write_is_lost_in_two_hundred_kills() {
    let kills = if foreign() { 8 } else { 220 };
    let mut random = Random::seeded("crash");
    let mut server = Server::with("tickTime=2000\nsnapCount=1000");
    let mut writers: Vec<Writer> =
        (0..WRITERS).map(|i| Writer::new(&server, format!("/writer{i}"), random.fork())).collect();
    let mut visitor = Visitor::default();
    let (mut killed, mut acknowledged, start) = (0, 0, Instant::now());
    let mut highest_zxid = 0;
    while killed < kills {
        let clients: Vec<Client> = writers.iter().map(|writer| writer.resume(&server)).collect();
        let reader = server.connect();
        let address = server.address();
        let pause = Duration::from_micros(random.below(120_000));
        let seen = thread::scope(|scope| {
            for (writer, client) in writers.iter_mut().zip(clients) {
                scope.spawn(|| writer.write(client));
            }
            let reader = scope.spawn(|| read(reader, "/writer0/set"));
            scope.spawn(|| visitor.visit(|| support::Socket::dial(address)));
            sleep(pause);
            server.kill();
            reader.join().unwrap()
        });
        killed += 1;
        // Now and then it dies once more while it recovers.
        while random.below(6) == 0 {
            server.spawn();
            sleep(Duration::from_micros(random.below(60_000)));
            server.kill();
            killed += 1;
        }
        server.restart();
        for writer in &mut writers {
            acknowledged += writer.acknowledged;
            highest_zxid = highest_zxid.max(writer.last_zxid);
            let mut client = writer.resume(&server);
            writer.settle(&mut client);
            client.hang_up();
        }
        assert!(writers[0].settled.set >= seen, "what was read has gone");
        visitor.settle(&server);
        let mut client = server.connect();
        let zxid = client.call(&Op::set_data("/", b"", -1)).zxid;
        assert!(zxid > highest_zxid, "zxids went back from {highest_zxid} to {zxid}");
        highest_zxid = zxid;
        client.close();
    }
    println!("{killed} kills, {acknowledged} acknowledged writes, {:?}", start.elapsed());
    assert!(acknowledged > killed, "the writers hardly got to write");
}
