//! People, tokens and how they come in.

use quaywatch_core::access::Role;
use quaywatch_core::{AccountId, UserId};

use super::{Bench, HOUR, MINUTE, Open, at, wait};
use crate::StoreError;
use crate::records::{
    Accepting, AuditFilter, Author, ExternalIdentity, NewInvitation, NewPasskey, NewSession, NewToken,
    NewUser, Proved, SecretHash, SessionRecord, UserRecord,
};

pub(super) fn author() -> Author {
    Author {
        actor: "user:u1".to_owned(),
        address: Some([192, 0, 2, 7].into()),
        request: Some("req-1".into()),
    }
}

pub(super) fn hash(n: u8) -> SecretHash {
    SecretHash([n; 32])
}

pub(super) fn new_user(email: &str) -> NewUser {
    NewUser { email: email.to_owned(), name: "Ada".to_owned(), password_hash: Some("$argon2id$x".to_owned()) }
}

impl Bench {
    pub(super) fn person(&self, email: &str) -> UserRecord {
        wait(self.people.create_user(new_user(email), author(), at(0))).expect("added")
    }

    pub(super) fn role(&self, user: UserId, role: Role) -> Result<(), StoreError> {
        wait(self.account.set_role(user, role, author(), at(1)))
    }

    pub(super) fn session(&self, n: u8, user: UserId) -> SessionRecord {
        let known = wait(self.people.user(user)).expect("read").expect("there");
        let hash = known.password_hash.expect("with a password");
        self.begin(n, user, Proved::Password { hash, totp_secret: known.totp_secret }).expect("kept")
    }

    pub(super) fn begin(&self, n: u8, user: UserId, proved: Proved) -> Result<SessionRecord, StoreError> {
        let new = NewSession {
            hash: hash(n),
            user,
            account: AccountId::DEFAULT,
            created_at: at(i64::from(n)),
            expires_at: at(HOUR),
            address: Some([192, 0, 2, n].into()),
            agent: format!("browser {n}"),
            proved,
        };
        wait(self.people.create_session(new, author()))
    }

    fn actions(&self) -> Vec<String> {
        let rows = wait(self.account.audit(AuditFilter::default())).expect("audit");
        rows.into_iter().rev().map(|row| row.action).collect()
    }
}

pub(super) fn people_are_found_by_number_and_by_mail_whatever_the_case(open: Open<'_>) {
    let bench = Bench::open(open);
    assert_eq!(wait(bench.people.count_users()), Ok(0));
    let ada = bench.person(" Ada@Example.com");
    assert_eq!((ada.id, ada.email.as_str()), (UserId(1), "Ada@Example.com"));
    let again = wait(bench.people.create_user(new_user("ADA@example.COM"), author(), at(0)));
    assert!(matches!(again, Err(StoreError::Taken(_))), "{again:?}");
    let jurgen = bench.person("JÜRGEN@example.com");
    bench.close();
    let bench = Bench::open(open);
    assert_eq!(wait(bench.people.user(ada.id)), Ok(Some(ada.clone())));
    assert_eq!(wait(bench.people.user_by_email("jürgen@EXAMPLE.com ")), Ok(Some(jurgen.clone())));
    assert_eq!(wait(bench.people.user_by_email("nobody@example.com")), Ok(None));
    assert_eq!(wait(bench.people.users()), Ok(vec![ada.clone(), jurgen]));

    wait(bench.people.set_user_name(ada.id, "Countess".to_owned(), author(), at(1))).expect("renamed");
    wait(bench.people.set_password(ada.id, Some("new".to_owned()), None, author(), at(1))).expect("changed");
    wait(bench.people.rehash_password(ada.id, "old".to_owned(), "lost".to_owned())).expect("not any more");
    let now = wait(bench.people.user(ada.id)).expect("read").expect("there");
    assert_eq!((now.name.as_str(), now.password_hash.as_deref()), ("Countess", Some("new")));
    wait(bench.people.rehash_password(ada.id, "new".to_owned(), "newer".to_owned())).expect("rehashed");
    let now = wait(bench.people.user(ada.id)).expect("read").expect("there");
    assert_eq!(now.password_hash.as_deref(), Some("newer"));
    let nobody = wait(bench.people.set_password(UserId(99), None, None, author(), at(1)));
    assert!(matches!(nobody, Err(StoreError::Missing(_))), "{nobody:?}");
    assert!(!format!("{now:?}").contains("newer"), "a hash in what is printed");
}

