//! The ways in. Written for any engine: calls are futures, nothing names a file, a page or a statement.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use std::net::IpAddr;

use quaywatch_core::access::Role;
use quaywatch_core::{AccountId, ChannelId, IncidentId, MonitorId, ShardId, Timestamp, TokenId, UserId};

use crate::records::{
    AcceptedConfig, AccountCounts, AccountDetail, AccountRecord, Applied, AuditFilter, AuditRecord, Author,
    Blind, BlindChange, ChangeRecord, ChangeSet, ChannelRecord, CheckRow, DeliveryRecord, DeliveryUpdate,
    EventRecord, EvidenceRecord, ExternalIdentity, Fence, GroupCount, Idempotency, IdempotentCall,
    InboxRecord, IncidentFilter, IncidentRecord, InputRecord, Interval, IntervalFilter, InvitationRecord,
    LocationRecord, MemberRecord, Membership, MonitorPage, MonitorQuery, MonitorRecord, MonitorRow,
    NewInvitation, NewPasskey, NewSession, NewToken, NewUser, OutboxRecord, Owner, PasskeyRecord, Pause,
    RemovedChannel, Retention, RetentionReport, SecretHash, SessionRecord, ShardState, ShardStep,
    StatusCounts, StatusRecord, StoreGauges, StoredAnswer, SummaryRow, TagCount, TokenRecord,
    TransitionRecord, UpkeepDone, UserRecord, Window,
};
use crate::{CommitFailed, Result};

/// A boxed future, so that the traits can stand behind `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One opened store.
pub trait Store: Send + Sync + 'static {
    /// What operations of one account may see and change.
    fn account(&self, account: AccountId) -> Arc<dyn AccountStore>;
    /// What the engine may do to one shard while it holds `fence`.
    fn shard(&self, shard: ShardId, fence: Fence) -> Arc<dyn ShardStore>;
    /// People and what they are recognised by.
    fn people(&self) -> Arc<dyn PeopleStore>;
    /// Migration, retention, upkeep, and what belongs to no account.
    fn system(&self) -> Arc<dyn SystemStore>;
}

/// What operations of one account may see and change. Rows of other accounts do not exist here.
pub trait AccountStore: Send + Sync {
    /// Monitors of this account, those in the bin left out, ordered by id.
    fn monitors(&self) -> BoxFuture<'_, Result<Vec<MonitorRecord>>>;
    /// The monitor of that name or key, if there is one (not in the bin).
    fn monitor_named<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<MonitorRecord>>>;
    /// Channels of this account, those in the bin left out.
    fn channels(&self) -> BoxFuture<'_, Result<Vec<ChannelRecord>>>;
    /// Writes additions, changes and removals of configured things in one transaction, with their revisions and
    /// rows of the change feed: all or nothing.
    fn apply(&self, changes: ChangeSet, at: Timestamp) -> BoxFuture<'_, Result<Applied>>;
    /// What is said of each monitor now.
    fn statuses(&self) -> BoxFuture<'_, Result<Vec<StatusRecord>>>;
    /// Raw results of one monitor in a window, oldest first, from log, chunks, blocks and days together; each check
    /// once.
    fn results(&self, monitor: MonitorId, window: Window) -> BoxFuture<'_, Result<Vec<CheckRow>>>;
    /// Hourly summaries of one monitor in a window, oldest first.
    fn summaries(&self, monitor: MonitorId, window: Window) -> BoxFuture<'_, Result<Vec<SummaryRow>>>;
    /// Daily summaries of one monitor, as far as whole days are packed (after two days), oldest first; `hour` is the
    /// day's start.
    fn daily_summaries(&self, monitor: MonitorId, window: Window) -> BoxFuture<'_, Result<Vec<SummaryRow>>>;
    /// When one monitor was not up, within a window, oldest first; an open interval has no end.
    fn intervals(&self, monitor: MonitorId, window: Window) -> BoxFuture<'_, Result<Vec<Interval>>>;
    /// When locations were blind, within a window.
    fn blind(&self, window: Window) -> BoxFuture<'_, Result<Vec<Blind>>>;
    /// Incidents, newest first.
    fn incidents(&self, filter: IncidentFilter) -> BoxFuture<'_, Result<Vec<IncidentRecord>>>;
    /// The events of one incident in order of their sequence.
    fn events(&self, incident: IncidentId) -> BoxFuture<'_, Result<Vec<EventRecord>>>;
    /// Stored evidence of one monitor in a window, oldest first.
    fn evidence(&self, monitor: MonitorId, window: Window) -> BoxFuture<'_, Result<Vec<EvidenceRecord>>>;
    /// Inputs other than results that were judged in a window, in the order in which they were applied.
    fn inputs(&self, monitor: MonitorId, window: Window) -> BoxFuture<'_, Result<Vec<InputRecord>>>;

