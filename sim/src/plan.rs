//! What a seed decides before a history begins: how many take part, how well their clocks and
//! their network are, and how much goes wrong.

use crate::clock::{Clock, MS, Nanos};
use crate::random::Random;
use crate::wishes::Kind;

/// Sizes and rates of one history.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Members that vote; those behind them observe.
    pub(crate) voters: usize,
    pub(crate) member_clocks: Vec<Clock>,
    /// Bounds of the session timeout at each server, in milliseconds.
    pub(crate) bounds_ms: Vec<(u32, u32)>,
    pub(crate) client_clocks: Vec<Clock>,
    /// Session timeout that each client asks for.
    pub(crate) timeouts_ms: Vec<u64>,
    /// Least and greatest time of a packet between client and server.
    pub(crate) latency: (Nanos, Nanos),
    pub(crate) peer_latency: (Nanos, Nanos),
    pub(crate) disk: (Nanos, Nanos),
    /// Clients use znodes that all of them change.
    pub(crate) shares: bool,
    /// Disks stall, fail and are lost, and the last batch before a crash may be torn.
    pub(crate) disks_fail: bool,
    /// Nothing goes wrong but with clients' own processes.
    pub(crate) is_quiet: bool,
    /// Sessions are their server's own until they are to have ephemerals.
    pub(crate) local_sessions: bool,
    /// Members become observers and voters again.
    pub(crate) reconfigures: bool,
    /// Entries between snapshots, and applied ones kept for members that lag.
    pub(crate) snapshots: Option<(u64, u64)>,
    /// How many packets in a thousand take much longer.
    pub(crate) slow_per_mille: u64,
    /// The time between two steps of one application, on average.
    pub(crate) step_every: Nanos,
    /// The time between two faults, on average.
    pub(crate) fault_every: Nanos,
    /// From then on nothing goes wrong any more.
    pub(crate) healed_at: Nanos,
    /// By then every client must be connected.
    pub(crate) settled_at: Nanos,
    pub(crate) ends_at: Nanos,
    /// The longest timeout that any session may get.
    pub(crate) longest: Nanos,
}

/// Time for the first election.
const QUIET_START: Nanos = 700 * MS;

impl Plan {
    pub(crate) fn new(seed: u64, kind: Kind, random: &mut Random) -> Self {
        let members = if random.per_mille(250) { 1 } else { 3 };
        let clients = random.between(2, 4) as usize;
        // Some worlds are so quick and so regular that only the clocks tell them from perfect.
        let is_tight = random.per_mille(250);
        let clock = |random: &mut Random, sign: i64| {
            let drift = if is_tight { 1000 * sign } else { random.between(0, 2000) as i64 - 1000 };
            Clock::new(random.between(0, 100_000) * MS, drift)
        };
        // The worst case: slow clocks at clients, fast ones at servers; then the opposite.
        let sign = if random.per_mille(800) { 1 } else { -1 };
        // By chance of their own: what else a seed stands for does not depend on these.
        let mut extra = Random::new(crate::random::mix(seed));
        let snapshots = snapshots(&mut extra);
        let observers = usize::from(members > 1 && extra.per_mille(250));
        let reconfigures = members > 1 && extra.per_mille(400);
        let shares = extra.per_mille(600) && kind != Kind::First;
        let disks_fail = extra.per_mille(400) && kind == Kind::Busy;
        let mut more = Random::new(crate::random::mix(!seed));
        let local_sessions = more.per_mille(250) && kind == Kind::Busy;
        let voters = members;
        let members = voters + observers;
        let member_clocks = (0..members).map(|_| clock(random, sign)).collect();
        let client_clocks = (0..clients).map(|_| clock(random, -sign)).collect();
        let timeouts: &[u64] =
            if is_tight { &[1000, 2000] } else { &[200, 300, 400, 600, 1000, 1500, 2000] };
        let timeouts_ms: Vec<u64> = (0..clients).map(|_| random.pick(timeouts)).collect();
        let uniform = random.per_mille(600);
        let one = bounds(random);
        let bounds_ms: Vec<_> =
            (0..members).map(|_| if uniform { one } else { bounds(random) }).collect();
        let longest_ms = bounds_ms.iter().fold(200, |longest, (least, most)| {
            let wished = timeouts_ms.iter().map(|wish| (*wish as u32).clamp(*least, *most));
            wished.fold(longest, u32::max)
        });
        let longest = u64::from(longest_ms) * MS;
        let fault_time = random.between(1_500, 6_000) * MS;
        let healed_at = QUIET_START + fault_time;
        let settled_at = healed_at + 2_000 * MS + 2 * longest;
        let micros = |low: u64, high: u64| (low * 1000, high * 1000);
        // A network is well if a session has time for some round trips.
        let shortest_ms = timeouts_ms.iter().min().copied().unwrap_or(200);
        let slow_latency = random.pick(&[1_000, 5_000, 20_000]).min(shortest_ms * 1000 / 40);
        let plan = Plan {
            voters,
            member_clocks,
            bounds_ms,
            client_clocks,
            timeouts_ms,
            latency: if is_tight { micros(20, 100) } else { micros(100, slow_latency) },
            peer_latency: if is_tight { micros(20, 60) } else { micros(50, slow_latency / 2) },
            disk: if is_tight { micros(10, 40) } else { micros(50, 4_000) },
            snapshots,
            shares,
            disks_fail,
            is_quiet: kind == Kind::Quiet,
            local_sessions,
            reconfigures,
            slow_per_mille: if is_tight { 0 } else { random.pick(&[0, 5, 30]) },
            step_every: random.between(10, 120) * MS,
            fault_every: random.between(40, 600) * MS,
            healed_at,
            settled_at,
            ends_at: settled_at + longest * 13 / 10 + 300 * MS,
            longest,
        };
        if kind == Kind::Quiet { plan.into_quiet(&mut extra) } else { plan }
    }

    /// As sessions are used in earnest: long timeouts, three servers, and little to do.
    pub(crate) fn into_quiet(self, random: &mut Random) -> Self {
        let clients = self.client_clocks.len();
        let timeouts_ms: Vec<u64> =
            (0..clients).map(|_| random.pick(&[2_000, 4_000, 10_000])).collect();
        let longest = 10_000 * MS;
        let healed_at = 100_000 * MS;
        let settled_at = healed_at + 2_000 * MS + 2 * longest;
        let clock = |random: &mut Random| {
            Clock::new(random.between(0, 100_000) * MS, random.between(0, 2_000) as i64 - 1_000)
        };
        Plan {
            voters: 3,
            member_clocks: (0..3).map(|_| clock(random)).collect(),
            bounds_ms: vec![(1_000, 10_000); 3],
            timeouts_ms,
            latency: (100_000, 1_000_000),
            peer_latency: (50_000, 500_000),
            disk: (50_000, 2_000_000),
            reconfigures: false,
            slow_per_mille: 0,
            step_every: 2_000 * MS,
            healed_at,
            settled_at,
            ends_at: settled_at + longest * 13 / 10 + 300 * MS,
            longest,
            ..self
        }
    }

    pub(crate) fn faults_begin(&self) -> Nanos {
        QUIET_START
    }
}

fn snapshots(random: &mut Random) -> Option<(u64, u64)> {
    let often = (random.between(10, 80), random.between(5, 60));
    random.per_mille(500).then_some(often)
}

fn bounds(random: &mut Random) -> (u32, u32) {
    let least = random.pick(&[100, 100, 200, 500, 1000]);
    (least, random.pick(&[1000, 1500, 2000, 2000]).max(least))
}
