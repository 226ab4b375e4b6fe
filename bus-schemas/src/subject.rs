//! Every subject on the bus, built and parsed here and nowhere else (DESIGN §5).

use uuid::Uuid;

use crate::token::{self, AggregateId, AggregateType, EventName, Pair, Tenant, Venue, Verb};

/// Partitions of the command stream; a partition has one owner, so it bounds how many processors can share the work.
pub const PARTITIONS: u16 = 64;

/// Why a subject was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Wrong prefix or number of tokens.
    #[error("subject {subject:?} is not of the form {form}")]
    Form {
        /// The subject, cut to a printable length.
        subject: String,
        /// What was expected.
        form: &'static str,
    },
    /// A token with forbidden characters.
    #[error(transparent)]
    Token(#[from] token::Error),
}

const COMMAND_FORM: &str = "nsl.v1.cmd.<tenant>.<aggregate>.<id>.<verb>";
const PARTITIONED_FORM: &str = "nsl.v1.cmdp.<partition>.<tenant>.<aggregate>.<id>.<verb>";

fn form_error(subject: &str, form: &'static str) -> Error {
    Error::Form { subject: subject.chars().take(256).collect(), form }
}

/// `nsl.v1.cmd.<tenant>.<aggregate>.<id>.<verb>`: where a command is published; the signature covers it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CommandSubject {
    /// Whose aggregate.
    pub tenant: Tenant,
    /// Its type.
    pub aggregate: AggregateType,
    /// Its id within the tenant.
    pub id: AggregateId,
    /// What is asked.
    pub verb: Verb,
}

impl CommandSubject {
    /// Parses the published form.
    pub fn parse(subject: &str) -> Result<Self, Error> {
        let rest = subject.strip_prefix("nsl.v1.cmd.").ok_or_else(|| form_error(subject, COMMAND_FORM))?;
        Self::parse_tokens(subject, rest, COMMAND_FORM)
    }

    /// Parses the form in which the partitioned stream delivers it, `nsl.v1.cmdp.<partition>.…`.
    pub fn parse_partitioned(subject: &str) -> Result<(u16, Self), Error> {
        let error = || form_error(subject, PARTITIONED_FORM);
        let rest = subject.strip_prefix("nsl.v1.cmdp.").ok_or_else(error)?;
        let (partition, rest) = rest.split_once('.').ok_or_else(error)?;
        let partition = partition.parse().ok().filter(|p| *p < PARTITIONS).ok_or_else(error)?;
        Ok((partition, Self::parse_tokens(subject, rest, PARTITIONED_FORM)?))
    }

    fn parse_tokens(subject: &str, rest: &str, form: &'static str) -> Result<Self, Error> {
        let tokens: Vec<&str> = rest.splitn(5, '.').collect();
        let [tenant, aggregate, id, verb] = tokens.as_slice() else { return Err(form_error(subject, form)) };
        Ok(Self {
            tenant: Tenant::parse(tenant)?,
            aggregate: AggregateType::parse(aggregate)?,
            id: AggregateId::parse(id)?,
            verb: Verb::parse(verb)?,
        })
    }

    /// The id under which the log stores the aggregate: two tenants' `wallet/main` must not meet.
    pub fn stream_id(&self) -> String {
        stream_id(&self.tenant, self.id.as_str())
    }
}

impl std::fmt::Display for CommandSubject {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { tenant, aggregate, id, verb } = self;
        write!(formatter, "nsl.v1.cmd.{tenant}.{aggregate}.{id}.{verb}")
    }
}

/// `<tenant>.<id>`, the log's aggregate id.
pub fn stream_id(tenant: &Tenant, id: &str) -> String {
    format!("{tenant}.{id}")
}

/// Splits a log aggregate id into tenant and id.
pub fn split_stream_id(stream_id: &str) -> Result<(Tenant, AggregateId), Error> {
    let (tenant, id) = stream_id.split_once('.').ok_or_else(|| form_error(stream_id, "<tenant>.<id>"))?;
    Ok((Tenant::parse(tenant)?, AggregateId::parse(id)?))
}

/// The consumer filter of one partition.
pub fn command_partition(partition: u16) -> String {
    format!("nsl.v1.cmdp.{partition}.>")
}

