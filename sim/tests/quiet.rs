//! Worlds where nothing goes wrong but with clients' own processes: nobody else may notice.

use tenure_sim::{Kind, Wishes, run};

#[test]
fn a_quiet_world_stays_quiet() {
    let wishes = Wishes { kind: Kind::Quiet, ..Wishes::default() };
    let mut expired = 0;
    for seed in 1..=8 {
        let history = run(seed, &wishes);
        assert_eq!(history.violation, None, "seed {seed}");
        for what in ["lost: deadline passed", "lost: expired", "lost: paused", "silences survived"]
        {
            assert_eq!(history.counts.of(what), 0, "seed {seed}: {what}");
        }
        assert_eq!(history.counts.of("elections won"), 1, "seed {seed}");
        // Each server wakes up fifty times a second, and for little else.
        let ticks = history.counts.of("ticks") as f64 / history.seconds;
        assert!(ticks < 3.0 * 60.0, "seed {seed}: {ticks} ticks a second");
        expired += history.counts.of("sessions expired");
    }
    assert!(expired > 0, "some clients crashed");
}
