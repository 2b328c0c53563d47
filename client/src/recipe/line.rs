//! The fair line that locks, elections and semaphores are made of: contenders hold places in the
//! order of their arrival, and each one watches only the one place that it waits for.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use tenure_wire::{ErrorCode, SessionId};

use super::claim::{Claim, Name, left_by_earlier_life, tag_of};
use super::fencing::FencingToken;
use super::guard::Guard;
use super::own::Own;
use crate::error::Error;
use crate::machine::EventKind;
use crate::op::{OneTimeWatch, ReadOutcome};
use crate::path;
use crate::session::Session;

/// A line below one znode.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) session: Session,
    pub(crate) dir: String,
    pub(crate) holder: Option<String>,
}

/// Who must be gone before a contender's turn has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Everybody who came before.
    Exclusive,
    /// Everybody of this kind who came before.
    BehindKind(&'static str),
    /// All but so many of those who came before, less one.
    UpTo(usize),
}

/// What a contender has to wait for.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// Nothing.
    Mine,
    /// The end of the contender at this place.
    Behind(usize),
    /// The end of anyone before.
    BehindAny,
    /// The end of the contender at this place, or that it waits no more.
    BehindWaiter(usize),
}

/// Why a contender that waited looks at its turn again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Woken {
    /// The contender at this place is gone.
    Gone(usize),
    /// Something changed; the line must be asked for.
    LookAgain,
    /// Its own place is gone.
    OwnPlaceGone,
}

impl Rule {
    fn turn(self, line: &[Name], place: usize) -> Turn {
        let before = &line[..place];
        let behind = |place: Option<usize>| place.map_or(Turn::Mine, Turn::Behind);
        match self {
            Self::Exclusive => behind(place.checked_sub(1)),
            Self::BehindKind(kind) => behind(before.iter().rposition(|name| name.kind == kind)),
            Self::UpTo(most) if place < most => Turn::Mine,
            Self::UpTo(most) if place == most => Turn::BehindAny,
            Self::UpTo(_) => Turn::BehindWaiter(place - 1),
        }
    }
}

/// Somebody in a line, as [`Lock::contenders`](super::Lock::contenders) and its likes list them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contender {
    /// Its znode.
    pub path: String,
    /// What it wants: `lock`, `read`, `write`, `lease` or `leader`.
    pub kind: String,
    /// The name of the holder, empty if it has none.
    pub holder: String,
    /// The session that holds the place.
    pub session: SessionId,
    /// The token that it has, or will have.
    pub token: FencingToken,
    /// When it came, by the clock of the ensemble's leader, in milliseconds since the Unix epoch.
    pub since_ms: i64,
}

/// The names of a line, first come first.
pub(crate) fn sorted(names: &[String]) -> Vec<Name> {
    let mut line: Vec<Name> = names.iter().filter_map(|name| Name::parse(name)).collect();
    // Numbers go up from 0, and at their very end on from the negative ones.
    line.sort_by_key(|name| name.number.cast_unsigned());
    line
}

impl Line {
    pub(crate) fn new(session: &Session, dir: &str) -> Self {
        Self { session: session.clone(), dir: dir.to_owned(), holder: None }
    }

    /// Takes a place and waits for its turn.
    pub(crate) async fn acquire(&self, kind: &str, rule: Rule) -> Result<Guard, Error> {
        loop {
            if let Some(guard) = self.try_once(kind, rule, true).await? {
                return Ok(guard);
            }
        }
    }

    /// Takes a place if its turn is at once.
    pub(crate) async fn try_acquire(&self, kind: &str, rule: Rule) -> Result<Option<Guard>, Error> {
        // Whoever finds it taken has changed nothing, and made nobody behind wait.
        let line = match self.session.children(&self.dir).await {
            Ok(children) => sorted(&children.names),
            Err(error) if error.is(ErrorCode::NoNode) => Vec::new(),
            Err(error) => return Err(error),
        };
        let is_free = rule.turn(&line, line.len()) == Turn::Mine;
        let may_be_ours = super::claim::was_resumed(&self.session);
        if !is_free && !may_be_ours {
            return Ok(None);
        }
        self.try_once(kind, rule, false).await
    }

