//! A znode of one's own that must not outlive the wish for it: its name, its creation with an
//! outcome that is always found out, and its removal when nobody wants it any more.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tenure_wire::ErrorCode;

use crate::background::{self, Remains};
use crate::error::Error;
use crate::op::Children;
use crate::path;
use crate::random::Random;
use crate::session::Session;

/// The claims of one session in this process, and the chance for their names.
pub(crate) struct Claims {
    inner: Mutex<Inner>,
    /// An earlier process, or an earlier value in this one, may have left znodes of the session.
    resumed: bool,
}

struct Inner {
    /// What this process claims, by the znode's path without the number at its end.
    live: BTreeSet<String>,
    random: Random,
}

impl Claims {
    pub(crate) fn new(seed: u64, resumed: bool) -> Self {
        let inner = Inner { live: BTreeSet::new(), random: Random::new(seed) };
        Self { inner: Mutex::new(inner), resumed }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // Plain data, which a panic elsewhere cannot leave half changed.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Random bits for a name that nobody else has.
pub(crate) fn random_id(session: &Session) -> u64 {
    session.connection().claims.lock().random.next()
}

/// Whether an earlier life of this session may have left znodes.
pub(crate) fn was_resumed(session: &Session) -> bool {
    session.connection().claims.resumed
}

/// The name of a znode in a line: `lock-<id>-<tag>-<number>`. The id is random, so that a
/// znode whose creation had an unknown outcome can be found again; the tag tells holders by their
/// names apart; the number, which the server gave, is the place in the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) kind: String,
    pub(crate) tag: u32,
    pub(crate) number: i32,
    pub(crate) text: String,
}

impl Name {
    /// `None` for what no claim of ours is called.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (rest, number) = split_number(text)?;
        let mut parts = rest.strip_suffix('-')?.rsplitn(3, '-');
        let (tag, id, kind) = (parts.next()?, parts.next()?, parts.next()?);
        let is_hex = |part: &str, digits| {
            part.len() == digits && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        if !is_hex(id, ID_DIGITS) || !is_hex(tag, TAG_DIGITS) {
            return None;
        }
        let tag = u32::from_str_radix(tag, 16).ok()?;
        Some(Self { kind: kind.to_owned(), tag, number, text: text.to_owned() })
    }

    /// The name without its number.
    pub(crate) fn prefix(&self) -> &str {
        split_number(&self.text).map_or(&self.text, |(prefix, _)| prefix)
    }
}

const ID_DIGITS: usize = 16;
const TAG_DIGITS: usize = 8;

/// The number that a server appended: ten digits, or, beyond two billion, a minus sign and more.
fn split_number(text: &str) -> Option<(&str, i32)> {
    let digits = text.bytes().rev().take_while(u8::is_ascii_digit).count();
    let at = text.len().checked_sub(digits).filter(|_| digits >= 10)?;
    let at = if text[..at].ends_with("--") { at - 1 } else { at };
    Some((&text[..at], text[at..].parse().ok()?))
}

/// What tells holders by their names apart; 0 for who has none. FNV-1a, which is the same
/// everywhere and for ever.
pub(crate) fn tag_of(holder: Option<&str>) -> u32 {
    let Some(holder) = holder else { return 0 };
    let hash = holder
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash.max(1)
}

/// A claim on a znode. Dropping it removes the znode in the background, also if its creation is
/// still under way.
pub(crate) struct Claim {
    session: Session,
    /// Under which it is among the live claims.
    key: String,
    stage: Stage,
}

enum Stage {
    /// This may have been created.
    Sent(Remains),
    /// There is this znode.
    Known(String),
    /// There is none any more.
    Gone,
}

impl Claim {
    /// Claims a place in a line by an ephemeral sequential znode, and lists the line in the same
    /// round trip. A place that an earlier life of this session left is taken over.
    pub(crate) async fn in_line(
        session: &Session,
        dir: &str,
        kind: &str,
        holder: Option<&str>,
    ) -> Result<(Self, Children), Error> {
        if was_resumed(session)
            && let Some(claim) = Self::left_in_line(session, dir, kind, tag_of(holder)).await?
        {
            return Ok((claim, session.children(dir).await?));
        }
        loop {
            let (id, tag) = (random_id(session), tag_of(holder));
            let prefix = format!("{kind}-{id:016x}-{tag:08x}-");
            let start = path::child(dir, &prefix);
            let remains = Remains::Prefixed { dir: dir.to_owned(), prefix: prefix.clone() };
            let mut claim = Self::begin(session, &start, Stage::Sent(remains));
            let data = holder.unwrap_or_default();
            let creation = session.create(&start, data).ephemeral().sequential().send();
            let listing = session.children(dir).send();
            match creation.await {
                Ok(created) => {
                    claim.stage = Stage::Known(created.path);
                    return Ok((claim, listing.await?));
                }
                Err(error) if is_worth_a_look(&error) => {
                    let synced = session.sync(dir);
                    let listing = session.children(dir).send();
                    synced.await?;
                    let children = match listing.await {
                        Err(error) if error.is(ErrorCode::NoNode) => continue,
                        listed => listed?,
                    };
                    if let Some(name) = children.names.iter().find(|n| n.starts_with(&prefix)) {
                        claim.stage = Stage::Known(path::child(dir, name));
                        return Ok((claim, children));
                    }
                }
                Err(error) => claim.failed_with(session, dir, error).await?,
            }
        }
    }

