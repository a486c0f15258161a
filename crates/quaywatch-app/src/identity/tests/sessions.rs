//! The first start, signing in, and how sessions end.

use quaywatch_core::access::{Access, Role};
use quaywatch_store::records::AuditFilter;

use super::super::again::Shown;
use super::super::tokens::NewToken;
use super::*;
use crate::caller::Actor;

#[tokio::test]
async fn the_first_owner_comes_by_a_link_that_works_once_and_for_a_day() {
    let kit = Kit::new();
    assert!(kit.identity.is_new().await.expect("asked"));
    let first = |key: &str, password: &str| FirstOwner {
        key: key.to_owned(),
        email: "kim@example.com".to_owned(),
        name: "Kim".to_owned(),
        password: secret(password),
    };
    let key = async || kit.identity.new_setup_key().await.expect("asked").expect("new");
    let replaced = key().await;
    let stale = key().await;
    assert_eq!(
        code(kit.identity.check_setup_key(replaced.reveal(), &origin()).await),
        "setup_ended",
        "replaced"
    );
    kit.identity.check_setup_key(stale.reveal(), &origin()).await.expect("it works");
    kit.clock.advance(DAY);
    assert_eq!(
        code(kit.identity.set_up(first(stale.reveal(), PASSWORD), &origin()).await),
        "setup_ended",
        "stale"
    );

    let key = key().await;
    let weak = kit.identity.set_up(first(key.reveal(), "password123"), &origin()).await;
    assert_eq!(code(weak), "common_password", "there is no weak first password");
    let session = kit.identity.set_up(first(key.reveal(), PASSWORD), &origin()).await.expect("set up");
    let caller = kit.as_caller(&session).await;
    assert_eq!((caller.account, &caller.access), (AccountId::DEFAULT, &Access::Role(Role::Owner)));
    assert!(!kit.identity.is_new().await.expect("asked"));
    assert!(kit.identity.new_setup_key().await.expect("asked").is_none());
    assert_eq!(
        code(kit.identity.set_up(first(key.reveal(), PASSWORD), &origin()).await),
        "setup_ended",
        "used"
    );
}

#[tokio::test]
async fn a_key_made_before_somebody_came_another_way_opens_nothing() {
    let kit = Kit::new();
    let key = kit.identity.new_setup_key().await.expect("asked").expect("new");
    kit.person("kim@example.com", Role::Owner).await;
    assert_eq!(code(kit.identity.check_setup_key(key.reveal(), &origin()).await), "setup_ended");
}

#[tokio::test]
async fn nobody_learns_who_is_here_by_trying() {
    let kit = Kit::new();
    kit.person("kim@example.com", Role::Owner).await;
    let told = async |email: &str, password: &str| {
        kit.try_sign_in(email, password, None).await.expect_err("refused").to_string()
    };
    let wrong = told("kim@example.com", "tugboats at dusk").await;
    assert_eq!(wrong, told("nobody@example.com", "tugboats at dusk").await);
    assert_eq!(wrong, told("not an address", &"x".repeat(5_000)).await);
    kit.try_sign_in("KIM@Example.com", PASSWORD, None).await.expect("whatever the case");
}

#[tokio::test]
async fn trying_again_and_again_is_slowed_down_and_says_for_how_long() {
    let kit = Kit::new();
    kit.person("kim@example.com", Role::Owner).await;
    let attempt = async || {
        let credentials = Credentials {
            email: "kim@example.com".to_owned(),
            password: secret("tugboats at dusk"),
            code: None,
            account: None,
        };
        kit.identity.sign_in(credentials, &origin()).await
    };
    for _ in 0..10 {
        assert_eq!(code(attempt().await), "wrong_credentials");
    }
    let Err(OperationError::Throttled(wait)) = attempt().await else { panic!("not slowed down") };
    assert!(wait > Duration::from_secs(1) && wait <= Duration::from_secs(30), "{wait:?}");
    kit.clock.advance(wait);
    assert_eq!(code(attempt().await), "wrong_credentials");
}

