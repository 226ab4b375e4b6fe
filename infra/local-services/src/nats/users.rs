//! Who may say and hear what on the bus. Everything that is not listed is denied; what this comes to is tried by the
//! permission matrix, `infra/docs/permissions.md`.

/// A user of the service's own account.
#[derive(Debug)]
pub(super) struct User {
    pub(super) name: &'static str,
    /// Streams that it makes and keeps as they are defined.
    pub(super) keeps: &'static [&'static str],
    /// Subjects that it publishes to; `$JS.API.` ones are what it may ask of JetStream.
    pub(super) publish: &'static [&'static str],
    /// Subjects that it hears beside its own inbox.
    pub(super) subscribe: &'static [&'static str],
    /// Whether it answers requests: then it may publish once to the reply subject of each message that it got.
    pub(super) answers: bool,
}

/// Everything in the service's account: for operators in need, tools and tests.
pub(super) const ADMIN: &str = "admin";

const ANY: &[&str] = &[">"];

/// One user a process, each with what that process does. Whoever may create a consumer of a stream may read all of it,
/// so that right is given a stream at a time.
pub(super) const USERS: [User; 7] = [
    User { name: ADMIN, keeps: &[], publish: ANY, subscribe: ANY, answers: false },
    User {
        name: "commands",
        keeps: &["NSL_CMD", "NSL_RES", "NSL_JOB", "NSL_PARKED"],
        publish: &[
            "nsl.v1.res.>",
            "nsl.v1.ref.>",
            "nsl.v1.job.>",
            "nsl.v1.head",
            "nsl.v1.parked.cmd",
            "nsl.v1.cmd.*.wallet.*.expire-request",
            "nsl.v1.cmd.*.secret.*.expire-request",
            "$JS.API.DIRECT.GET.NSL_RES.>",
            "$JS.API.CONSUMER.NAMES.NSL_CMD",
            "$JS.API.CONSUMER.INFO.NSL_CMD.*",
            "$JS.API.CONSUMER.CREATE.NSL_CMD.>",
            "$JS.API.CONSUMER.DELETE.NSL_CMD.*",
            "$JS.API.CONSUMER.MSG.NEXT.NSL_CMD.*",
            "$JS.ACK.NSL_CMD.>",
        ],
        subscribe: &["nsl.v1.res.>", "nsl.v1.ref.>"],
        answers: false,
    },
    User {
        name: "projections",
        keeps: &["NSL_EVT", "NSL_PRICE"],
        publish: &[
            "nsl.v1.evt.>",
            "nsl.v1.price.>",
            "$JS.API.STREAM.MSG.GET.NSL_EVT",
            "$JS.API.STREAM.MSG.GET.NSL_PRICE",
        ],
        subscribe: &["nsl.v1.head", "nsl.v1.qry.>"],
        answers: true,
    },
    User {
        name: "enclave-host",
        keeps: &["NSL_JOB", "NSL_PARKED"],
        publish: &[
            "nsl.v1.cmd.system.worker.*.register",
            "nsl.v1.cmd.*.wallet.*.record-outcome",
            "nsl.v1.cmd.*.secret.*.record-outcome",
            "nsl.v1.qry.system.operator-acts",
            "nsl.v1.qry.system.sealing-records",
            "nsl.v1.qry.system.events",
            "nsl.v1.parked.job",
            "$JS.API.DIRECT.GET.NSL_RES.>",
            "$JS.API.CONSUMER.INFO.NSL_JOB.*",
            "$JS.API.CONSUMER.CREATE.NSL_JOB.>",
            "$JS.API.CONSUMER.MSG.NEXT.NSL_JOB.*",
            "$JS.ACK.NSL_JOB.>",
        ],
        subscribe: &[
            "nsl.v1.res.>",
            "nsl.v1.ref.>",
            "nsl.v1.qry.*.attestation",
            "nsl.v1.qry.*.secret-pool-key",
            "nsl.v1.qry.system.sealing",
            "nsl.v1.qry.system.sealing-workers",
            "nsl.v1.qry.system.workers",
        ],
        answers: true,
    },
    User {
        name: "chain-relay",
        keeps: &["NSL_JOB", "NSL_PARKED"],
        publish: &[
            "nsl.v1.cmd.*.wallet.*.record-confirmation",
            "nsl.v1.cmd.*.wallet.*.record-expiry",
            "nsl.v1.parked.job",
            "$JS.API.DIRECT.GET.NSL_RES.>",
            "$JS.API.CONSUMER.INFO.NSL_JOB.*",
            "$JS.API.CONSUMER.CREATE.NSL_JOB.>",
            "$JS.API.CONSUMER.MSG.NEXT.NSL_JOB.*",
            "$JS.ACK.NSL_JOB.>",
        ],
        subscribe: &["nsl.v1.res.>", "nsl.v1.ref.>", "nsl.v1.qry.>"],
        answers: true,
    },
    User {
        name: "price-sources",
        keeps: &["NSL_TICK"],
        publish: &[
            "nsl.v1.tick.>",
            "nsl.v1.cmd.system.price-feed.*.register",
            "nsl.v1.cmd.system.price-feed.*.record-round",
            "nsl.v1.qry.system.price",
            "$JS.API.DIRECT.GET.NSL_RES.>",
            "$JS.API.CONSUMER.INFO.NSL_TICK.*",
            // An ordered consumer with several filters is not named in its request.
            "$JS.API.CONSUMER.CREATE.NSL_TICK",
            "$JS.API.CONSUMER.CREATE.NSL_TICK.>",
            "$JS.API.CONSUMER.DELETE.NSL_TICK.*",
            "$JS.API.CONSUMER.MSG.NEXT.NSL_TICK.*",
        ],
        subscribe: &["nsl.v1.res.system.>", "nsl.v1.ref.system.>"],
        answers: false,
    },
    // Delivers statements of authority and records of sealing keys, which prove themselves, and reads the whole log.
    User {
        name: "operator",
        keeps: &[],
        publish: &[
            "nsl.v1.cmd.*.authority.*.*",
            "nsl.v1.cmd.system.sealing.root.record-key",
            "nsl.v1.cmd.*.wallet.*.reseal-key",
            "nsl.v1.qry.>",
            "$JS.API.DIRECT.GET.NSL_RES.>",
        ],
        subscribe: &["nsl.v1.res.>", "nsl.v1.ref.>", "nsl.v1.evt.>", "nsl.v1.price.>"],
        answers: false,
    },
];
