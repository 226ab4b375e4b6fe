//! Requests that a policy holds back: approved by approvers, ended by owners. Each signs with a key of its own; the
//! command around it is its issuer's, who need be neither.

use nsl_schemas::authority::Signed;
use nsl_schemas::command::wallet::{ApproveTransfer, CancelRequest};
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::policy::{RequestCancellation, TransferApproval};
use uuid::Uuid;

use crate::{Client, Prepared, prepared};

impl Client {
    /// Signs `approval` as `approver`, and `wallet approve-transfer` around it. Read the transfer in it before: it is all
    /// that will be signed.
    pub fn prepare_approval(
        &self,
        command_id: Uuid,
        approval: TransferApproval,
        approver: &SigningKey,
    ) -> Result<Prepared, prepared::Error> {
        let subject = self.subject("wallet", &approval.wallet, "approve-transfer")?;
        let approval = Signed::sign(approval, &[approver]);
        self.prepare_with_id(command_id, &subject, &ApproveTransfer { approval })
    }

    /// Signs `cancellation` as `owner`, and `wallet cancel-request` around it.
    pub fn prepare_cancellation(
        &self,
        command_id: Uuid,
        cancellation: RequestCancellation,
        owner: &SigningKey,
    ) -> Result<Prepared, prepared::Error> {
        let subject = self.subject("wallet", &cancellation.wallet, "cancel-request")?;
        let cancellation = Signed::sign(cancellation, &[owner]);
        self.prepare_with_id(command_id, &subject, &CancelRequest { cancellation })
    }
}
