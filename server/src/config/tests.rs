//! Whole files: what they set, what they warn about, what stops the start, and a fuzz.

use std::fs;
use std::path::Path;

use super::*;

fn read(text: &str) -> (ServerConfig, Vec<Warning>) {
    ServerConfig::from_text(&format!("dataDir=/d\nclientPort=2181\n{text}"), "zoo.cfg")
        .unwrap_or_else(|e| panic!("{text:?}: {e}"))
}

fn clean(text: &str) -> ServerConfig {
    let (config, warnings) = read(text);
    assert_eq!(warnings, [], "{text:?}");
    config
}

fn warned(text: &str) -> (ServerConfig, Vec<String>) {
    let (config, warnings) = read(text);
    (config, warnings.iter().map(ToString::to_string).collect())
}

fn error(text: &str) -> String {
    ServerConfig::from_text(text, "zoo.cfg").expect_err(text).to_string()
}

#[test]
fn without_a_file() {
    let config = ServerConfig::default();
    assert_eq!(config.client, Some(Listen::on("127.0.0.1", 2181)));
    assert_eq!(config.data_dir.to_str(), Some("./tenure-data"));
    assert_eq!(config.tick_ms, 2000);
    assert_eq!(config.sessions.min_timeout_ms, 4000);
    assert_eq!(config.sessions.max_timeout_ms, 40_000);
    assert_eq!(config.admin.listen, Listen::on("127.0.0.1", 8080));
    assert!(config.durability.force_sync);
}

#[test]
fn a_minimal_file_gets_upstream_defaults() {
    let config = clean("");
    assert_eq!(config.client, Some(Listen::everywhere(2181)));
    assert_eq!(config.data_log_dir, config.data_dir);
    assert_eq!(config.tick_ms, 3000);
    assert_eq!(config.sessions.min_timeout_ms, 6000);
    assert_eq!(config.sessions.max_timeout_ms, 60_000);
    assert_eq!(config.connections.max_per_address, 60);
    assert_eq!(config.connections.max_outstanding, 1000);
    assert_eq!(config.connections.max_frame_bytes, 1_048_575);
    assert_eq!(config.snapshots.every_entries, 100_000);
    assert_eq!(config.snapshots.purge_interval_ms, None);
    assert_eq!(config.admin.listen, Listen::everywhere(8080));
    assert_eq!(config.admin.command_url, "/commands");
    assert!(config.four_letter_words.allows("srvr"));
    assert!(!config.four_letter_words.allows("stat"));
    assert_eq!(config.metrics.prometheus, None);
    assert!(!config.ensemble.is_distributed());
}

#[test]
fn the_sample_file_of_upstream_reads_without_a_warning() {
    let text = "# The number of milliseconds of each tick\ntickTime=2000\n\
                # ticks that the initial synchronization phase can take\n\
                initLimit=10\nsyncLimit=5\n\
                dataDir=/var/lib/zookeeper\nclientPort=2181\n#maxClientCnxns=60\n\
                #autopurge.snapRetainCount=3\n\
                #metricsProvider.httpPort=7000\n";
    let (config, warnings) = ServerConfig::from_text(text, "zoo_sample.cfg").unwrap();
    assert_eq!(warnings, []);
    assert_eq!(config.sessions.max_timeout_ms, 40_000);
    assert_eq!(config.ensemble.init_limit, Some(10));
    assert_eq!(config.initial_text, text);
}

#[test]
fn a_check_finds_every_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("zoo.cfg");
    let text = "tickTime=fast\nclientPort=99999\ndataDir=\ncnxTimeout=5\nsnapcount=1\n\
                forceSync=maybe\nserver.1=a:1:2\nserver.2=nonsense\nserver.3=b:1:2\n";
    let checked = ServerConfig::check_edited_file(&path, text);
    let lines: Vec<String> = checked.errors.iter().map(ToString::to_string).collect();
    let found = |part: &str| lines.iter().filter(|line| line.contains(part)).count();
    assert_eq!(lines.len(), 6, "{lines:#?}");
    for part in [":1: tickTime", ":2: clientPort", ":3: dataDir", ":8: server.2"] {
        assert_eq!(found(part), 1, "{part}: {lines:#?}");
    }
    assert_eq!((found("initLimit"), found("syncLimit")), (1, 1), "{lines:#?}");
    let warned: Vec<_> = checked.warnings.iter().map(|w| (w.line, w.key.as_str())).collect();
    assert_eq!(warned, [(5, "snapcount"), (6, "forceSync"), (0, "clientPort")]);
    let ignored: Vec<_> = checked.ignored.iter().map(|w| (w.line, w.key.as_str())).collect();
    assert_eq!(ignored, [(4, "cnxTimeout")]);
    assert_eq!(checked.into_result().unwrap_err().to_string(), lines[0]);
}

