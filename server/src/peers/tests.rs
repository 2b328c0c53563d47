//! The gate and the end that dials, over sockets.

mod secured;

use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use mio::{Poll, Token, Waker};
use socket2::{Domain, Socket, Type};
use tenure_storage::RealDisk;

use super::dial::NoLink;
use super::hello::{Answer, Hello, Verdict, Versions, greet};
use super::*;
use crate::config::{MemberAddress, MemberRole};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The door of member 1.
struct Door {
    gate: Arc<Gate>,
    identity: Arc<Identity>,
    address: SocketAddr,
    mail: Receiver<Mail>,
    /// The bell of the mailbox.
    _poll: Poll,
}

fn door(members: &[u64]) -> Door {
    secured_door(members, Security::plain())
}

/// Members that are all found on this machine.
fn local(members: &[u64]) -> Hosts {
    members.iter().map(|member| (*member, vec!["127.0.0.1".to_owned()])).collect()
}

fn secured_door(members: &[u64], security: Arc<Security>) -> Door {
    let poll = Poll::new().expect("a queue");
    let waker = Waker::new(poll.registry(), Token(0)).expect("a waker");
    let (mailbox, mail) = Mailbox::new(Arc::new(waker));
    let disk = RealDisk::shared();
    let snapshots = SnapshotFolder { disk, dir: "/nonexistent".into(), hash_seed: 0 };
    let identity = Arc::new(Identity::new(1, 7, String::new()));
    let gate = Gate::new(Arc::clone(&identity), security, local(members), snapshots, mailbox);
    let gate = Arc::new(gate);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let keeper = Arc::clone(&gate);
    thread::spawn(move || keeper.keep(&listener));
    Door { gate, identity, address, mail, _poll: poll }
}

fn hello(from: u64) -> Hello {
    let (purpose, versions) = (Purpose::Messages, Versions::OURS);
    let line = format!("server.{from}=127.0.0.1:{from}:9:participant");
    Hello { versions, purpose, from, to: 1, cluster: 0, members: 7, version: 0, line }
}

impl Door {
    fn knock(&self, hello: &Hello) -> (LinkStream, Answer) {
        let stream = LinkStream::dial(&self.address).expect("it listens");
        let answer = greet(&stream, hello).expect("an answer");
        (stream, answer)
    }

    fn enter(&self, hello: &Hello) -> LinkStream {
        let (stream, answer) = self.knock(hello);
        assert_eq!(answer.verdict, Verdict::Welcome);
        stream
    }

    /// Why it lets nobody in who says this, and whether because he is no member.
    fn refusal(&self, hello: &Hello) -> (String, bool) {
        match self.knock(hello).1.verdict {
            Verdict::Welcome => panic!("{hello:?} is let in"),
            Verdict::Refused { why, is_no_member } => (why, is_no_member),
        }
    }

    fn next_mail(&self) -> Mail {
        self.mail.recv_timeout(PATIENCE).expect("mail")
    }

    fn expect_message(&self, member: u64, text: &[u8]) {
        match self.next_mail() {
            Mail::Peer { from, message } => assert_eq!((from, &message[..]), (member, text)),
            _ => panic!("no message"),
        }
    }

    fn expect_down(&self, from: u64) {
        match self.next_mail() {
            Mail::PeerDown { member } => assert_eq!(member, from),
            _ => panic!("no broken link"),
        }
    }
}

fn say(mut stream: &LinkStream, text: &[u8]) {
    stream.write_all(&(text.len() as u32).to_be_bytes()).expect("it is read");
    stream.write_all(text).expect("it is read");
}

fn expect_end(stream: &LinkStream) {
    stream.set_read_patience(Some(PATIENCE)).expect("settable");
    let mut stream = stream;
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)), "something came");
}

#[test]
fn a_message_longer_than_allowed_or_cut_short_ends_the_link() {
    assert!(read_message(&mut &[255, 255, 255, 255, 0][..]).is_err());
    assert!(read_message(&mut &[0, 0, 0, 3, 1, 2][..]).is_err());
    assert_eq!(read_message(&mut &[0, 0, 0, 2, 1, 2, 9][..]).expect("whole"), [1, 2]);
}

