//! Tasks: the only place that spawns. Everything that runs in the background is counted, named and can be awaited at stop.

use std::{future::Future, io, thread, time::Duration};

use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The program's background tasks: a tracker, and the word "stop" that they listen to. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// No tasks yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `future` in the background until it ends. It must end soon after [`Tasks::stopped`] does.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that may spawn")]
    pub fn spawn<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(tokio::spawn(self.tracker.track_future(future)));
    }

    /// Runs `future` to its end on a thread of its own: it may block there. Like a task, it must end soon after
    /// [`Tasks::stopped`] does.
    pub fn spawn_thread<F>(&self, name: &str, future: F) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (runtime, token) = (Handle::current(), self.tracker.token());
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            runtime.block_on(future);
            drop(token);
        });
        thread.map(drop)
    }

    /// Runs `work`, which blocks a thread (password hashing), and returns what it gives.
    pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        tokio::task::spawn_blocking(work).await.ok()
    }

    /// Tells every task to end.
    pub fn stop(&self) {
        self.stop.cancel();
        self.tracker.close();
    }

    /// Returns when [`Tasks::stop`] has been called.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Whether [`Tasks::stop`] has been called.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Waits for all tasks, at most `limit`; returns how many were still running then.
    pub async fn wait(&self, limit: Duration) -> usize {
        self.tracker.close();
        drop(tokio::time::timeout(limit, self.tracker.wait()).await);
        self.tracker.len()
    }

    /// How many tasks run now.
    pub fn count(&self) -> usize {
        self.tracker.len()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_thread_counts_until_its_future_has_ended() {
        let (tasks, (tell, told)) = (Tasks::new(), oneshot::channel::<()>());
        let future = async { drop(told.await) };
        tasks.spawn_thread("thread", future).unwrap();
        assert_eq!(tasks.wait(Duration::from_millis(50)).await, 1);
        drop(tell);
        assert_eq!(tasks.wait(Duration::from_secs(20)).await, 0);
    }
}
