//! What somebody tries who should not be in: with an address that is not theirs, a password that was changed, a role
//! that was taken away, a session that is not theirs.

use std::net::Ipv4Addr;

use quaywatch_core::access::Scope;
use serde_json::json;

use super::super::invitations::Into;
use super::people::{id, invitation, yes};
use super::proofs::{Harbour, code_now, turn_on};
use super::*;
use crate::config::sign_in::Provider;
use crate::identity::tokens::NewToken;

/// An owner of another account invites `email` there and follows the link themselves.
async fn plant(kit: &Kit, email: &str) -> NewSession {
    let other = kit.store.system().create_account("mallory".to_owned(), kit.clock.now()).await.expect("made");
    let new = invitation(email, Into::Account(Role::Viewer));
    let created = kit.identity.invite(&Caller::host(0, other.id), new).await.expect("invited");
    kit.identity.accept_invitation(yes(created.secret.reveal(), PASSWORD), None, &origin()).await.expect("in")
}

fn added(email: &str, whom: Whom) -> AddedUser {
    AddedUser { email: email.to_owned(), name: None, role: Role::Admin, whom }
}

async fn token(kit: &Kit, caller: &Caller, scope: &str) -> Result<Secret<String>, OperationError> {
    let scopes: Vec<Scope> = vec![scope.parse().expect("a scope")];
    let new = NewToken { name: format!("of {scope}"), scopes, expires_at: None };
    kit.identity.create_token(caller, new).await.map(|created| created.secret)
}

#[tokio::test]
async fn a_planted_person_gets_nothing_by_what_a_provider_says_of_the_address() {
    let harbour = Harbour::new(|_: &mut Provider| {});
    let kit = &harbour.kit;
    let planted = plant(kit, "alice@example.com").await;
    let boss = kit.caller("boss@example.com", Role::Owner).await;
    let new = invitation("alice@example.com", Into::Account(Role::Admin));
    let link = kit.identity.invite(&boss, new).await.expect("invited").secret;
    harbour.provider.claim(json!({"sub": "alice", "email": "alice@example.com", "email_verified": true}));
    assert_eq!(code(harbour.sign_in().await), "link_first", "whose password that is nobody knows");
    let memberships = kit.store.people().memberships(planted.user).await.expect("read");
    assert_eq!(memberships.len(), 1, "and so she accepts nothing as that person: {memberships:?}");

    let new = secret("lighthouses at night");
    kit.identity.reset_password(&kit.host(), "alice@example.com", &new, false, false).await.expect("reset");
    assert_eq!(code(kit.recognise(&planted).await), "session_ended");
    let old = kit.identity.accept_invitation(yes(link.reveal(), PASSWORD), None, &origin()).await;
    assert_eq!(code(old), "wrong_credentials");
    kit.clock.advance(Duration::from_secs(60));
    let alice = yes(link.reveal(), "lighthouses at night");
    let alice = kit.identity.accept_invitation(alice, None, &origin()).await.expect("hers now");
    assert_eq!(kit.as_caller(&alice).await.account, AccountId::DEFAULT);
}

#[tokio::test]
async fn whom_nothing_lets_in_is_claimed_by_a_verified_address_and_nobody_else_is() {
    let harbour = Harbour::new(|_: &mut Provider| {});
    let kit = &harbour.kit;
    let lee = kit.without_password("lee@example.com", Role::Viewer).await;
    harbour.provider.claim(json!({"sub": "lee", "email": "lee@example.com", "email_verified": true}));
    assert_eq!(harbour.sign_in().await.expect("claimed").user, lee);
    harbour.provider.claim(json!({"sub": "lee-2", "email": "lee@example.com", "email_verified": true}));
    assert_eq!(code(harbour.sign_in().await), "link_first", "a second one of the same address");
}