#[tokio::test]
async fn a_session_ends_by_disuse_and_by_age() {
    let kit = Kit::new();
    kit.person("kim@example.com", Role::Owner).await;
    let unused = kit.sign_in("kim@example.com").await;
    kit.clock.advance(14 * DAY - Duration::from_secs(1));
    kit.recognise(&unused).await.expect("just in time");
    let kept = kit.sign_in("kim@example.com").await;
    kit.clock.advance(14 * DAY);
    assert_eq!(code(kit.recognise(&kept).await), "session_ended", "not used for fourteen days");
    assert_eq!(code(kit.recognise(&kept).await), "session_ended", "and gone for good");

    let used = kit.sign_in("kim@example.com").await;
    let expires_at = used.expires_at;
    while kit.clock.now() + 10 * DAY < expires_at {
        kit.clock.advance(10 * DAY);
        let before = kit.clock.now();
        kit.recognise(&used).await.expect("used every ten days");
        eventually("the use is written down", async || {
            let user = kit.store.people().sessions(used.user).await.expect("read");
            user.iter().any(|session| session.last_seen_at == before)
        })
        .await;
    }
    kit.clock.advance(10 * DAY);
    assert_eq!(code(kit.recognise(&used).await), "session_ended", "ninety days old");
}

#[tokio::test]
async fn sessions_are_seen_and_ended_by_their_owner_alone() {
    let kit = Kit::new();
    kit.person("kim@example.com", Role::Owner).await;
    let (desk, phone) = (kit.sign_in("kim@example.com").await, kit.sign_in("kim@example.com").await);
    let kim = kit.as_caller(&desk).await;
    let lee = kit.caller("lee@example.com", Role::Owner).await;
    let list = kit.identity.list_sessions(&kim, desk.secret.reveal()).await.expect("listed");
    assert_eq!(list.len(), 2);
    let current: Vec<_> = list.iter().filter(|session| session.current).collect();
    assert_eq!(current.len(), 1);
    assert_eq!(current[0].agent.as_deref(), Some("Firefox 151"));
    let other = list.iter().find(|session| !session.current).expect("the phone");
    assert_eq!(code(kit.identity.end_session(&lee, &other.id).await), "not_found");
    kit.recognise(&phone).await.expect("still good");
    kit.identity.end_session(&kim, &other.id).await.expect("ended");
    assert_eq!(code(kit.recognise(&phone).await), "session_ended");

    let (tablet, watch) = (kit.sign_in("kim@example.com").await, kit.sign_in("kim@example.com").await);
    let ended = kit.identity.sign_out_everywhere(&kim, Some(desk.secret.reveal())).await.expect("ended");
    assert_eq!(ended, 2);
    for gone in [&tablet, &watch] {
        assert_eq!(code(kit.recognise(gone).await), "session_ended");
    }
    kit.identity.sign_out(desk.secret.reveal(), &origin()).await.expect("signed out");
    assert_eq!(code(kit.recognise(&desk).await), "session_ended");
    kit.identity.sign_out("nonsense", &origin()).await.expect("what is not there has ended");
    let account = kit.store.account(AccountId::DEFAULT);
    let log = account.audit(AuditFilter { limit: 3, ..AuditFilter::default() }).await.expect("read");
    let told: Vec<_> = log.iter().map(|row| row.action.as_str()).collect();
    assert_eq!(told, ["session.ended", "sessions.ended", "session.created"]);
    assert_eq!(log[0].author.actor, format!("user:{}", desk.user));
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let kit = Kit::new();
    kit.person("kim@example.com", Role::Viewer).await;
    let (here, there) = (kit.sign_in("kim@example.com").await, kit.sign_in("kim@example.com").await);
    let kim = kit.as_caller(&here).await;
    let change = async |old: Option<&str>, new: &str| {
        kit.clock.advance(Duration::from_secs(60));
        let old = old.map(secret);
        kit.identity.change_password(&kim, old, secret(new)).await
    };
    assert_eq!(code(change(Some("tugboats at dusk"), "lighthouses at night").await), "wrong_password");
    assert_eq!(code(change(None, "lighthouses at night").await), "wrong_password");
    assert_eq!(code(change(Some(PASSWORD), "kim@example.com").await), "common_password");
    kit.recognise(&there).await.expect("nothing has changed yet");
    change(Some(PASSWORD), "lighthouses at night").await.expect("changed");
    kit.recognise(&here).await.expect("the one that asked stays");
    assert_eq!(code(kit.recognise(&there).await), "session_ended");
    assert_eq!(code(kit.try_sign_in("kim@example.com", PASSWORD, None).await), "wrong_credentials");
    kit.try_sign_in("kim@example.com", "lighthouses at night", None).await.expect("the new one");
}

