//! The three renderings, against names and shapes captured from the reference server.

use std::collections::HashSet;

use super::*;

const GOLDEN: &str = include_str!("golden/mntr-3.9.5-standalone.txt");
const VERSION: &str = "3.9.5-x, built on 2026-02-11 20:18 UTC";

fn busy() -> Metrics {
    let mut metrics = Metrics::default();
    for (kind, latency_us) in [
        (RequestKind::Read, 400),
        (RequestKind::Read, 1600),
        (RequestKind::Write, 20_000),
        (RequestKind::Session, 50),
    ] {
        metrics.frame_received(48);
        metrics.request_done(kind, latency_us);
        metrics.frame_sent(20 + latency_us as usize / 100);
    }
    metrics.batch_synced(3, 17_500, 1);
    metrics.watches_fired(EventType::NodeCreated, 2);
    metrics
}

fn snapshot(metrics: &Metrics) -> Snapshot {
    let readings = Readings { znode_count: 9, uptime_ms: 38_713, ..Readings::default() };
    let process = ProcessInfo {
        open_files: 54,
        max_files: 20_000,
        cpu_seconds: 1.25,
        ..ProcessInfo::default()
    };
    metrics.snapshot(&readings, &process)
}

fn value(text: &str, name: &str) -> String {
    let prefix = format!("{name}\t");
    let mut found = text.lines().filter_map(|line| line.strip_prefix(&prefix));
    let value = found.next().unwrap_or_else(|| panic!("no {name}"));
    assert_eq!(found.next(), None, "{name} twice");
    value.to_owned()
}

#[test]
fn mntr_counts() {
    let text = snapshot(&busy()).mntr(VERSION);
    for (name, expected) in [
        ("zk_version", VERSION),
        ("zk_server_state", "standalone"),
        ("zk_packets_received", "4"),
        ("zk_packets_sent", "4"),
        ("zk_bytes_received_count", "192"),
        ("zk_min_latency", "0"),
        ("zk_avg_latency", "5.5125"),
        ("zk_max_latency", "20"),
        ("zk_znode_count", "9"),
        ("zk_uptime", "38713"),
        ("zk_open_file_descriptor_count", "54"),
        ("zk_last_client_response_size", "20"),
        ("zk_max_client_response_size", "220"),
        ("zk_connection_drop_probability", "0.0"),
        ("zk_cnt_readlatency", "2"),
        ("zk_avg_readlatency", "1.0"),
        ("zk_max_readlatency", "1"),
        ("zk_sum_readlatency", "2"),
        ("zk_p50_updatelatency", "20"),
        ("zk_cnt_fsynctime", "1"),
        ("zk_max_fsynctime", "17"),
        ("zk_avg_sync_processor_batch_size", "3.0"),
        ("zk_sum_node_created_watch_count", "2"),
        ("zk_cnt_node_deleted_watch_count", "0"),
    ] {
        assert_eq!(value(&text, name), expected, "{name}");
    }
    assert_eq!(text.lines().next(), Some(format!("zk_version\t{VERSION}").as_str()));
}

#[test]
fn a_reset_forgets_counts_and_keeps_levels() {
    let mut metrics = busy();
    metrics.reset();
    assert_eq!(metrics, Metrics::default());
    let text = snapshot(&metrics).mntr(VERSION);
    for (name, expected) in [
        ("zk_packets_sent", "0"),
        ("zk_last_client_response_size", "-1"),
        ("zk_cnt_updatelatency", "0"),
        ("zk_p999_updatelatency", "0"),
        ("zk_znode_count", "9"),
    ] {
        assert_eq!(value(&text, name), expected, "{name}");
    }
}

/// What a value looks like: a whole number, a fraction, or text.
fn shape(value: &str) -> &'static str {
    match (value.parse::<i64>(), value.parse::<f64>()) {
        (Ok(_), _) => "whole",
        (_, Ok(_)) => "fraction",
        _ => "text",
    }
}

#[test]
fn names_and_shapes_are_those_of_the_reference_server() {
    let text = snapshot(&busy()).mntr(VERSION);
    let golden: HashSet<(&str, &str)> = pairs(GOLDEN);
    let own = |name: &str| name.starts_with("zk_tenure_");
    for (name, shape) in pairs(&text).into_iter().filter(|(name, _)| !own(name)) {
        assert!(golden.contains(&(name, shape)), "{name}: {shape}");
    }
}

fn pairs(text: &str) -> HashSet<(&str, &str)> {
    let line = |line| str::split_once(line, '\t').unwrap_or_else(|| panic!("no tab: {line}"));
    text.lines().map(line).map(|(name, value)| (name, shape(value))).collect()
}