#[tokio::test]
async fn the_host_makes_a_planted_person_nothing_by_accident() {
    let kit = Kit::multi();
    kit.person("boss@example.com", Role::Owner).await;
    let planted = plant(&kit, "carol@example.com").await;
    let typed = Whom::New(Some(secret("lighthouses at night")));
    let refused = kit.identity.add_user(&kit.host(), added("carol@example.com", typed)).await;
    assert_eq!(code(refused), "known_elsewhere");
    assert_eq!(kit.store.people().memberships(planted.user).await.expect("read").len(), 1);
    let nobody = kit.identity.add_user(&kit.host(), added("nobody@example.com", Whom::Existing)).await;
    assert_eq!(code(nobody), "not_found");
    kit.identity.add_user(&kit.host(), added("carol@example.com", Whom::Existing)).await.expect("as told");
    assert_eq!(kit.store.people().memberships(planted.user).await.expect("read").len(), 2);
}

#[tokio::test]
async fn a_link_never_chooses_the_password_of_a_member() {
    let kit = Kit::multi();
    let admin = kit.caller("ada@example.com", Role::Admin).await;
    let new = invitation("dave@example.com", Into::Account(Role::Viewer));
    let link = kit.identity.invite(&admin, new).await.expect("invited").secret;
    kit.without_password("dave@example.com", Role::Owner).await;
    let taken = kit.identity.accept_invitation(yes(link.reveal(), PASSWORD), None, &origin()).await;
    assert_eq!(code(taken), "sign_in_first", "else an admin becomes the owner");
}

#[tokio::test]
async fn who_proved_the_old_password_begins_no_session_after_the_change() {
    let kit = Kit::new();
    let kim = kit.caller("kim@example.com", Role::Owner).await;
    let before = kit.store.people().user(id(&kim)).await.expect("read").expect("there");
    let begin = async || {
        let proved = super::super::sign_in::by_password(&before);
        kit.identity.begin_session(before.id, proved, None, &origin()).await
    };
    begin().await.expect("nothing has changed yet");
    turn_on(&kit, &kim).await;
    assert_eq!(code(begin().await), "changed_meanwhile", "without the factor");
    kit.identity.end_second_factor(&kim, secret(PASSWORD)).await.expect("off");
    begin().await.expect("as it was");
    let new = secret("lighthouses at night");
    kit.identity.change_password(&kim, Some(secret(PASSWORD)), new).await.expect("changed");
    assert_eq!(code(begin().await), "changed_meanwhile");
    assert_eq!(kit.store.people().sessions(before.id).await.expect("read").len(), 1, "the one that asked");
}

#[tokio::test]
async fn a_session_that_has_ended_changes_nothing_any_more() {
    let kit = Kit::new();
    let kim = kit.caller("kim@example.com", Role::Owner).await;
    let enrolment = kit.identity.begin_second_factor(&kim).await.expect("begun");
    let shown = code_now(&kit, enrolment.secret.reveal());
    kit.identity.sign_out_everywhere(&kim, None).await.expect("ended, while requests are on their way");
    let new = secret("lighthouses at night");
    let changed = kit.identity.change_password(&kim, Some(secret(PASSWORD)), new).await;
    assert_eq!(code(changed), "session_ended");
    assert_eq!(code(kit.identity.confirm_second_factor(&kim, &shown).await), "session_ended");
    kit.sign_in("kim@example.com").await;
}

