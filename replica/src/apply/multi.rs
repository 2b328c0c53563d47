//! multi: all or nothing, and no watch fires for nothing.

use tenure_wire::{ErrorCode, Request};

use crate::apply::{Asker, Changes, MultiDone};
use crate::state::State;

impl State {
    /// The result of each operation. If one fails, those before it report 0, those after it
    /// RUNTIMEINCONSISTENCY, and nothing has happened (reference 1.10).
    pub(super) fn multi(
        &mut self,
        requests: &[Request<'_>],
        asker: &Asker<'_>,
        changes: &mut Changes,
    ) -> Result<MultiDone, ErrorCode> {
        self.tree.begin();
        self.sessions.begin();
        let quotas = self.quotas.clone();
        let (first_change, first_gone) = (changes.list.len(), changes.gone.len());
        let mut results = Vec::with_capacity(requests.len());
        for request in requests {
            match self.single(request, asker, changes) {
                Ok(done) => results.push(Ok((request.op(), done))),
                Err(code) => {
                    self.tree.rollback();
                    self.sessions.rollback();
                    self.quotas = quotas;
                    changes.list.truncate(first_change);
                    changes.gone.truncate(first_gone);
                    for result in &mut results {
                        *result = Err(ErrorCode::Ok);
                    }
                    results.push(Err(code));
                    results.resize_with(requests.len(), || Err(ErrorCode::RuntimeInconsistency));
                    return Ok(results);
                }
            }
        }
        self.tree.commit();
        self.sessions.commit();
        Ok(results)
    }
}
