//! Named steps at which a process can be made to die, as by `kill -9`, for tests of the whole. Only with the feature
//! `failpoints`, which no distribution build has: without it, a step is an empty function and nothing can be armed.
//!
//! A test lists a process' points with `GET /failpoints` on its admin address and arms one with `PUT /failpoints/<name>`,
//! whose body is an action of the `fail` crate: `return` dies at the next visit, `9*off->return` at the tenth, `pause` rests
//! there until the point is `off`.

/// A step; its name is `<part>::<step>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failpoint(pub &'static str);

#[cfg(not(feature = "failpoints"))]
mod inert {
    use super::Failpoint;

    impl Failpoint {
        /// Nothing, in this build.
        #[inline]
        pub fn reach(self) {}

        /// Never, in this build.
        #[inline]
        pub fn is_armed(self) -> bool {
            false
        }
    }

    /// Nothing, in this build.
    #[inline]
    pub fn register(_points: &[Failpoint]) {}
}

#[cfg(not(feature = "failpoints"))]
pub use inert::register;

#[cfg(feature = "failpoints")]
pub use live::{register, router};

#[cfg(feature = "failpoints")]
mod live {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Mutex, PoisonError};

    use axum::Router;
    use axum::extract::Path;
    use axum::http::StatusCode;
    use axum::routing::{get, put};
    use tokio::runtime::{Handle, RuntimeFlavor};

    use super::Failpoint;

    static REGISTERED: Mutex<Vec<Failpoint>> = Mutex::new(Vec::new());
    /// Whether any point was ever armed here; before that, a step costs nothing.
    static IN_USE: AtomicBool = AtomicBool::new(false);

    impl Failpoint {
        /// Dies, or rests, here if the point is armed so.
        pub fn reach(self) {
            if !IN_USE.load(Ordering::Relaxed) {
                return;
            }
            let is_shared = |runtime: Handle| runtime.runtime_flavor() == RuntimeFlavor::MultiThread;
            if Handle::try_current().is_ok_and(is_shared) {
                // Other tasks go on while this one rests.
                tokio::task::block_in_place(|| self.visit());
            } else {
                self.visit();
            }
        }

        fn visit(self) {
            fail::fail_point!(self.0, |_| {
                tracing::error!(failpoint = self.0, "dying as asked");
                // No destructor and no shutdown runs: what was not made durable before is gone.
                std::process::abort()
            });
        }

        /// Whether the point is armed and its turn has come; for a step that does something wrong on purpose.
        pub fn is_armed(self) -> bool {
            fail::eval(self.0, |_| ()).is_some()
        }
    }

    /// Makes the points known to the admin endpoints.
    pub fn register(points: &[Failpoint]) {
        REGISTERED.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(points);
    }

    /// `GET /failpoints` and `PUT /failpoints/<name>`.
    pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
        Router::new()
            .route("/failpoints", get(async || names().join("\n")))
            .route("/failpoints/{name}", put(arm))
    }

    async fn arm(Path(name): Path<String>, actions: String) -> (StatusCode, String) {
        if !names().contains(&name.as_str()) {
            return (StatusCode::NOT_FOUND, format!("no failpoint {name}\n"));
        }
        IN_USE.store(true, Ordering::Relaxed);
        match fail::cfg(name, &actions) {
            Ok(()) => (StatusCode::NO_CONTENT, String::new()),
            Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")),
        }
    }

    fn names() -> Vec<&'static str> {
        REGISTERED.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|point| point.0).collect()
    }
}
