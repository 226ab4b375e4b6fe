//! The threads that do the work, one for each core, so that cryptography never holds up the runtime, which does I/O alone.
//!
//! Work is a future that seldom waits. One that waits (for the NSM) leaves its thread to others and comes back to the
//! queue when it may go on. The queue is bounded by what fills it: whatever is in it holds memory of the server's budget.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use tokio::runtime::Handle;

use super::answer::Answer;

/// Most work that a thread takes before it hands out the answers: they then share a wake-up, a frame and a system call,
/// and the first of them has waited for seven others at most, less than a millisecond of cryptography.
const BURST_MAX: usize = 8;

/// Answers one request; dropped unfinished, it drops the promise to answer.
pub(super) type Work = Pin<Box<dyn Future<Output = (Answer, Vec<u8>)> + Send>>;

/// The threads; they end when this is dropped, with what is in the queue undone.
pub(super) struct Threads {
    queue: Arc<Queue>,
}

impl Threads {
    /// Starts `count` threads, from which futures can use the runtime that this is called in.
    pub(super) fn start(count: usize) -> io::Result<Self> {
        let threads = Self { queue: Arc::new(Queue { count, ..Queue::default() }) };
        let runtime = Handle::current();
        for number in 0..count {
            let (queue, runtime) = (Arc::clone(&threads.queue), runtime.clone());
            let run = move || {
                let _context = runtime.enter();
                queue.work();
            };
            thread::Builder::new().name(format!("work-{number}")).spawn(run)?;
        }
        Ok(threads)
    }

    /// Queues work; what is given together is taken together.
    pub(super) fn add(&self, work: Vec<Work>) {
        let task = |work| Arc::new(Task { work: Mutex::new(Some(work)), queue: Arc::clone(&self.queue) });
        self.queue.add(work.into_iter().map(task));
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        let mut waiting = self.queue.waiting();
        waiting.is_closed = true;
        let undone = std::mem::take(&mut waiting.tasks);
        drop(waiting);
        drop(undone);
        self.queue.arrived.notify_all();
    }
}

/// Work that is waiting, being done or done.
struct Task {
    work: Mutex<Option<Work>>,
    queue: Arc<Queue>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let queue = Arc::clone(&self.queue);
        queue.add([self].into_iter());
    }
}

impl Task {
    /// Goes on with the work as far as it goes. Work that panics is dropped, and with it its promise to answer.
    fn advance(self: Arc<Self>) -> Option<(Answer, Vec<u8>)> {
        let waker = Waker::from(Arc::clone(&self));
        let mut slot = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let work = slot.as_mut()?;
        let poll = || work.as_mut().poll(&mut Context::from_waker(&waker));
        match catch_unwind(AssertUnwindSafe(poll)) {
            Ok(Poll::Pending) => None,
            Ok(Poll::Ready(done)) => {
                *slot = None;
                Some(done)
            }
            Err(_panic) => {
                *slot = None;
                None
            }
        }
    }
}

#[derive(Default)]
struct Queue {
    /// Threads that take from it.
    count: usize,
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

#[derive(Default)]
struct Waiting {
    tasks: VecDeque<Arc<Task>>,
    /// Threads that sleep; nobody is woken in vain.
    idle: usize,
    is_closed: bool,
}

impl Queue {
    fn add(&self, tasks: impl ExactSizeIterator<Item = Arc<Task>>) {
        let added = tasks.len();
        let mut waiting = self.waiting();
        waiting.tasks.extend(tasks);
        let woken = waiting.idle.min(added);
        drop(waiting);
        for _ in 0..woken {
            self.arrived.notify_one();
        }
    }

    /// What each thread does until the queue is closed.
    fn work(&self) {
        let mut taken = Vec::with_capacity(BURST_MAX);
        let mut done = Vec::with_capacity(BURST_MAX);
        while self.take(&mut taken) {
            done.extend(taken.drain(..).filter_map(Task::advance));
            for (answer, response) in done.drain(..) {
                answer.complete(response);
            }
        }
    }

    /// Waits for tasks and takes a fair share of them; false when there will be no more.
    fn take(&self, taken: &mut Vec<Arc<Task>>) -> bool {
        let mut waiting = self.waiting();
        while waiting.tasks.is_empty() && !waiting.is_closed {
            waiting.idle += 1;
            waiting = self.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            waiting.idle -= 1;
        }
        let share = waiting.tasks.len().div_ceil(self.count.max(1)).min(BURST_MAX);
        taken.extend(waiting.tasks.drain(..share));
        !waiting.is_closed
    }

    /// No code panics while it holds the queue, so a poisoned lock would still guard a whole one.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