#[tokio::test]
async fn whoever_leaves_an_account_is_out_at_once() {
    let kit = Kit::new();
    let owner = kit.caller("kim@example.com", Role::Owner).await;
    kit.person("lee@example.com", Role::Editor).await;
    let session = kit.sign_in("lee@example.com").await;
    let lee = kit.as_caller(&session).await;
    let Actor::User(id) = lee.actor else { panic!("a person") };
    kit.identity.change_role(&owner, id, Role::Viewer).await.expect("made less");
    assert_eq!(kit.as_caller(&session).await.access, Access::Role(Role::Viewer), "at once");
    kit.identity.remove_member(&owner, id).await.expect("removed");
    assert_eq!(code(kit.recognise(&session).await), "session_ended");
    assert_eq!(code(kit.try_sign_in("lee@example.com", PASSWORD, None).await), "no_account");
}

#[tokio::test]
async fn whoever_stays_connected_is_asked_again_which_is_no_use_of_the_session() {
    let kit = Kit::new();
    kit.person("kim@example.com", Role::Owner).await;
    let session = kit.sign_in("kim@example.com").await;
    let kim = kit.as_caller(&session).await;
    let again = async |session: &NewSession, caller: &Caller| {
        kit.identity.recognise_again(caller, Shown::Session(session.secret.reveal())).await
    };
    kit.clock.advance(13 * DAY);
    again(&session, &kim).await.expect("still good");
    kit.clock.advance(2 * DAY);
    assert_eq!(code(again(&session, &kim).await), "session_ended", "fifteen days without a use");

    let other = kit.store.system().create_account("harbour".to_owned(), kit.clock.now()).await.expect("made");
    let session = kit.sign_in("kim@example.com").await;
    let Actor::User(id) = kim.actor else { panic!("a person") };
    let host = Caller::host(0, other.id);
    let people = kit.store.account(other.id);
    people.set_role(id, Role::Viewer, host.author(), kit.clock.now()).await.expect("a member there too");
    kit.identity.switch_account(&kim, session.secret.reveal(), other.id).await.expect("switched");
    assert_eq!(code(again(&session, &kim).await), "account_left");
    let there = kit.as_caller(&session).await;
    assert_eq!(again(&session, &there).await.expect("good there").access, Access::Role(Role::Viewer));

    let new =
        NewToken { name: "ci".into(), scopes: vec!["read".parse().expect("a scope")], expires_at: None };
    let token = kit.identity.create_token(&kit.host(), new).await.expect("created");
    let by = Shown::Token(token.secret.reveal());
    let program =
        kit.identity.authenticate_token(token.secret.reveal(), origin().address).await.expect("good");
    kit.identity.recognise_again(&program, by).await.expect("still good");
    kit.identity.revoke_token(&kit.host(), token.token.id).await.expect("revoked");
    assert_eq!(code(kit.identity.recognise_again(&program, by).await), "token_revoked");
}

#[tokio::test]
async fn a_disabled_person_is_out_at_once() {
    let kit = Kit::new();
    kit.person("kim@example.com", Role::Owner).await;
    let session = kit.sign_in("kim@example.com").await;
    kit.store
        .people()
        .set_disabled(session.user, true, "cli:0".into(), kit.clock.now())
        .await
        .expect("disabled");
    assert_eq!(code(kit.recognise(&session).await), "session_ended");
    assert_eq!(code(kit.try_sign_in("kim@example.com", PASSWORD, None).await), "wrong_credentials");
}

#[tokio::test]
async fn the_host_resets_a_lost_password() {
    let kit = Kit::new();
    kit.person("kim@example.com", Role::Owner).await;
    let session = kit.sign_in("kim@example.com").await;
    let kim = kit.as_caller(&session).await;
    let new = secret("lighthouses at night");
    assert_eq!(code(kit.identity.reset_password(&kim, "kim@example.com", &new, true, false).await), "denied");
    kit.identity.reset_password(&kit.host(), "kim@example.com", &new, true, false).await.expect("reset");
    assert_eq!(code(kit.recognise(&session).await), "session_ended");
    kit.try_sign_in("kim@example.com", "lighthouses at night", None).await.expect("the new one");
}