#[test]
fn numbers_and_addresses() {
    let config = clean(
        "clientPortAddress=10.0.0.1\nminSessionTimeout=100\nmaxSessionTimeout=-1\n\
         maxClientCnxns=0\nmaxCnxns=9\nclientPortListenBacklog=-1\njute.maxbuffer=0xfffff\n\
         globalOutstandingLimit=7\nnio.sessionlessCnxnTimeout=500\nsnapCount=1\n\
         snapSizeLimitInKb=0\nfsync.warningthresholdms=20\nadmin.serverAddress=127.0.0.1\n\
         admin.serverPort=0\nadmin.commandURL=/c/\nadmin.enableServer=false\n\
         tenure.admin.closeSessions=true\n\
         tenure.logTailEntries=5000\n\
         autopurge.purgeInterval=24\nautopurge.snapRetainCount=5\nlargeRequestThreshold=4096",
    );
    assert_eq!(config.client, Some(Listen::on("10.0.0.1", 2181)));
    assert_eq!(config.sessions.min_timeout_ms, 100);
    assert_eq!(config.sessions.max_timeout_ms, 60_000);
    assert_eq!(config.connections.max_per_address, 0);
    assert_eq!(config.connections.max_total, 9);
    assert_eq!(config.connections.listen_backlog, None);
    assert_eq!(config.connections.max_frame_bytes, 0xfffff);
    assert_eq!(config.connections.max_outstanding, 7);
    assert_eq!(config.connections.sessionless_timeout_ms, 500);
    assert_eq!(config.connections.large_request_threshold_bytes, Some(4096));
    assert_eq!(config.snapshots.every_entries, 2);
    assert_eq!(config.snapshots.log_tail_entries, 5_000);
    assert_eq!(config.snapshots.every_log_kib, None);
    assert_eq!(config.snapshots.retain_count, 5);
    assert_eq!(config.snapshots.purge_interval_ms, Some(86_400_000));
    assert_eq!(config.durability.slow_sync_warning_ms, 20);
    assert_eq!(config.admin.listen, Listen::on("127.0.0.1", 0));
    assert_eq!(config.admin.command_url, "/c");
    assert!(!config.admin.enabled);
    assert!(config.admin.close_sessions);
}

#[test]
fn tree_and_auth() {
    let config = clean(
        "enforceQuota=true\nextendedTypesEnabled=TRUE\nznode.container.checkIntervalMs=100\n\
         znode.container.maxPerMinute=600\nznode.container.maxNeverUsedIntervalMs=300000\n\
         reconfigEnabled=true\nlocalSessionsEnabled=true\nlocalSessionsUpgradingEnabled=true\n\
         DigestAuthenticationProvider.superDigest=super:abc=\n\
         DigestAuthenticationProvider.enabled=false\n\
         DigestAuthenticationProvider.digestAlg=SHA-256\n\
         authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n\
         authProvider.x509=org.apache.zookeeper.server.auth.X509AuthenticationProvider\n\
         enforce.auth.schemes=sasl, digest\nfips-mode=false\n\
         ssl.keyStore.location=/k.pem\nclient.certReload=true\nclient.portUnification=true",
    );
    let tree = config.tree;
    assert!(tree.enforce_quota && tree.extended_types && tree.reconfig);
    assert_eq!(tree.container_check_interval_ms, 100);
    assert_eq!(tree.container_max_per_minute, 600);
    assert_eq!(tree.container_max_never_used_ms, 300_000);
    assert!(config.sessions.local && config.sessions.local_upgrading);
    assert_eq!(config.auth.super_digest.as_deref(), Some("super:abc="));
    assert!(config.auth.digest_disabled);
    assert_eq!(config.auth.digest, DigestAlgorithm::Sha256);
    assert_eq!(config.auth.providers, [AuthProvider::Sasl, AuthProvider::X509]);
    assert_eq!(config.auth.enforced_schemes, ["sasl", "digest"]);
    assert_eq!((config.auth.fips, AuthSettings::default().fips), (Some(false), None));
    assert!(config.connections.port_unification);
    assert_eq!(config.tls.len(), 2);
}

