//! Commands that add people and tokens while a server writes without a pause.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use quaywatch_core::access::Role;
use quaywatch_core::judge::Status;
use quaywatch_core::{MonitorId, Timestamp};

use super::tests::{beside, place, serve};
use crate::conformance::{Bench, DAY, SECOND, at, commit, ok, state, step, wait, window};
use crate::records::{Author, NewToken, NewUser, SecretHash, ShardStep, TokenRecord, UserRecord};

const ROUNDS: u8 = 12;

fn by() -> (Author, Timestamp) {
    (Author::from("cli:0"), at(0))
}

fn user(email: &str) -> NewUser {
    NewUser { email: email.to_owned(), name: "Ada".to_owned(), password_hash: None }
}

fn hash(n: u8) -> SecretHash {
    SecretHash([n; 32])
}

fn token(n: u8) -> NewToken {
    NewToken {
        name: format!("ci {n}"),
        prefix: format!("qw_{n}"),
        hash: hash(n),
        scopes: "admin".to_owned(),
        user: None,
        expires_at: None,
    }
}

fn add_user(bench: &Bench, email: &str) -> UserRecord {
    let (author, at) = by();
    let added = wait(bench.people.create_user(user(email), author.clone(), at)).expect("added");
    wait(bench.account.set_role(added.id, Role::Admin, author, at)).expect("a member");
    added
}

fn add_token(bench: &Bench, n: u8) -> TokenRecord {
    let (author, at) = by();
    wait(bench.account.create_token(token(n), author, at)).expect("kept")
}

/// Ends what runs beside, also when an assertion fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A step after the other, as soon as the last is durable; how many.
fn write_steps(server: &Bench, id: MonitorId, over: &AtomicBool) -> i64 {
    let shard = server.own(id.shard().0);
    let mut steps = 0;
    while !over.load(Ordering::Relaxed) {
        let status = if steps % 2 == 0 { Status::Down } else { Status::Up };
        let at_ms = steps * SECOND;
        let results = vec![ok(id, at_ms, 700)];
        commit(&shard, ShardStep { results, states: vec![state(id, status, at_ms)], ..step(id, at_ms) });
        steps += 1;
    }
    steps
}

#[test]
fn people_and_tokens_are_added_beside_a_server_that_writes_without_a_pause() {
    let place = place();
    let server = Bench::open(&|| serve(place.path()));
    let ids = server.add(&["a", "b", "c", "d", "e", "f"]);
    let over = AtomicBool::new(false);
    let (mut emails, mut tokens) = (Vec::new(), Vec::new());
    let steps: BTreeMap<MonitorId, i64> = std::thread::scope(|scope| {
        let engine: Vec<_> =
            ids.iter().map(|id| scope.spawn(|| (*id, write_steps(&server, *id, &over)))).collect();
        let _over = Over(&over);
        for round in 0..ROUNDS {
            // As a command does it: opens, writes, ends.
            let guest = Bench::open(&|| beside(place.path()).expect("opens"));
            let added = add_user(&guest, &format!("guest{round}@example.com"));
            let kept = add_token(&guest, 2 * round);
            assert_eq!(wait(server.people.user_by_email(&added.email)), Ok(Some(added.clone())));
            assert_eq!(wait(server.people.token(hash(2 * round))), Ok(Some(kept.clone())));
            // The other way round, into the list that the guest has begun to write.
            let of_server = add_user(&server, &format!("server{round}@example.com"));
            assert_eq!(wait(guest.people.user(of_server.id)), Ok(Some(of_server.clone())));
            let second = add_token(&server, 2 * round + 1);
            assert_eq!(wait(guest.people.token(hash(2 * round + 1))), Ok(Some(second.clone())));
            let (author, at) = by();
            let revoked = wait(guest.account.revoke_token(second.id, author, at)).expect("revoked");
            assert_eq!(wait(server.people.token(hash(2 * round + 1))), Ok(Some(revoked.clone())));
            emails.extend([added.email, of_server.email]);
            tokens.extend([kept, revoked]);
            guest.close();
        }
        over.store(true, Ordering::Relaxed);
        engine.into_iter().map(|thread| thread.join().expect("every step was written")).collect()
    });
    let guest = Bench::open(&|| beside(place.path()).expect("opens"));
    tokens.reverse();
    for bench in [&server, &guest] {
        let users = wait(bench.people.users()).expect("users");
        assert_eq!(users.iter().map(|one| &one.email).collect::<Vec<_>>(), emails.iter().collect::<Vec<_>>());
        assert_eq!(wait(bench.account.tokens()), Ok(tokens.clone()), "newest first");
        assert_eq!(wait(bench.account.members()).map(|found| found.len()), Ok(2 * usize::from(ROUNDS)));
        let counts = wait(bench.account.counts()).expect("counts");
        assert_eq!((counts.members, counts.tokens), (2 * u64::from(ROUNDS), u64::from(ROUNDS)));
        for (id, steps) in &steps {
            assert!(*steps > i64::from(ROUNDS), "monitor {id} was checked {steps} times meanwhile");
            let expected: Vec<i64> = (0..*steps).map(|n| n * SECOND).collect();
            assert_eq!(bench.slots(*id, window(-DAY, DAY)), expected);
        }
    }
}
