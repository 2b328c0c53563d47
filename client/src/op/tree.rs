//! Whole branches of the tree: made with their missing parents, and deleted from the leaves up.

use tenure_wire::ErrorCode;

use crate::error::Error;
use crate::machine::Interruption;
use crate::path;
use crate::session::Session;

impl Session {
    /// Makes sure that a znode exists, with its parents: what is missing is created, persistent,
    /// empty, and open to anyone.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// session.create_all("/app/config/live").await?;
    /// session.create_all("/app/config/live").await?;
    /// assert!(session.exists("/app/config").await?.is_some());
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// As [`Session::create`], except that nothing is wrong with a znode that is there.
    pub async fn create_all(&self, path: &str) -> Result<(), Error> {
        let mut missing = vec![path];
        while let Some(path) = missing.last().copied() {
            match self.create(path, "").await {
                Ok(_) => {
                    missing.pop();
                }
                Err(error) if error.is(ErrorCode::NodeExists) => {
                    missing.pop();
                }
                Err(error) if error.is(ErrorCode::NoNode) => match path::parent(path) {
                    Some(parent) => missing.push(parent),
                    None => return Err(error),
                },
                // It may be there by now, which is found out by trying again: then it exists.
                Err(Error::Unknown { cause: Interruption::Link(_), .. }) => {}
                // Whoever must not create the parent need not, if it is there.
                Err(error) if error.is(ErrorCode::NoAuth) => match self.exists(path).await {
                    Ok(Some(_)) => {
                        missing.pop();
                    }
                    _ => return Err(error),
                },
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Deletes a znode and everything below it. Not atomic: what others create meanwhile is
    /// deleted too, or stands in the way.
    ///
    /// ```
    /// # tenure_testing::example(async |hosts| {
    /// # let session = tenure_client::Session::establish(hosts).await?;
    /// session.create_all("/app/config/live").await?;
    /// session.delete_all("/app").await?;
    /// assert_eq!(session.exists("/app").await?, None);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// As [`Session::delete`]; what was deleted before stays deleted.
    pub async fn delete_all(&self, path: &str) -> Result<(), Error> {
        // Depth first, on a list: the tree may be deeper than a stack.
        let mut open = vec![path.to_owned()];
        while let Some(path) = open.last() {
            let children = match self.children(path).await {
                Ok(children) => children.names,
                Err(error) if error.is(ErrorCode::NoNode) && open.len() > 1 => {
                    open.pop();
                    continue;
                }
                Err(error) => return Err(error),
            };
            let below = |name: &String| match path.as_str() {
                "/" => format!("/{name}"),
                path => format!("{path}/{name}"),
            };
            let children: Vec<String> = children.iter().map(below).collect();
            // Leaves go many at a time; the others are looked into.
            let deletions: Vec<_> =
                children.iter().map(|child| self.delete(child).send()).collect();
            let mut deeper = Vec::new();
            for (child, deletion) in children.iter().zip(deletions) {
                match deletion.await {
                    Ok(()) => {}
                    Err(error) if error.is(ErrorCode::NoNode) => {}
                    Err(error) if error.is(ErrorCode::NotEmpty) => deeper.push(child.clone()),
                    Err(error) => return Err(error),
                }
            }
            if !deeper.is_empty() {
                open.extend(deeper);
                continue;
            }
            match self.delete(path).await {
                Ok(()) => {}
                Err(error) if error.is(ErrorCode::NoNode) && open.len() > 1 => {}
                Err(error) if error.is(ErrorCode::NotEmpty) => continue,
                Err(error) => return Err(error),
            }
            open.pop();
        }
        Ok(())
    }
}
