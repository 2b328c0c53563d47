//! Quotas through real sockets: soft ones count, enforced ones refuse.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::sync::LazyLock;

use support::ops::Outcome;
use support::{Client, Op, Server, code};

static ENFORCING: LazyLock<Server> =
    LazyLock::new(|| Server::with("tickTime=2000\nenforceQuota=true"));

/// Sets a quota the way the command-line tool does.
fn limit(client: &mut Client, path: &str, limits: &str) {
    let mut node = "/zookeeper/quota".to_owned();
    for part in path.split('/').skip(1) {
        node = format!("{node}/{part}");
        client.create(&node, b"").unwrap();
    }
    client.create(&format!("{node}/zookeeper_limits"), limits.as_bytes()).unwrap();
    let none = b"count=0,bytes=0";
    client.create(&format!("{node}/zookeeper_stats"), none).unwrap();
}

/// Count and bytes that the server keeps for a quota.
fn usage(client: &mut Client, path: &str) -> (i64, i64) {
    let (data, _) = client.get(&format!("/zookeeper/quota{path}/zookeeper_stats")).unwrap();
    let text = String::from_utf8(data.unwrap()).unwrap();
    let number = |key: &str| -> i64 {
        let value = text.split([',', ';']).find_map(|part| part.strip_prefix(key));
        value.unwrap_or_else(|| panic!("{key} in {text:?}")).parse().unwrap()
    };
    (number("count="), number("bytes="))
}

#[test]
fn a_quota_counts_its_znode_and_everything_below() {
    let server = Server::start();
    let mut client = server.connect();
    client.create("/q", b"12345").unwrap();
    client.create("/q/a", b"123").unwrap();
    limit(&mut client, "/q", "count=2,bytes=4");
    assert_eq!(usage(&mut client, "/q"), (2, 8));
    // Soft limits are only reported, never enforced.
    client.create("/q/a/b", b"1234567").unwrap();
    assert_eq!(usage(&mut client, "/q"), (3, 15));
    client.set("/q/a", b"1").unwrap();
    assert_eq!(usage(&mut client, "/q"), (3, 13));
    client.create("/q-not", b"xxx").unwrap();
    client.multi(&[Op::create("/q/m", b"12", 0), Op::set_data("/q", b"", -1)]).unwrap();
    assert_eq!(usage(&mut client, "/q"), (4, 10));
    client.delete("/q/a/b").unwrap();
    assert_eq!(usage(&mut client, "/q"), (3, 3));
    client.create_mode("/q/e", b"1234", support::ops::EPHEMERAL).unwrap();
    assert_eq!(usage(&mut client, "/q"), (4, 7));
    client.close();
    let mut client = server.connect();
    assert_eq!(usage(&mut client, "/q"), (3, 3));
    client.close();
}

#[test]
fn the_count_of_a_quota_changes_without_a_zxid_or_a_version() {
    let server = Server::start();
    let mut client = server.connect();
    client.create("/quiet", b"").unwrap();
    limit(&mut client, "/quiet", "count=10,bytes=-1");
    let stats = "/zookeeper/quota/quiet/zookeeper_stats";
    let before = client.exists(stats).unwrap();
    let zxid = client.last_zxid;
    client.create("/quiet/x", b"12").unwrap();
    assert_eq!(client.last_zxid, zxid + 1);
    let after = client.exists(stats).unwrap();
    assert_eq!((after.version, after.mzxid), (before.version, before.mzxid));
    client.close();
}

#[test]
fn hard_limits_do_nothing_unless_quotas_are_enforced() {
    let server = Server::start();
    let mut client = server.connect();
    client.create("/lax", b"").unwrap();
    limit(&mut client, "/lax", "count=-1,bytes=-1=;byteHardLimit=1;countHardLimit=1");
    client.create("/lax/x", b"123").unwrap();
    client.close();
}

#[test]
fn an_enforced_count_refuses_the_znode_that_exceeds_it() {
    let mut client = ENFORCING.connect();
    client.create("/count", b"").unwrap();
    limit(&mut client, "/count", "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=3");
    client.create("/count/a", b"").unwrap();
    client.create("/count/b", b"").unwrap();
    assert_eq!(client.create("/count/c", b""), Err(code::QUOTA_EXCEEDED));
    assert_eq!(client.create("/count/a/c", b""), Err(code::QUOTA_EXCEEDED));
    let outcomes =
        client.multi(&[Op::check("/count", -1), Op::create("/count/c", b"", 0)]).unwrap();
    assert_eq!(outcomes, [0, code::QUOTA_EXCEEDED].map(Outcome::Error));
    // What exists already is said first.
    assert_eq!(client.create("/count/a", b""), Err(code::NODE_EXISTS));
    client.set("/count/a", b"data is not counted here").unwrap();
    client.delete("/count/a").unwrap();
    client.create("/count/c", b"").unwrap();
    assert_eq!(usage(&mut client, "/count").0, 3);
    client.close();
}

#[test]
fn an_enforced_size_refuses_data_that_exceeds_it() {
    let mut client = ENFORCING.connect();
    client.create("/bytes", b"12").unwrap();
    limit(&mut client, "/bytes", "count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=-1");
    client.create("/bytes/a", b"12345").unwrap();
    assert_eq!(client.create("/bytes/b", b"1234"), Err(code::QUOTA_EXCEEDED));
    client.create("/bytes/b", b"123").unwrap();
    assert_eq!(client.set("/bytes/a", b"123456"), Err(code::QUOTA_EXCEEDED));
    let set = |version| Op::set_data("/bytes/a", b"123456", version);
    assert_eq!(client.call(&set(9)).err, code::QUOTA_EXCEEDED, "before the version");
    client.set("/bytes/a", b"1234").unwrap();
    client.set("/bytes/b", b"1234").unwrap();
    assert_eq!(usage(&mut client, "/bytes"), (3, 10));
    client.close();
}

#[test]
fn limits_can_be_changed_and_taken_away() {
    let mut client = ENFORCING.connect();
    client.create("/change", b"").unwrap();
    limit(&mut client, "/change", "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=1");
    assert_eq!(client.create("/change/a", b""), Err(code::QUOTA_EXCEEDED));
    let limits = "/zookeeper/quota/change/zookeeper_limits";
    let wider = b"count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=2";
    client.set(limits, wider).unwrap();
    client.create("/change/a", b"").unwrap();
    assert_eq!(client.create("/change/b", b""), Err(code::QUOTA_EXCEEDED));
    client.delete(limits).unwrap();
    client.delete("/zookeeper/quota/change/zookeeper_stats").unwrap();
    client.create("/change/b", b"").unwrap();
    client.close();
}

#[test]
fn quotas_and_their_counts_survive_a_restart() {
    let mut server = Server::with("tickTime=2000\nenforceQuota=true");
    let mut client = server.connect();
    client.create("/kept", b"123").unwrap();
    limit(&mut client, "/kept", "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=2");
    client.create("/kept/a", b"45").unwrap();
    for _ in 0..2 {
        server.kill();
        server.restart();
        let mut client = server.connect();
        assert_eq!(usage(&mut client, "/kept"), (2, 5));
        assert_eq!(client.create("/kept/b", b""), Err(code::QUOTA_EXCEEDED));
        client.close();
    }
}