    /// `None` if its turn is not at once and `wait` is false, or if its place was taken away.
    async fn try_once(&self, kind: &str, rule: Rule, wait: bool) -> Result<Option<Guard>, Error> {
        let Self { session, dir, holder } = self;
        let (mut claim, children) = Claim::in_line(session, dir, kind, holder.as_deref()).await?;
        let mut names = children.names;
        let own = Own::watch(session, claim.path());
        let Some((own, stat)) = own.await? else {
            claim.is_gone();
            return Ok(None);
        };
        let mut waited = false;
        loop {
            let line = sorted(&names);
            let own_name = claim.path().rsplit('/').next();
            let place = line.iter().position(|name| Some(name.text.as_str()) == own_name);
            let Some(place) = place else { break };
            match rule.turn(&line, place) {
                Turn::Mine => {
                    if waited && matches!(rule, Rule::UpTo(_)) && place + 1 < line.len() {
                        self.tell_next(claim.path());
                    }
                    return self.granted(Guard::new(claim, own, &stat)).await.map(Some);
                }
                _ if !wait => {
                    claim.release().await?;
                    return Ok(None);
                }
                turn => {
                    if !waited {
                        self.report_ghosts(&line[..place]);
                    }
                    waited = true;
                    match self.wait_for(&turn, &line, &own).await? {
                        Woken::OwnPlaceGone => break,
                        // Nobody can have come before us meanwhile, so there is nothing to ask.
                        Woken::Gone(place) => {
                            names.retain(|name| *name != line[place].text);
                            continue;
                        }
                        Woken::LookAgain => {}
                    }
                }
            }
            names = match session.children(dir).await {
                Err(error) if error.is(ErrorCode::NoNode) => break,
                children => children?.names,
            };
        }
        tracing::warn!(path = claim.path(), "somebody deleted our place in the line");
        claim.is_gone();
        Ok(None)
    }

    /// It is ours, unless the session's deadline has passed meanwhile.
    async fn granted(&self, guard: Guard) -> Result<Guard, Error> {
        match self.session.is_valid() {
            true => Ok(guard),
            false => Err(Error::Lost(self.session.lost().await)),
        }
    }

    /// Waits until the line has changed before us, or our own place is gone.
    async fn wait_for(&self, turn: &Turn, line: &[Name], own: &Own) -> Result<Woken, Error> {
        let gone = match *turn {
            Turn::Behind(place) => Woken::Gone(place),
            _ => Woken::LookAgain,
        };
        let watch = match *turn {
            Turn::Mine => return Ok(Woken::LookAgain),
            Turn::Behind(place) => self.watch_place(&line[place]).await?.map(|(_, watch)| watch),
            Turn::BehindWaiter(place) => match self.watch_place(&line[place]).await? {
                // It has a lease by now, so we are the first of those who wait.
                Some((version, _)) if version > 0 => self.watch_line(line).await?,
                place => place.map(|(_, watch)| watch),
            },
            Turn::BehindAny => self.watch_line(line).await?,
        };
        let Some(watch) = watch else { return Ok(gone) };
        let mut watch = pin!(watch);
        poll_fn(|cx| {
            if own.poll_ended(cx).is_ready() {
                return Poll::Ready(Ok(Woken::OwnPlaceGone));
            }
            watch.as_mut().poll(cx).map(|event| match event {
                Err(_) if self.session.liveness().is_lost() => {
                    Err(Error::Lost(self.session.lost_reason()))
                }
                Ok(event) if event.kind == EventKind::Deleted => Ok(gone),
                _ => Ok(Woken::LookAgain),
            })
        })
        .await
    }

