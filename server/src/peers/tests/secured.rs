//! Links over TLS: who is let in, who is not, and what is told.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use std::fs;
use std::net::Shutdown;
use std::time::SystemTime;

use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tenure_certs::{Authority, Issued, Validity, self_signed};

use super::*;
use crate::config::EnsembleSettings;
use crate::tls::{self, LinkTls, Live};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn valid() -> Validity {
    Validity::days(SystemTime::now(), 10)
}

fn authority() -> Authority {
    Authority::new("members", valid()).unwrap()
}

/// What a server makes of these files and further keys.
fn keys(issued: &Issued, trusted: &str, more: &[(&str, &str)]) -> Arc<Live<LinkTls>> {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let mut pairs = vec![
        ("keyStore.location", file("keys.pem", &issued.key_store())),
        ("trustStore.location", file("trusted.pem", trusted)),
    ];
    pairs.extend(more.iter().map(|(key, value)| match *key {
        "crlFile" => (*key, file("revoked.pem", value)),
        _ => (*key, (*value).to_owned()),
    }));
    let pairs: Vec<_> =
        pairs.into_iter().map(|(key, value)| (format!("ssl.quorum.{key}"), value)).collect();
    tls::links(&pairs).unwrap().0
}

fn security(tls: Option<Arc<Live<LinkTls>>>, dials: bool, unifies: bool) -> Arc<Security> {
    let settings =
        EnsembleSettings { tls: dials, tls_unification: unifies, ..EnsembleSettings::default() };
    Arc::new(Security::new(&settings, tls))
}

/// A member at 127.0.0.1 of this authority, which has all links secured.
fn secured(authority: &Authority) -> Arc<Security> {
    let issued = authority.server(&["127.0.0.1"], valid()).unwrap();
    security(Some(keys(&issued, authority.certificate(), &[])), true, false)
}

impl Door {
    /// Its line in the configuration of others.
    fn line(&self) -> Member {
        let (host, quorum_port) = (self.address.ip().to_string(), self.address.port());
        let addresses = vec![MemberAddress { host, quorum_port, election_port: 1 }];
        let (role, client, secure_client) = (MemberRole::Participant, None, None);
        Member { id: 1, addresses, role, client, secure_client }
    }

    /// Another member dials it, as members do.
    fn dialled_by(&self, me: u64, security: &Security) -> Result<LinkStream, NoLink> {
        let identity = Identity::new(me, 7, String::new());
        connect(&self.line(), &identity, security, Purpose::Messages).map(|(stream, _)| stream)
    }

    /// A member comes in, however crowded the door is, and is heard.
    fn expect_serving(&self, me: u64, security: &Security) {
        let member = loop {
            match self.dialled_by(me, security) {
                Ok(member) => break member,
                Err(NoLink::Unreachable(_)) => {}
                Err(refused) => panic!("{refused}"),
            }
        };
        say(&member, b"still here");
        self.expect_message(me, b"still here");
        drop(member);
        self.expect_down(me);
        assert!(self.mail.try_recv().is_err(), "nothing came of anybody else");
    }
}

