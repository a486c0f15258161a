//! Members and invitations: who may make whom what.

use quaywatch_core::UserId;
use quaywatch_core::access::{Access, Scope};
use quaywatch_store::records::{ExternalIdentity, Proved};

use super::super::invitations::{Acceptance, Into, NewInvitation};
use super::super::tokens::NewToken;
use super::*;
use crate::caller::Actor;

pub(super) fn id(caller: &Caller) -> UserId {
    match caller.actor {
        Actor::User(id) => id,
        Actor::Token(_) | Actor::Host(_) => panic!("a person"),
    }
}

pub(super) fn invitation(email: &str, into: Into) -> NewInvitation {
    NewInvitation { email: email.to_owned(), into }
}

pub(super) fn yes(secret_text: &str, password: &str) -> Acceptance {
    Acceptance {
        secret: secret_text.to_owned(),
        name: Some("Lee".to_owned()),
        password: Some(secret(password)),
        code: None,
        account_name: None,
    }
}

#[tokio::test]
async fn the_last_owner_can_neither_go_nor_become_less() {
    let kit = Kit::new();
    let kim = kit.caller("kim@example.com", Role::Owner).await;
    assert_eq!(code(kit.identity.change_role(&kim, id(&kim), Role::Admin).await), "last_owner");
    assert_eq!(code(kit.identity.remove_member(&kim, id(&kim)).await), "last_owner");
    assert_eq!(code(kit.identity.remove_member(&kit.host(), id(&kim)).await), "last_owner");
    let lee = kit.caller("lee@example.com", Role::Editor).await;
    kit.identity.change_role(&kim, id(&lee), Role::Owner).await.expect("a second owner");
    kit.identity.change_role(&kim, id(&kim), Role::Admin).await.expect("now the first may become less");
    assert_eq!(code(kit.identity.remove_member(&kit.host(), id(&lee)).await), "last_owner");
}

#[tokio::test]
async fn nobody_makes_or_unmakes_more_than_they_are() {
    let kit = Kit::new();
    let owner = kit.caller("kim@example.com", Role::Owner).await;
    let admin = kit.caller("ada@example.com", Role::Admin).await;
    let viewer = kit.caller("vic@example.com", Role::Viewer).await;
    let identity = &kit.identity;
    assert_eq!(code(identity.change_role(&admin, id(&viewer), Role::Owner).await), "denied");
    assert_eq!(code(identity.change_role(&admin, id(&admin), Role::Owner).await), "denied");
    assert_eq!(code(identity.change_role(&admin, id(&owner), Role::Viewer).await), "denied");
    assert_eq!(code(identity.remove_member(&admin, id(&owner)).await), "denied");
    assert_eq!(
        code(identity.invite(&admin, invitation("x@example.com", Into::Account(Role::Owner))).await),
        "denied"
    );
    identity.change_role(&admin, id(&viewer), Role::Admin).await.expect("as much as an admin is");
    identity.change_role(&admin, id(&viewer), Role::Viewer).await.expect("and back");
    assert_eq!(code(identity.change_role(&viewer, id(&viewer), Role::Responder).await), "denied");
    assert_eq!(code(identity.list_invitations(&viewer).await), "denied");
    assert_eq!(identity.list_members(&viewer).await.expect("everybody sees who is here").len(), 3);
    identity.remove_member(&viewer, id(&viewer)).await.expect("everybody may go");

    let people: Vec<Scope> = vec!["people:admin".parse().expect("a scope")];
    let new = NewToken { name: "hr".to_owned(), scopes: people, expires_at: None };
    let token = identity.create_token(&owner, new).await.expect("created");
    let token =
        identity.authenticate_token(token.secret.reveal(), origin().address).await.expect("recognised");
    let viewer = invitation("x@example.com", Into::Account(Role::Viewer));
    assert_eq!(code(identity.invite(&token, viewer).await), "denied", "a viewer sees more than it");
}