pub(super) fn a_code_is_used_once(open: Open<'_>) {
    let bench = Bench::open(open);
    let (ada, bob) = (bench.person("ada@example.com").id, bench.person("bob@example.com").id);
    let factor = Some((b"sealed".to_vec(), vec![hash(1), hash(2)]));
    wait(bench.people.set_totp(ada, factor, None, author(), at(0))).expect("on");
    assert_eq!(wait(bench.people.advance_totp(ada, 100)), Ok(true));
    assert_eq!(wait(bench.people.advance_totp(ada, 100)), Ok(false));
    assert_eq!(wait(bench.people.advance_totp(ada, 99)), Ok(false));
    assert_eq!(wait(bench.people.advance_totp(ada, 101)), Ok(true));
    assert_eq!(wait(bench.people.use_recovery_code(bob, hash(1), at(1))), Ok(false));
    assert_eq!(wait(bench.people.use_recovery_code(ada, hash(1), at(1))), Ok(true));
    assert_eq!(wait(bench.people.use_recovery_code(ada, hash(1), at(2))), Ok(false));
    assert_eq!(wait(bench.people.unused_recovery_codes(ada)), Ok(1));
    wait(bench.people.replace_recovery_codes(ada, vec![hash(3), hash(4)], author(), at(3))).expect("new");
    assert_eq!(wait(bench.people.use_recovery_code(ada, hash(2), at(4))), Ok(false));
    assert_eq!(wait(bench.people.unused_recovery_codes(ada)), Ok(2));
    let now = wait(bench.people.user(ada)).expect("read").expect("there");
    assert_eq!((now.totp_secret.as_deref(), now.totp_last_step), (Some(&b"sealed"[..]), 101));
    wait(bench.people.set_totp(ada, None, None, author(), at(5))).expect("off");
    assert_eq!(wait(bench.people.unused_recovery_codes(ada)), Ok(0));
    assert_eq!(wait(bench.people.user(ada)).expect("read").expect("there").totp_secret, None);
}

pub(super) fn passkeys_and_other_providers_lead_to_one_person(open: Open<'_>) {
    let bench = Bench::open(open);
    let (ada, bob) = (bench.person("ada@example.com").id, bench.person("bob@example.com").id);
    let new = NewPasskey {
        credential_id: vec![1, 2, 3],
        credential: "{}".to_owned(),
        name: "laptop".to_owned(),
        counter: 5,
    };
    let kept = wait(bench.people.add_passkey(ada, new.clone(), None, author(), at(0))).expect("kept");
    let again = wait(bench.people.add_passkey(bob, new, None, author(), at(0)));
    assert!(matches!(again, Err(StoreError::Taken(_))), "{again:?}");
    assert_eq!(wait(bench.people.passkey(vec![1, 2, 3])), Ok(Some(kept.clone())));
    assert_eq!(wait(bench.people.passkey(vec![1, 2])), Ok(None));
    let touch = |counter| wait(bench.people.touch_passkey(kept.id, "{1}".to_owned(), counter, at(9)));
    assert_eq!(touch(5), Ok(false), "a copy of it");
    assert_eq!(touch(6), Ok(true));
    let used = wait(bench.people.passkeys(ada)).expect("read");
    assert_eq!((used[0].counter, used[0].last_used_at, used[0].credential.as_str()), (6, Some(at(9)), "{1}"));
    let stolen = wait(bench.people.remove_passkey(bob, kept.id, author(), at(1)));
    assert!(matches!(stolen, Err(StoreError::Missing(_))), "{stolen:?}");
    wait(bench.people.remove_passkey(ada, kept.id, author(), at(1))).expect("removed");
    assert_eq!(wait(bench.people.passkeys(ada)), Ok(Vec::new()));

    let link = |user| ExternalIdentity {
        issuer: "https://id.example.com".to_owned(),
        subject: "Sub".to_owned(),
        user,
        linked_at: at(2),
    };
    wait(bench.people.link_identity(link(ada), None, author(), at(2))).expect("linked");
    wait(bench.people.link_identity(link(ada), None, author(), at(3))).expect("linked already");
    let taken = wait(bench.people.link_identity(link(bob), None, author(), at(3)));
    assert!(matches!(taken, Err(StoreError::Taken(_))), "{taken:?}");
    let found = |subject| wait(bench.people.external_identity("https://id.example.com", subject));
    assert_eq!(found("Sub"), Ok(Some(link(ada))));
    assert_eq!(found("sub"), Ok(None), "subjects are exact");
    assert_eq!(wait(bench.people.external_identities(ada)), Ok(vec![link(ada)]));
    let issuer = || "https://id.example.com".to_owned();
    wait(bench.people.unlink_identity(ada, issuer(), author(), at(4))).expect("unlinked");
    assert_eq!(found("Sub"), Ok(None));
}

