//! What people proved counts only while it holds, and ends together with what it rests on.

use quaywatch_core::access::Role;
use quaywatch_core::{AccountId, UserId};

use super::people::{author, hash, new_token, new_user};
use super::{Bench, HOUR, Open, at, wait};
use crate::StoreError;
use crate::records::{
    Accepting, ExternalIdentity, NewInvitation, NewPasskey, NewUser, Proved, Reset, ResetRecord,
};

fn by_password(hash: &str, sealed: Option<&[u8]>) -> Proved {
    Proved::Password { hash: hash.to_owned(), totp_secret: sealed.map(<[u8]>::to_vec) }
}

fn link(user: UserId) -> ExternalIdentity {
    ExternalIdentity {
        issuer: "https://id.example.com".to_owned(),
        subject: "sub".to_owned(),
        user,
        linked_at: at(2),
    }
}

fn passkey(n: u8) -> NewPasskey {
    NewPasskey { credential_id: vec![n], credential: "{}".to_owned(), name: format!("key {n}"), counter: 0 }
}

fn invitation(n: u8, email: &str, role: Role) -> NewInvitation {
    NewInvitation { email: email.to_owned(), role, hash: hash(n), expires_at: at(HOUR) }
}

impl Bench {
    /// Somebody whom nothing lets in.
    fn bare(&self, email: &str) -> UserId {
        let new = NewUser { password_hash: None, ..new_user(email) };
        wait(self.people.create_user(new, author(), at(0))).expect("added").id
    }
}

pub(super) fn a_session_begins_only_by_what_is_still_so(open: Open<'_>) {
    let bench = Bench::open(open);
    let (ada, bob) = (bench.person("ada@example.com").id, bench.person("bob@example.com").id);
    let refused = |n, user, proved| matches!(bench.begin(n, user, proved), Err(StoreError::Conflict(_)));
    bench.begin(1, ada, by_password("$argon2id$x", None)).expect("so it is");
    bench.begin(2, ada, Proved::Session(hash(1))).expect("by the first");
    assert!(refused(9, bob, Proved::Session(hash(1))), "another's session");
    let set = |asks| wait(bench.people.set_password(ada, Some("new".to_owned()), asks, author(), at(1)));
    assert!(matches!(set(Some(hash(7))), Err(StoreError::Missing(_))), "no such session asks");
    bench.begin(3, ada, by_password("$argon2id$x", None)).expect("nothing was changed");
    set(Some(hash(1))).expect("changed");
    let left = || -> Vec<_> {
        wait(bench.people.sessions(ada)).expect("read").into_iter().map(|one| one.hash).collect()
    };
    assert_eq!(left(), [hash(1)], "in the same breath");
    assert!(refused(9, ada, by_password("$argon2id$x", None)), "the old password");
    bench.begin(4, ada, by_password("new", None)).expect("the new one");
    let factor = Some((b"sealed".to_vec(), vec![hash(1)]));
    wait(bench.people.set_totp(ada, factor, Some(hash(1)), author(), at(1))).expect("on");
    assert_eq!(left(), [hash(1)]);
    assert!(refused(9, ada, by_password("new", None)), "without the factor");
    bench.begin(5, ada, by_password("new", Some(b"sealed"))).expect("with it");

    let kept = wait(bench.people.add_passkey(ada, passkey(1), Some(hash(1)), author(), at(1))).expect("kept");
    let late = wait(bench.people.add_passkey(ada, passkey(2), Some(hash(7)), author(), at(1)));
    assert!(matches!(late, Err(StoreError::Missing(_))), "{late:?}");
    let late = wait(bench.people.link_identity(link(ada), Some(hash(7)), author(), at(1)));
    assert!(matches!(late, Err(StoreError::Missing(_))), "{late:?}");
    wait(bench.people.link_identity(link(ada), Some(hash(1)), author(), at(1))).expect("linked");
    let provider = || Proved::Provider { issuer: link(ada).issuer, subject: "sub".to_owned() };
    bench.begin(6, ada, Proved::Passkey(kept.id)).expect("kept");
    bench.begin(7, ada, provider()).expect("linked");
    assert!(refused(9, bob, Proved::Passkey(kept.id)) && refused(9, bob, provider()));
    let token = new_token(8, Some(ada));
    wait(bench.account.create_token(token, author(), at(1))).expect("made");

    let reset = |other_ways| {
        let reset = Reset { hash: "newest".to_owned(), second_factor: other_ways, other_ways };
        wait(bench.people.reset(ada, reset, author(), at(2))).expect("reset")
    };
    assert_eq!(reset(false), ResetRecord::default());
    assert_eq!(left(), []);
    bench.begin(6, ada, Proved::Passkey(kept.id)).expect("kept");
    assert_eq!(reset(true), ResetRecord { passkeys: 1, identities: 1, tokens: 1, invitations: 0 });
    assert!(refused(9, ada, Proved::Passkey(kept.id)) && refused(9, ada, provider()));
    bench.begin(9, ada, by_password("newest", None)).expect("and no factor");
    wait(bench.people.set_disabled(ada, true, author(), at(3))).expect("disabled");
    assert!(refused(10, ada, by_password("newest", None)));
}

