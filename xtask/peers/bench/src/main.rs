//! Scenes of the client, each in a process of its own: `client-bench HOSTS SCENE ...` prints one
//! line of JSON, figures by name.
//!
//! - `pipelined CLIENT LOAD DEPTH SECONDS`: reads or writes of one session, so many at a time; the
//!   client is `tenure` or `zookeeper-client`, the load `read` or `write`
//! - `sessions COUNT TIMEOUTS`: threads, memory and processor time of many sessions, held for so
//!   many session timeouts
//! - `hand-over ROUNDS DELAY_MS`: from the release of a lock to the next holder, on links that
//!   bytes take so much longer to pass, each way
//! - `crash ROUNDS`: from the end of a crashed holder's session to the next holder
//! - `reconnect WATCHES`: the link of a session with many watches is cut, while another works

mod handover;
mod pipelined;
mod process;
mod proxy;
mod reconnect;
mod sessions;

use std::fmt::Write;
use std::time::Duration;

type Outcome = Result<Figures, Box<dyn std::error::Error>>;

/// What was measured, by name.
type Figures = Vec<(&'static str, f64)>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let figures = match &args[..] {
        [hosts, "pipelined", client, load, depth, seconds] => {
            let span = Duration::from_secs_f64(seconds.parse()?);
            pipelined::run(hosts, client, load, depth.parse()?, span).await?
        }
        [hosts, "sessions", count, timeouts] => {
            sessions::run(hosts, count.parse()?, timeouts.parse()?).await?
        }
        [hosts, "hand-over", rounds, delay] => {
            let delay = Duration::from_millis(delay.parse()?);
            handover::after_release(hosts, rounds.parse()?, delay).await?
        }
        [hosts, "crash", rounds] => handover::after_crash(hosts, rounds.parse()?).await?,
        [hosts, "reconnect", watches] => reconnect::run(hosts, watches.parse()?).await?,
        _ => return Err("usage: client-bench HOSTS SCENE ...; see the head of main.rs".into()),
    };
    let mut line = String::new();
    for (name, value) in figures {
        let comma = if line.is_empty() { "" } else { "," };
        write!(line, "{comma}\"{name}\":{value}")?;
    }
    println!("{{\"figures\":{{{line}}}}}");
    Ok(())
}
