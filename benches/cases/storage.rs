//! Messages into SQLite, so many handed over at once, until all of them are committed.

use std::{cell::RefCell, sync::Arc};

use deskbell::{ids::ProjectId, log::Append};
use futures_util::future::join_all;

use super::{Gauge, Store, talk};

pub(super) fn all(gauge: &mut impl Gauge) {
    let store = Store::open();
    let project = ProjectId::generate();
    let opened = join_all((0..100).map(|_| talk::open(&store.log, project)));
    let heads = RefCell::new(store.runtime.block_on(opened));
    for (name, count) in [("1 message", 1), ("10 messages", 10), ("100 messages", 100)] {
        let group = || -> Vec<Append> {
            let mut heads = heads.borrow_mut();
            let next = heads.iter_mut().take(count).map(|head| {
                let append = talk::message(head, None);
                *head = Arc::clone(&append.head);
                append
            });
            next.collect()
        };
        gauge.prepared(&format!("storage/commit {name} at once"), group, |appends| {
            let appended = store.runtime.block_on(join_all(appends.into_iter().map(|append| store.log.append(append))));
            assert!(appended.iter().all(Result::is_ok), "each is written: {appended:?}");
        });
    }
}
