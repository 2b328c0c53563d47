//! Every word against what the reference server answered in the same situation.

use super::*;
use crate::admin::fake::FakeServer;
use crate::config::{EnsembleSettings, ServerConfig};

fn ask(server: &mut FakeServer, word: &str) -> String {
    let word = Word::parse(word.as_bytes().try_into().unwrap()).unwrap();
    answer(word, None, &WordList::All, server)
}

/// Text with every number replaced by one digit, so that only its form remains. The build's name
/// between version and date goes too.
fn shape(text: &str) -> String {
    let mut shape = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(hex) = rest.strip_prefix("0x") {
            shape.push_str("0x9");
            rest = hex.trim_start_matches(|c: char| c.is_ascii_hexdigit());
        } else if c.is_ascii_digit() {
            shape.push('9');
            rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        } else {
            shape.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    match (shape.find("9.9.9-"), shape.find(", built on")) {
        (Some(from), Some(to)) => format!("{}{}", &shape[..from + 6], &shape[to..]),
        _ => shape,
    }
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.split('\n').collect();
    lines.sort_unstable();
    lines
}

#[test]
fn forms_are_those_of_the_reference_server() {
    let mut server = FakeServer::new();
    for (word, golden) in [
        ("srvr", include_str!("golden/srvr.txt")),
        ("stat", include_str!("golden/stat.txt")),
        ("cons", include_str!("golden/cons.txt")),
        ("conf", include_str!("golden/conf.txt")),
        ("wchs", include_str!("golden/wchs.txt")),
        ("isro", include_str!("golden/isro.txt")),
        ("dirs", include_str!("golden/dirs.txt")),
        ("gtmk", include_str!("golden/gtmk.txt")),
    ] {
        assert_eq!(shape(&ask(&mut server, word)), shape(golden), "{word}");
    }
}

#[test]
fn order_aside_these_forms_are_the_same_too() {
    // The reference server lists sessions in hash order.
    let mut server = FakeServer::new();
    for (word, golden) in [
        ("dump", include_str!("golden/dump.txt")),
        ("wchc", include_str!("golden/wchc.txt")),
        ("wchp", include_str!("golden/wchp.txt")),
    ] {
        let answer = shape(&ask(&mut server, word));
        assert_eq!(sorted(&answer), sorted(&shape(golden)), "{word}");
    }
}

#[test]
fn answers_without_numbers_are_the_same_to_the_letter() {
    let mut server = FakeServer::new();
    for (word, golden) in [
        ("wchs", include_str!("golden/wchs.txt")),
        ("isro", include_str!("golden/isro.txt")),
        ("gtmk", include_str!("golden/gtmk.txt")),
        ("crst", include_str!("golden/crst.txt")),
        ("srst", include_str!("golden/srst.txt")),
        ("ruok", "imok"),
    ] {
        assert_eq!(ask(&mut server, word), golden, "{word}");
    }
}

#[test]
fn numbers() {
    let mut server = FakeServer::new();
    let text = ask(&mut server, "srvr");
    assert!(text.starts_with("Zookeeper version: 3.9.5-tenure-"), "{text}");
    let lines = "Latency min/avg/max: 0/12.0/23\nReceived: 0\nSent: 0\nConnections: 3\n\
                 Outstanding: 0\nZxid: 0x6\nMode: standalone\nNode count: 9\n";
    assert!(text.ends_with(lines), "{text}");
    let cons = ask(&mut server, "cons");
    let first = " /127.0.0.1:35816[1](queued=0,recved=7,sent=7,sid=0x100001f60120001,lop=GETD,\
                 est=1795447700599,to=10000,lcxid=0x3,lzxid=0x6,lresp=2094437,llat=1,minlat=1,\
                 avglat=1,maxlat=1)";
    assert_eq!(cons.lines().next(), Some(first));
    let second = cons.lines().nth(1).unwrap();
    assert!(second.contains("lop=PING") && second.contains("lcxid=0x2,"), "{second}");
    let golden = include_str!("golden/hash.txt");
    assert!(golden.starts_with(&ask(&mut server, "hash")), "the first line is the same");
    let dump = ask(&mut server, "dump");
    assert!(dump.contains("\t0x100001f60120001\n1 expire at Mon Nov 23 15:28:50 UTC 2026:\n"));
}

#[test]
fn resets() {
    let mut server = FakeServer::new();
    ask(&mut server, "crst");
    ask(&mut server, "srst");
    let cons = ask(&mut server, "cons");
    let golden = include_str!("golden/cons-after-crst.txt");
    let with_session = |text: &str| shape(text.lines().next().unwrap());
    assert_eq!(with_session(&cons), with_session(golden));
    assert!(ask(&mut server, "srvr").contains("Latency min/avg/max: 0/0.0/0\n"));
}

#[test]
fn trace_masks() {
    let mut server = FakeServer::new();
    assert_eq!(answer(Word::Stmk, Some(0x1234), &WordList::All, &mut server), "4660");
    assert_eq!(ask(&mut server, "gtmk"), "4660");
    assert!(Word::Stmk.takes_mask() && !Word::Gtmk.takes_mask());
}

#[test]
fn words_that_are_not_listed_are_refused() {
    let mut server = FakeServer::new();
    let refused = answer(Word::Stat, None, &WordList::default(), &mut server);
    assert_eq!(refused, "stat is not executed because it is not in the whitelist.\n");
    assert_eq!(answer(Word::Ruok, None, &WordList::default(), &mut server), refusal(Word::Ruok));
    assert!(answer(Word::Srvr, None, &WordList::default(), &mut server).starts_with("Zookeeper"));
}

#[test]
fn while_not_serving() {
    let mut server = FakeServer::new();
    server.readings.serving = false;
    for &word in Word::ALL {
        let text = answer(word, Some(1), &WordList::All, &mut server);
        match word {
            Word::Ruok => assert_eq!(text, "imok"),
            Word::Isro => assert_eq!(text, "null"),
            Word::Envi => assert!(text.starts_with("Environment:\nzookeeper.version=3.9.5")),
            Word::Gtmk | Word::Stmk => assert!(text.parse::<i64>().is_ok()),
            _ => assert_eq!(
                text, "This ZooKeeper instance is not currently serving requests\n",
                "{word:?}"
            ),
        }
    }
}

#[test]
fn a_leader_and_a_read_only_server() {
    use crate::metrics::{LeaderReadings, ServerState};
    let mut server = FakeServer::new();
    server.readings.state = ServerState::Leader;
    server.readings.leader = Some(LeaderReadings {
        last_proposal_bytes: 32,
        min_proposal_bytes: 16,
        max_proposal_bytes: 64,
        ..LeaderReadings::default()
    });
    assert!(ask(&mut server, "srvr").ends_with("Proposal sizes last/min/max: 32/16/64\n"));
    server.readings.state = ServerState::ReadOnly;
    assert_eq!(ask(&mut server, "isro"), "ro");
    let srvr = ask(&mut server, "srvr");
    assert_eq!(srvr.lines().nth(1), Some("READ-ONLY mode; serving only read-only clients"));
}

#[test]
fn parsing() {
    for &word in Word::ALL {
        let first: [u8; 4] = word.name().as_bytes().try_into().unwrap();
        assert_eq!(Word::parse(&first), Some(word));
        // Read as a frame's length it must be out of the question.
        assert!(i32::from_be_bytes(first) > 1 << 29, "{word:?}");
    }
    assert_eq!(Word::parse(b"RUOK"), None);
    assert_eq!(Word::parse(&[0, 0, 0, 44]), None);
}

#[test]
fn conf_tells_the_members_of_an_ensemble() {
    let mut settings = EnsembleSettings::default();
    settings.set_members(2, "1=a:2888;2181,2=b:2888:observer;2181").expect("a good list");
    let config = ServerConfig { ensemble: settings, ..ServerConfig::default() };
    let mut server = FakeServer::new();
    server.config = ConfigReport::new(&config, Some(2181), None);
    let text = answer(Word::Conf, None, &WordList::All, &mut server);
    // The keys, their order and the blank are those of the reference server.
    let more = "serverId=2\ninitLimit=10\nsyncLimit=5\nelectionAlg=3\nelectionPort=3888\n\
                quorumPort=2888\npeerType=1\nmembership: \n\
                server.1=a:2888:3888:participant;0.0.0.0:2181\n\
                server.2=b:2888:3888:observer;0.0.0.0:2181\nversion=0\n";
    assert!(text.ends_with(more), "{text}");
    // After a reconfig this member votes, and another one has joined.
    let ensemble = server.config.ensemble.as_mut().expect("it has members");
    ensemble.follow("server.2=b:1:2:participant\nserver.3=c:1:2:participant\nversion=1f", 0x1f);
    let text = answer(Word::Conf, None, &WordList::All, &mut server);
    let more = "electionPort=2\nquorumPort=1\npeerType=0\nmembership: \n\
                server.2=b:1:2:participant\nserver.3=c:1:2:participant\nversion=1f\n";
    assert!(text.ends_with(more), "{text}");
}
