//! The pages that visitors look at, on whatever node.

use std::collections::HashMap;

use crate::{
    ids::{NodeId, VisitorId},
    protocol::client::Page,
};

/// The newest page of each visitor, and the node that it was told to.
#[derive(Debug)]
pub(super) struct Pages {
    own: NodeId,
    by_visitor: HashMap<VisitorId, (NodeId, Page)>,
}

impl Pages {
    pub(super) fn new(own: NodeId) -> Self {
        Self { own, by_visitor: HashMap::new() }
    }

    /// A visitor went to another page, or has no session on `node` any more.
    pub(super) fn set(&mut self, node: NodeId, visitor: VisitorId, page: Option<Page>) {
        match page {
            Some(page) => drop(self.by_visitor.insert(visitor, (node, page))),
            None if self.by_visitor.get(&visitor).is_some_and(|(holder, _)| *holder == node) => {
                self.by_visitor.remove(&visitor);
            }
            None => {}
        }
    }

    pub(super) fn of(&self, visitor: VisitorId) -> Option<Page> {
        self.by_visitor.get(&visitor).map(|(_, page)| page.clone())
    }

    /// Some of the pages that this node was told.
    pub(super) fn own(&self, most: usize) -> Vec<(VisitorId, Page)> {
        let own = self.by_visitor.iter().filter(|(_, (holder, _))| *holder == self.own);
        own.take(most).map(|(visitor, (_, page))| (*visitor, page.clone())).collect()
    }

    /// A node is gone.
    pub(super) fn forget(&mut self, node: NodeId) {
        self.by_visitor.retain(|_, (holder, _)| *holder != node);
    }
}
