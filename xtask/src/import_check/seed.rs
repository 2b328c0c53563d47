//! Clients that use everything a server has, and leave one session behind.

use std::time::Duration;

use anyhow::{Context, ensure};
use tenure_client::{Acl, CreateMode, Error, Perms, Session, SessionToken, Zxid};

/// Who may read everything, as credentials and as the configuration has them.
pub(super) const SUPER_USER: &str = "digest:super:admin";
pub(super) const SUPER_DIGEST: &str = "super:xQJmxLMiHGwaqBvst5y6rkB6HQs=";

/// What the session that was left behind is known by.
pub(super) struct Seeded {
    pub(super) token: SessionToken,
    pub(super) ephemerals: Vec<String>,
    pub(super) last_zxid: Zxid,
}

/// Long enough that nothing ends while servers are started.
const TIMEOUT: Duration = Duration::from_secs(40);

/// Fills a server, and returns when one session lives on without a connection.
pub(super) async fn sow(hosts: &str) -> anyhow::Result<Seeded> {
    let builder = Session::builder(hosts).timeout(TIMEOUT).auth("digest", "user:password");
    let session = builder.establish().await?;
    data(&session).await?;
    access(&session).await?;
    quotas(&session).await?;
    transactions(&session).await?;
    ephemerals(&session, hosts).await?;
    // More than fits between two snapshots, so that there are several, and a log behind the last.
    session.create("/many", "").await?;
    for n in 0..60 {
        session.create(&format!("/many/{n}"), &vec![b'x'; n]).await?;
    }
    for n in (0..60).step_by(3) {
        session.delete(&format!("/many/{n}")).await?;
    }
    let mut ephemerals = session.ephemerals("/").await?;
    ephemerals.sort();
    let token = session.token().context("it is established")?;
    let last_zxid = session.last_zxid();
    session.leave();
    Ok(Seeded { token, ephemerals, last_zxid })
}

async fn data(session: &Session) -> anyhow::Result<()> {
    session.create("/app", "first").await?;
    session.set("/app", "second").await?;
    session.set("/app", "third").await?;
    session.create("/app/null", "").null_data().await?;
    session.create("/app/empty", "").await?;
    session.create("/app/\u{e4}\u{20ac}", "text").await?;
    for _ in 0..3 {
        session.create("/app/s-", "").sequential().await?;
    }
    session.delete("/app/s-0000000004").await?;
    session.create("/app/tasks", "").container().await?;
    session.create("/app/tasks/one", "1").await?;
    session.create("/app/lease", "").ttl(Duration::from_secs(3600)).await?;
    Ok(())
}

async fn access(session: &Session) -> anyhow::Result<()> {
    let acl = |perms, scheme: &'static str, id: &'static str| Acl {
        perms,
        scheme: scheme.into(),
        id: id.into(),
    };
    let own = [acl(Perms::ALL, "auth", "")];
    session.create("/app/secret", "hidden").acl(&own).await?;
    let mixed = [
        acl(Perms::READ, "world", "anyone"),
        acl(Perms::ALL, "auth", ""),
        acl(Perms::READ | Perms::WRITE, "ip", "10.0.0.0/8"),
    ];
    session.create("/app/shared", "").await?;
    session.set_acl("/app/shared", &mixed).await?;
    Ok(())
}

async fn quotas(session: &Session) -> anyhow::Result<()> {
    session.create("/zookeeper/quota/app", "").await?;
    let limits = "count=100,bytes=100000=;byteHardLimit=200000;countHardLimit=200";
    session.create("/zookeeper/quota/app/zookeeper_limits", limits).await?;
    session.create("/zookeeper/quota/app/zookeeper_stats", "count=0,bytes=0").await?;
    session.create("/app/counted", "12345").await?;
    Ok(())
}

async fn transactions(session: &Session) -> anyhow::Result<()> {
    let plain = CreateMode::Persistent;
    let whole = session.transaction().create("/app/t", "", plain).create("/app/t/u", "x", plain);
    whole.set("/app/t", "y", None).check("/app", 2).delete("/app/empty", None).commit().await?;
    let failing = session.transaction().create("/app/v", "", plain).check("/app", 77);
    ensure!(failing.commit().await.is_err(), "a wrong version was taken");
    let again = session.create("/app", "").await;
    ensure!(matches!(again, Err(Error::Refused { .. })), "a znode was created twice");
    Ok(())
}

/// Some that stay, and some that go with a session that ends.
async fn ephemerals(session: &Session, hosts: &str) -> anyhow::Result<()> {
    session.create("/app/members", "").await?;
    session.create("/app/members/one", "here").ephemeral().await?;
    session.create("/app/members/n-", "").ephemeral().sequential().await?;
    let other = Session::builder(hosts).timeout(TIMEOUT).establish().await?;
    other.create("/app/members/two", "").ephemeral().await?;
    other.create("/app/members/three", "").ephemeral().await?;
    other.delete("/app/members/three").await?;
    other.close().await?;
    let gone = session.exists("/app/members/two").await?;
    ensure!(gone.is_none(), "an ephemeral outlived its session");
    Ok(())
}