pub(super) fn sessions_end_one_by_one_or_all_but_one(open: Open<'_>) {
    let bench = Bench::open(open);
    let (ada, bob) = (bench.person("ada@example.com").id, bench.person("bob@example.com").id);
    let first = bench.session(1, ada);
    bench.session(2, ada);
    bench.session(3, ada);
    bench.session(4, bob);
    assert_eq!(wait(bench.people.session(hash(1))), Ok(Some(first)));
    assert_eq!(wait(bench.people.session(hash(9))), Ok(None));
    let from = Some([198, 51, 100, 1].into());
    wait(bench.people.touch_session(hash(1), from, at(MINUTE))).expect("touched");
    wait(bench.people.touch_session(hash(1), from, at(1))).expect("late");
    let touched = wait(bench.people.session(hash(1))).expect("read").expect("there");
    assert_eq!((touched.last_seen_at, touched.address), (at(MINUTE), from));
    let order = || -> Vec<SecretHash> {
        wait(bench.people.sessions(ada)).expect("read").into_iter().map(|one| one.hash).collect()
    };
    assert_eq!(order(), [hash(1), hash(3), hash(2)], "used last first");
    let other = wait(bench.system.create_account("other".to_owned(), at(0))).expect("made").id;
    bench.role(ada, Role::Owner).expect("in");
    let before = bench.actions().len();
    wait(bench.people.move_session(hash(2), other, author(), at(3))).expect("moved");
    assert_eq!(wait(bench.people.session(hash(2))).expect("read").expect("there").account, other);
    assert_eq!(wait(bench.people.end_session(hash(3), Some(author()), at(3))), Ok(true));
    assert_eq!(wait(bench.people.end_session(hash(3), Some(author()), at(3))), Ok(false));
    assert_eq!(wait(bench.people.end_sessions(ada, Some(hash(2)), author(), at(3))), Ok(1));
    assert_eq!(order(), [hash(2)]);
    assert_eq!(bench.actions()[before..], ["session.left", "session.ended", "sessions.ended"]);
    let entered = wait(bench.store.account(other).audit(AuditFilter::default())).expect("audit");
    assert!(entered.len() == 1 && entered[0].action == "session.entered", "{entered:?}");
    assert_eq!(wait(bench.people.end_sessions(ada, None, author(), at(3))), Ok(1));
    wait(bench.people.set_disabled(bob, true, author(), at(5))).expect("disabled");
    assert_eq!(wait(bench.people.session(hash(4))), Ok(None));
    assert_eq!(wait(bench.people.user(bob)).expect("read").expect("there").disabled_at, Some(at(5)));
    wait(bench.people.set_disabled(bob, false, author(), at(6))).expect("enabled");
    assert_eq!(wait(bench.people.user(bob)).expect("read").expect("there").disabled_at, None);
}