    /// The monitor of that number, if there is one (not in the bin).
    fn monitor(&self, id: MonitorId) -> BoxFuture<'_, Result<Option<MonitorRecord>>>;
    /// Of these numbers those that are there (not in the bin), ordered by id.
    fn monitors_by_ids(&self, ids: Vec<MonitorId>) -> BoxFuture<'_, Result<Vec<MonitorRecord>>>;
    /// Of these keys of an owner those that are there (not in the bin), ordered by id.
    fn monitors_by_keys(&self, owner: Owner, keys: Vec<String>) -> BoxFuture<'_, Result<Vec<MonitorRecord>>>;
    /// What is said now of those of these monitors that are there, also in the bin, ordered by id.
    fn monitor_rows(&self, ids: Vec<MonitorId>) -> BoxFuture<'_, Result<Vec<MonitorRow>>>;
    /// A page of monitors with what is said of them, those in the bin left out.
    fn monitor_page(&self, query: MonitorQuery) -> BoxFuture<'_, Result<MonitorPage>>;
    /// How many monitors are what. Kept, not counted.
    fn status_counts(&self) -> BoxFuture<'_, Result<StatusCounts>>;
    /// All groups that a monitor is in, by their paths.
    fn groups(&self) -> BoxFuture<'_, Result<Vec<GroupCount>>>;
    /// All tags that a monitor has, by name and value.
    fn tags(&self) -> BoxFuture<'_, Result<Vec<TagCount>>>;
    /// Monitors that name a channel by one of these names, at most `limit`, ordered by id.
    fn monitors_naming(&self, names: Vec<String>, limit: usize) -> BoxFuture<'_, Result<Vec<MonitorRecord>>>;
    /// Monitors in the bin, those removed last first, behind `after`.
    fn removed_monitors(
        &self,
        after: Option<(Timestamp, MonitorId)>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<MonitorRow>>>;
    /// Pauses monitors of any owner, or lets them go on; `Missing` where one is not there. What is so already is left
    /// out of the answer. It changes no revision and outlives reloads.
    fn set_paused(
        &self,
        ids: Vec<MonitorId>,
        pause: Option<Pause>,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<Applied>>;

    /// The channel of that number, if there is one (not in the bin).
    fn channel(&self, id: ChannelId) -> BoxFuture<'_, Result<Option<ChannelRecord>>>;
    /// Channels in the bin, those removed last first.
    fn removed_channels(&self) -> BoxFuture<'_, Result<Vec<RemovedChannel>>>;

    /// One incident.
    fn incident(&self, id: IncidentId) -> BoxFuture<'_, Result<Option<IncidentRecord>>>;
    /// How the notices of one incident stand, by event and channel.
    fn deliveries(&self, incident: IncidentId) -> BoxFuture<'_, Result<Vec<DeliveryRecord>>>;
    /// When monitors were not up, those that began last first.
    fn account_intervals(&self, filter: IntervalFilter) -> BoxFuture<'_, Result<Vec<Interval>>>;
    /// What was not up at a moment, ordered by monitor; those in the bin left out.
    fn intervals_at(&self, at: Timestamp) -> BoxFuture<'_, Result<Vec<Interval>>>;
    /// Changes of what is said of monitors with numbers after `after`, at most `limit`, oldest first.
    fn transitions(&self, after: u64, limit: usize) -> BoxFuture<'_, Result<Vec<TransitionRecord>>>;
    /// The number of the newest transition of any account, 0 before the first.
    fn newest_transition(&self) -> BoxFuture<'_, Result<u64>>;
    /// The audit log, newest first.
    fn audit(&self, filter: AuditFilter) -> BoxFuture<'_, Result<Vec<AuditRecord>>>;

    /// The account itself.
    fn detail(&self) -> BoxFuture<'_, Result<AccountDetail>>;
    /// How much of what there is.
    fn counts(&self) -> BoxFuture<'_, Result<AccountCounts>>;
    /// Changes what the account is called, `Taken` where another is called so.
    fn rename(&self, name: String, author: Author, at: Timestamp) -> BoxFuture<'_, Result<()>>;
    /// Changes the plan.
    fn set_plan(&self, plan: String, author: Author, at: Timestamp) -> BoxFuture<'_, Result<()>>;
    /// Changes the settings, JSON.
    fn set_settings(&self, settings: String, author: Author, at: Timestamp) -> BoxFuture<'_, Result<()>>;

    /// Its people, by name.
    fn members(&self) -> BoxFuture<'_, Result<Vec<MemberRecord>>>;
    /// Takes somebody in, or changes what they may do. `Conflict` where that would leave no owner.
    fn set_role(&self, user: UserId, role: Role, author: Author, at: Timestamp) -> BoxFuture<'_, Result<()>>;
    /// Lets somebody go: tokens that they made are revoked, their sessions in this account end. `Conflict` where they
    /// are the last owner.
    fn remove_member(&self, user: UserId, author: Author, at: Timestamp) -> BoxFuture<'_, Result<()>>;
    /// Its tokens, newest first, the revoked ones included.
    fn tokens(&self) -> BoxFuture<'_, Result<Vec<TokenRecord>>>;
    /// Keeps a token.
    fn create_token(
        &self,
        token: NewToken,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<TokenRecord>>;
    /// From now on a token is worth nothing; so it stays if it was so before.
    fn revoke_token(&self, id: TokenId, author: Author, at: Timestamp) -> BoxFuture<'_, Result<TokenRecord>>;
    /// Invitations into this account that were not used, newest first, the expired ones included.
    fn invitations(&self) -> BoxFuture<'_, Result<Vec<InvitationRecord>>>;
    /// Keeps an invitation into this account.
    fn create_invitation(
        &self,
        invitation: NewInvitation,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<InvitationRecord>>;
    /// Takes an invitation back that was not used yet.
    fn revoke_invitation(&self, id: i64, author: Author, at: Timestamp) -> BoxFuture<'_, Result<()>>;

    /// Asks for a call that may come a second time, and remembers it when it is new.
    fn begin_call(&self, call: IdempotentCall, at: Timestamp) -> BoxFuture<'_, Result<Idempotency>>;
    /// What was answered; it is given again for 24 hours.
    fn answer_call(&self, call: IdempotentCall, answer: StoredAnswer) -> BoxFuture<'_, Result<()>>;
    /// Nothing came of the call: it may come anew.
    fn forget_call(&self, call: IdempotentCall) -> BoxFuture<'_, Result<()>>;
}

/// People, who belong to the server, and what they and programs are recognised by. Hashes come ready made; nothing
/// here is a secret that opens a door by itself.
pub trait PeopleStore: Send + Sync {
    /// Adds somebody; `Taken` where the address of mail is somebody's.
    fn create_user(&self, new: NewUser, author: Author, at: Timestamp) -> BoxFuture<'_, Result<UserRecord>>;
    /// Everybody, by number.
    fn users(&self) -> BoxFuture<'_, Result<Vec<UserRecord>>>;
    /// How many people there are: none before the set-up.
    fn count_users(&self) -> BoxFuture<'_, Result<u64>>;
    /// One of them.
    fn user(&self, id: UserId) -> BoxFuture<'_, Result<Option<UserRecord>>>;
    /// By address of mail, whatever the case.
    fn user_by_email<'a>(&'a self, email: &'a str) -> BoxFuture<'a, Result<Option<UserRecord>>>;
    /// Changes a name.
    fn set_user_name(
        &self,
        id: UserId,
        name: String,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>>;
    /// Changes a password, or takes it away.
    fn set_password(
        &self,
        id: UserId,
        hash: Option<String>,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>>;
    /// The same password under newer costs: no row in the audit log, and nothing where the hash is not `known` any more.
    fn rehash_password(&self, id: UserId, known: String, hash: String) -> BoxFuture<'_, Result<()>>;
    /// Keeps somebody from signing in (and ends their sessions), or lets them again.
    fn set_disabled(
        &self,
        id: UserId,
        disabled: bool,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>>;
    /// Turns the second factor on with a sealed secret and these recovery codes, or off, which clears the codes.
    fn set_totp(
        &self,
        id: UserId,
        factor: Option<(Vec<u8>, Vec<SecretHash>)>,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>>;
    /// Remembers that the code of a time step was used; `false` where it, or a later one, was used before.
    fn advance_totp(&self, id: UserId, step: i64) -> BoxFuture<'_, Result<bool>>;
    /// Other recovery codes.
    fn replace_recovery_codes(
        &self,
        id: UserId,
        codes: Vec<SecretHash>,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>>;
    /// Uses a recovery code; `false` where there is none such, or it was used.
    fn use_recovery_code(&self, id: UserId, code: SecretHash, at: Timestamp) -> BoxFuture<'_, Result<bool>>;
    /// How many recovery codes are left.
    fn unused_recovery_codes(&self, id: UserId) -> BoxFuture<'_, Result<u64>>;

    /// Somebody's passkeys, oldest first.
    fn passkeys(&self, user: UserId) -> BoxFuture<'_, Result<Vec<PasskeyRecord>>>;
    /// The passkey that a device calls so.
    fn passkey(&self, credential_id: Vec<u8>) -> BoxFuture<'_, Result<Option<PasskeyRecord>>>;
    /// Keeps a passkey; `Taken` where it is kept already.
    fn add_passkey(
        &self,
        user: UserId,
        new: NewPasskey,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<PasskeyRecord>>;
    /// After its use; `false` where its counter does not grow although the device counts: a copy of it is about.
    fn touch_passkey(
        &self,
        id: i64,
        credential: String,
        counter: u32,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<bool>>;
    /// Forgets a passkey of somebody.
    fn remove_passkey(
        &self,
        user: UserId,
        id: i64,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>>;

    /// Who that is whom a provider calls so.
    fn external_identity<'a>(
        &'a self,
        issuer: &'a str,
        subject: &'a str,
    ) -> BoxFuture<'a, Result<Option<ExternalIdentity>>>;
    /// How providers know somebody.
    fn external_identities(&self, user: UserId) -> BoxFuture<'_, Result<Vec<ExternalIdentity>>>;
    /// Remembers how a provider knows somebody; `Taken` where that is another.
    fn link_identity(
        &self,
        identity: ExternalIdentity,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>>;
    /// Forgets how a provider knows somebody.
    fn unlink_identity(
        &self,
        user: UserId,
        issuer: String,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>>;

    /// The accounts that somebody is a member of, by number.
    fn memberships(&self, user: UserId) -> BoxFuture<'_, Result<Vec<Membership>>>;

    /// Keeps a session, which is a sign-in for the audit log.
    fn create_session(&self, new: NewSession, author: Author) -> BoxFuture<'_, Result<SessionRecord>>;
    /// By its hash; whether it has ended is for the caller to say.
    fn session(&self, hash: SecretHash) -> BoxFuture<'_, Result<Option<SessionRecord>>>;
    /// Somebody's sessions, those used last first.
    fn sessions(&self, user: UserId) -> BoxFuture<'_, Result<Vec<SessionRecord>>>;
    /// It was used just now.
    fn touch_session(
        &self,
        hash: SecretHash,
        address: Option<IpAddr>,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>>;
    /// Takes a session over into another account.
    fn move_session(&self, hash: SecretHash, account: AccountId) -> BoxFuture<'_, Result<()>>;
    /// Ends a session; `false` where it is gone already.
    fn end_session(&self, hash: SecretHash) -> BoxFuture<'_, Result<bool>>;
    /// Ends all sessions of somebody but one; how many.
    fn end_sessions(&self, user: UserId, but: Option<SecretHash>) -> BoxFuture<'_, Result<u64>>;

    /// By its hash, also when it is revoked or expired.
    fn token(&self, hash: SecretHash) -> BoxFuture<'_, Result<Option<TokenRecord>>>;
    /// It was used just now.
    fn touch_token(&self, id: TokenId, address: Option<IpAddr>, at: Timestamp) -> BoxFuture<'_, Result<()>>;

    /// Keeps the key for the set-up in place of all earlier ones.
    fn put_setup_key(
        &self,
        hash: SecretHash,
        expires_at: Timestamp,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>>;
    /// Whether that key opens the set-up now.
    fn setup_key_opens(&self, hash: SecretHash, at: Timestamp) -> BoxFuture<'_, Result<bool>>;
    /// The first owner of the first account, by the key, which is used up; `Missing` where it does not open, `Conflict`
    /// where there are people already.
    fn set_up(
        &self,
        hash: SecretHash,
        first: NewUser,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<UserRecord>>;

    /// Keeps an invitation into an account of their own. For the audit log of `account`, whose people invite.
    fn invite_to_own_account(
        &self,
        account: AccountId,
        invitation: NewInvitation,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<InvitationRecord>>;
    /// Invitations into accounts of their own that were not used, newest first.
    fn own_account_invitations(&self) -> BoxFuture<'_, Result<Vec<InvitationRecord>>>;
    /// Takes one of them back. For the audit log of `account`.
    fn revoke_own_account_invitation(
        &self,
        account: AccountId,
        id: i64,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>>;
    /// By its hash, also when it is used or expired.
    fn invitation(&self, hash: SecretHash) -> BoxFuture<'_, Result<Option<InvitationRecord>>>;
    /// Uses an invitation for somebody who is there already: they become a member of its account, or of a new one
    /// called `own_account`. `Missing` where it is used or expired, `Taken` where an account is called so already.
    fn accept_invitation(
        &self,
        hash: SecretHash,
        user: UserId,
        own_account: Option<String>,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<AccountRecord>>;
    /// As [`PeopleStore::accept_invitation`], for somebody new, all or nothing.
    fn join_by_invitation(
        &self,
        hash: SecretHash,
        new: NewUser,
        own_account: Option<String>,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<(UserRecord, AccountRecord)>>;
}

/// What the engine may do to one shard.
pub trait ShardStore: Send + Sync {
    /// Everything needed to go on judging this shard: monitors, their judges' states, open incidents.
    fn load(&self) -> BoxFuture<'_, Result<ShardState>>;
    /// Writes a step; resolves when it is durable. Running the same step twice changes nothing. The step is queued by
    /// the call itself, before the future is first polled: steps queued together are written together.
    fn commit(&self, step: Box<ShardStep>) -> BoxFuture<'_, std::result::Result<(), CommitFailed>>;
    /// Batches of agents that wait for this shard, oldest first; gone once a step acknowledges them.
    fn inbox(&self) -> BoxFuture<'_, Result<Vec<InboxRecord>>>;
    /// Undelivered notices of the channels of this shard, oldest first, with their events.
    fn undelivered(&self) -> BoxFuture<'_, Result<Vec<OutboxRecord>>>;
    /// Writes what came of attempts to deliver.
    fn record_deliveries(&self, updates: Vec<DeliveryUpdate>) -> BoxFuture<'_, Result<()>>;
    /// Sorts this shard's part of finished hours into blocks, one hour a call; `None` when nothing is left to do.
    fn write_blocks(&self, now: Timestamp) -> BoxFuture<'_, Result<Option<UpkeepDone>>>;
    /// Merges this shard's blocks older than 48 h into day rows, one day a call; `None` when nothing is left to do.
    fn write_days(&self, now: Timestamp) -> BoxFuture<'_, Result<Option<UpkeepDone>>>;
}

/// What belongs to no account.
pub trait SystemStore: Send + Sync {
    /// All accounts.
    fn accounts(&self) -> BoxFuture<'_, Result<Vec<AccountRecord>>>;
    /// Makes an account; `Taken` where another is called so.
    fn create_account(&self, name: String, at: Timestamp) -> BoxFuture<'_, Result<AccountRecord>>;
    /// Monitors whose pauses end by now go on, at most `limit`; the changes by account.
    fn end_pauses(&self, at: Timestamp, limit: usize) -> BoxFuture<'_, Result<Vec<(AccountId, Applied)>>>;
    /// When the next pause ends by itself.
    fn next_pause_end(&self) -> BoxFuture<'_, Result<Option<Timestamp>>>;
    /// All declared locations; number 0 is always `local`.
    fn locations(&self) -> BoxFuture<'_, Result<Vec<LocationRecord>>>;
    /// Declares locations by name; known names keep their numbers.
    fn declare_locations(&self, names: Vec<String>) -> BoxFuture<'_, Result<Vec<LocationRecord>>>;
    /// Channels of all accounts, for delivery.
    fn channels(&self) -> BoxFuture<'_, Result<Vec<ChannelRecord>>>;
    /// Takes over a shard: the new fence, larger than any before.
    fn claim(&self, shard: ShardId) -> BoxFuture<'_, Result<Fence>>;
    /// Puts a batch into the inbox of a shard; its number, by which a step acknowledges it.
    fn deliver_inbox(&self, shard: ShardId, payload: Vec<u8>, at: Timestamp) -> BoxFuture<'_, Result<i64>>;
    /// Opens or ends blind time of a location.
    fn blind(&self, change: BlindChange) -> BoxFuture<'_, Result<()>>;
    /// Sorts finished minutes of the log into chunks; `None` when nothing is left to do.
    fn sort_minutes(&self, now: Timestamp) -> BoxFuture<'_, Result<Option<UpkeepDone>>>;
    /// Deletes what is older than its retention, a piece a call (at most 50 ms of the writer).
    fn retain(&self, retention: Retention, now: Timestamp) -> BoxFuture<'_, Result<RetentionReport>>;
    /// The last configuration file that was accepted; [`AccountStore::apply`] remembers it with what it changes.
    fn accepted_config(&self) -> BoxFuture<'_, Result<Option<AcceptedConfig>>>;
    /// Rows of the change feed after `seq`, at most `limit`.
    fn changes_after(&self, seq: i64, limit: usize) -> BoxFuture<'_, Result<Vec<ChangeRecord>>>;
    /// When this server last committed a step: the start of the gap after a restart.
    fn last_commit(&self) -> BoxFuture<'_, Result<Option<Timestamp>>>;
    /// Sizes and times for `/metrics`.
    fn gauges(&self) -> StoreGauges;
    /// Flushes and closes; further calls fail.
    fn close(&self) -> BoxFuture<'_, Result<()>>;
}