    /// A znode in the line that an earlier life of this session left: the one to take over, if
    /// there is one. What the same holder left of another kind would block it for ever, so it goes.
    async fn left_in_line(
        session: &Session,
        dir: &str,
        kind: &str,
        tag: u32,
    ) -> Result<Option<Self>, Error> {
        for (path, name) in left_by_earlier_life(session, dir).await? {
            if name.tag != tag {
                tracing::warn!(
                    %path,
                    "another holder in an earlier life of this session left a znode in the line: \
                     it is in the way until that holder takes it over or the session ends"
                );
                continue;
            }
            let Some(claim) = Self::take_over(session, dir, &name, path) else { continue };
            if name.kind == kind {
                return Ok(Some(claim));
            }
            claim.release().await?;
        }
        Ok(None)
    }

    /// `None` if somebody else in this process was faster.
    pub(crate) fn take_over(
        session: &Session,
        dir: &str,
        name: &Name,
        path: String,
    ) -> Option<Self> {
        let start = path::child(dir, name.prefix());
        let key = path::absolute(session.chroot(), &start).into_owned();
        let is_free = session.connection().claims.lock().live.insert(key.clone());
        let stage = Stage::Known(path);
        is_free.then(|| Self { session: session.clone(), key, stage })
    }

    /// Claims an ephemeral of a given name.
    pub(crate) async fn of_path(
        session: &Session,
        path: &str,
        data: &[u8],
    ) -> Result<Named, Error> {
        let key = path::absolute(session.chroot(), path).into_owned();
        if !session.connection().claims.lock().live.insert(key.clone()) {
            return Ok(Named::TakenHere);
        }
        let mut claim = Self { session: session.clone(), key, stage: Stage::Gone };
        let dir = path::parent(path).unwrap_or("/");
        loop {
            claim.stage = Stage::Sent(Remains::MaybeOurs(path.to_owned()));
            let error = match session.create(path, data).ephemeral().await {
                Ok(_) => {
                    claim.stage = Stage::Known(path.to_owned());
                    return Ok(Named::Ours(claim));
                }
                Err(error) => error,
            };
            let is_unknown = is_worth_a_look(&error);
            if is_unknown {
                session.sync(path).await?;
            } else if !error.is(ErrorCode::NodeExists) {
                claim.failed_with(session, dir, error).await?;
                continue;
            } else {
                claim.stage = Stage::Gone;
            }
            let Some(stat) = session.exists(path).await? else { continue };
            if stat.ephemeral_owner != session.id().0 || !(is_unknown || was_resumed(session)) {
                claim.stage = Stage::Gone;
                return Ok(Named::Taken);
            }
            claim.stage = Stage::Known(path.to_owned());
            if !is_unknown {
                session.set(path, data).await?;
            }
            return Ok(Named::Ours(claim));
        }
    }

    /// Claims an ephemeral that somebody else creates with something else.
    pub(crate) fn on_marker(session: &Session, path: &str) -> Self {
        Self::begin(session, path, Stage::Sent(Remains::MaybeOurs(path.to_owned())))
    }

    fn begin(session: &Session, start: &str, stage: Stage) -> Self {
        let key = path::absolute(session.chroot(), start).into_owned();
        session.connection().claims.lock().live.insert(key.clone());
        Self { session: session.clone(), key, stage }
    }

    /// The creation certainly did not happen. If that is for want of a parent, there will be one.
    async fn failed_with(
        &mut self,
        session: &Session,
        dir: &str,
        error: Error,
    ) -> Result<(), Error> {
        self.stage = Stage::Gone;
        match error.is(ErrorCode::NoNode) {
            true => create_dir(session, dir).await,
            false => Err(error),
        }
    }