pub(super) fn an_address_claims_only_whom_nothing_lets_in(open: Open<'_>) {
    let bench = Bench::open(open);
    let (ada, bob) = (bench.person("ada@example.com").id, bench.bare("bob@example.com"));
    let claim = |user| wait(bench.people.claim_identity(link(user), author(), at(1)));
    assert!(matches!(claim(ada), Err(StoreError::Conflict(_))), "she has a password");
    claim(bob).expect("nothing lets him in");
    assert!(matches!(claim(bob), Err(StoreError::Conflict(_))), "now something does");

    bench.role(ada, Role::Owner).expect("owner");
    let invite = |n, email: &str| {
        let new = invitation(n, email, Role::Viewer);
        wait(bench.account.create_invitation(new, author(), at(0))).expect("kept");
    };
    let accept = |n, user, accepting| {
        wait(bench.people.accept_invitation(hash(n), user, accepting, None, author(), at(1)))
    };
    let chose = || Accepting::Chose("chosen".to_owned());
    invite(1, "bob@example.com");
    assert!(matches!(accept(1, bob, chose()), Err(StoreError::Conflict(_))), "a provider lets him in");
    let carl = bench.bare("carl@example.com");
    invite(2, "carl@example.com");
    bench.role(carl, Role::Admin).expect("admin");
    assert!(matches!(accept(2, carl, chose()), Err(StoreError::Conflict(_))), "it would open what is his");
    wait(bench.account.remove_member(carl, author(), at(1))).expect("removed");
    accept(2, carl, chose()).expect("nothing is his, and the refusal used nothing up");
    bench.begin(1, carl, by_password("chosen", None)).expect("by what he chose");
    invite(3, "ada@example.com");
    let old = Accepting::Proved(by_password("old", None));
    assert!(matches!(accept(3, ada, old), Err(StoreError::Conflict(_))), "it was changed meanwhile");
}

pub(super) fn invitations_end_with_whoever_made_them(open: Open<'_>) {
    let bench = Bench::open(open);
    let (ada, bob) = (bench.person("ada@example.com").id, bench.person("bob@example.com").id);
    bench.role(ada, Role::Owner).expect("owner");
    bench.role(bob, Role::Owner).expect("owner");
    let invite = |n, by: &str, role| {
        let new = invitation(n, "x@example.com", role);
        wait(bench.account.create_invitation(new, by.into(), at(0))).expect("kept");
    };
    let own = invitation(9, "x@example.com", Role::Owner);
    let bob_says = format!("user:{bob}");
    wait(bench.people.invite_to_own_account(AccountId::DEFAULT, own, bob_says.as_str().into(), at(0)))
        .expect("kept");
    let token =
        |n, user| wait(bench.account.create_token(new_token(n, user), author(), at(0))).expect("made").id;
    let (of_bob, of_nobody) = (token(1, Some(bob)), token(2, None));
    invite(1, &bob_says, Role::Owner);
    invite(2, &bob_says, Role::Admin);
    invite(3, &format!("token:{of_bob}"), Role::Admin);
    invite(4, &format!("token:{of_nobody}"), Role::Admin);
    invite(5, "cli:0", Role::Owner);
    invite(6, "user:u99", Role::Viewer);
    let waiting = || -> Vec<u8> {
        let waits = |n: &u8| wait(bench.people.invitation(hash(*n))).expect("read").is_some();
        let waiting: Vec<u8> = (1..=9).filter(waits).collect();
        let listed = wait(bench.account.invitations()).expect("read").len()
            + wait(bench.people.own_account_invitations()).expect("read").len();
        assert_eq!(listed, waiting.len());
        for n in (1..=9).filter(|n| !waiting.contains(n)) {
            let new = new_user(&format!("x{n}@example.com"));
            let joined = wait(bench.people.join_by_invitation(hash(n), new, None, author(), at(1)));
            assert!(matches!(joined, Err(StoreError::Missing(_))), "{n}: {joined:?}");
        }
        waiting
    };
    assert_eq!(waiting(), [1, 2, 3, 4, 5, 9]);
    bench.role(bob, Role::Admin).expect("less");
    assert_eq!(waiting(), [2, 3, 4, 5], "no owners any more, and no accounts of their own");
    wait(bench.people.set_disabled(bob, true, author(), at(1))).expect("disabled");
    assert_eq!(waiting(), [4, 5]);
    wait(bench.people.set_disabled(bob, false, author(), at(1))).expect("enabled");
    wait(bench.account.revoke_token(of_nobody, author(), at(1))).expect("revoked");
    assert_eq!(waiting(), [2, 3, 5]);
    wait(bench.account.remove_member(bob, author(), at(1))).expect("removed");
    assert_eq!(waiting(), [5]);
    bench.role(bob, Role::Owner).expect("back");
    assert_eq!(waiting(), [5], "whoever comes back begins anew");
}

pub(super) fn a_role_changes_only_from_what_it_was(open: Open<'_>) {
    let bench = Bench::open(open);
    let ada = bench.person("ada@example.com").id;
    let change = |from, to| wait(bench.account.change_role(ada, from, to, author(), at(1)));
    assert!(matches!(change(Role::Viewer, Role::Editor), Err(StoreError::Missing(_))), "no member");
    bench.role(ada, Role::Viewer).expect("in");
    change(Role::Viewer, Role::Editor).expect("as seen");
    assert!(matches!(change(Role::Viewer, Role::Admin), Err(StoreError::Missing(_))), "an editor by now");
    assert_eq!(wait(bench.people.memberships(ada)).expect("read")[0].role, Role::Editor);
}
