//! Sequential znodes: no number is given twice, and each lives as long as it must.

use std::collections::BTreeMap;

use tenure_client::{SessionId, Zxid};
use tenure_replica::Replica;

/// All sequential znodes that clients know to have been created.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    znodes: BTreeMap<String, Znode>,
    /// By the change that gave them.
    numbers: BTreeMap<Zxid, i64>,
}

#[derive(Debug)]
struct Znode {
    /// The session that it ends with.
    owner: Option<SessionId>,
    /// Whether it was deleted, if that is known.
    deleted: Option<bool>,
}

impl Queue {
    /// A client was told the name of its new znode.
    pub(crate) fn enqueued(
        &mut self,
        path: &str,
        owner: Option<SessionId>,
        zxid: Zxid,
    ) -> Result<(), String> {
        let digits = path.len().saturating_sub(10);
        let number = path.get(digits..).and_then(|digits| digits.parse::<i64>().ok());
        let number = number.ok_or_else(|| format!("{path} has no number"))?;
        let znode = Znode { owner, deleted: Some(false) };
        if self.znodes.insert(path.to_owned(), znode).is_some() {
            return Err(format!("{path} was given twice"));
        }
        self.numbers.insert(zxid, number);
        let before = self.numbers.range(..zxid).next_back();
        let after = self.numbers.range(zxid..).nth(1);
        if before.is_some_and(|(_, before)| *before >= number)
            || after.is_some_and(|(_, after)| *after <= number)
        {
            return Err(format!("the number of {path} is out of order"));
        }
        Ok(())
    }

    /// Somebody is about to delete one.
    pub(crate) fn unsure(&mut self, path: &str) {
        if let Some(znode) = self.znodes.get_mut(path) {
            znode.deleted = None;
        }
    }

    /// And it is known what became of that.
    pub(crate) fn dequeued(&mut self, path: &str, happened: bool) {
        if let Some(znode) = self.znodes.get_mut(path) {
            znode.deleted = Some(happened);
        }
    }

    /// A znode that is there and should not be, or the other way round.
    pub(super) fn wrong(&self, replica: &Replica) -> Option<String> {
        let (tree, sessions) = (&replica.state().tree, &replica.state().sessions);
        self.znodes.iter().find_map(|(path, znode)| {
            let has_owner = znode.owner.is_none_or(|owner| sessions.get(owner).is_some());
            let should_be = match (has_owner, znode.deleted) {
                (false, _) | (_, Some(true)) => false,
                (true, Some(false)) => true,
                (true, None) => return None,
            };
            let is_there = tree.find(path).is_some();
            (is_there != should_be).then(|| match is_there {
                true => format!("{path} is still there ({znode:?})"),
                false => format!("{path} is gone ({znode:?})"),
            })
        })
    }
}