#[test]
fn members_are_let_in_and_heard() {
    let door = door(&[1, 2, 3]);
    let (two, three) = (door.enter(&hello(2)), door.enter(&hello(3)));
    say(&two, b"a");
    door.expect_message(2, b"a");
    say(&three, b"b");
    door.expect_message(3, b"b");
    drop(two);
    door.expect_down(2);
    // One end that knows its ensemble and one that does not may belong together.
    assert!(door.identity.learn_cluster(0xaa));
    assert!(!door.identity.learn_cluster(0xaa));
    let (_two, answer) = door.knock(&Hello { cluster: 0xaa, ..hello(2) });
    assert_eq!((answer.verdict, answer.cluster), (Verdict::Welcome, 0xaa));
    door.enter(&hello(3));
}

#[test]
fn whoever_does_not_belong_here_is_told_why() {
    let door = door(&[1, 2, 3]);
    door.identity.learn_cluster(0xaa);
    let (why, _) = door.refusal(&Hello { cluster: 0xbb, ..hello(2) });
    for part in ["00000000000000aa", "00000000000000bb", "data folder", "wrong address"] {
        assert!(why.contains(part), "{why}");
    }
    let versions = Versions { oldest: 7, newest: 9 };
    let (why, _) = door.refusal(&Hello { versions, ..hello(2) });
    assert!(why.contains("7 to 9") && why.contains("1 to 1"), "{why}");
    let (why, _) = door.refusal(&Hello { to: 5, ..hello(2) });
    assert!(why.contains("this is member 1 and not member 5"), "{why}");
    let (why, is_no_member) = door.refusal(&Hello { members: 8, ..hello(2) });
    assert!(why.contains("different server.N lines") && !is_no_member, "{why}");
    let (why, is_no_member) = door.refusal(&hello(4));
    assert!(why.contains("server 4 is not among the members") && is_no_member, "{why}");
    assert!(door.mail.try_recv().is_err(), "nothing came of it");
}

#[test]
fn a_stranger_gets_no_word_and_changes_nothing() {
    let door = door(&[1, 2, 3]);
    for said in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"tenure-1", b"ruok", &[0; 64]] {
        let mut stranger = TcpStream::connect(door.address).expect("it listens");
        stranger.set_read_timeout(Some(PATIENCE)).expect("settable");
        stranger.write_all(said).expect("there is room");
        // The end may have come already, as a reset, since not all was read.
        _ = stranger.shutdown(std::net::Shutdown::Write);
        let mut heard = Vec::new();
        _ = stranger.read_to_end(&mut heard);
        assert!(heard.is_empty(), "{heard:?}");
    }
    assert!(door.mail.try_recv().is_err());
}

#[test]
fn a_crowd_of_strangers_is_bounded_and_keeps_no_member_out() {
    let door = door(&[1, 2, 3]);
    let connect = |_| LinkStream::dial(&door.address).expect("the system accepts");
    let crowd: Vec<LinkStream> = (0..4 * limits::PEER_STRANGERS).map(connect).collect();
    // While the first of them are leaving it may have to come again, as members do.
    let member = loop {
        let stream = LinkStream::dial(&door.address).expect("the system accepts");
        if greet(&stream, &hello(2)).is_ok() {
            break stream;
        }
    };
    assert!(door.gate.strangers() <= 3 * limits::PEER_STRANGERS, "{}", door.gate.strangers());
    say(&member, b"a");
    door.expect_message(2, b"a");
    // The first ones had to go, without a word.
    for stranger in &crowd[..limits::PEER_STRANGERS] {
        expect_end(stranger);
    }
    drop(crowd);
    say(&member, b"b");
    door.expect_message(2, b"b");
}

#[test]
fn a_crowd_from_elsewhere_does_not_make_a_slow_member_go() {
    let door = door(&[1, 2, 3]);
    let slow = LinkStream::dial(&door.address).expect("the system accepts");
    let mut crowd = Vec::new();
    for number in 0..4 * limits::PEER_STRANGERS {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let elsewhere = SocketAddr::from(([127, 0, 0, 5], 0));
        socket.bind(&elsewhere.into()).expect("all of that network is this machine's");
        socket.connect(&door.address.into()).expect("the system accepts");
        crowd.push(socket);
        // They are all counted before the next ones come.
        while number < limits::PEER_STRANGERS && door.gate.strangers() < number + 1 {
            thread::yield_now();
        }
    }
    let answer = greet(&slow, &hello(2)).expect("an answer");
    assert_eq!(answer.verdict, Verdict::Welcome);
    say(&slow, b"a");
    door.expect_message(2, b"a");
}