/// `nsl.v1.res.<tenant>.<command-id>`: a command's recorded result.
pub fn result(tenant: &Tenant, command_id: Uuid) -> String {
    format!("nsl.v1.res.{tenant}.{command_id}")
}

/// `nsl.v1.ref.<tenant>.<command-id>`: a refusal at intake, which nothing records.
pub fn refusal(tenant: &Tenant, command_id: Uuid) -> String {
    format!("nsl.v1.ref.{tenant}.{command_id}")
}

/// `nsl.v1.ref.<tenant>.<sequence>`: the refusal of a message whose command id cannot be read, by the stream sequence that
/// its publish acknowledgement named.
pub fn refusal_by_sequence(tenant: &Tenant, sequence: u64) -> String {
    format!("nsl.v1.ref.{tenant}.{sequence}")
}

/// `nsl.v1.evt.<tenant>.<aggregate>.<id>.<event>`: a published event.
pub fn event(tenant: &Tenant, aggregate: &AggregateType, id: &AggregateId, name: &EventName) -> String {
    format!("nsl.v1.evt.{tenant}.{aggregate}.{id}.{name}")
}

/// `nsl.v1.job.<kind>.<class>`: work.
pub fn job(kind: &str, class: &str) -> String {
    format!("nsl.v1.job.{kind}.{class}")
}

/// `nsl.v1.tick.<venue>.<pair>`: an observation.
pub fn tick(venue: &Venue, pair: &Pair) -> String {
    format!("nsl.v1.tick.{venue}.{pair}")
}

/// `nsl.v1.price.<pair>`: an accepted price.
pub fn price(pair: &Pair) -> String {
    format!("nsl.v1.price.{pair}")
}

/// `nsl.v1.qry.<tenant>.<name>`: a question, answered by request-reply from a read model or the chain.
pub fn query(tenant: &Tenant, name: &str) -> String {
    format!("nsl.v1.qry.{tenant}.{name}")
}

/// The subscription of a service that answers question `name` for every tenant.
pub fn query_of_all_tenants(name: &str) -> String {
    format!("nsl.v1.qry.*.{name}")
}

/// Parses the tenant out of a question's subject.
pub fn query_tenant(subject: &str) -> Result<Tenant, Error> {
    let mut tokens = subject.strip_prefix("nsl.v1.qry.").unwrap_or_default().split('.');
    let tenant = tokens.next().ok_or_else(|| form_error(subject, "nsl.v1.qry.<tenant>.<name>"))?;
    Ok(Tenant::parse(tenant)?)
}

/// Where a job goes that no worker can do, with the reason in its headers, for people to look at.
pub const PARKED_JOB: &str = "nsl.v1.parked.job";

/// Where command messages go that nobody can read.
pub const PARKED_COMMAND: &str = "nsl.v1.parked.cmd";

/// Where a command processor tells readers the log's new head after a commit: a hint, never the truth.
pub const HEAD: &str = "nsl.v1.head";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_subjects_round_trip_in_both_forms() {
        let published = "nsl.v1.cmd.acme.wallet.main.request-transfer";
        let subject = CommandSubject::parse(published).unwrap();
        assert_eq!(subject.to_string(), published);
        let (partition, restored) =
            CommandSubject::parse_partitioned("nsl.v1.cmdp.63.acme.wallet.main.request-transfer").unwrap();
        assert_eq!((partition, restored.to_string().as_str()), (63, published));
        assert_eq!(subject.stream_id(), "acme.main");
    }

    #[test]
    fn refuses_other_forms() {
        for subject in [
            "",
            "nsl.v1.cmd",
            "nsl.v1.cmd.acme.wallet.main",
            "nsl.v1.cmd.acme.wallet.main.create.more",
            "nsl.v1.cmd.acme..main.create",
            "nsl.v2.cmd.acme.wallet.main.create",
            "nsl.v1.cmd.acme.wallet.m*n.create",
        ] {
            assert!(CommandSubject::parse(subject).is_err(), "{subject}");
        }
        for subject in
            ["nsl.v1.cmdp.64.a.b.c.d", "nsl.v1.cmdp.-1.a.b.c.d", "nsl.v1.cmdp.a.b.c.d", "nsl.v1.cmdp.1"]
        {
            assert!(CommandSubject::parse_partitioned(subject).is_err(), "{subject}");
        }
    }
}