#[test]
fn who_must_authenticate_first() {
    assert!(clean("enforce.auth.schemes=digest").auth.required_schemes().is_empty());
    let config = clean("enforce.auth.enabled=true\nenforce.auth.schemes=ip,digest");
    assert_eq!(config.auth.required_schemes(), ["ip", "digest"]);
    // The older key wins, as in the reference server.
    let auth = AuthSettings { require_sasl: true, ..config.auth };
    assert_eq!(auth.required_schemes(), ["sasl"]);
    assert_eq!(auth.unavailable_scheme().as_deref(), Some("sasl"));
    let sasl_users = vec![("bob".to_owned(), "secret".to_owned())];
    let auth = AuthSettings { sasl_users, ..auth };
    assert_eq!(auth.unavailable_scheme(), None);
    let auth = AuthSettings { fips: Some(true), ..auth };
    assert_eq!(auth.unavailable_scheme().as_deref(), Some("sasl"));
}

#[test]
fn the_audit_log_is_off_and_beside_the_log_by_default() {
    let config = clean("dataLogDir=/log\ntenure.audit.maxFileSize=2\ntenure.audit.maxFiles=3");
    let AuditSettings { enabled, max_file_bytes, max_files, .. } = config.audit;
    assert_eq!((enabled, max_file_bytes, max_files), (false, 2 << 20, 3));
    assert_eq!(config.audit_file(), PathBuf::from("/log/audit/audit.log"));
    let config = clean("audit.enable=true\ntenure.audit.file=/var/log/tenure.json");
    assert!(config.audit.enabled);
    assert_eq!(config.audit_file(), PathBuf::from("/var/log/tenure.json"));
}

#[test]
fn words() {
    let config = clean("4lw.commands.whitelist=stat, ruok ,mntr");
    for (word, allowed) in [("stat", true), ("ruok", true), ("mntr", true), ("srvr", false)] {
        assert_eq!(config.four_letter_words.allows(word), allowed, "{word}");
    }
    assert_eq!(clean("4lw.commands.whitelist=*").four_letter_words, WordList::All);
    assert_eq!(clean("4lw.commands.whitelist=stat,*").four_letter_words, WordList::All);
    assert_eq!(warned("4lw.commands.whitelist=stats").1.len(), 1);
    assert!(clean("readonlymode.enabled=true").four_letter_words.allows("isro"));
}

#[test]
fn prometheus() {
    let named = "metricsProvider.className=\
                 org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider";
    assert_eq!(clean(named).metrics.prometheus, Some(Listen::everywhere(7000)));
    let config = clean(&format!(
        "metricsProvider.httpHost=::1\n{named}\nmetricsProvider.httpPort=7001\n\
         metricsProvider.exportJvmInfo=false"
    ));
    assert_eq!(config.metrics.prometheus, Some(Listen::on("::1", 7001)));
    assert!(!config.metrics.process_info);
    assert_eq!(clean("metricsProvider.httpPort=7001").metrics.prometheus, None);
    assert_eq!(warned("metricsProvider.className=com.example.Mine").1.len(), 1);
}

#[test]
fn ensembles() {
    let text = "initLimit=10\nsyncLimit=5\nserver.2=b:2888:3888:observer\n\
                server.1=a:2888:3888;2182\nserver.3=c:1:2\npeerType=observer\nleaderServes=no\n\
                group.1=1:2\nweight.1=1\nsslQuorum=true\nportUnification=false";
    let config = clean(text);
    let ids: Vec<u64> = config.ensemble.members.iter().map(|m| m.id).collect();
    assert_eq!(ids, [1, 2, 3]);
    assert!(config.ensemble.is_distributed());
    assert_eq!(config.ensemble.members[1].role, MemberRole::Observer);
    assert!(!config.ensemble.leader_serves && config.ensemble.tls);
    assert!(!clean("server.1=a:2888:3888").ensemble.is_distributed());
    let only = "dataDir=/d\nserver.1=a:2888:3888;10.0.0.1:2182";
    let (config, warnings) = ServerConfig::from_text(only, "zoo.cfg").unwrap();
    assert_eq!((config.client, warnings), (Some(Listen::on("10.0.0.1", 2182)), vec![]));
    let alone = "standaloneEnabled=false\ninitLimit=1\nsyncLimit=1\nserver.1=a:2888:3888";
    assert!(clean(alone).ensemble.is_distributed());
}