pub(super) fn new_token(n: u8, user: Option<UserId>) -> NewToken {
    NewToken {
        name: format!("ci {n}"),
        prefix: format!("qw_a{n}"),
        hash: hash(n),
        scopes: "read monitors:write".to_owned(),
        user,
        expires_at: Some(at(HOUR)),
    }
}

pub(super) fn tokens_are_found_by_hash_and_stay_when_they_are_revoked(open: Open<'_>) {
    let bench = Bench::open(open);
    let made = wait(bench.account.create_token(new_token(1, None), author(), at(1))).expect("made");
    wait(bench.account.create_token(new_token(2, None), author(), at(2))).expect("made");
    assert_eq!((made.account, made.created_by.as_str()), (AccountId::DEFAULT, "user:u1"));
    let other = wait(bench.system.create_account("other".to_owned(), at(0))).expect("made").id;
    let theirs = bench.store.account(other);
    assert_eq!(wait(theirs.tokens()), Ok(Vec::new()));
    let refused = wait(theirs.revoke_token(made.id, author(), at(3)));
    assert!(matches!(refused, Err(StoreError::Missing(_))), "{refused:?}");
    wait(bench.people.touch_token(made.id, Some([192, 0, 2, 9].into()), at(4))).expect("touched");
    let revoked = wait(bench.account.revoke_token(made.id, author(), at(5))).expect("revoked");
    assert_eq!(wait(bench.account.revoke_token(made.id, author(), at(6))), Ok(revoked.clone()));
    bench.close();
    let bench = Bench::open(open);
    let found = wait(bench.people.token(hash(1))).expect("read").expect("still there");
    assert_eq!(found, revoked);
    assert_eq!((found.revoked_at, found.last_used_at), (Some(at(5)), Some(at(4))));
    let names: Vec<_> =
        wait(bench.account.tokens()).expect("read").into_iter().map(|token| token.name).collect();
    assert_eq!(names, ["ci 2", "ci 1"]);
    let actions = bench.actions();
    assert_eq!(actions, ["token.created", "token.created", "token.revoked"], "once revoked, once said");
}

pub(super) fn an_account_keeps_its_last_owner(open: Open<'_>) {
    let bench = Bench::open(open);
    let (ada, bob) = (bench.person("ada@example.com").id, bench.person("bob@example.com").id);
    bench.role(ada, Role::Owner).expect("first");
    bench.role(bob, Role::Viewer).expect("second");
    assert!(matches!(bench.role(ada, Role::Admin), Err(StoreError::Conflict(_))));
    let leave = |user| wait(bench.account.remove_member(user, author(), at(2)));
    assert!(matches!(leave(ada), Err(StoreError::Conflict(_))));
    assert!(matches!(leave(UserId(9)), Err(StoreError::Missing(_))));
    assert!(matches!(bench.role(UserId(9), Role::Viewer), Err(StoreError::Missing(_))));
    bench.role(bob, Role::Owner).expect("promoted");
    wait(bench.people.set_disabled(bob, true, author(), at(1))).expect("disabled");
    assert!(matches!(leave(ada), Err(StoreError::Conflict(_))), "who may not sign in owns nothing");
    wait(bench.people.set_disabled(bob, false, author(), at(1))).expect("enabled");

    bench.session(1, ada);
    bench.session(2, bob);
    wait(bench.account.create_token(new_token(3, Some(ada)), author(), at(1))).expect("made");
    wait(bench.account.create_token(new_token(4, Some(bob)), author(), at(1))).expect("made");
    leave(ada).expect("there is another owner");
    let members = wait(bench.account.members()).expect("read");
    let said: Vec<_> = members.iter().map(|m| (m.user.id, m.role, m.last_seen_at)).collect();
    assert_eq!(said, [(bob, Role::Owner, Some(at(2)))]);
    assert_eq!(wait(bench.people.session(hash(1))), Ok(None));
    assert!(wait(bench.people.session(hash(2))).expect("read").is_some());
    let revoked = |n| wait(bench.people.token(hash(n))).expect("read").expect("there").revoked_at;
    assert_eq!((revoked(3), revoked(4)), (Some(at(2)), None));
    assert_eq!(wait(bench.people.memberships(ada)), Ok(Vec::new()));
    assert_eq!(wait(bench.people.memberships(bob)).expect("read")[0].role, Role::Owner);
}

