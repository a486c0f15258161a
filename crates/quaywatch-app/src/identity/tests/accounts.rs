//! Accounts, their names and their plans: who may choose what.

use quaywatch_store::records::AuditFilter;

use super::super::invitations::{Acceptance, Into, NewInvitation};
use super::*;
use crate::config;

const FILE: &str = "server: {accounts: multi, plans: {vip: {accounts: [globex]}, free: {max_urls: 5}}, default_plan: free}\n\
                    monitors: []\n";

async fn invited(kit: &Kit) -> String {
    let owner = kit.caller("kim@example.com", Role::Owner).await;
    let new = NewInvitation { email: "lee@example.com".to_owned(), into: Into::OwnAccount };
    kit.identity.invite(&owner, new).await.expect("invited").secret.reveal().clone()
}

fn yes(key: &str, account: &str) -> Acceptance {
    Acceptance {
        secret: key.to_owned(),
        name: Some("Lee".to_owned()),
        password: Some(secret(PASSWORD)),
        code: None,
        account_name: Some(account.to_owned()),
    }
}

#[tokio::test]
async fn nobody_chooses_their_plan_by_their_accounts_name() {
    let config = config::read(FILE, "quaywatch.yaml", &|_| None).expect("a good file");
    let kit = Kit::with(Settings::of(&config));
    let key = invited(&kit).await;
    for (name, refused) in [("globex", "name_taken"), (" globex ", "name_taken"), ("a7", "bad_name")] {
        let accepted = kit.identity.accept_invitation(yes(&key, name), None, &origin()).await;
        assert_eq!(code(accepted), refused, "{name}");
    }
    let session = kit.identity.accept_invitation(yes(&key, "acme"), None, &origin()).await.expect("accepted");
    let lee = kit.as_caller(&session).await;
    assert_eq!(code(kit.identity.list_accounts(&lee).await), "denied");
    assert_eq!(code(kit.identity.give_plan(&lee, "vip").await), "denied");

    let host = Caller::host(0, lee.account);
    assert_eq!(code(kit.identity.give_plan(&host, "vipp").await), "undeclared");
    let given = kit.identity.give_plan(&host, "vip").await.expect("given");
    assert_eq!((given.name.as_str(), given.plan.as_deref()), ("acme", Some("vip")));
    let accounts = kit.identity.list_accounts(&host).await.expect("listed");
    let seen: Vec<_> = accounts.iter().map(|a| (a.name.as_str(), a.given.as_str(), a.members)).collect();
    assert_eq!(seen, [("default", "", 1), ("acme", "vip", 1)]);
    assert_eq!(accounts[0].plan.as_deref(), Some("free"), "nobody gave it one");
    assert_ne!(lee.account, AccountId::DEFAULT);
    let store = kit.store.account(lee.account);
    let log = store.audit(AuditFilter { limit: 1, ..AuditFilter::default() }).await.expect("read");
    assert_eq!((log[0].action.as_str(), log[0].author.actor.as_str()), ("account.changed", "cli:0"));
}

#[tokio::test]
async fn whoever_accepts_hears_everything_that_is_wrong_at_once() {
    let kit = Kit::multi();
    let key = invited(&kit).await;
    let nothing = Acceptance { name: None, password: None, account_name: None, ..yes(&key, "") };
    let told = kit.identity.accept_invitation(nothing, None, &origin()).await.expect_err("nothing was said");
    let OperationError::Invalid(problems) = told else { panic!("{told:?}") };
    let fields: Vec<&str> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
    assert_eq!(fields, ["/account_name", "/name", "/password"]);
}