#[test]
fn files_of_an_ensemble_are_read_together() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("myid"), "2\n").unwrap();
    fs::write(path("zoo.cfg.dynamic"), "server.1=a:1:2;2181\nserver.2=b:1:2;[::1]:2182\n").unwrap();
    let text = format!(
        "dataDir={}\ninitLimit=10\nsyncLimit=5\ndynamicConfigFile={}\n",
        dir.path().display(),
        path("zoo.cfg.dynamic").display()
    );
    fs::write(path("zoo.cfg"), &text).unwrap();
    let (config, warnings) = ServerConfig::from_file(&path("zoo.cfg")).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(config.ensemble.my_id, Some(2));
    assert_eq!(config.client, Some(Listen::on("::1", 2182)));
    assert_eq!(config.initial_text, text);

    fs::remove_file(path("myid")).unwrap();
    let message = ServerConfig::from_file(&path("zoo.cfg")).unwrap_err().to_string();
    assert!(message.contains("zoo.cfg: myid is missing: expected a file"), "{message}");
    fs::write(path("myid"), "two").unwrap();
    let message = ServerConfig::from_file(&path("zoo.cfg")).unwrap_err().to_string();
    assert!(message.ends_with("myid:1: myid=two: expected a whole number"), "{message}");
    fs::write(path("myid"), "2").unwrap();
    let edited = text.replace("syncLimit=5", "syncLimit=6");
    let (config, _) = ServerConfig::from_edited_file(&path("zoo.cfg"), &edited).unwrap();
    assert_eq!((config.ensemble.my_id, config.ensemble.sync_limit), (Some(2), Some(6)));
    assert_eq!(config.ensemble.members.len(), 2);
    fs::write(path("zoo.cfg.dynamic"), "\nserver.1=a:1\n").unwrap();
    let message = ServerConfig::from_file(&path("zoo.cfg")).unwrap_err().to_string();
    assert!(message.contains("zoo.cfg.dynamic:2: server.1=a:1: expected host:"), "{message}");
}

#[test]
fn unreadable_files() {
    let dir = tempfile::tempdir().unwrap();
    let endless = Path::new("/dev/zero").to_owned();
    for path in [dir.path().join("none.cfg"), dir.path().to_owned(), endless] {
        let error = ServerConfig::from_file(&path).unwrap_err();
        assert!(matches!(error, ConfigError::Unreadable { .. }), "{error}");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
}

#[test]
fn latin_1_and_byte_order_marks_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("zoo.cfg");
    fs::write(&path, b"# f\xfcr\ndataDir=/d\xe4\nclientPort=1\n").unwrap();
    assert_eq!(ServerConfig::from_file(&path).unwrap().0.data_dir.to_str(), Some("/d\u{e4}"));
    fs::write(&path, b"\xef\xbb\xbfdataDir=/d\xc3\xa4\nclientPort=1\n").unwrap();
    assert_eq!(ServerConfig::from_file(&path).unwrap().0.data_dir.to_str(), Some("/d\u{e4}"));
}

