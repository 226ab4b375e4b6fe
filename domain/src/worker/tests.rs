use nsl_schemas::bytes::{Base64, Pcr};
use nsl_schemas::command::worker::{Register, WorkerCommand};
use nsl_schemas::errors;
use nsl_schemas::event::worker::WorkerRegistered;
use nsl_schemas::token::{AggregateId, Tenant};
use uuid::Uuid;

use super::{Worker, worker_id};
use crate::decision::{Order, Rejection};
use crate::test_world::{NOW_MS, acme, key, order};

fn register(tenant: Tenant, id: AggregateId, attestation: Vec<u8>) -> Order<WorkerCommand> {
    let body = WorkerCommand::Register(Register { key: key(40).public(), attestation: Base64(attestation) });
    Order { tenant, ..order(id, Uuid::nil(), body) }
}

fn refusal(worker: &Worker, order: &Order<WorkerCommand>) -> Rejection {
    worker.decide(order).unwrap_err()
}

#[test]
fn a_worker_is_named_by_its_key() {
    let id = worker_id(&key(40).public());
    assert_eq!(id.as_str().len(), 32);
    assert_eq!(id, worker_id(&key(40).public()));
    assert_ne!(id, worker_id(&key(41).public()));
}

#[test]
fn a_worker_registers_under_its_own_name_in_the_system_tenant() {
    let (own, other) = (worker_id(&key(40).public()), worker_id(&key(41).public()));
    for order in [register(Tenant::system(), other, vec![]), register(acme(), own.clone(), vec![])] {
        let no = refusal(&Worker::default(), &order);
        assert_eq!(no.code, errors::ATTESTATION_INVALID);
        assert_eq!(no.message, format!("the worker of this key is system/{own}"));
    }
}

#[test]
fn bytes_that_are_no_attestation_document_register_nobody() {
    let documents = [vec![], vec![0xff; 64], vec![0x84; 64], vec![0x5b; 9], vec![0; 100_000]];
    for document in documents {
        let order = register(Tenant::system(), worker_id(&key(40).public()), document);
        assert_eq!(refusal(&Worker::default(), &order).code, errors::ATTESTATION_INVALID);
    }
}

#[test]
fn a_worker_is_registered_once() {
    let mut worker = Worker::default();
    let event = WorkerRegistered {
        key: key(40).public(),
        pcr0: Pcr([1; 48]),
        attested_at_ms: NOW_MS,
        attestation: Base64(vec![]),
    };
    worker.evolve(event.into());
    // The first rule speaks whatever the later ones would say.
    for (tenant, id) in
        [(Tenant::system(), worker_id(&key(40).public())), (acme(), worker_id(&key(41).public()))]
    {
        assert_eq!(refusal(&worker, &register(tenant, id, vec![])).code, errors::WORKER_EXISTS);
    }
}
