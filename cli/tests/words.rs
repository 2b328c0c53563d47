//! Four-letter words: the shapes that scripts, monitors and test harnesses parse.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::sync::LazyLock;

use support::ops::EPHEMERAL;
use support::{Op, Server};

static SERVER: LazyLock<Server> = LazyLock::new(Server::start);

/// The value behind `key` at the start of a line.
fn value<'a>(text: &'a str, key: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.unwrap_or_else(|| panic!("no {key:?} in:\n{text}"))
}

fn hex(id: i64) -> String {
    format!("0x{id:x}")
}

#[test]
fn ruok_and_isro_answer_without_a_newline() {
    assert_eq!(SERVER.word("ruok"), "imok");
    assert_eq!(SERVER.word("isro"), "rw");
    // As `echo ruok | nc` sends it.
    assert_eq!(SERVER.word("ruok\n"), "imok");
}

#[test]
fn srvr_has_its_lines_in_their_order() {
    let mut client = SERVER.connect();
    client.ping();
    let text = SERVER.word("srvr");
    let keys = [
        "Zookeeper version: ",
        "Latency min/avg/max: ",
        "Received: ",
        "Sent: ",
        "Connections: ",
        "Outstanding: ",
        "Zxid: 0x",
        "Mode: standalone",
        "Node count: ",
    ];
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), keys.len(), "{text}");
    for (line, key) in lines.iter().zip(keys) {
        assert!(line.starts_with(key), "{line:?} should start with {key:?}");
    }
    assert!(text.ends_with('\n'));
    let latency: Vec<&str> = value(&text, "Latency min/avg/max: ").split('/').collect();
    assert_eq!(latency.len(), 3);
    assert!(latency.iter().all(|number| number.parse::<f64>().is_ok()), "{latency:?}");
    for key in ["Received: ", "Sent: ", "Connections: ", "Outstanding: ", "Node count: "] {
        value(&text, key).parse::<u64>().unwrap();
    }
    assert!(value(&text, "Connections: ").parse::<u64>().unwrap() >= 1);
    u64::from_str_radix(value(&text, "Zxid: 0x"), 16).unwrap();
    client.close();
}

#[test]
fn stat_adds_a_line_for_each_client() {
    let mut client = SERVER.connect();
    client.ping();
    let text = SERVER.word("stat");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("Zookeeper version: "));
    assert_eq!(lines[1], "Clients:");
    let clients: Vec<&&str> = lines[2..].iter().take_while(|line| !line.is_empty()).collect();
    assert!(!clients.is_empty());
    for line in &clients {
        assert!(line.starts_with(" /127.0.0.1:"), "{line:?}");
        for part in ["](queued=", ",recved=", ",sent="] {
            assert!(line.contains(part), "{part:?} in {line:?}");
        }
    }
    assert!(lines[2 + clients.len() + 1].starts_with("Latency min/avg/max: "));
    assert_eq!(value(&text, "Mode: "), "standalone");
    client.close();
}

#[test]
fn cons_names_the_session_of_each_connection() {
    let mut client = SERVER.connect();
    client.ping();
    let text = SERVER.word("cons");
    let sid = format!("sid={},", hex(client.id()));
    let line = text.lines().find(|line| line.contains(&sid));
    let line = line.unwrap_or_else(|| panic!("no {sid} in:\n{text}"));
    let keys = [
        "queued=", "recved=", "sent=", "sid=", "lop=", "est=", "to=", "lcxid=", "lzxid=", "lresp=",
        "llat=", "minlat=", "avglat=", "maxlat=",
    ];
    for key in keys {
        assert!(line.contains(key), "{key:?} in {line:?}");
    }
    assert!(line.contains("lop=PING") && line.contains("to=30000"), "{line:?}");
    client.close();
}

#[test]
fn mntr_has_one_number_a_line() {
    let mut client = SERVER.connect();
    client.create_mode("/mntr", b"12345", EPHEMERAL).unwrap();
    client.run(&Op::get_data("/mntr", true)).unwrap();
    let text = SERVER.word("mntr");
    assert!(text.starts_with("zk_version\t"), "{text}");
    assert_eq!(value(&text, "zk_server_state\t"), "standalone");
    for line in text.lines() {
        let (key, _) = line.split_once('\t').unwrap_or_else(|| panic!("{line:?}"));
        assert!(key.starts_with("zk_"), "{line:?}");
    }
    let keys = [
        "avg_latency",
        "min_latency",
        "max_latency",
        "packets_received",
        "packets_sent",
        "num_alive_connections",
        "outstanding_requests",
        "znode_count",
        "watch_count",
        "ephemerals_count",
        "approximate_data_size",
        "open_file_descriptor_count",
        "max_file_descriptor_count",
        "uptime",
        "global_sessions",
    ];
    for key in keys {
        let number = value(&text, &format!("zk_{key}\t"));
        assert!(number.parse::<f64>().is_ok(), "{key} is {number:?}");
    }
    let at_least_one = ["num_alive_connections", "znode_count", "watch_count", "ephemerals_count"];
    for key in at_least_one {
        assert!(value(&text, &format!("zk_{key}\t")).parse::<f64>().unwrap() >= 1.0, "{key}");
    }
    client.close();
}