/// TLS as a stranger speaks it, who takes any server for the right one.
fn stranger(identity: Option<&Issued>, trusted: &str) -> ClientConnection {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some(issued) => {
            let chain =
                vec![CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    let name = ServerName::try_from("127.0.0.1").unwrap();
    ClientConnection::new(Arc::new(config), name).unwrap()
}

/// What a server thinks of somebody who connects and says this, behind a handshake if there is one.
fn judged(security: &Security, tls: Option<ClientConnection>, said: &[u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let said = said.to_vec();
    let stranger = thread::spawn(move || {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        // It may be refused at any point.
        match tls {
            Some(mut tls) => {
                let mut stream = rustls::Stream::new(&mut tls, &mut socket);
                _ = stream.write_all(&said).and_then(|()| stream.flush());
                _ = stream.read_to_end(&mut Vec::new());
            }
            None => {
                _ = socket.write_all(&said);
                _ = socket.shutdown(Shutdown::Write);
                _ = socket.read_to_end(&mut Vec::new());
            }
        }
    });
    let (socket, _) = listener.accept().unwrap();
    let by = Instant::now() + PATIENCE;
    let greeted = security
        .accepted(LinkStream::accepted(socket), by)
        .and_then(|stream| Hello::read(&stream, by));
    stranger.join().unwrap();
    greeted.map(|hello| format!("{hello:?}")).unwrap_or_else(|error| error.to_string())
}

#[test]
fn members_meet_over_tls_in_both_versions_of_it() {
    let authority = authority();
    let door = secured_door(&[1, 2, 3], secured(&authority));
    let issued = authority.server(&["127.0.0.1"], valid()).unwrap();
    for protocol in ["TLSv1.3", "TLSv1.2"] {
        let tls = keys(&issued, authority.certificate(), &[("protocol", protocol)]);
        let member = door.dialled_by(2, &security(Some(tls), true, false)).unwrap();
        say(&member, b"a");
        door.expect_message(2, b"a");
        // Larger than records and buffers of sockets.
        let large: Vec<u8> = (0..3_000_000_u32).map(|i| (i / 7) as u8).collect();
        say(&member, &large);
        door.expect_message(2, &large);
        assert!(member.check_alive().is_ok());
        say(&member, b"after that");
        door.expect_message(2, b"after that");
        drop(member);
        door.expect_down(2);
    }
}

#[test]
fn the_end_of_an_idle_secured_link_is_noticed() {
    let authority = authority();
    let (ours, theirs) = (secured(&authority), secured(&authority));
    let door = secured_door(&[1, 2, 3], theirs);
    let member = door.dialled_by(2, &ours).unwrap();
    say(&member, b"a");
    door.expect_message(2, b"a");
    assert!(member.check_alive().is_ok());
    // The other end has it end from another hand.
    door.gate.admit(local(&[1, 3]));
    door.expect_down(2);
    expect_end(&member);
    assert!(member.check_alive().is_err());
}

#[test]
fn strangers_neither_join_nor_vote_nor_read() {
    let ours = authority();
    let other = Authority::new("others", valid()).unwrap();
    let ca = ours.certificate();
    let past = SystemTime::now() - 20 * DAY;
    let hosts = &["127.0.0.1"];
    let expired = ours.server(hosts, Validity::days(past, 10)).unwrap();
    let early = Validity { from: SystemTime::now() + DAY, until: SystemTime::now() + 2 * DAY };
    let early = ours.server(hosts, early).unwrap();
    let foreign = other.server(hosts, valid()).unwrap();
    let forged = authority().server(hosts, valid()).unwrap();
    let alone = self_signed(hosts, valid()).unwrap();
    let door = secured_door(&[1, 2, 3], secured(&ours));
    let hello = hello(2).encode();
    for (tls, why) in [
        (Some(stranger(None, ca)), "peer sent no certificates"),
        (Some(stranger(Some(&foreign), ca)), "UnknownIssuer"),
        (Some(stranger(Some(&forged), ca)), "BadSignature"),
        (Some(stranger(Some(&alone), ca)), "UnknownIssuer"),
        (Some(stranger(Some(&expired), ca)), "expired"),
        (Some(stranger(Some(&early), ca)), "not valid yet"),
        (None, "it does not speak TLS, and links here must (sslQuorum=true)"),
    ] {
        let told = judged(&secured(&ours), tls, &hello);
        assert!(told.contains(why), "{told:?} is not {why:?}");
    }
    for identity in [None, Some(&foreign), Some(&alone), Some(&expired), Some(&early)] {
        let mut tls = stranger(identity, ca);
        let mut socket = TcpStream::connect(door.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut stream = rustls::Stream::new(&mut tls, &mut socket);
        _ = stream.write_all(&hello);
        let mut heard = Vec::new();
        // The alert that says why, or a reset.
        assert!(stream.read_to_end(&mut heard).is_err());
        assert!(heard.is_empty(), "{heard:?}");
    }
    door.expect_serving(2, &secured(&ours));
}

#[test]
fn a_certificate_counts_at_the_hosts_it_is_for() {
    let authority = authority();
    let ca = authority.certificate();
    let of = |hosts: &[&str], more: &[(&str, &str)]| {
        let issued = authority.server(hosts, valid()).unwrap();
        security(Some(keys(&issued, ca, more)), true, false)
    };
    let unchecked = [("hostnameVerification", "false")];
    // Whoever dials looks at whom it reached.
    let door = secured_door(&[1, 2, 3], of(&["elsewhere.example"], &[]));
    let Err(NoLink::Unreachable(error)) = door.dialled_by(2, &of(&["127.0.0.1"], &[])) else {
        panic!("it is somebody else");
    };
    assert!(error.to_string().contains("not valid for name"), "{error}");
    // And whoever is dialled, where it can be reached.
    let checks = secured_door(&[1, 2, 3], of(&["127.0.0.1"], &[]));
    match checks.dialled_by(2, &of(&["elsewhere.example"], &[])) {
        Err(NoLink::Refused { is_no_member: false, why }) => {
            assert!(why.contains("member 1 finds no host of server 2's server.N line"), "{why}");
        }
        _ => panic!("it is not from there"),
    }
    // A client's certificate makes nobody a member, though the same authority issued it.
    let client = authority.client("127.0.0.1", valid()).unwrap();
    let client = security(Some(keys(&client, ca, &[])), true, false);
    assert!(matches!(checks.dialled_by(2, &client), Err(NoLink::Refused { .. })));
    // Unless nobody looks.
    let lax = secured_door(&[1, 2, 3], of(&["elsewhere.example"], &unchecked));
    lax.expect_serving(2, &of(&["elsewhere.example"], &unchecked));
    let foreign = Authority::new("others", valid()).unwrap();
    let foreign = foreign.server(&["127.0.0.1"], valid()).unwrap();
    let foreign = security(Some(keys(&foreign, ca, &unchecked)), true, false);
    let door = secured_door(&[1, 2, 3], foreign);
    let Err(NoLink::Unreachable(error)) = door.dialled_by(2, &of(&["127.0.0.1"], &unchecked))
    else {
        panic!("nobody vouches for it");
    };
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
}

#[test]
fn revoked_certificates_count_no_more_at_either_end() {
    let authority = authority();
    let ca = authority.certificate();
    let good = authority.server(&["127.0.0.1"], valid()).unwrap();
    let bad = authority.server(&["127.0.0.1"], valid()).unwrap();
    let list = authority.revocation_list(&[bad.serial], valid()).unwrap();
    let ours = security(Some(keys(&good, ca, &[("crlFile", &list)])), true, false);
    let theirs = security(Some(keys(&bad, ca, &[])), true, false);
    let told = judged(&ours, Some(stranger(Some(&bad), ca)), &hello(2).encode());
    assert!(told.contains("Revoked"), "{told}");
    let door = secured_door(&[1, 2, 3], Arc::clone(&ours));
    assert!(door.dialled_by(2, &theirs).is_err());
    door.expect_serving(2, &ours);
    let door = secured_door(&[1, 2, 3], theirs);
    let error = door.dialled_by(2, &ours).err().unwrap().to_string();
    assert!(error.contains("Revoked"), "{error}");
}

#[test]
fn plain_and_encrypted_ends_tell_each_other_apart() {
    let authority = authority();
    let issued = authority.server(&["127.0.0.1"], valid()).unwrap();
    let tls = || Some(keys(&issued, authority.certificate(), &[]));
    let encrypted = security(tls(), true, false);
    let plain_door = door(&[1, 2, 3]);
    let error = plain_door.dialled_by(2, &encrypted).err().unwrap().to_string();
    assert!(error.contains("the TLS handshake failed") && error.contains("sslQuorum"), "{error}");
    plain_door.expect_serving(2, &Security::plain());
    let encrypted_door = secured_door(&[1, 2, 3], Arc::clone(&encrypted));
    let error = encrypted_door.dialled_by(2, &Security::plain()).err().unwrap().to_string();
    assert!(error.contains("hung up") && error.contains("sslQuorum"), "{error}");
    encrypted_door.expect_serving(2, &encrypted);
    let told = judged(&Security::plain(), Some(stranger(None, authority.certificate())), b"");
    assert!(told.contains("it speaks TLS, and links here are plain"), "{told}");

    // The steps from plain to encrypted links, each with members that are one step behind.
    let both_plain = security(tls(), false, true);
    let both_encrypted = security(tls(), true, true);
    for (here, there) in [
        (Security::plain(), Arc::clone(&both_plain)),
        (Arc::clone(&both_plain), Arc::clone(&both_encrypted)),
        (Arc::clone(&both_encrypted), Arc::clone(&encrypted)),
    ] {
        for (dials, takes) in [(&here, &there), (&there, &here)] {
            secured_door(&[1, 2, 3], Arc::clone(takes)).expect_serving(2, dials);
        }
    }
}

#[test]
fn thousands_of_half_open_handshakes_keep_no_member_out() {
    let authority = authority();
    let member = secured(&authority);
    let door = secured_door(&[1, 2, 3], Arc::clone(&member));
    let mut tls = stranger(None, authority.certificate());
    let mut first_flight = Vec::new();
    tls.write_tls(&mut first_flight).unwrap();
    let half = &first_flight[..first_flight.len() / 2];
    let mut crowd = Vec::new();
    for number in 0..2000 {
        // Some say nothing, some half of it, and some wait behind a whole first flight.
        let mut socket = TcpStream::connect(door.address).unwrap();
        _ = socket.write_all([&b""[..], half, &first_flight][number % 3]);
        crowd.push(socket);
        if number % 500 == 499 {
            door.expect_serving(2, &member);
        }
    }
    let strangers = door.gate.strangers();
    assert!(strangers <= 3 * limits::PEER_STRANGERS, "{strangers}");
    drop(crowd);
    door.expect_serving(3, &member);
}

#[test]
fn a_handshake_that_comes_byte_by_byte_has_no_more_time() {
    let authority = authority();
    let tls =
        keys(&authority.server(&["127.0.0.1"], valid()).unwrap(), authority.certificate(), &[]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let slow = thread::spawn(move || {
        let mut socket = TcpStream::connect(address).unwrap();
        // A record of a length that is never reached, until the other end has had enough.
        _ = socket.write_all(&[0x16, 3, 1, 0x40, 0]);
        while socket.write_all(&[0]).is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let (socket, _) = listener.accept().unwrap();
    let began = Instant::now();
    let by = began + Duration::from_millis(200);
    let security = security(Some(tls), true, false);
    let error = security.accepted(LinkStream::accepted(socket), by).err().unwrap();
    assert!(error.to_string().contains("the TLS handshake failed"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    slow.join().unwrap();
}

/// Passes on what one end says, with one bit of a byte turned over, until either end is done.
fn relay_with_a_flip(to: SocketAddr, at: usize, bit: u8) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (near, _) = listener.accept().unwrap();
        let far = TcpStream::connect(to).unwrap();
        let (mut from, mut back) = (far.try_clone().unwrap(), near.try_clone().unwrap());
        let answers = thread::spawn(move || {
            _ = std::io::copy(&mut from, &mut back);
            _ = back.shutdown(Shutdown::Both);
        });
        let (mut passed, mut buffer) = (0, [0; 4096]);
        while let Ok(read @ 1..) = (&near).read(&mut buffer) {
            if let Some(hit) = at.checked_sub(passed).filter(|hit| *hit < read) {
                buffer[hit] ^= 1 << bit;
            }
            passed += read;
            if (&far).write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        _ = far.shutdown(Shutdown::Both);
        answers.join().unwrap();
    });
    address
}

#[test]
fn a_handshake_with_a_flipped_bit_opens_nothing_that_it_should_not() {
    let authority = authority();
    let security = secured(&authority);
    let door = secured_door(&[1, 2, 3], Arc::clone(&security));
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    // Over the whole handshake, the greeting and a message.
    let flips: Vec<_> = (0..200).map(|_| (next(1500) as usize, next(8) as u8)).collect();
    let (line, address) = (door.line(), door.address);
    let is_refused = |(at, bit): (usize, u8)| {
        let mut line = line.clone();
        line.addresses[0].quorum_port = relay_with_a_flip(address, at, bit).port();
        let identity = Identity::new(2, 7, String::new());
        // What is wrong may be wrong in the message alone, or in what nobody looks at.
        let linked = connect(&line, &identity, &security, Purpose::Messages).map(|(member, _)| {
            let mut member = &member;
            _ = member.write_all(&[0, 0, 0, 5]).and_then(|()| member.write_all(b"words"));
        });
        linked.is_err()
    };
    // A flipped length has both ends wait for what never comes: not for one after the other.
    let count = &|flips: &[(usize, u8)]| flips.iter().filter(|flip| is_refused(**flip)).count();
    let refused: usize = thread::scope(|scope| {
        let counts: Vec<_> =
            flips.chunks(10).map(|flips| scope.spawn(move || count(flips))).collect();
        counts.into_iter().map(|count| count.join().unwrap()).sum()
    });
    assert!(refused > 100, "{refused} were refused");
    // Whatever came of those who were let in is what they said.
    let last = door.dialled_by(3, &security).unwrap();
    say(&last, b"the last");
    loop {
        match door.next_mail() {
            Mail::Peer { from: 2, message } => assert_eq!(message, b"words"),
            Mail::PeerDown { member: 2 } => {}
            Mail::Peer { from: 3, message } => break assert_eq!(message, b"the last"),
            _ => panic!("something else"),
        }
    }
}

#[test]
fn noise_behind_the_first_byte_of_a_handshake_is_refused() {
    let authority = authority();
    let security = secured(&authority);
    let door = secured_door(&[1, 2, 3], Arc::clone(&security));
    let mut tls = stranger(None, authority.certificate());
    let mut flight = Vec::new();
    tls.write_tls(&mut flight).unwrap();
    let mut state = 7_u32;
    for length in (1..flight.len()).step_by(3) {
        let mut said = flight[..length].to_vec();
        for _ in 0..2 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = state as usize % length;
            said[at] = if at == 0 { tls::HANDSHAKE } else { (state >> 24) as u8 };
        }
        let mut socket = TcpStream::connect(door.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        _ = socket.write_all(&said);
        _ = socket.shutdown(Shutdown::Write);
        let mut heard = Vec::new();
        _ = socket.read_to_end(&mut heard);
        // At most the server's own part of a handshake, or an alert: no greeting.
        assert!(!heard.windows(8).any(|bytes| bytes == b"tenure-a"), "{heard:02x?}");
    }
    door.expect_serving(2, &security);
}