#[test]
fn names_that_dashboards_read_are_there() {
    let mut readings = Readings { state: ServerState::Leader, ..Readings::default() };
    readings.leader = Some(LeaderReadings { learners: 2, ..LeaderReadings::default() });
    readings.quorum_size = Some(3);
    let mut counted = busy();
    counted.acked(2, 1_500);
    let leader = counted.snapshot(&readings, &ProcessInfo::read());
    let lines: Vec<String> = leader.lines().into_iter().map(|(name, _)| name).collect();
    let names = "avg_latency min_latency max_latency packets_received packets_sent \
        num_alive_connections outstanding_requests znode_count watch_count ephemerals_count \
        approximate_data_size open_file_descriptor_count max_file_descriptor_count uptime learners \
        synced_followers synced_non_voting_followers synced_observers pending_syncs leader_uptime \
        last_proposal_size min_proposal_size max_proposal_size quorum_size global_sessions \
        local_sessions stale_sessions_expired connection_request_count connection_drop_count \
        connection_rejected connection_revalidate_count revalidate_count \
        sessionless_connections_expired cnt_readlatency cnt_updatelatency cnt_propagation_latency \
        cnt_fsynctime cnt_snapshottime cnt_dbinittime cnt_election_time looking_count \
        cnt_leader_unavailable_time cnt_unavailable_time commit_count proposal_count \
        cnt_proposal_latency cnt_quorum_ack_latency cnt_2_ack_latency diff_count snap_count \
        cnt_follower_sync_time cnt_prep_processor_queue_size cnt_sync_processor_queue_size \
        cnt_sync_processor_batch_size outstanding_changes_queued outstanding_changes_removed \
        request_commit_queued response_packet_cache_hits response_packet_cache_misses \
        bytes_received_count response_bytes watch_bytes cnt_node_created_watch_count \
        cnt_node_deleted_watch_count cnt_node_changed_watch_count cnt_node_children_watch_count \
        ensemble_auth_success ensemble_auth_fail ensemble_auth_skip unrecoverable_error_count \
        digest_mismatches_count throttled_ops stale_requests auth_failed_count";
    for name in names.split_whitespace() {
        assert!(lines.iter().any(|line| line == name), "{name}");
    }
    let standalone = snapshot(&busy()).mntr(VERSION);
    assert!(!standalone.contains("zk_learners") && !standalone.contains("zk_quorum_size"));
}

#[test]
fn what_is_counted_of_each_member_names_it() {
    let mut metrics = Metrics::default();
    for (member, took_us) in [(2, 1_500), (2, 2_500), (3, 7_000)] {
        metrics.acked(member, took_us);
    }
    let text = snapshot(&metrics).mntr(VERSION);
    assert_eq!(value(&text, "zk_cnt_2_ack_latency"), "2");
    assert_eq!(value(&text, "zk_avg_2_ack_latency"), "2.0");
    assert_eq!(value(&text, "zk_p99_3_ack_latency"), "7");
    let text = snapshot(&metrics).prometheus(false);
    assert!(text.contains("\nack_latency{key=\"3\",quantile=\"0.5\"} 7\n"), "{text}");
    assert!(text.contains("\nack_latency_count{key=\"2\"} 2\n"), "{text}");
    assert!(text.contains("\nack_latency_sum{key=\"2\"} 4\n"), "{text}");
}

#[test]
fn prometheus_text_is_well_formed() {
    let text = snapshot(&busy()).prometheus(true);
    let mut declared = HashSet::new();
    let mut current = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(["counter", "gauge", "summary", "histogram"].contains(&kind), "{line}");
            assert!(declared.insert(name), "{name} declared twice");
            current = name;
        } else if !line.starts_with("# HELP ") {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(series.starts_with(current), "{series} under {current}");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    for line in [
        "packets_received 4",
        "# TYPE znode_count gauge\nznode_count 9",
        "# TYPE readlatency summary",
        "readlatency_count 2\nreadlatency_sum 2\n",
        "fsynctime_sum 17.5",
        "election_time{quantile=\"0.5\"} NaN",
        "tenure_read_latency_seconds_bucket{le=\"0.0005\"} 1",
        "tenure_read_latency_seconds_bucket{le=\"0.0025\"} 2",
        "tenure_read_latency_seconds_bucket{le=\"+Inf\"} 2",
        "tenure_read_latency_seconds_sum 0.002",
        "process_cpu_seconds_total 1.25",
        "process_max_fds 20000",
    ] {
        assert!(text.contains(&format!("{line}\n").replace("\n\n", "\n")), "{line}\n{text}");
    }
    assert!(!snapshot(&busy()).prometheus(false).contains("process_"));
}