#[test]
fn errors_say_where_and_what() {
    for (text, message) in [
        (
            "dataDir=/d\nclientPort=abc",
            "zoo.cfg:2: clientPort=abc: expected a port number, 0 to 65535",
        ),
        ("tickTime = 0", "zoo.cfg:1: tickTime=0: expected a whole number from 1 to 107374182"),
        (
            "clientPort=2181",
            "zoo.cfg: dataDir is missing: expected the folder for snapshots and log",
        ),
        ("dataDir=", "zoo.cfg:1: dataDir=: expected a path"),
        (
            "dataDir=/d\nminSessionTimeout=5000\nmaxSessionTimeout=4999",
            "zoo.cfg:2: minSessionTimeout=5000: expected at most maxSessionTimeout, 4999",
        ),
        (
            "dataDir=/d\nmaxSessionTimeout=5",
            "zoo.cfg:2: maxSessionTimeout=5: expected at least minSessionTimeout, 6000",
        ),
        (
            "dataDir=/d\n\nclientPortAddress=h",
            "zoo.cfg:3: clientPortAddress=h: expected clientPort beside it",
        ),
        (
            "server.1=a:b:c",
            "zoo.cfg:1: server.1=a:b:c: expected host:quorumPort:electionPort\
             [:participant|observer][;[clientAddress:]clientPort] with two different ports",
        ),
        ("server.x=a:1:2", "zoo.cfg:1: server.x=a:1:2: expected server.<number>"),
        (
            "dataDir=/d\nserver.1=a:1:2\nserver.2=b:1:2",
            "zoo.cfg: initLimit is missing: expected ticks a follower has to catch up",
        ),
        ("x=1\ny=\\u12", "zoo.cfg:2: bad escape \"\\\\u12\": expected \\u and four hex digits"),
        (
            "localSessionsEnabled=perhaps",
            "zoo.cfg:1: localSessionsEnabled=perhaps: expected true or false",
        ),
        ("electionAlg=1", "zoo.cfg:1: electionAlg=1: expected 3, the only algorithm there is"),
    ] {
        assert_eq!(error(text), message);
    }
}

#[test]
fn what_does_not_stop_the_start_is_warned_about() {
    for (text, message) in [
        ("nonsense=1", "nonsense: unknown key, ignored"),
        ("ticktime=5", "ticktime: unknown key, ignored; is tickTime meant?"),
        ("maxClientCnxn=5", "maxClientCnxn: unknown key, ignored; is maxClientCnxns meant?"),
        (
            "zookeeper.snapCount=77",
            "zookeeper.snapCount: read as snapCount; a file needs no prefix",
        ),
        ("snapCount=many", "snapCount: \"many\" has no effect: expected a whole number"),
        ("skipACL=true", "skipACL: \"true\" has no effect: expected yes or no"),
        ("skipACL=yes", "skipACL: access control lists are not checked"),
        ("forceSync=no", "forceSync: acknowledged writes can be lost with the machine"),
        ("clientPort=2182", "clientPort: set before, on line 2; this one counts"),
        (
            "authProvider.1=com.example.Mine",
            "authProvider.1: no such scheme here: com.example.Mine; the others still work",
        ),
        (
            "autopurge.snapRetainCount=1",
            "autopurge.snapRetainCount: at least 3 snapshots are always kept",
        ),
        (
            "DigestAuthenticationProvider.superDigest=super",
            "DigestAuthenticationProvider.superDigest: \"***\" has no effect: expected super:\
             <base64 of the hash of super:password>",
        ),
    ] {
        assert_eq!(warned(text).1, [format!("zoo.cfg:3: {message}")], "{text}");
    }
    assert_eq!(warned("zookeeper.snapCount=77").0.snapshots.every_entries, 77);
    assert_eq!(clean("secureClientPort=2281").secure_client, Some(Listen::everywhere(2281)));
    assert!(!warned("skipACL=true").0.auth.skip_acl);
    assert!(warned("forceSync=false").0.durability.force_sync);
}

#[test]
fn keys_without_effect_here_are_accepted_in_silence() {
    for text in [
        "nio.numSelectorThreads=4",
        "commitProcessor.numWorkerThreads=4",
        "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory",
        "snapshot.compression.method=gz",
        "quorum.auth.enableSasl=true",
        "jvm.pause.monitor=true",
        "metricsProvider.numWorkerThreads=2",
    ] {
        clean(text);
    }
}

#[test]
fn throttling_keys_take_effect() {
    let config = clean(
        "connection_throttle_tokens=10\nconnection_throttle_freeze_time=200\n\
         connection_throttle_drop_increase=0.5\nconnection_throttle_weight_enabled=true\n\
         connection_throttle_renew_session_weight=1\nthrottledOpWaitTime=500\n\
         requestThrottleStallTime=100\nrequestThrottleDropStale=true\nrequestThrottleLimit=7",
    );
    let storm = config.storm;
    assert_eq!((storm.tokens, storm.freeze_time_ms, storm.drop_increase), (10, Some(200), 0.5));
    assert_eq!((storm.weighted, storm.global_weight, storm.renew_weight), (true, 3, 1));
    assert_eq!(config.connections.throttled_op_wait_ms, 500);
    assert_eq!(config.connections.throttle_limit, 7);
}