pub(super) fn a_server_is_set_up_once(open: Open<'_>) {
    let bench = Bench::open(open);
    let key = |n, ends, now| wait(bench.people.put_setup_key(hash(n), at(ends), at(now))).expect("kept");
    let set_up = |n, now| wait(bench.people.set_up(hash(n), new_user("ada@example.com"), author(), at(now)));
    key(1, HOUR, 0);
    key(2, HOUR, 1);
    let opens = |n, now| wait(bench.people.setup_key_opens(hash(n), at(now))).expect("read");
    assert!(!opens(1, 2), "a newer one took its place");
    assert!(opens(2, 2) && !opens(2, HOUR));
    assert!(matches!(set_up(2, HOUR), Err(StoreError::Missing(_))), "too late");
    let owner = set_up(2, MINUTE).expect("set up");
    let memberships = wait(bench.people.memberships(owner.id)).expect("read");
    assert_eq!((memberships[0].account.id, memberships[0].role), (AccountId::DEFAULT, Role::Owner));
    assert!(matches!(set_up(2, MINUTE), Err(StoreError::Missing(_))), "used up");
    key(3, HOUR, 0);
    assert!(matches!(set_up(3, MINUTE), Err(StoreError::Conflict(_))), "there are people already");
    assert!(opens(3, MINUTE), "what is refused uses nothing up");
}

pub(super) fn an_invitation_lets_one_person_in(open: Open<'_>) {
    let bench = Bench::open(open);
    let ada = bench.person("ada@example.com").id;
    bench.role(ada, Role::Owner).expect("owner");
    let invitation = |n| NewInvitation {
        email: "bob@example.com".to_owned(),
        role: Role::Editor,
        hash: hash(n),
        expires_at: at(HOUR),
    };
    let invite = |n| wait(bench.account.create_invitation(invitation(n), author(), at(0))).expect("kept");
    let kept = invite(1);
    assert_eq!(wait(bench.people.invitation(hash(1))), Ok(Some(kept.clone())));
    assert_eq!(wait(bench.account.invitations()), Ok(vec![kept.clone()]));
    let join = |n, email: &str, now| {
        let own = Some("bobs".to_owned());
        wait(bench.people.join_by_invitation(hash(n), new_user(email), own, author(), at(now)))
    };
    assert!(matches!(join(1, "bob@example.com", HOUR), Err(StoreError::Missing(_))), "too late");
    assert!(matches!(join(1, "ADA@example.com", 1), Err(StoreError::Taken(_))));
    let (bob, account) = join(1, "bob@example.com", 1).expect("in, the refusal used nothing up");
    assert_eq!(account.id, AccountId::DEFAULT);
    assert_eq!(wait(bench.people.memberships(bob.id)).expect("read")[0].role, Role::Editor);
    assert!(matches!(join(1, "carl@example.com", 2), Err(StoreError::Missing(_))), "used");
    assert_eq!(wait(bench.account.invitations()), Ok(Vec::new()));

    invite(2);
    let accept = |n, own: Option<&str>| {
        let own = own.map(str::to_owned);
        let proved = Proved::Password { hash: "$argon2id$x".to_owned(), totp_secret: None };
        wait(bench.people.accept_invitation(hash(n), ada, Accepting::Proved(proved), own, author(), at(3)))
    };
    accept(2, None).expect("accepted");
    assert_eq!(wait(bench.people.memberships(ada)).expect("read")[0].role, Role::Owner, "nobody gets less");
    let gone = invite(4);
    wait(bench.account.revoke_invitation(gone.id, author(), at(3))).expect("taken back");
    assert!(matches!(accept(4, None), Err(StoreError::Missing(_))));

    let first = AccountId::DEFAULT;
    wait(bench.people.invite_to_own_account(first, invitation(5), author(), at(4))).expect("kept");
    assert_eq!(wait(bench.people.own_account_invitations()).expect("read").len(), 1);
    assert_eq!(wait(bench.account.invitations()), Ok(Vec::new()));
    assert!(matches!(accept(5, None), Err(StoreError::Conflict(_))), "it needs a name");
    assert!(matches!(accept(5, Some("default")), Err(StoreError::Taken(_))));
    let own = accept(5, Some("ada's")).expect("made");
    assert_eq!(own.name, "ada's");
    let roles: Vec<_> = wait(bench.people.memberships(ada))
        .expect("read")
        .into_iter()
        .map(|m| (m.account.id, m.role))
        .collect();
    assert_eq!(roles, [(first, Role::Owner), (own.id, Role::Owner)]);
    let sixth =
        wait(bench.people.invite_to_own_account(first, invitation(6), author(), at(4))).expect("kept");
    wait(bench.people.revoke_own_account_invitation(first, sixth.id, author(), at(5))).expect("taken back");
    assert_eq!(wait(bench.people.own_account_invitations()), Ok(Vec::new()));
}

