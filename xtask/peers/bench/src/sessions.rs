//! Many live sessions in one process: threads, memory, processor time, and whether all live on.

use std::time::{Duration, Instant};

use tenure_client::{Liveness, Session};

use crate::Outcome;
use crate::process::{cpu_seconds, resident_bytes, threads};

const TIMEOUT: Duration = Duration::from_secs(4);

/// Sessions that are being established at any time.
const AT_ONCE: usize = 256;

pub(crate) async fn run(hosts: &str, count: usize, timeouts: u32) -> Outcome {
    let establish = || Session::builder(hosts).timeout(TIMEOUT).start();
    // What the first session costs beyond its own part, all sessions share.
    let first = establish()?;
    first.established().await?;
    let (threads_before, memory_before) = (threads()?, resident_bytes()?);
    let mut sessions = Vec::with_capacity(count);
    let begin = Instant::now();
    while sessions.len() < count {
        let end = count.min(sessions.len() + AT_ONCE);
        let fresh: Vec<Session> =
            (sessions.len()..end).map(|_| establish()).collect::<Result<_, _>>()?;
        for session in &fresh {
            session.established().await?;
        }
        sessions.extend(fresh);
    }
    let established = begin.elapsed().as_secs_f64();
    let timeout = first.timeout();
    // A third of the timeout for the first pings, so that what they need is there.
    tokio::time::sleep(timeout / 3).await;
    let (cpu, begin) = (cpu_seconds(), Instant::now());
    tokio::time::sleep(timeout * timeouts).await;
    let cpu = (cpu_seconds() - cpu) / begin.elapsed().as_secs_f64();
    let memory = resident_bytes()? - memory_before;
    let live = |session: &&Session| session.liveness() == Liveness::Live && session.is_valid();
    let figures = vec![
        ("sessions", count as f64),
        ("sessions_live_at_the_end", sessions.iter().filter(live).count() as f64),
        ("session_timeouts_held", f64::from(timeouts)),
        ("threads_with_one", threads_before),
        ("threads_with_all", threads()?),
        ("resident_bytes_per_session", memory / count as f64),
        ("cpu_percent_of_a_core", cpu * 100.0),
        ("established_per_second", count as f64 / established),
    ];
    // The server closes them when their links go, at the latest; nobody need wait for it here.
    sessions.iter().for_each(Session::leave);
    Ok(figures)
}
