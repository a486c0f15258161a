//! The records that go in and out of the store. They belong to no engine, no wire and no page; each border converts
//! by hand.

mod account;
mod author;
mod calls;
mod config;
mod delivery;
mod incidents;
mod intervals;
mod listing;
mod people;
mod results;
mod step;
mod upkeep;

pub use account::{AccountCounts, AccountDetail, AccountRecord, BinRecord, Binned, BinnedChannel};
pub use author::{ActWrite, AuditFilter, AuditRecord, Author};
pub use calls::{Idempotency, IdempotentCall, StoredAnswer};
pub use config::{
    AcceptedConfig, Applied, ChangeRecord, ChangeSet, ChannelRecord, LocationRecord, MonitorRecord, Owner,
    ResourceChange, RevisionRecord,
};
pub use delivery::{AttemptRecord, DeliveryRecord, DeliveryState, DeliveryUpdate, OutboxRecord, OutboxWrite};
pub use incidents::{Acknowledged, EventRecord, EvidenceRecord, IncidentFilter, IncidentRecord};
pub use intervals::{Blind, BlindChange, Interval, IntervalFilter, IntervalWrite, TransitionRecord, Window};
pub use listing::{
    CursorKey, GroupCount, MonitorCursor, MonitorFilter, MonitorPage, MonitorQuery, MonitorRow, MonitorSort,
    NoCursor, Pause, PauseRecord, RemovedChannel, StatusCounts, StatusRecord, TagCount, TagFilter,
};
pub use people::{
    Accepting, ExternalIdentity, InvitationRecord, MemberRecord, Membership, NewInvitation, NewPasskey,
    NewSession, NewToken, NewUser, PasskeyRecord, Proved, Reset, ResetRecord, SecretHash, SessionRecord,
    TokenRecord, UserRecord,
};
pub use results::{CheckRow, Summary, SummaryRow};
pub use step::{Fence, InboxRecord, InputRecord, ShardState, ShardStep, StateWrite};
pub use upkeep::{Retention, RetentionReport, StoreGauges, UpkeepDone};