    /// The znode.
    pub(crate) fn path(&self) -> &str {
        match &self.stage {
            Stage::Known(path) => path,
            Stage::Sent(_) | Stage::Gone => "",
        }
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// The znode was created.
    pub(crate) fn is_there(&mut self, path: String) {
        self.stage = Stage::Known(path);
    }

    /// The znode is not there: somebody else has deleted it, or it never was.
    pub(crate) fn is_gone(&mut self) {
        self.stage = Stage::Gone;
    }

    /// Deletes the znode and waits until that has happened.
    pub(crate) async fn release(mut self) -> Result<(), Error> {
        while let Stage::Known(path) = &self.stage {
            match self.session.delete(path).await {
                Ok(()) => self.stage = Stage::Gone,
                Err(error) if error.is(ErrorCode::NoNode) => self.stage = Stage::Gone,
                Err(error) if is_interrupted(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let (session, key) = (self.session.clone(), std::mem::take(&mut self.key));
        let forget = move || {
            session.connection().claims.lock().live.remove(&key);
        };
        match std::mem::replace(&mut self.stage, Stage::Gone) {
            Stage::Gone => forget(),
            Stage::Known(path) => {
                background::remove(self.session.clone(), Remains::Known(path), Box::new(forget));
            }
            Stage::Sent(remains) => {
                background::remove(self.session.clone(), remains, Box::new(forget));
            }
        }
    }
}

/// What came of the claim on a given name.
pub(crate) enum Named {
    Ours(Claim),
    /// Another session has it, or this one by other means.
    Taken,
    /// Somebody else in this process has claimed it over the same session.
    TakenHere,
}

/// Znodes in a line that belong to this session and to nobody in this process, first come first.
pub(crate) async fn left_by_earlier_life(
    session: &Session,
    dir: &str,
) -> Result<Vec<(String, Name)>, Error> {
    let below = path::child(dir, "");
    let own = match session.ephemerals(&below).await {
        Ok(own) => own,
        // Servers before ZooKeeper 3.6 do not know the question.
        Err(error) if error.is(ErrorCode::Unimplemented) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let named = own.into_iter().filter_map(|path| {
        let name = Name::parse(path.strip_prefix(&below)?)?;
        Some((path, name))
    });
    let mut left: Vec<_> = {
        let claims = session.connection().claims.lock();
        let is_live = |name: &Name| {
            let start = path::child(dir, name.prefix());
            claims.live.contains(&*path::absolute(session.chroot(), &start))
        };
        named.filter(|(_, name)| !is_live(name)).collect()
    };
    left.sort_by_key(|(_, name)| name.number);
    Ok(left)
}

/// Creates the parent of a line: a container, so that it goes when the line was empty for long.
pub(crate) async fn create_dir(session: &Session, dir: &str) -> Result<(), Error> {
    loop {
        let error = match session.create(dir, "").container().await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        match error.code() {
            Some(ErrorCode::NodeExists) => return Ok(()),
            // Servers before ZooKeeper 3.5.
            Some(ErrorCode::Unimplemented) => return session.create_all(dir).await,
            Some(ErrorCode::NoNode) => match path::parent(dir) {
                Some(parent) => session.create_all(parent).await?,
                None => return Err(error),
            },
            _ if is_interrupted(&error) => {}
            _ => return Err(error),
        }
    }
}

/// Whether a write may have happened, and the session lives to find out.
pub(crate) fn is_worth_a_look(error: &Error) -> bool {
    error.may_have_happened() && error.lost().is_none()
}

/// Whether the same request may go better another time.
pub(crate) fn is_interrupted(error: &Error) -> bool {
    is_worth_a_look(error) || matches!(error, Error::NotDone { .. }) && error.lost().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_what_is_no_name_of_ours() {
        let name = Name::parse("write-0123456789abcdef-0000002a-0000000007").unwrap();
        assert_eq!((name.kind.as_str(), name.tag, name.number), ("write", 42, 7));
        assert_eq!(name.prefix(), "write-0123456789abcdef-0000002a-");
        let wrapped = Name::parse("lock-0123456789abcdef-00000000--2147483648").unwrap();
        assert_eq!((wrapped.number, wrapped.tag), (i32::MIN, 0));
        assert_eq!(wrapped.prefix(), "lock-0123456789abcdef-00000000-");
        let others = [
            "",
            "lock",
            "lock-0000000001",
            "_c_0123456789abcdef-lock-0000000001",
            "lock-0123456789abcde-0000002a-0000000007",
            "lock-0123456789abcdeF-0000002a-0000000007",
            "lock-0123456789abcdef-0000002a-000000007",
            "lock-0123456789abcdef-0000002a-99999999999",
            "lock-0123456789abcdef-0000002a0000000007",
        ];
        for other in others {
            assert_eq!(Name::parse(other), None, "{other}");
        }
    }

    #[test]
    fn tags_tell_holders_apart() {
        assert_eq!(tag_of(None), 0);
        assert_ne!(tag_of(Some("")), 0);
        assert_ne!(tag_of(Some("a")), tag_of(Some("b")));
    }
}
