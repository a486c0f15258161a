//! API tokens: shown once, kept as a hash, with scopes and an end. Nobody gives a token more than they have, and
//! whoever may not any more has no token that still may.

use std::net::IpAddr;

use quaywatch_core::access::{Access, Level, Policy, Resource, Role, Scope};
use quaywatch_core::{Secret, Timestamp, TokenId, UserId};
use quaywatch_store::StoreError;
use quaywatch_store::records::{NewToken as TokenToKeep, SecretHash, TokenRecord};

use super::bearer::{self, BearerKind, Misread};
use super::sessions::WRITTEN_EVERY;
use super::{Identity, check_name, not_recognised};
use crate::caller::{Actor, Caller};
use crate::operations::OperationError;
use crate::operations::refuse::{invalid, not_found};

/// What a new token shall be.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// What people call it; unique among those in force.
    pub name: String,
    /// What it may.
    pub scopes: Vec<Scope>,
    /// When it ends; `None`: when it is revoked.
    pub expires_at: Option<Timestamp>,
}

/// A token that has just been made.
#[derive(Debug)]
pub struct CreatedToken {
    /// The token itself: shown now, and never again.
    pub secret: Secret<String>,
    /// What stays to be seen of it.
    pub token: TokenView,
}

/// A token, as whoever manages it sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenView {
    /// Its number.
    pub id: TokenId,
    /// What people call it.
    pub name: String,
    /// Its first characters.
    pub prefix: String,
    /// What it may.
    pub scopes: Vec<Scope>,
    /// Who made it, as the audit log names them.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// From where it was last used.
    pub last_address: Option<IpAddr>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl Identity {
    /// Whose token it is. Its use is written down at most once a minute.
    ///
    /// # Errors
    /// [`OperationError::NotRecognised`], saying whether it is mistyped, has ended or was revoked.
    pub async fn authenticate_token(&self, text: &str, address: IpAddr) -> Result<Caller, OperationError> {
        let (token, caller) = self.in_force(text).await?;
        self.write_down_use(&token, address, self.now());
        Ok(Caller { address: Some(address), ..caller })
    }

    /// The token of this text and whom it makes, if it is in force.
    pub(super) async fn in_force(&self, text: &str) -> Result<(TokenRecord, Caller), OperationError> {
        let hash = bearer::read(BearerKind::Token, text.trim()).map_err(misread)?;
        let token = self.people().token(SecretHash(hash)).await?;
        let token =
            token.ok_or_else(|| not_recognised("token_unknown", "there is no such token on this server"))?;
        let now = self.now();
        if token.revoked_at.is_some() {
            return Err(not_recognised("token_revoked", "the token was revoked"));
        }
        if token.expires_at.is_some_and(|end| now >= end) {
            return Err(not_recognised("token_expired", "the token has expired"));
        }
        let mut scopes = scopes_of(&token)?;
        if let Some(maker) = token.user {
            let role = self.role_of(maker, &token).await?;
            scopes = capped(&scopes, role.level());
        }
        let caller = Caller {
            account: token.account,
            actor: Actor::Token(token.id),
            access: Access::Scopes(scopes),
            session: None,
            address: None,
            request_id: None,
        };
        Ok((token, caller))
    }

    /// The account's tokens, the newest first, those that ended included.
    ///
    /// # Errors
    /// [`OperationError::Denied`].
    pub async fn list_tokens(&self, caller: &Caller) -> Result<Vec<TokenView>, OperationError> {
        caller.require(MANAGE)?;
        self.account(caller).tokens().await?.iter().map(shown).collect()
    }

    /// Makes a token. A person who gives it the scope to administer anything must have signed in just now: it would
    /// outlive a session that somebody else got hold of.
    ///
    /// # Errors
    /// [`OperationError::Invalid`] for a scope that the caller does not have, [`OperationError::Conflict`] for a name
    /// that is taken.
    pub async fn create_token(&self, caller: &Caller, new: NewToken) -> Result<CreatedToken, OperationError> {
        caller.require(MANAGE)?;
        let name = check_name("name", &new.name)?;
        let scopes = checked(caller, &new.scopes)?;
        if scopes.iter().any(|scope| scope.level >= Level::Administer) {
            self.require_recent(caller)?;
        }
        let now = self.now();
        if new.expires_at.is_some_and(|end| end <= now) {
            let message = "`expires_at` lies in the past";
            return Err(invalid("expires_at", "in_the_past", message, "name a later time, or leave it out"));
        }
        let account = self.account(caller);
        let in_force =
            |token: &TokenRecord| token.revoked_at.is_none() && token.expires_at.is_none_or(|end| now < end);
        let others: Vec<TokenRecord> = account.tokens().await?.into_iter().filter(in_force).collect();
        if others.len() >= MOST {
            let message = format!("the account has {MOST} tokens in force: revoke some that nobody uses");
            return Err(OperationError::Conflict { code: "too_many_tokens", message });
        }
        if others.iter().any(|token| token.name == name) {
            let message =
                format!("there is a token called `{name}`: revoke it first, or choose another name");
            return Err(OperationError::Conflict { code: "name_taken", message });
        }
        let minted = bearer::mint(BearerKind::Token, bearer::random());
        let words: Vec<String> = scopes.iter().map(Scope::to_string).collect();
        let kept = TokenToKeep {
            name,
            prefix: minted.prefix,
            hash: SecretHash(minted.hash),
            scopes: words.join(" "),
            user: self.maker(caller).await?,
            expires_at: new.expires_at,
        };
        let token = account.create_token(kept, caller.author(), now).await?;
        Ok(CreatedToken { secret: minted.text, token: shown(&token)? })
    }

    /// Ends a token at once. One that has ended stays so.
    ///
    /// # Errors
    /// [`OperationError::NotFound`].
    pub async fn revoke_token(&self, caller: &Caller, id: TokenId) -> Result<(), OperationError> {
        caller.require(MANAGE)?;
        match self.account(caller).revoke_token(id, caller.author(), self.now()).await {
            Ok(_) => Ok(()),
            Err(StoreError::Missing(_)) => Err(not_found("token", id)),
            Err(error) => Err(error.into()),
        }
    }

    /// The person on whom a new token depends: whoever makes it, also by way of another token.
    async fn maker(&self, caller: &Caller) -> Result<Option<UserId>, OperationError> {
        match caller.actor {
            Actor::User(user) => Ok(Some(user)),
            Actor::Host(_) => Ok(None),
            Actor::Token(id) => {
                let tokens = self.account(caller).tokens().await?;
                Ok(tokens.into_iter().find(|token| token.id == id).and_then(|token| token.user))
            }
        }
    }

    /// What the maker of a token is now: a token never may more than they.
    async fn role_of(&self, maker: UserId, token: &TokenRecord) -> Result<Role, OperationError> {
        let people = self.people();
        let gone = || not_recognised("token_revoked", "whoever made the token is no longer here");
        let user = people.user(maker).await?.filter(|user| user.disabled_at.is_none());
        if user.is_none() {
            return Err(gone());
        }
        let memberships = people.memberships(maker).await?;
        let here = memberships.iter().find(|membership| membership.account.id == token.account);
        here.map(|membership| membership.role).ok_or_else(gone)
    }

    fn write_down_use(&self, token: &TokenRecord, address: IpAddr, now: Timestamp) {
        if token.last_used_at.is_some_and(|last| now.since(last) < WRITTEN_EVERY) {
            return;
        }
        let (people, id) = (self.people(), token.id);
        // Beside: a store that takes nothing at the moment must not keep programs from looking.
        tokio::spawn(async move {
            if let Err(error) = people.touch_token(id, Some(address), now).await {
                tracing::debug!(%error, "the use of a token was not written down");
            }
        });
    }
}

