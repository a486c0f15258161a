//! Tokens: what they may, and when they no longer may.

use quaywatch_core::TokenId;
use quaywatch_core::access::{Level, Policy, Resource, Scope};

use super::super::tokens::{CreatedToken, NewToken};
use super::*;
use crate::caller::Actor;

fn scopes(words: &str) -> Vec<Scope> {
    words.split(' ').map(|word| word.parse().expect("a scope")).collect()
}

async fn create(kit: &Kit, caller: &Caller, name: &str, words: &str) -> Result<CreatedToken, OperationError> {
    let new = NewToken { name: name.to_owned(), scopes: scopes(words), expires_at: None };
    kit.identity.create_token(caller, new).await
}

async fn recognise(kit: &Kit, text: &str) -> Result<Caller, OperationError> {
    kit.identity.authenticate_token(text, origin().address).await
}

#[tokio::test]
async fn a_token_is_shown_once_and_recognised_until_it_is_revoked() {
    let kit = Kit::new();
    let created = create(&kit, &kit.host(), "ci", "admin").await.expect("created");
    let text = created.secret.reveal();
    assert!(text.starts_with(&created.token.prefix) && text.starts_with("qw_t"), "{}", created.token.prefix);
    let caller = recognise(&kit, text).await.expect("recognised");
    assert_eq!((caller.account, caller.actor), (AccountId::DEFAULT, Actor::Token(created.token.id)));
    assert!(caller.access.allows(Policy::new(Resource::Tokens, Level::Administer)));
    assert!(!caller.access.allows(Policy::new(Resource::Account, Level::Own)));

    eventually("its use is written down", async || {
        let listed = kit.identity.list_tokens(&kit.host()).await.expect("listed");
        listed[0].last_used_at == Some(kit.clock.now()) && listed[0].last_address == Some(origin().address)
    })
    .await;
    let listed = kit.identity.list_tokens(&kit.host()).await.expect("listed");
    assert!(!format!("{listed:?}").contains(&text[10..]), "the list shows the beginning only");

    kit.identity.revoke_token(&kit.host(), created.token.id).await.expect("revoked");
    kit.identity.revoke_token(&kit.host(), created.token.id).await.expect("it stays so");
    assert_eq!(code(recognise(&kit, text).await), "token_revoked");
    assert_eq!(code(kit.identity.revoke_token(&kit.host(), TokenId(999)).await), "not_found");
}

#[tokio::test]
async fn what_is_no_token_says_why() {
    let kit = Kit::new();
    let created = create(&kit, &kit.host(), "ci", "read").await.expect("created");
    let text = created.secret.reveal();
    let mistyped = format!("{}{}{}", &text[..20], if &text[20..21] == "x" { "y" } else { "x" }, &text[21..]);
    assert_eq!(code(recognise(&kit, &mistyped).await), "token_mistyped");
    assert_eq!(code(recognise(&kit, &text[..40]).await), "token_mistyped");
    assert_eq!(code(recognise(&kit, "hunter2").await), "token_foreign");
    let session = kit.set_up().await;
    assert_eq!(code(recognise(&kit, session.secret.reveal()).await), "token_foreign");
    let elsewhere = create(&Kit::new(), &kit.host(), "ci", "read").await.expect("created");
    assert_eq!(code(recognise(&kit, elsewhere.secret.reveal()).await), "token_unknown");
}

#[tokio::test]
async fn a_token_ends_when_it_was_told_to() {
    let kit = Kit::new();
    let end = kit.clock.now() + 90 * DAY;
    let new = NewToken { name: "ci".to_owned(), scopes: scopes("read"), expires_at: Some(end) };
    let created = kit.identity.create_token(&kit.host(), new.clone()).await.expect("created");
    kit.clock.advance(90 * DAY - Duration::from_secs(1));
    recognise(&kit, created.secret.reveal()).await.expect("a second left");
    kit.clock.advance(Duration::from_secs(1));
    assert_eq!(code(recognise(&kit, created.secret.reveal()).await), "token_expired");
    assert_eq!(code(kit.identity.create_token(&kit.host(), new).await), "in_the_past");
    create(&kit, &kit.host(), "ci", "read").await.expect("the name of one that ended is free");
    assert_eq!(code(create(&kit, &kit.host(), "ci", "read").await), "name_taken");
}

