//! A process that is stopped for longer than its session lives must not believe in it afterwards,
//! not even for an instant.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tenure_client::{LostReason, Moment, Session};

use super::support::{SHORT, Scene, eventually, within};

/// Tells the helper, which is this test program again, where to connect.
const HOSTS: &str = "TENURE_TEST_PAUSED_HELPER";

/// This test program as another process that holds a session.
struct Helper {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Helper {
    fn start(hosts: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "pauses::helper", "--nocapture", "--test-threads=1"])
            .env(HOSTS, hosts)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    /// What the helper says next; the test harness in it speaks as well.
    fn hear(&mut self) -> (String, String) {
        loop {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the helper is gone");
            if let Some((_, said)) = line.trim_end().split_once("helper: ") {
                let (word, rest) = said.split_once(' ').unwrap_or((said, ""));
                return (word.to_owned(), rest.to_owned());
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn say(words: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\nhelper: {words}").unwrap();
    out.flush().unwrap();
}

/// Not a test: what the helper process does. It works for as long as it believes in its session,
/// and says when it did last, and why no longer.
#[tokio::test]
async fn helper() {
    let Ok(hosts) = std::env::var(HOSTS) else { return };
    let session = Session::builder(&hosts).timeout(SHORT).establish().await.unwrap();
    session.create("/held", "").ephemeral().await.unwrap();
    say(format_args!("holds"));
    let mut wrong = 0;
    let mut ticks = 0_u64;
    let lost = session
        .run_while_valid(async {
            loop {
                // Whoever acts on `is_valid` acts before this instant, or not at all.
                if let Some(until) = session.valid_until()
                    && session.is_valid()
                    && Moment::now() > until + Duration::from_millis(20)
                {
                    wrong += 1;
                }
                ticks += 1;
                if ticks.is_multiple_of(100) {
                    say(format_args!("works {}", Moment::now().as_nanos()));
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    let reason: Result<(), LostReason> = lost;
    let believed = session.is_valid();
    say(format_args!("ended {wrong} {believed} {:?}", reason.unwrap_err()));
}

#[tokio::test]
async fn a_process_stopped_for_longer_than_its_session_lives_knows_it_at_once() {
    let scene = Scene::new().await;
    let observer = scene.session().await;
    let hosts = format!("{}{}", scene.server, scene.root);
    let (_, held) = observer.exists("/held").watch().await.unwrap();
    let mut helper = Helper::start(&hosts);
    within(held).await.unwrap();
    assert_eq!(helper.hear().0, "holds");
    assert_eq!(helper.hear().0, "works");
    let (_, gone) = observer.exists("/held").watch().await.unwrap();
    helper.signal(Signal::STOP);
    within(gone).await.unwrap();
    let gone_at = Moment::now().as_nanos();
    helper.signal(Signal::CONT);
    loop {
        let (word, rest) = helper.hear();
        if word == "works" {
            // Said before the stop, and only read now.
            assert!(rest.parse::<u64>().unwrap() < gone_at, "it worked on");
            continue;
        }
        assert_eq!(word, "ended");
        assert!(rest.starts_with("0 false Paused"), "{rest}");
        break;
    }
}

#[tokio::test]
async fn a_process_stopped_for_less_works_on() {
    let scene = Scene::new().await;
    let hosts = format!("{}{}", scene.server, scene.root);
    let mut helper = Helper::start(&hosts);
    assert_eq!(helper.hear().0, "holds");
    // Stopped so shortly before its deadline that it sees that pass before the answers that came
    // meanwhile: at different points between two heartbeats, and for different times.
    for round in 0..6_u32 {
        assert_eq!(helper.hear().0, "works");
        helper.signal(Signal::STOP);
        tokio::time::sleep(SHORT / 2 + SHORT / 20 * round).await;
        let stopped = Moment::now().as_nanos();
        helper.signal(Signal::CONT);
        // Either it works on or it has ended; what must not be is that it does neither.
        let went_on = loop {
            let (word, rest) = helper.hear();
            match word.as_str() {
                "ended" => break false,
                _ if rest.parse::<u64>().unwrap() > stopped => break true,
                _ => {}
            }
        };
        if !went_on {
            assert!(round > 0, "half of the timeout is never too long");
            return;
        }
    }
    eventually("it is heard", || true).await;
}
