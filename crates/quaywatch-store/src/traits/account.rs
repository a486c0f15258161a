//! The way in for operations: one account, from which no row of another can come.

use quaywatch_core::access::Role;
use quaywatch_core::{ChannelId, IncidentId, MonitorId, Timestamp, TokenId, UserId};

use crate::records::{
    AccountCounts, AccountDetail, Applied, AuditFilter, AuditRecord, Author, Binned, BinnedChannel, Blind,
    ChangeSet, ChannelRecord, CheckRow, DeliveryRecord, EventRecord, EvidenceRecord, GroupCount, Idempotency,
    IdempotentCall, IncidentFilter, IncidentRecord, InputRecord, Interval, IntervalFilter, InvitationRecord,
    MemberRecord, MonitorPage, MonitorQuery, MonitorRecord, MonitorRow, NewInvitation, NewToken, Owner,
    Pause, RemovedChannel, RevisionRecord, StatusCounts, StatusRecord, StoredAnswer, SummaryRow, TagCount,
    TokenRecord, TransitionRecord, Window,
};
use crate::{BoxFuture, Result};

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
    /// What a monitor is and what it was before, the newest first, at most `limit`.
    fn revisions(&self, id: MonitorId, limit: usize) -> BoxFuture<'_, Result<Vec<RevisionRecord>>>;
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
    /// How many monitors lie in the bin, counted no further than `most`.
    fn in_bin(&self, most: u64) -> BoxFuture<'_, Result<u64>>;
    /// Of the monitors in the bin those that would be left over if it kept only the `kept` that were removed last: at most
    /// `limit`, the longest there first. One with an open incident, or of which somebody is still to be told, is left out:
    /// it is not done with.
    fn beyond_in_bin(&self, kept: u64, limit: usize) -> BoxFuture<'_, Result<Vec<Binned>>>;
    /// Deletes for good, with all that is known of them by name, a piece a call (at most 50 ms of the writer); those whose
    /// turn has not come yet. What is no longer in the bin as it was, or not done with, stays.
    fn purge(&self, binned: Vec<Binned>) -> BoxFuture<'_, Result<Vec<Binned>>>;
    /// Of the channels in the bin those that would be left over if it kept only the `kept` that were removed last: at most
    /// `limit`, the longest there first.
    fn channels_beyond_in_bin(&self, kept: u64, limit: usize) -> BoxFuture<'_, Result<Vec<BinnedChannel>>>;
    /// Deletes channels for good, a piece a call; those whose turn has not come yet. What is no longer in the bin as it
    /// was stays.
    fn purge_channels(&self, binned: Vec<BinnedChannel>) -> BoxFuture<'_, Result<Vec<BinnedChannel>>>;
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
    /// Makes a member who is `from` something else; `Missing` where they are not, or no member. `Conflict` as above.
    fn change_role(
        &self,
        user: UserId,
        from: Role,
        to: Role,
        author: Author,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<()>>;
    /// Lets somebody go: tokens that they made are revoked, invitations of theirs and their sessions in this account
    /// end. `Conflict` where they
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
