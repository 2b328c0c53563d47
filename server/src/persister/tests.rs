//! The disk thread on a disk that fills up, empties and fails.

use std::path::Path;

use bytes::Bytes;
use mio::{Poll, Token};
use tenure_storage::{Disk, Faults, FaultyDisk, LogOptions};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

struct Bench {
    disk: Arc<FaultyDisk>,
    persister: Persister,
    mail: Receiver<Mail>,
    // The bell of the mailbox rings here.
    _poll: Poll,
}

fn options() -> LogOptions {
    LogOptions { segment_bytes: 4096, ..LogOptions::default() }
}

fn start() -> Bench {
    let disk = Arc::new(FaultyDisk::new(7));
    let shared: Arc<dyn Disk> = Arc::clone(&disk) as Arc<dyn Disk>;
    let (log, _) = Log::open(shared, Path::new("/log"), options()).unwrap();
    let poll = Poll::new().unwrap();
    let waker = mio::Waker::new(poll.registry(), Token(0)).unwrap();
    let (mailbox, mail) = Mailbox::new(Arc::new(waker));
    let policy = SyncPolicy { force_sync: true };
    let persister = Persister::start(log, policy, mailbox).unwrap();
    Bench { disk, persister, mail, _poll: poll }
}

fn batch(index: u64) -> Persist {
    let data = Bytes::from(vec![index as u8; 500]);
    let entries = vec![LogEntry { index, term: 1, kind: 0, data }];
    Persist { ticket: index, hard_state: None, entries, must_sync: true }
}

/// The newest index that survives a loss of power.
fn durable(disk: &Arc<FaultyDisk>) -> u64 {
    disk.set_faults(Faults::default());
    disk.lose_power();
    let shared: Arc<dyn Disk> = Arc::clone(disk) as Arc<dyn Disk>;
    Log::open(shared, Path::new("/log"), options()).unwrap().0.last_index()
}

fn next(bench: &Bench) -> Mail {
    bench.mail.recv_timeout(PATIENCE).expect("the disk thread reports")
}

#[test]
fn what_is_reported_durable_survives_a_loss_of_power() {
    let mut bench = start();
    for index in 1..=50 {
        bench.persister.persist(batch(index));
    }
    let mut reported = 0;
    while reported < 50 {
        let Mail::Persisted { ticket, synced } = next(&bench) else { panic!("not a report") };
        assert!(ticket > reported && synced.is_some());
        reported = ticket;
    }
    assert!(durable(&bench.disk) >= 50);
    let _ = bench.persister.finish();
}

#[test]
fn a_full_disk_is_waited_out_and_nothing_is_reported_meanwhile() {
    let mut bench = start();
    // A file that holds something was laid out while there was room.
    bench.persister.persist(batch(1));
    assert!(matches!(next(&bench), Mail::Persisted { ticket: 1, .. }));
    bench.disk.set_faults(Faults { capacity_bytes: 8 * 1024, ..Faults::default() });
    for index in 2..=60 {
        bench.persister.persist(batch(index));
    }
    let mut reported = 1;
    loop {
        match next(&bench) {
            Mail::Persisted { ticket, .. } => reported = ticket,
            Mail::DiskFull(true) => break,
            Mail::Fatal(error) => panic!("{error}"),
            _ => panic!("neither durable nor full"),
        }
    }
    assert!(reported < 60);
    assert!(bench.mail.recv_timeout(Duration::from_millis(50)).is_err());
    bench.disk.set_faults(Faults::default());
    assert!(matches!(next(&bench), Mail::DiskFull(false)));
    while reported < 60 {
        let Mail::Persisted { ticket, .. } = next(&bench) else { panic!("not a report") };
        reported = ticket;
    }
    assert!(bench.persister.finish().is_ok());
    assert_eq!(durable(&bench.disk), 60);
}

#[test]
fn a_stop_does_not_wait_for_room() {
    let mut bench = start();
    bench.persister.persist(batch(1));
    assert!(matches!(next(&bench), Mail::Persisted { ticket: 1, .. }));
    bench.disk.set_faults(Faults { capacity_bytes: 0, ..Faults::default() });
    for index in 2..=60 {
        bench.persister.persist(batch(index));
    }
    while !matches!(next(&bench), Mail::DiskFull(true)) {}
    let outcome = bench.persister.finish();
    assert!(matches!(outcome, Err(RunError::Disk(WriteError::Full { .. }))), "{outcome:?}");
}

#[test]
fn a_failed_sync_ends_the_thread_and_is_never_reported_as_durable() {
    let mut bench = start();
    bench.persister.persist(batch(1));
    assert!(matches!(next(&bench), Mail::Persisted { ticket: 1, .. }));
    bench.disk.set_faults(Faults { fail_sync_one_in: 1, ..Faults::default() });
    bench.persister.persist(batch(2));
    assert!(matches!(next(&bench), Mail::Fatal(RunError::Disk(WriteError::Failed { .. }))));
    bench.persister.persist(batch(3));
    assert!(bench.persister.finish().is_err());
    assert!(durable(&bench.disk) >= 1);
}
