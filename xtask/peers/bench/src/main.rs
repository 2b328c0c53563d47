//! Pipelined reads and writes of one session: `client-bench HOSTS CLIENT SCENE DEPTH
//! SECONDS`, where the
//! client is `tenure` or `zookeeper-client`, and the scene `read` or `write`. Prints one line of
//! JSON: operations, wall seconds, and this process's CPU seconds.

use std::collections::VecDeque;
use std::future::{Future, IntoFuture};
use std::time::{Duration, Instant};


const PATH: &str = "/client-bench";
const DATA: &[u8] = &[b'x'; 100];

/// For how long to measure, and how many requests are under way at any time.
type Load = (Duration, usize);

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [hosts, client, scene, depth, seconds] = &args[..] else {
        let usage = "client-bench HOSTS tenure|zookeeper-client read|write DEPTH SECONDS";
        return Err(usage.into());
    };
    let span = (Duration::from_secs_f64(seconds.parse()?), depth.parse()?);
    match (client.as_str(), scene.as_str()) {
        ("tenure", scene) => tenure(hosts, scene, span).await,
        ("zookeeper-client", scene) => other(hosts, scene, span).await,
        _ => Err(format!("no client {client}").into()),
    }
}

async fn tenure(hosts: &str, scene: &str, span: Load) -> Outcome {
    let session = tenure_client::Session::establish(hosts).await?;
    session.create_all(PATH).await?;
    session.set(PATH, DATA).await?;
    match scene {
        "read" => {
            run(span, || session.get(PATH).into_future(), |node| node.data.len()).await
        }
        "write" => run(span, || session.set(PATH, DATA).into_future(), |_| DATA.len()).await,
        _ => Err(format!("no scene {scene}").into()),
    }
}

async fn other(hosts: &str, scene: &str, span: Load) -> Outcome {
    use zookeeper_client::{Acls, Client, CreateMode, Error};

    let client = Client::connect(hosts).await?;
    match client.create(PATH, DATA, &CreateMode::Persistent.with_acls(Acls::anyone_all())).await {
        Ok(_) | Err(Error::NodeExists) => {}
        Err(error) => return Err(error.into()),
    }
    client.set_data(PATH, DATA, None).await?;
    match scene {
        "read" => {
            run(span, || Box::pin(client.get_data(PATH)), |(data, _)| data.len()).await
        }
        "write" => {
            run(span, || Box::pin(client.set_data(PATH, DATA, None)), |_| DATA.len()).await
        }
        _ => Err(format!("no scene {scene}").into()),
    }
}

/// Keeps as many requests under way as wanted, awaiting the oldest: a second to warm up, then for
/// the time span.
async fn run<F, T, E>(
    (span, depth): Load,
    request: impl Fn() -> F,
    length: impl Fn(T) -> usize,
) -> Outcome
where
    F: Future<Output = Result<T, E>> + Unpin,
    E: std::error::Error + 'static,
{
    let mut under_way: VecDeque<F> = (0..depth).map(|_| request()).collect();
    let (mut operations, mut start, mut cpu) = (0_u64, Instant::now(), 0.0);
    let mut warm = false;
    loop {
        let oldest = under_way.pop_front().ok_or("nothing under way")?;
        assert_eq!(length(oldest.await?), DATA.len());
        under_way.push_back(request());
        operations += 1;
        if operations % 64 != 0 {
            continue;
        }
        if !warm && start.elapsed() >= Duration::from_secs(1) {
            (warm, operations, start, cpu) = (true, 0, Instant::now(), cpu_seconds());
        } else if warm && start.elapsed() >= span {
            break;
        }
    }
    let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    println!("{{\"operations\":{operations},\"wall_s\":{wall:.3},\"cpu_s\":{cpu:.3}}}");
    Ok(())
}

/// CPU time of all threads of this process.
fn cpu_seconds() -> f64 {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9
}