#[tokio::test]
async fn nobody_gives_more_than_they_have() {
    let kit = Kit::new();
    let admin = kit.caller("kim@example.com", Role::Admin).await;
    create(&kit, &admin, "all", "admin").await.expect("an admin gives all that tokens can have");
    for role in [Role::Viewer, Role::Responder, Role::Editor] {
        let caller = kit.caller(&format!("{role}@example.com"), role).await;
        assert_eq!(code(create(&kit, &caller, "x", "read").await), "denied", "{role}");
        assert_eq!(code(kit.identity.list_tokens(&caller).await), "denied", "{role}");
    }
    let narrow = create(&kit, &admin, "narrow", "tokens:admin monitors:write").await.expect("created");
    let narrow = recognise(&kit, narrow.secret.reveal()).await.expect("recognised");
    create(&kit, &narrow, "same", "monitors:write tokens:admin").await.expect("as much as it has");
    for more in ["read", "monitors:admin", "channels:read", "monitors:write audit:read"] {
        assert_eq!(code(create(&kit, &narrow, "more", more).await), "not_yours_to_give", "{more}");
    }
}

#[tokio::test]
async fn a_token_never_may_more_than_whoever_made_it_may_now() {
    let kit = Kit::new();
    let owner = kit.caller("kim@example.com", Role::Owner).await;
    let admin = kit.caller("lee@example.com", Role::Admin).await;
    let Actor::User(lee) = admin.actor else { panic!("a person") };
    let first = create(&kit, &admin, "first", "admin").await.expect("created");
    let by_token = recognise(&kit, first.secret.reveal()).await.expect("recognised");
    let second = create(&kit, &by_token, "second", "write").await.expect("a token of the token");
    let of_host = create(&kit, &kit.host(), "host's", "admin").await.expect("created");

    kit.identity.change_role(&owner, lee, Role::Viewer).await.expect("made less");
    for token in [&first, &second] {
        let caller = recognise(&kit, token.secret.reveal()).await.expect("recognised");
        assert!(caller.access.allows(Policy::new(Resource::Monitors, Level::Look)));
        assert!(!caller.access.allows(Policy::new(Resource::Monitors, Level::Respond)));
    }
    kit.identity.remove_member(&owner, lee).await.expect("removed");
    for token in [&first, &second] {
        assert_eq!(code(recognise(&kit, token.secret.reveal()).await), "token_revoked");
    }
    let host = recognise(&kit, of_host.secret.reveal()).await.expect("nobody's leaving ends this one");
    assert!(host.access.allows(Policy::new(Resource::Channels, Level::Administer)));
}

#[tokio::test]
async fn tokens_of_another_account_do_not_exist() {
    let kit = Kit::multi();
    let other = kit.store.system().create_account("harbour".to_owned(), kit.clock.now()).await.expect("made");
    let theirs = create(&kit, &Caller::host(0, other.id), "ci", "admin").await.expect("created");
    let ours = create(&kit, &kit.host(), "ci", "admin").await.expect("the same name in another account");
    let caller = recognise(&kit, ours.secret.reveal()).await.expect("recognised");
    assert_eq!(code(kit.identity.revoke_token(&caller, theirs.token.id).await), "not_found");
    let listed = kit.identity.list_tokens(&caller).await.expect("listed");
    assert_eq!(listed.iter().map(|token| token.id).collect::<Vec<_>>(), [ours.token.id]);
    let their_caller = recognise(&kit, theirs.secret.reveal()).await.expect("still good");
    assert_eq!(their_caller.account, other.id);
}

#[tokio::test]
async fn a_token_is_nobody_who_signs_in() {
    let kit = Kit::new();
    let created = create(&kit, &kit.host(), "ci", "admin").await.expect("created");
    let caller = recognise(&kit, created.secret.reveal()).await.expect("recognised");
    let identity = &kit.identity;
    assert_eq!(code(identity.read_profile(&caller).await), "denied");
    assert_eq!(code(identity.list_sessions(&caller, "").await), "denied");
    assert_eq!(code(identity.sign_out_everywhere(&caller, None).await), "denied");
    assert_eq!(code(identity.change_password(&caller, None, secret("lighthouses at night")).await), "denied");
    assert_eq!(code(identity.begin_second_factor(&caller).await), "denied");
    assert_eq!(code(identity.list_users(&caller).await), "denied");
}