#[test]
fn a_fresh_server_counts_five_znodes() {
    let server = Server::start();
    let text = server.word("mntr");
    assert_eq!(value(&text, "zk_znode_count\t").parse::<f64>().unwrap(), 5.0);
    let mut client = server.connect();
    client.create("/one", b"").unwrap();
    assert_eq!(value(&server.word("srvr"), "Node count: "), "6");
    client.close();
}

#[test]
fn conf_tells_the_settings() {
    let text = SERVER.word("conf");
    assert_eq!(value(&text, "clientPort="), SERVER.address().port().to_string());
    assert!(value(&text, "dataDir=").contains("tenure-test-"));
    assert_eq!(value(&text, "tickTime="), "2000");
    assert_eq!(value(&text, "maxClientCnxns="), "0");
    assert_eq!(value(&text, "minSessionTimeout="), "4000");
    assert_eq!(value(&text, "maxSessionTimeout="), "40000");
    for key in ["secureClientPort=", "dataDirSize=", "dataLogDir=", "dataLogSize=", "serverId="] {
        value(&text, key);
    }
}

#[test]
fn envi_starts_with_its_title() {
    let text = SERVER.word("envi");
    assert!(text.starts_with("Environment:\n"), "{text}");
    value(&text, "zookeeper.version=");
    value(&text, "host.name=");
}

#[test]
fn dump_lists_sessions_and_their_ephemerals() {
    let mut client = SERVER.connect();
    client.create_mode("/dumped", b"", EPHEMERAL).unwrap();
    let text = SERVER.word("dump");
    assert!(text.starts_with("SessionTracker dump:\n"), "{text}");
    let id = hex(client.id());
    let sessions = text.find("Session Sets (").expect("the sessions by expiry");
    let ephemerals = text.find("ephemeral nodes dump:").expect("the ephemerals");
    assert!(text.find(&id).is_some_and(|at| sessions < at && at < ephemerals), "{text}");
    assert!(text[ephemerals..].contains("Sessions with Ephemerals ("));
    assert!(text[ephemerals..].contains(&format!("{id}:\n\t/dumped\n")), "{text}");
    assert!(text.contains("Connections dump:"));
    client.close();
}

#[test]
fn watches_are_summed_up_and_listed_both_ways() {
    let server = Server::start();
    let mut client = server.connect();
    client.run(&Op::get_data("/", true)).unwrap();
    client.call(&Op::exists("/none", true));
    let text = server.word("wchs");
    assert_eq!(text, "1 connections watching 2 paths\nTotal watches:2\n");
    let id = hex(client.id());
    let text = server.word("wchc");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], id);
    let mut paths = lines[1..3].to_vec();
    paths.sort_unstable();
    assert_eq!(paths, ["\t/", "\t/none"]);
    let text = server.word("wchp");
    for path in ["/", "/none"] {
        assert!(text.contains(&format!("{path}\n\t{id}\n")), "{text}");
    }
    client.close();
}

#[test]
fn counters_can_be_reset() {
    // On a server of its own: others count on theirs not being reset meanwhile.
    let server = Server::start();
    assert_eq!(server.word("crst"), "Connection stats reset.\n");
    assert_eq!(server.word("srst"), "Server stats reset.\n");
}

#[test]
fn dirs_tells_sizes() {
    let text = SERVER.word("dirs");
    for key in ["datadir_size: ", "logdir_size: "] {
        value(&text, key).parse::<u64>().unwrap();
    }
}

#[test]
fn trace_masks_are_numbers_and_hash_lists_digests() {
    SERVER.word("gtmk").trim().parse::<i64>().unwrap();
    for line in SERVER.word("hash").lines().filter(|line| !line.is_empty()) {
        assert!(line.contains(": "), "{line:?}");
    }
}

#[test]
fn a_word_that_is_not_whitelisted_is_named_in_the_refusal() {
    let server = Server::with("tickTime=2000\n4lw.commands.whitelist=ruok, srvr");
    assert_eq!(server.word("ruok"), "imok");
    assert!(server.word("srvr").starts_with("Zookeeper version: "));
    for word in ["stat", "mntr", "cons"] {
        let refusal = format!("{word} is not executed because it is not in the whitelist.\n");
        assert_eq!(server.word(word), refusal);
    }
}

#[test]
fn by_default_only_srvr_is_answered() {
    let server = Server::with("tickTime=2000\n4lw.commands.whitelist=");
    let answer = server.word("ruok");
    assert!(answer.starts_with("ruok is not executed"), "{answer:?}");
}

#[test]
fn words_do_not_count_as_sessions() {
    let server = Server::start();
    let mut client = server.connect();
    let before = client.ping().zxid;
    for _ in 0..50 {
        server.word("ruok");
        server.word("srvr");
    }
    assert_eq!(client.ping().zxid, before);
    assert_eq!(value(&server.word("mntr"), "zk_global_sessions\t").parse::<f64>().unwrap(), 1.0);
    client.close();
}