#[tokio::test]
async fn an_invitation_lets_one_person_in_once_and_for_a_week() {
    let kit = Kit::new();
    let owner = kit.caller("kim@example.com", Role::Owner).await;
    let invite = async || {
        let new = invitation("lee@example.com", Into::Account(Role::Editor));
        kit.identity.invite(&owner, new).await.expect("invited")
    };
    let stale = invite().await;
    let link = stale.link.as_ref().expect("the server knows its address").reveal();
    assert_eq!(*link, format!("https://watch.example.com/invite/{}", stale.secret.reveal()));
    let offer = kit.identity.read_offer(stale.secret.reveal(), None, &origin()).await.expect("offered");
    assert_eq!((offer.email.as_str(), offer.role, offer.signed_in), ("lee@example.com", Role::Editor, false));
    assert_eq!(offer.account.as_deref(), Some("default"));
    kit.clock.advance(7 * DAY);
    assert_eq!(
        code(kit.identity.read_offer(stale.secret.reveal(), None, &origin()).await),
        "invitation_ended"
    );
    assert_eq!(
        code(kit.identity.accept_invitation(yes(stale.secret.reveal(), PASSWORD), None, &origin()).await),
        "invitation_ended"
    );
    assert!(kit.identity.list_invitations(&owner).await.expect("listed").is_empty());

    let owner = kit.as_caller(&kit.sign_in("kim@example.com").await).await;
    let new = invitation("lee@example.com", Into::Account(Role::Editor));
    let taken_back = kit.identity.invite(&owner, new.clone()).await.expect("invited");
    let listed = kit.identity.list_invitations(&owner).await.expect("listed");
    assert_eq!(listed.iter().map(|waiting| waiting.id).collect::<Vec<_>>(), [taken_back.invitation.id]);
    kit.identity.revoke_invitation(&owner, taken_back.invitation.id).await.expect("taken back");
    assert_eq!(
        code(kit.identity.read_offer(taken_back.secret.reveal(), None, &origin()).await),
        "invitation_ended"
    );

    let good = kit.identity.invite(&owner, new.clone()).await.expect("invited");
    let weak =
        kit.identity.accept_invitation(yes(good.secret.reveal(), "lee@example.com"), None, &origin()).await;
    assert_eq!(code(weak), "common_password");
    let session = kit.identity.accept_invitation(yes(good.secret.reveal(), PASSWORD), None, &origin()).await;
    let caller = kit.as_caller(&session.expect("accepted")).await;
    assert_eq!((caller.account, &caller.access), (AccountId::DEFAULT, &Access::Role(Role::Editor)));
    let again = kit.identity.accept_invitation(yes(good.secret.reveal(), PASSWORD), None, &origin()).await;
    assert_eq!(code(again), "invitation_ended", "used");
    assert_eq!(code(kit.identity.invite(&owner, new).await), "already_member");
}

#[tokio::test]
async fn whoever_is_known_accepts_with_their_own_password() {
    let kit = Kit::multi();
    let other = kit.store.system().create_account("harbour".to_owned(), kit.clock.now()).await.expect("made");
    kit.person("lee@example.com", Role::Viewer).await;
    let new = invitation("lee@example.com", Into::Account(Role::Admin));
    let created = kit.identity.invite(&Caller::host(0, other.id), new).await.expect("invited");
    let stolen = kit
        .identity
        .accept_invitation(yes(created.secret.reveal(), "lighthouses at night"), None, &origin())
        .await;
    assert_eq!(code(stolen), "wrong_credentials", "the link alone takes over nobody");
    let session =
        kit.identity.accept_invitation(yes(created.secret.reveal(), PASSWORD), None, &origin()).await;
    let session = session.expect("accepted");
    let caller = kit.as_caller(&session).await;
    assert_eq!((caller.account, &caller.access), (other.id, &Access::Role(Role::Admin)));
    let profile = kit.identity.read_profile(&caller).await.expect("read");
    assert_eq!(profile.accounts.len(), 2);

    kit.identity
        .switch_account(&caller, session.secret.reveal(), AccountId::DEFAULT)
        .await
        .expect("switched");
    let caller = kit.as_caller(&session).await;
    assert_eq!((caller.account, &caller.access), (AccountId::DEFAULT, &Access::Role(Role::Viewer)));
    let third = kit.store.system().create_account("third".to_owned(), kit.clock.now()).await.expect("made");
    let switched = kit.identity.switch_account(&caller, session.secret.reveal(), third.id).await;
    assert_eq!(code(switched), "not_found");
}

#[tokio::test]
async fn whoever_has_no_password_accepts_while_they_are_signed_in() {
    let kit = Kit::multi();
    let other = kit.store.system().create_account("harbour".to_owned(), kit.clock.now()).await.expect("made");
    let lee = kit.without_password("lee@example.com", Role::Viewer).await;
    let identity = ExternalIdentity {
        issuer: "https://id".into(),
        subject: "lee".into(),
        user: lee,
        linked_at: kit.clock.now(),
    };
    kit.store.people().link_identity(identity, None, "cli:0".into(), kit.clock.now()).await.expect("linked");
    let proved = Proved::Provider { issuer: "https://id".into(), subject: "lee".into() };
    let session =
        kit.identity.begin_session(lee, proved, None, &origin()).await.expect("as the provider says");
    let lee = kit.as_caller(&session).await;
    let new = invitation("lee@example.com", Into::Account(Role::Editor));
    let created = kit.identity.invite(&Caller::host(0, other.id), new).await.expect("invited");
    let link = created.secret.reveal();
    let offer = kit.identity.read_offer(link, None, &origin()).await.expect("offered");
    assert!(!offer.signed_in);

    let mallory = kit.caller("mallory@example.com", Role::Owner).await;
    for signed_in in [None, Some(&mallory)] {
        let taken = kit.identity.accept_invitation(yes(link, PASSWORD), signed_in, &origin()).await;
        assert_eq!(code(taken), "sign_in_first", "the link alone takes over nobody");
    }
    assert_eq!(code(kit.try_sign_in("lee@example.com", PASSWORD, None).await), "wrong_credentials");
    let only_the_link = Acceptance { name: None, password: None, ..yes(link, PASSWORD) };
    let session =
        kit.identity.accept_invitation(only_the_link, Some(&lee), &origin()).await.expect("accepted");
    let caller = kit.as_caller(&session).await;
    assert_eq!((caller.account, caller.actor), (other.id, lee.actor));
    assert_eq!(caller.access, Access::Role(Role::Editor));
    assert_eq!(code(kit.try_sign_in("lee@example.com", PASSWORD, None).await), "wrong_credentials");
}