#[test]
fn limits_of_tenants_are_off_unless_configured() {
    assert_eq!(clean("").limits, LimitSettings::default());
    let config = clean("tenure.limits.watches.perIdentity=5\ntenure.limits.memory=2G");
    assert_eq!(config.limits.watches.per_identity, 5);
    assert_eq!(config.limits.memory, MemoryLimit::Bytes(2 << 30));
}

#[test]
fn purge_intervals() {
    for (text, ms) in [
        ("0", None),
        ("-1", None),
        ("1", Some(3_600_000)),
        ("250ms", Some(250)),
        ("30s", Some(30_000)),
        ("5m", Some(300_000)),
        ("2h", Some(7_200_000)),
        ("1d", Some(86_400_000)),
    ] {
        let config = clean(&format!("autopurge.purgeInterval={text}"));
        assert_eq!(config.snapshots.purge_interval_ms, ms, "{text}");
    }
}

#[test]
fn shorthand() {
    let config = ServerConfig::from_shorthand(&["0", "/d", "500", "7"]).unwrap();
    assert_eq!(config.client, Some(Listen::everywhere(0)));
    assert_eq!((config.tick_ms, config.connections.max_per_address), (500, 7));
    assert_eq!(config.sessions.max_timeout_ms, 10_000);
    for bad in [&[][..], &["2181"], &["x", "/d"], &["1", "/d", "0"], &["1", "/d", "1", "1", "1"]] {
        let error = ServerConfig::from_shorthand(bad).unwrap_err();
        assert!(matches!(error, ConfigError::BadArgument { .. }), "{bad:?}: {error}");
    }
}

#[test]
fn listeners_name_their_candidates() {
    let everywhere = candidates(&Listen::everywhere(1)).unwrap();
    assert_eq!(
        everywhere.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["[::]:1", "0.0.0.0:1"]
    );
    assert_eq!(candidates(&Listen::on("::1", 2)).unwrap()[0].to_string(), "[::1]:2");
    assert_eq!(Listen::on("::1", 2).to_string(), "[::1]:2");
    assert!(candidates(&Listen::on("no.such.host.invalid", 2)).is_err());
    let bracketed = clean("clientPortAddress=[::1]");
    assert_eq!(bracketed.client, Some(Listen::on("::1", 2181)));
    assert_eq!(clean("clientPortAddress=0.0.0.0").client, Some(Listen::everywhere(2181)));
}

/// A small generator: the fuzz must repeat itself from its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}

#[test]
fn no_text_makes_the_parser_panic() {
    let pieces = [
        "clientPort",
        "tickTime",
        "server.1",
        "server.",
        "dataDir",
        "zookeeper.",
        "snapCount",
        "autopurge.purgeInterval",
        "4lw.commands.whitelist",
        "authProvider.1",
        "superUser",
        "admin.commandURL",
        "jute.maxbuffer",
        "minSessionTimeout",
        "metricsProvider.className",
        "maxSessionTimeout",
        "DigestAuthenticationProvider.superDigest",
        "=",
        ":",
        " ",
        "\n",
        "\r",
        "\\",
        "\\u",
        "\\ud83d",
        "00e4",
        "#",
        "!",
        ";",
        "|",
        ",",
        "*",
        "[::1]",
        "]",
        "[",
        "0",
        "-1",
        "0x",
        "99999999999999999999",
        "2181",
        "ms",
        "d",
        "true",
        "yes",
        "a:1:2",
        ":observer",
        "\u{e4}\u{1f600}",
        "\0",
        "\u{c}",
        "\t",
        "/data",
    ];
    let mut random = Random(0x7e_0052);
    let mut started = 0;
    for case in 0..100_000 {
        let mut text = String::new();
        if case % 2 == 0 {
            text.push_str("dataDir=/d\n");
        }
        for _ in 0..random.below(24) {
            text.push_str(pieces[random.below(pieces.len())]);
        }
        started += u32::from(ServerConfig::from_text(&text, "fuzz").is_ok());
    }
    // Both outcomes must be well represented, or the generator tests nothing.
    assert!((10_000..90_000).contains(&started), "{started}");
}