const MANAGE: Policy = Policy::new(Resource::Tokens, Level::Administer);
/// Tokens in force in one account: a list that people still read.
const MOST: usize = 1_000;

fn misread(why: Misread) -> OperationError {
    let code = match why {
        Misread::Foreign | Misread::OtherKind { .. } => "token_foreign",
        Misread::Mistyped => "token_mistyped",
    };
    not_recognised(code, format!("this is no token of this server: {why}"))
}

/// The scopes of a new token, each once, if the caller may give them all.
fn checked(caller: &Caller, wanted: &[Scope]) -> Result<Vec<Scope>, OperationError> {
    let mut scopes = wanted.to_vec();
    scopes.sort_unstable();
    scopes.dedup();
    if scopes.is_empty() {
        let remedy = "write at least one, such as `read` or `monitors:write`";
        return Err(invalid("scopes", "missing", "the token would be allowed nothing", remedy));
    }
    if let Some(scope) = scopes.iter().find(|scope| !caller.access.may_give(**scope)) {
        let message = format!("you do not have `{scope}` yourself");
        return Err(invalid(
            "scopes",
            "not_yours_to_give",
            message,
            "leave it out, or ask somebody who has it",
        ));
    }
    Ok(scopes)
}

/// Scopes cut down to a level.
fn capped(scopes: &[Scope], level: Level) -> Vec<Scope> {
    scopes.iter().map(|scope| Scope { level: scope.level.min(level), ..*scope }).collect()
}

fn scopes_of(token: &TokenRecord) -> Result<Vec<Scope>, OperationError> {
    let scopes: Result<Vec<Scope>, _> = token.scopes.split_whitespace().map(str::parse).collect();
    scopes.map_err(|error| {
        StoreError::Damaged { table: "token", detail: format!("{}: {error}", token.id) }.into()
    })
}

fn shown(token: &TokenRecord) -> Result<TokenView, OperationError> {
    Ok(TokenView {
        id: token.id,
        name: token.name.clone(),
        prefix: token.prefix.clone(),
        scopes: scopes_of(token)?,
        created_by: token.created_by.clone(),
        created_at: token.created_at,
        expires_at: token.expires_at,
        last_used_at: token.last_used_at,
        last_address: token.last_address,
        revoked_at: token.revoked_at,
    })
}