#[tokio::test]
async fn whoever_has_no_way_in_gets_one_by_the_link_but_never_into_another_account() {
    let kit = Kit::multi();
    let owner = kit.caller("kim@example.com", Role::Owner).await;
    let other = kit.store.system().create_account("harbour".to_owned(), kit.clock.now()).await.expect("made");
    let lee = kit.without_password("lee@example.com", Role::Viewer).await;
    let new = || invitation("lee@example.com", Into::Account(Role::Editor));
    let foreign = kit.identity.invite(&Caller::host(0, other.id), new()).await.expect("invited");
    let foreign = foreign.secret.reveal();
    let taken = kit.identity.accept_invitation(yes(foreign, PASSWORD), None, &origin()).await;
    assert_eq!(code(taken), "sign_in_first", "else the owners of one account open the other");
    assert_eq!(code(kit.try_sign_in("lee@example.com", PASSWORD, None).await), "wrong_credentials");

    kit.identity.remove_member(&owner, lee).await.expect("removed");
    let again = kit.identity.invite(&owner, new()).await.expect("invited again");
    let again = again.secret.reveal();
    let weak = kit.identity.accept_invitation(yes(again, "password123"), None, &origin()).await;
    assert_eq!(code(weak), "common_password");
    let session =
        kit.identity.accept_invitation(yes(again, PASSWORD), None, &origin()).await.expect("accepted");
    let caller = kit.as_caller(&session).await;
    assert_eq!((caller.account, caller.actor), (AccountId::DEFAULT, Actor::User(lee)));
    kit.try_sign_in("lee@example.com", PASSWORD, None).await.expect("and from then on with the password");
}

#[tokio::test]
async fn many_owners_come_by_invitation_into_accounts_of_their_own() {
    let kit = Kit::multi();
    let owner = kit.caller("kim@example.com", Role::Owner).await;
    let admin = kit.caller("ada@example.com", Role::Admin).await;
    let new = invitation("lee@example.com", Into::OwnAccount);
    assert_eq!(code(kit.identity.invite(&admin, new.clone()).await), "denied");
    let created = kit.identity.invite(&owner, new.clone()).await.expect("invited");
    assert_eq!(kit.identity.list_invitations(&owner).await.expect("listed").len(), 1);
    assert!(kit.identity.list_invitations(&admin).await.expect("listed").is_empty(), "not the account's");
    let unnamed =
        kit.identity.accept_invitation(yes(created.secret.reveal(), PASSWORD), None, &origin()).await;
    assert_eq!(code(unnamed), "missing");
    let named = |name: &str| Acceptance {
        account_name: Some(name.to_owned()),
        ..yes(created.secret.reveal(), PASSWORD)
    };
    assert_eq!(code(kit.identity.accept_invitation(named("default"), None, &origin()).await), "name_taken");
    let session = kit.identity.accept_invitation(named("harbour"), None, &origin()).await.expect("accepted");
    let lee = kit.as_caller(&session).await;
    assert_ne!(lee.account, AccountId::DEFAULT);
    assert_eq!(lee.access, Access::Role(Role::Owner));

    assert_eq!(kit.identity.list_members(&lee).await.expect("listed").len(), 1, "others do not exist here");
    assert_eq!(code(kit.identity.change_role(&lee, id(&admin), Role::Viewer).await), "not_found");
    assert_eq!(code(kit.identity.remove_member(&lee, id(&owner)).await), "not_found");
    let waiting = kit.identity.invite(&owner, invitation("x@example.com", Into::Account(Role::Viewer))).await;
    let foreign = waiting.expect("invited").invitation.id;
    assert_eq!(code(kit.identity.revoke_invitation(&lee, foreign).await), "not_found");
    assert_eq!(
        code(kit.identity.invite(&lee, new.clone()).await),
        "denied",
        "only the first account's owners"
    );

    let single = Kit::new();
    let owner = single.caller("kim@example.com", Role::Owner).await;
    assert_eq!(code(single.identity.invite(&owner, new).await), "single_account");
}
