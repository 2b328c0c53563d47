//! Tests of how arguments are read, and of the generator against the echo server.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use clap::Parser;
use tenure_testing::TestServer;

use super::{Args, Workload, churn, duration, echo, failover, pings, ratio, steady};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

fn parse(line: &str) -> Result<Args, String> {
    let words = ["bench"].into_iter().chain(line.split_ascii_whitespace());
    Cli::try_parse_from(words).map(|cli| cli.args).map_err(|error| error.to_string())
}

#[test]
fn without_arguments_four_workloads_run_against_the_default_address() {
    let args = parse("").unwrap();
    let wanted = [Workload::Read, Workload::Write, Workload::Mixed, Workload::Sessions];
    assert_eq!(args.workload, wanted);
    assert_eq!(args.server, "127.0.0.1:2181");
    assert_eq!((args.connections, args.pipeline, args.size), (32, 16, 256));
}

#[test]
fn durations_need_a_unit() {
    assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
    assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
    assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
    assert!(duration("5").unwrap_err().contains("unit"));
    assert!(duration("s").is_err());
    assert!(duration("5 parsecs").is_err());
}

#[test]
fn ratios_are_between_zero_and_one() {
    assert_eq!(ratio("0.9"), Ok(0.9));
    assert!(ratio("1.1").is_err());
    assert!(ratio("-0.1").is_err());
    assert!(ratio("NaN").is_err());
}

#[test]
fn nonsense_is_refused_when_arguments_are_read() {
    for line in ["read --connections 0", "read --pipeline 0", "read --size 1000000", "dance"] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn a_path_must_be_absolute() {
    for line in ["--path x", "--path /", "--path /x/"] {
        assert!(parse(line).unwrap().base().is_err(), "{line}");
    }
    assert_eq!(parse("--path /x/y").unwrap().base().unwrap(), "/x/y");
}

#[test]
fn a_server_without_a_port_is_named_in_the_refusal() {
    let error = parse("--server nowhere").unwrap().target().unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
}

/// The address of an echo server that runs until the tests end.
fn echo_server() -> String {
    let listener = echo::listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || echo::serve(listener, 100));
    address
}

#[test]
fn a_mix_counts_every_operation_once() {
    let folder = tempfile::tempdir().unwrap();
    let samples = folder.path().join("samples");
    let line = "--connections 3 --pipeline 4 --size 100 --count 5000 --warmup 10ms";
    let line = format!("{line} --samples {}", samples.display());
    let args = parse(&format!("mixed --server {} {line}", echo_server())).unwrap();
    let report = steady::run(Workload::Mixed, &args).unwrap();
    let figure = |name: &str| report.figures.iter().find(|(key, _)| key == name).unwrap().1;
    let (reads, writes) = (&report.latencies_us["read"], &report.latencies_us["write"]);
    assert!(figure("operations") >= 5000.0 && figure("operations") < 5100.0);
    assert_eq!(figure("operations") as u64, reads.count + writes.count);
    let share = reads.count as f64 / figure("operations");
    assert!((0.87..0.93).contains(&share), "{share} of the mix were reads");
    let lines = std::fs::read_to_string(samples).unwrap().lines().count();
    assert_eq!(lines as f64, figure("operations"));
}

#[test]
fn sessions_are_opened_and_closed_as_often_as_asked() {
    let line = "--connections 4 --count 200 --warmup 1ms";
    let args = parse(&format!("sessions --server {} {line}", echo_server())).unwrap();
    let report = churn::run(&args).unwrap();
    assert!(report.latencies_us["close"].count >= 200);
}

#[test]
fn several_servers_and_processes_are_lists() {
    let args = parse("--server 127.0.0.1:1,127.0.0.1:2 --server-pid 7,8").unwrap();
    let ports: Vec<u16> = args.target().unwrap().servers.iter().map(|at| at.port()).collect();
    assert_eq!((ports, args.server_pid), (vec![1, 2], vec![7, 8]));
}

#[test]
fn sessions_come_back_when_their_server_does() {
    let server = TestServer::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let diary = folder.path().join("diary");
    let line = format!(
        "failover --connections 2 --count 3 --interval 1ms --duration 1s --server {} --samples {}",
        server.hosts(),
        diary.display()
    );
    let args = parse(&line).unwrap();
    let report = std::thread::scope(|scope| {
        let load = scope.spawn(|| failover::run(&args));
        std::thread::sleep(Duration::from_millis(400));
        server.restart().unwrap();
        load.join().unwrap().unwrap()
    });
    let figure = |name: &str| report.figures.iter().find(|(key, _)| key == name).unwrap().1;
    for nothing in ["sessions_lost", "ephemerals_missing", "acknowledged_writes_lost", "errors"] {
        assert_eq!(figure(nothing), 0.0, "{nothing}");
    }
    assert_eq!(figure("links_lost"), 5.0);
    let diary = std::fs::read_to_string(diary).unwrap();
    let count = |what: &str| diary.lines().filter(|line| line.starts_with(what)).count();
    assert_eq!(count("write,") as f64, figure("writes_acknowledged"));
    assert_eq!((count("lost-link,"), count("attached,")), (5, 5));
}

#[test]
fn pings_are_answered_one_at_a_time() {
    let line = "--connections 2 --interval 5ms --warmup 1ms --count 20";
    let server = TestServer::start().unwrap();
    let args = parse(&format!("pings --server {} {line}", server.hosts())).unwrap();
    let report = pings::run(&args).unwrap();
    assert!(report.latencies_us["ping"].count >= 20);
}

#[test]
fn nobody_listening_is_an_error_not_a_hang() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let args = parse(&format!("read --server {address}")).unwrap();
    let error = steady::run(Workload::Read, &args).unwrap_err();
    assert!(error.to_string().contains("closed a connection"), "{error}");
}

#[test]
fn the_echo_server_says_that_it_serves() {
    let mut stream = TcpStream::connect(echo_server()).unwrap();
    stream.write_all(b"srvr").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("Mode: "), "{answer}");
}