pub(super) fn what_people_do_is_in_the_audit_log_of_their_accounts(open: Open<'_>) {
    let bench = Bench::open(open);
    let ada = bench.person("ada@example.com").id;
    bench.role(ada, Role::Admin).expect("in");
    bench.role(ada, Role::Owner).expect("up");
    wait(bench.people.set_password(ada, Some("SECRETHASH".to_owned()), None, author(), at(2)))
        .expect("changed");
    bench.session(3, ada);
    wait(bench.account.create_token(new_token(4, Some(ada)), author(), at(4))).expect("made");
    let actions = bench.actions();
    let wanted =
        ["member.added", "member.changed", "user.password_changed", "session.created", "token.created"];
    assert_eq!(actions, wanted);
    let rows = wait(bench.account.audit(AuditFilter::default())).expect("audit");
    assert!(rows.iter().all(|row| row.author == author()), "{rows:?}");
    assert!(!format!("{rows:?}").contains("SECRETHASH"));
    let changed = &rows[3];
    assert_eq!(changed.object, Some(("user".to_owned(), ada.0)));
    assert_eq!(changed.before.as_deref(), Some(r#"{"role":"admin"}"#));
    assert_eq!(changed.after.as_deref(), Some(r#"{"role":"owner"}"#));

    let ids = |filter: AuditFilter| -> Vec<i64> {
        wait(bench.account.audit(filter)).expect("audit").into_iter().map(|row| row.id).collect()
    };
    let all = ids(AuditFilter::default());
    assert_eq!(ids(AuditFilter { limit: 2, ..AuditFilter::default() }), all[..2]);
    assert_eq!(ids(AuditFilter { after: Some(all[1]), ..AuditFilter::default() }), all[2..]);
    assert_eq!(ids(AuditFilter { kind: Some("token".to_owned()), ..AuditFilter::default() }), all[..1]);
    assert_eq!(
        ids(AuditFilter { object: Some(ada.0), kind: Some("user".to_owned()), ..AuditFilter::default() }),
        all[1..]
    );
    let kinds = |kinds: &[&str]| kinds.iter().map(|kind| (*kind).to_owned()).collect::<Vec<_>>();
    let of = |kinds| AuditFilter { kinds, ..AuditFilter::default() };
    assert_eq!(ids(of(kinds(&["token", "channel"]))), all[..1]);
    assert_eq!(ids(of(kinds(&["member", "user", "token"]))), all);
    assert_eq!(ids(AuditFilter { actor: Some("user:u2".to_owned()), ..AuditFilter::default() }), [0; 0]);
    let window = Some(super::window(2, 4));
    assert_eq!(ids(AuditFilter { window, ..AuditFilter::default() }), all[1..3]);
    let other = wait(bench.system.create_account("other".to_owned(), at(0))).expect("made").id;
    assert_eq!(wait(bench.store.account(other).audit(AuditFilter::default())), Ok(Vec::new()));
}