#[tokio::test]
async fn an_invitation_is_worth_no_more_than_whoever_made_it() {
    let kit = Kit::new();
    let owner = kit.caller("kim@example.com", Role::Owner).await;
    let admin = kit.caller("ada@example.com", Role::Admin).await;
    let invite = async |by: &Caller, email: &str, role: Role| {
        kit.clock.advance(Duration::from_secs(60));
        kit.identity.invite(by, invitation(email, Into::Account(role))).await.expect("invited").secret
    };
    let ends = async |link: &Secret<String>| {
        kit.clock.advance(Duration::from_secs(60));
        let read = kit.identity.read_offer(link.reveal(), None, &origin()).await;
        let accepted = kit.identity.accept_invitation(yes(link.reveal(), PASSWORD), None, &origin()).await;
        let (read, accepted) = (read.map(|_| ()), accepted.map(|_| ()));
        assert_eq!(read.is_err(), accepted.is_err(), "{accepted:?}");
        accepted.is_err().then(|| code(accepted))
    };
    let demoted = invite(&admin, "ada-2@example.com", Role::Admin).await;
    kit.identity.change_role(&owner, id(&admin), Role::Editor).await.expect("made less");
    assert_eq!(ends(&demoted).await, Some("invitation_ended"));
    assert!(kit.identity.list_invitations(&owner).await.expect("listed").is_empty());
    kit.identity.change_role(&owner, id(&admin), Role::Admin).await.expect("and more again");
    assert_eq!(ends(&demoted).await, None, "she could make it again");

    let removed = invite(&admin, "ada-3@example.com", Role::Admin).await;
    let ci = token(&kit, &admin, "admin").await.expect("made");
    let ci = kit.identity.authenticate_token(ci.reveal(), origin().address).await.expect("good");
    let by_token = invite(&ci, "ada-4@example.com", Role::Admin).await;
    kit.identity.remove_member(&owner, id(&admin)).await.expect("removed");
    for link in [&removed, &by_token] {
        assert_eq!(ends(link).await, Some("invitation_ended"));
    }
    assert_eq!(ends(&invite(&owner, "lee@example.com", Role::Admin).await).await, None);
}

#[tokio::test]
async fn who_was_removed_meanwhile_is_not_made_a_member_again() {
    let kit = Kit::new();
    let lee = kit.caller("lee@example.com", Role::Viewer).await;
    let (account, now) = (kit.store.account(AccountId::DEFAULT), kit.clock.now());
    account.remove_member(id(&lee), "cli:0".into(), now).await.expect("removed");
    let changed = account.change_role(id(&lee), Role::Viewer, Role::Editor, "cli:0".into(), now).await;
    assert!(matches!(changed, Err(quaywatch_store::StoreError::Missing(_))), "{changed:?}");
    assert!(kit.store.people().memberships(id(&lee)).await.expect("read").is_empty());
}

#[tokio::test]
async fn a_session_that_is_not_fresh_opens_no_door_for_good() {
    let harbour = Harbour::new(|_: &mut Provider| {});
    let kit = &harbour.kit;
    let kim = kit.caller("kim@example.com", Role::Owner).await;
    token(kit, &kim, "admin").await.expect("just signed in");
    kit.identity.begin_passkey(&kim).await.expect("just signed in");
    kit.clock.advance(Duration::from_secs(600));
    for scope in ["admin", "people:admin"] {
        assert_eq!(code(token(kit, &kim, scope).await), "sign_in_again", "{scope}");
    }
    token(kit, &kim, "write").await.expect("it may not make others");
    assert_eq!(code(kit.identity.begin_passkey(&kim).await), "sign_in_again");
    assert_eq!(code(kit.identity.begin_second_factor(&kim).await), "sign_in_again");
    assert_eq!(code(kit.identity.depart("company", Some(&kim), &origin()).await), "sign_in_again");

    let lee = kit.without_password("lee@example.com", Role::Viewer).await;
    harbour.provider.claim(json!({"sub": "lee", "email": "lee@example.com", "email_verified": true}));
    let session = harbour.sign_in().await.expect("claimed");
    assert_eq!(session.user, lee);
    let lee = kit.as_caller(&session).await;
    kit.clock.advance(Duration::from_secs(600));
    let first = kit.identity.change_password(&lee, None, secret("lighthouses at night")).await;
    assert_eq!(code(first), "sign_in_again", "a first password is a way in too");
    let lee = kit.as_caller(&harbour.sign_in().await.expect("again")).await;
    kit.identity.change_password(&lee, None, secret("lighthouses at night")).await.expect("just signed in");
}