#[test]
fn a_new_link_of_a_member_takes_the_place_of_its_last_one() {
    let door = door(&[1, 2, 3]);
    let first = door.enter(&hello(2));
    say(&first, b"a");
    door.expect_message(2, b"a");
    let second = door.enter(&hello(2));
    door.expect_down(2);
    expect_end(&first);
    say(&second, b"b");
    door.expect_message(2, b"b");
    assert!(door.mail.try_recv().is_err(), "the end of the first one is no news");
}

#[test]
fn whoever_is_no_member_any_more_has_to_go_until_it_is_one_again() {
    let door = door(&[1, 2, 3]);
    let (two, three) = (door.enter(&hello(2)), door.enter(&hello(3)));
    say(&three, b"a");
    door.expect_message(3, b"a");
    door.gate.admit(local(&[1, 2]));
    expect_end(&three);
    door.expect_down(3);
    assert!(door.refusal(&hello(3)).1);
    say(&two, b"b");
    door.expect_message(2, b"b");
    door.gate.admit(local(&[1, 2, 3]));
    let three = door.enter(&hello(3));
    say(&three, b"c");
    door.expect_message(3, b"c");
}

#[test]
fn members_of_another_ensemble_have_to_go_once_this_one_is_known() {
    let door = door(&[1, 2, 3]);
    let ours = door.enter(&Hello { cluster: 0xaa, ..hello(2) });
    let theirs = door.enter(&Hello { cluster: 0xbb, ..hello(3) });
    say(&theirs, b"a");
    door.expect_message(3, b"a");
    door.identity.learn_cluster(0xaa);
    door.gate.admit(local(&[1, 2, 3]));
    expect_end(&theirs);
    door.expect_down(3);
    say(&ours, b"b");
    door.expect_message(2, b"b");
}

#[test]
fn the_end_that_dials_learns_why_it_is_refused() {
    let door = door(&[1, 2, 3]);
    let (host, quorum_port) = (door.address.ip().to_string(), door.address.port());
    let addresses = vec![MemberAddress { host, quorum_port, election_port: 1 }];
    let (role, client, secure_client) = (MemberRole::Participant, None, None);
    let one = Member { id: 1, addresses, role, client, secure_client };
    let dial = |me: u64| {
        let identity = Identity::new(me, 7, String::new());
        connect(&one, &identity, &Security::plain(), Purpose::Messages)
    };
    assert!(dial(2).is_ok());
    match dial(9) {
        Err(NoLink::Refused { is_no_member: true, why }) => assert!(why.contains("server 9")),
        _ => panic!("it is no member"),
    }
}

#[test]
fn a_server_that_knows_later_members_of_this_ensemble_is_believed() {
    let door = door(&[1, 2, 3]);
    door.identity.learn_cluster(0xaa);
    door.identity.learn_members(5, None);
    let four = |cluster: u64, version: u64| Hello { cluster, version, ..hello(4) };
    // It may have been removed, or know as little as this one; a stranger to the ensemble has no
    // say at all.
    assert!(door.refusal(&four(0xaa, 5)).1);
    assert!(door.refusal(&four(0xaa, 4)).1);
    assert!(door.refusal(&four(0, 9)).1);
    let stream = door.enter(&four(0xaa, 9));
    match door.next_mail() {
        Mail::MemberAhead { version: 9, member } => assert_eq!(member.to_string(), hello(4).line),
        _ => panic!("nobody is told where it can be reached"),
    }
    say(&stream, b"a");
    door.expect_message(4, b"a");
    // Steps on the way there do not count.
    door.identity.learn_members(8, None);
    door.gate.admit(local(&[1, 2]));
    say(&stream, b"b");
    door.expect_message(4, b"b");
    door.identity.learn_members(9, None);
    door.gate.admit(local(&[1, 2]));
    expect_end(&stream);
    door.expect_down(4);
}