    /// Watches a place, and tells its version. `None` if it is gone.
    async fn watch_place(&self, name: &Name) -> Result<Option<(i32, OneTimeWatch)>, Error> {
        let path = path::child(&self.dir, &name.text);
        match self.session.get(&path).watch().await {
            Ok((node, watch)) => Ok(Some((node.stat.version, watch))),
            Err(error) if error.is(ErrorCode::NoNode) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Watches the whole line. `None` if it is not as it was: who left before the watch was set
    /// wakes nobody.
    async fn watch_line(&self, line: &[Name]) -> Result<Option<OneTimeWatch>, Error> {
        let (children, watch) = self.session.children(&self.dir).watch().await?;
        Ok((sorted(&children.names) == line).then_some(watch))
    }

    /// We wait no more, so whoever is behind us may be the next to watch for free places.
    fn tell_next(&self, path: &str) {
        // Handed in, it goes its way. If it fails, the session is lost, which the next is told of.
        drop(self.session.set(path, self.holder.as_deref().unwrap_or_default()).send());
    }

    /// Says who of those before us is likely to be an earlier self.
    fn report_ghosts(&self, before: &[Name]) {
        let Some(holder) = &self.holder else { return };
        let tag = tag_of(Some(holder));
        for name in before.iter().filter(|name| name.tag == tag) {
            tracing::warn!(
                %holder,
                path = path::child(&self.dir, &name.text),
                "somebody of the same name is before us in the line, probably of an earlier \
                 session of ours: it goes when that session is closed or expires, and until then \
                 nobody can be sure that it does not hold"
            );
        }
    }

    /// Everybody in the line, first come first.
    pub(crate) async fn contenders(&self) -> Result<Vec<Contender>, Error> {
        let line = match self.session.children(&self.dir).await {
            Ok(children) => sorted(&children.names),
            Err(error) if error.is(ErrorCode::NoNode) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let paths: Vec<String> =
            line.iter().map(|name| path::child(&self.dir, &name.text)).collect();
        let mut contenders = Vec::new();
        for (names, paths) in line.chunks(READ_AT_ONCE).zip(paths.chunks(READ_AT_ONCE)) {
            let reads = paths.iter().fold(self.session.read_many(), |all, path| all.get(path));
            for ((name, path), read) in names.iter().zip(paths).zip(reads.commit().await?) {
                // Who left meanwhile is not in the line any more.
                let Ok(ReadOutcome::Node(node)) = read else { continue };
                contenders.push(Contender {
                    path: path.clone(),
                    kind: name.kind.clone(),
                    holder: String::from_utf8_lossy(&node.data).into_owned(),
                    session: SessionId(node.stat.ephemeral_owner),
                    token: FencingToken::new(node.stat.czxid),
                    since_ms: node.stat.ctime,
                });
            }
        }
        Ok(contenders)
    }

    /// Those in the line who have our holder's name and another session.
    pub(crate) async fn ghosts(&self) -> Result<Vec<Contender>, Error> {
        let Some(holder) = &self.holder else { return Ok(Vec::new()) };
        let own = self.session.id();
        let mut contenders = self.contenders().await?;
        contenders.retain(|other| other.holder == *holder && other.session != own);
        Ok(contenders)
    }

    /// Releases what an earlier life of this session left in the line.
    pub(crate) async fn release_leftovers(&self) -> Result<usize, Error> {
        let left = left_by_earlier_life(&self.session, &self.dir).await?;
        let mut released = 0;
        for (path, name) in left {
            if let Some(claim) = Claim::take_over(&self.session, &self.dir, &name, path) {
                claim.release().await?;
                released += 1;
            }
        }
        Ok(released)
    }
}

/// Contenders read in one request: their data, holders' names, are short.
const READ_AT_ONCE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn line(kinds_and_numbers: &[(&str, i32)]) -> Vec<Name> {
        let name =
            |(kind, number): &(&str, i32)| format!("{kind}-{:016x}-{:08x}-{number:010}", 7, 0);
        sorted(&kinds_and_numbers.iter().map(name).collect::<Vec<_>>())
    }

    fn numbers(line: &[Name]) -> Vec<i32> {
        line.iter().map(|name| name.number).collect()
    }

    #[test]
    fn lines_are_sorted_by_arrival_also_where_the_numbers_run_over() {
        assert_eq!(numbers(&line(&[("a", 10), ("z", 9), ("b", 11)])), [9, 10, 11]);
        let at_the_end = line(&[("a", i32::MIN + 1), ("b", i32::MAX), ("c", i32::MIN)]);
        assert_eq!(numbers(&at_the_end), [i32::MAX, i32::MIN, i32::MIN + 1]);
        assert_eq!(numbers(&sorted(&["other".to_owned()])), [0; 0]);
    }

    #[test]
    fn everybody_waits_for_one_place_alone() {
        let all = line(&[("write", 0), ("read", 1), ("read", 2), ("write", 3), ("read", 4)]);
        let turns = |rule: Rule| (0..5).map(|place| rule.turn(&all, place)).collect::<Vec<_>>();
        use Turn::{Behind, BehindAny, BehindWaiter, Mine};
        assert_eq!(turns(Rule::Exclusive), [Mine, Behind(0), Behind(1), Behind(2), Behind(3)]);
        let reading = turns(Rule::BehindKind("write"));
        assert_eq!(reading, [Mine, Behind(0), Behind(0), Behind(0), Behind(3)]);
        let leases = turns(Rule::UpTo(2));
        assert_eq!(leases, [Mine, Mine, BehindAny, BehindWaiter(2), BehindWaiter(3)]);
    }
}