#[tokio::test]
async fn a_reset_ends_whatever_somebody_else_has_of_a_person() {
    let harbour = Harbour::new(|_: &mut Provider| {});
    let kit = &harbour.kit;
    let kim = kit.caller("kim@example.com", Role::Owner).await;
    let ci = token(kit, &kim, "admin").await.expect("made");
    harbour.arrive(&harbour.depart(Some(&kim)).await).await.expect("linked");
    let link = kit.identity.invite(&kim, invitation("thief@example.com", Into::Account(Role::Owner))).await;
    let link = link.expect("invited").secret;
    let reset = async |only_password| {
        let (host, new) = (kit.host(), secret("lighthouses at night"));
        kit.identity
            .reset_password(&host, "kim@example.com", &new, false, only_password)
            .await
            .expect("reset")
    };
    assert_eq!(reset(true).await, quaywatch_store::records::ResetRecord::default());
    harbour.sign_in().await.expect("the link stays, as was asked");
    let ended = reset(false).await;
    assert_eq!((ended.tokens, ended.identities, ended.invitations), (1, 1, 1));
    assert_eq!(code(harbour.sign_in().await), "link_first");
    let by_token = kit.identity.authenticate_token(ci.reveal(), origin().address).await;
    assert_eq!(code(by_token), "token_revoked");
    assert_eq!(code(kit.identity.read_offer(link.reveal(), None, &origin()).await), "invitation_ended");
}

#[tokio::test]
async fn strangers_keep_nobody_out_from_where_they_are_signed_in() {
    let kit = Kit::new();
    let kim = kit.caller("kim@example.com", Role::Owner).await;
    let attempt = async |from: Ipv4Addr, password: &str| {
        let credentials = Credentials {
            email: "kim@example.com".to_owned(),
            password: secret(password),
            code: None,
            account: None,
        };
        let origin = Origin { address: from.into(), ..origin() };
        kit.identity.sign_in(credentials, &origin).await
    };
    for n in 0..12_u8 {
        for _ in 0..10 {
            let refused = attempt(Ipv4Addr::new(203, 0, 113, n), "tugboats at dusk").await;
            assert!(matches!(code(refused), "wrong_credentials" | "throttled"));
        }
    }
    let elsewhere = Ipv4Addr::new(198, 51, 100, 99);
    assert_eq!(
        code(attempt(elsewhere, PASSWORD).await),
        "throttled",
        "the crowd has spent what strangers have"
    );
    let home = Ipv4Addr::new(192, 0, 2, 7);
    assert!(matches!(attempt(home, PASSWORD).await, Ok(SignIn::Done(_))));
    let new = secret("lighthouses at night");
    kit.identity
        .change_password(&kim, Some(secret(PASSWORD)), new)
        .await
        .expect("and whoever is in changes it");
}

#[tokio::test]
async fn a_link_tells_nobody_but_the_invited_who_is_here() {
    let kit = Kit::multi();
    let lee = kit.caller("lee@example.com", Role::Owner).await;
    let other = kit.store.system().create_account("mallory".to_owned(), kit.clock.now()).await.expect("made");
    let offered = async |email: &str, caller: Option<&Caller>| {
        let new = invitation(email, Into::Account(Role::Viewer));
        let created = kit.identity.invite(&Caller::host(0, other.id), new).await.expect("invited");
        let offer =
            kit.identity.read_offer(created.secret.reveal(), caller, &origin()).await.expect("offered");
        super::super::invitations::Offer { email: String::new(), ..offer }
    };
    let (known, unknown) = (offered("lee@example.com", None).await, offered("x@example.com", None).await);
    assert_eq!(known, unknown);
    let mine = offered("lee@example.com", Some(&lee)).await;
    assert!(mine.signed_in && !offered("x@example.com", Some(&lee)).await.signed_in);
}
