//! The second factor, passkeys and providers, over a real store; and that nothing of it can be read at rest.

use quaywatch_testkit::device::Device;
use quaywatch_testkit::provider::{CLIENT_ID, CLIENT_SECRET, Provider as TestProvider};
use serde_json::json;
use totp_rs::Builder;

use super::super::oidc::{Arrival, Departure, Return};
use super::*;
use crate::config::sign_in::Provider;

const URL: &str = "https://watch.example.com";

/// The code that an app shows now, by the secret as people type it.
pub(super) fn code_now(kit: &Kit, typed: &str) -> String {
    let secret = totp_rs::Secret::try_from_base32(typed).expect("base32");
    let totp =
        Builder::new().with_secret(secret).with_account_name("x").build().expect("a secret of 160 bits");
    totp.generate(kit.clock.now().secs().unsigned_abs()).to_string()
}

/// Turns the second factor on: the secret as typed, and the recovery codes.
pub(super) async fn turn_on(kit: &Kit, caller: &Caller) -> (String, Vec<Secret<String>>) {
    let enrolment = kit.identity.begin_second_factor(caller).await.expect("begun");
    let typed = enrolment.secret.reveal().clone();
    let wrong = kit.identity.confirm_second_factor(caller, "000000").await;
    assert_eq!(code(wrong), "wrong_code");
    let shown = code_now(kit, &typed);
    let codes = kit.identity.confirm_second_factor(caller, &shown).await;
    (typed, codes.expect("confirmed"))
}

#[tokio::test]
async fn a_code_is_asked_for_once_the_first_one_was_right() {
    let kit = Kit::new();
    kit.person("kim@example.com", Role::Owner).await;
    let (other, session) = (kit.sign_in("kim@example.com").await, kit.sign_in("kim@example.com").await);
    let kim = kit.as_caller(&session).await;
    kit.identity.begin_second_factor(&kim).await.expect("begun and never finished");
    kit.sign_in("kim@example.com").await;

    let (typed, recovery) = turn_on(&kit, &kim).await;
    assert_eq!(code(kit.recognise(&other).await), "session_ended", "signed in without the factor");
    kit.recognise(&session).await.expect("the one that asked stays");
    let asked = kit.try_sign_in("kim@example.com", PASSWORD, None).await.expect("so far");
    assert!(matches!(asked, SignIn::SecondFactorNeeded));
    assert_eq!(
        code(kit.try_sign_in("kim@example.com", "wrong password", Some("000000")).await),
        "wrong_credentials"
    );
    assert_eq!(code(kit.try_sign_in("kim@example.com", PASSWORD, Some("000000")).await), "wrong_code");

    let shown = code_now(&kit, &typed);
    let sign_in = async |code: &str| {
        let credentials = Credentials {
            email: "kim@example.com".to_owned(),
            password: secret(PASSWORD),
            code: Some(code.to_owned()),
            account: None,
        };
        kit.identity.sign_in(credentials, &origin()).await
    };
    assert!(matches!(sign_in(&shown).await, Ok(SignIn::Done(_))));
    assert_eq!(code(sign_in(&shown).await), "wrong_code", "replayed");

    let code_on_paper = recovery[3].reveal();
    assert!(matches!(sign_in(code_on_paper).await, Ok(SignIn::Done(_))));
    assert_eq!(code(sign_in(code_on_paper).await), "wrong_code", "used");
    let profile = kit.identity.read_profile(&kim).await.expect("read");
    assert_eq!((profile.second_factor, profile.recovery_codes), (true, 9));
}

#[tokio::test]
async fn the_second_factor_is_turned_off_by_the_password_or_by_the_host() {
    let kit = Kit::new();
    kit.person("kim@example.com", Role::Owner).await;
    let session = kit.sign_in("kim@example.com").await;
    let kim = kit.as_caller(&session).await;
    assert_eq!(code(kit.identity.new_recovery_codes(&kim, secret(PASSWORD)).await), "second_factor_off");
    let (_, old) = turn_on(&kit, &kim).await;
    assert_eq!(code(kit.identity.begin_second_factor(&kim).await), "second_factor_on");
    assert_eq!(
        code(kit.identity.end_second_factor(&kim, secret("tugboats at dusk")).await),
        "wrong_password"
    );
    let new = kit.identity.new_recovery_codes(&kim, secret(PASSWORD)).await.expect("new ones");
    let outcome = kit.try_sign_in("kim@example.com", PASSWORD, Some(old[0].reveal())).await;
    assert_eq!(code(outcome), "wrong_code", "the old ones no longer work");
    kit.try_sign_in("kim@example.com", PASSWORD, Some(new[0].reveal())).await.expect("a new one");
    kit.identity.end_second_factor(&kim, secret(PASSWORD)).await.expect("off");
    kit.sign_in("kim@example.com").await;

    let session = kit.sign_in("kim@example.com").await;
    let kim = kit.as_caller(&session).await;
    kit.clock.advance(Duration::from_secs(120));
    turn_on(&kit, &kim).await;
    let host = kit.host();
    kit.identity
        .reset_password(&host, "kim@example.com", &secret(PASSWORD), false, false)
        .await
        .expect("reset");
    let asked = kit.try_sign_in("kim@example.com", PASSWORD, None).await.expect("so far");
    assert!(matches!(asked, SignIn::SecondFactorNeeded), "a password alone does not turn it off");
    kit.identity
        .reset_password(&host, "kim@example.com", &secret(PASSWORD), true, false)
        .await
        .expect("reset");
    kit.sign_in("kim@example.com").await;
}

#[tokio::test]
async fn a_passkey_signs_in_without_a_word() {
    let kit = Kit::new();
    let session = kit.set_up().await;
    let kim = kit.as_caller(&session).await;
    let identity = &kit.identity;
    let mut device = Device::new(URL, 7);
    let challenge = identity.begin_passkey(&kim).await.expect("begun");
    let answer = device.create(&challenge.options);
    let lee = kit.caller("lee@example.com", Role::Viewer).await;
    let stolen = identity.add_passkey(&lee, &challenge.ceremony, "mine", &answer).await;
    assert_eq!(code(stolen), "nothing_begun", "begun by somebody else");
    let challenge = identity.begin_passkey(&kim).await.expect("begun");
    let answer = device.create(&challenge.options);
    let added = identity.add_passkey(&kim, &challenge.ceremony, "laptop", &answer).await.expect("added");
    let again = identity.add_passkey(&kim, &challenge.ceremony, "laptop", &answer).await;
    assert_eq!(code(again), "nothing_begun", "each ceremony once");

    let sign_in = async |device: &mut Device| {
        let challenge = identity.begin_passkey_sign_in(&origin()).await.expect("begun");
        let answer = device.get(&challenge.options);
        kit.clock.advance(Duration::from_secs(60));
        identity.sign_in_with_passkey(&challenge.ceremony, &answer, &origin()).await
    };
    let mut copy = device.clone();
    let session = sign_in(&mut device).await.expect("signed in");
    assert_eq!(kit.as_caller(&session).await.actor, kim.actor);
    let listed = identity.list_passkeys(&kim).await.expect("listed");
    assert!(listed[0].last_used_at.is_some() && listed[0].name == "laptop", "{listed:?}");
    sign_in(&mut device).await.expect("and again");
    assert_eq!(code(sign_in(&mut copy).await), "passkey_refused", "its counter is behind");

    assert!(identity.list_passkeys(&lee).await.expect("listed").is_empty());
    assert_eq!(code(identity.remove_passkey(&lee, added.id).await), "not_found");
    identity.remove_passkey(&kim, added.id).await.expect("a password is left");
    assert_eq!(code(sign_in(&mut device).await), "passkey_refused");
}

/// A server with a provider beside it.
pub(super) struct Harbour {
    pub(super) kit: Kit,
    pub(super) provider: TestProvider,
}

impl Harbour {
    pub(super) fn new(change: impl FnOnce(&mut Provider)) -> Self {
        let kit = Kit::new();
        let provider = TestProvider::start(Arc::<ManualClock>::clone(&kit.clock));
        let mut declared = Provider {
            name: "company".to_owned(),
            issuer: provider.issuer.clone(),
            client_id: CLIENT_ID.to_owned(),
            client_secret: Some(secret(CLIENT_SECRET)),
            new_members: None,
            domains: Vec::new(),
        };
        change(&mut declared);
        kit.identity.replace_settings(Settings {
            public_url: Some(URL.to_owned()),
            providers: vec![declared],
            ..Settings::default()
        });
        kit.identity
            .attach_client(super::super::oidc::flow::client_of_tests(Arc::<ManualClock>::clone(&kit.clock)));
        Self { kit, provider }
    }

    pub(super) async fn depart(&self, link: Option<&Caller>) -> Departure {
        self.kit.clock.advance(Duration::from_secs(60));
        self.kit.identity.depart("company", link, &origin()).await.expect("departed")
    }

    pub(super) async fn arrive(&self, departure: &Departure) -> Result<Arrival, OperationError> {
        let (code, state) = self.provider.agree(departure.url.reveal());
        let back = Return { state, code, binding: departure.binding.reveal().clone() };
        self.kit.identity.arrive("company", back, &origin()).await
    }

    pub(super) async fn sign_in(&self) -> Result<NewSession, OperationError> {
        match self.arrive(&self.depart(None).await).await? {
            Arrival::SignedIn(session) => Ok(session),
            Arrival::Linked => panic!("nobody asked to link"),
        }
    }
}

#[tokio::test]
async fn a_provider_lets_in_whom_it_vouches_for_and_the_file_allows() {
    let harbour = Harbour::new(|_| {});
    assert_eq!(code(harbour.sign_in().await), "not_invited");
    harbour.kit.without_password("KIM@example.com", Role::Editor).await;
    let session = harbour.sign_in().await.expect("by the verified address");
    let kim = harbour.kit.as_caller(&session).await;
    harbour.provider.claim(json!({"sub": "kim-1", "email": "changed@example.com", "email_verified": false}));
    let session = harbour.sign_in().await.expect("from now on by the subject");
    assert_eq!(harbour.kit.as_caller(&session).await.actor, kim.actor);
    let profile = harbour.kit.identity.read_profile(&kim).await.expect("read");
    assert_eq!(profile.providers, ["company"]);

    harbour.kit.person("boss@example.com", Role::Owner).await;
    harbour.provider.claim(json!({"sub": "eve-1", "email": "boss@example.com", "email_verified": false}));
    assert_eq!(
        code(harbour.sign_in().await),
        "not_invited",
        "an address that the provider does not vouch for"
    );
    harbour.provider.claim(json!({"sub": "eve-1", "email": "boss@example.com"}));
    assert_eq!(code(harbour.sign_in().await), "not_invited", "nor one of which it says nothing");
}

#[tokio::test]
async fn new_people_of_a_provider_become_what_the_file_says() {
    let harbour = Harbour::new(|provider| {
        provider.new_members = Some(Role::Viewer);
        provider.domains = vec!["example.com".to_owned()];
    });
    harbour
        .provider
        .claim(json!({"sub": "x", "email": "x@example.com.evil.example", "email_verified": true}));
    assert_eq!(code(harbour.sign_in().await), "not_invited", "another domain");
    harbour
        .provider
        .claim(json!({"sub": "lee", "email": "lee@EXAMPLE.com", "email_verified": true, "name": "Lee"}));
    let session = harbour.sign_in().await.expect("signed in");
    let lee = harbour.kit.as_caller(&session).await;
    assert_eq!(lee.access, quaywatch_core::access::Access::Role(Role::Viewer));
    let profile = harbour.kit.identity.read_profile(&lee).await.expect("read");
    assert_eq!((profile.name.as_str(), profile.has_password), ("Lee", false));
    assert_eq!(code(harbour.kit.try_sign_in("lee@example.com", "", None).await), "wrong_credentials");
    assert_eq!(code(harbour.kit.identity.unlink_provider(&lee, "company").await), "last_way_in");
    let own = secret("lighthouses at night");
    harbour.kit.identity.change_password(&lee, None, own).await.expect("a first password");
    harbour.kit.identity.unlink_provider(&lee, "company").await.expect("another way is left");
    assert_eq!(code(harbour.kit.identity.unlink_provider(&lee, "company").await), "not_found");
}

#[tokio::test]
async fn a_provider_does_not_lead_past_a_second_factor_until_it_is_linked() {
    let harbour = Harbour::new(|_| {});
    let kit = &harbour.kit;
    kit.person("kim@example.com", Role::Owner).await;
    let session = kit.sign_in("kim@example.com").await;
    let kim = kit.as_caller(&session).await;
    turn_on(kit, &kim).await;
    assert_eq!(code(harbour.sign_in().await), "link_first");
    let linked = harbour.arrive(&harbour.depart(Some(&kim)).await).await.expect("linked");
    assert!(matches!(linked, Arrival::Linked));
    let session = harbour.sign_in().await.expect("now by the link");
    assert_eq!(kit.as_caller(&session).await.actor, kim.actor);

    let lee = kit.caller("lee@example.com", Role::Viewer).await;
    let taken = harbour.arrive(&harbour.depart(Some(&lee)).await).await;
    assert_eq!(code(taken), "linked_elsewhere");
}

#[tokio::test]
async fn the_way_back_works_once_and_in_the_browser_that_departed() {
    let harbour = Harbour::new(|_| {});
    harbour.kit.person("kim@example.com", Role::Owner).await;
    let departure = harbour.depart(None).await;
    let (code_given, state) = harbour.provider.agree(departure.url.reveal());
    let back = |binding: &str, state: &str| Return {
        state: state.to_owned(),
        code: code_given.clone(),
        binding: binding.to_owned(),
    };
    let identity = &harbour.kit.identity;
    let other = harbour.depart(None).await;
    let elsewhere = identity.arrive("company", back(other.binding.reveal(), &state), &origin()).await;
    assert_eq!(code(elsewhere), "nothing_begun", "another browser");
    let spent = identity.arrive("company", back(departure.binding.reveal(), &state), &origin()).await;
    assert_eq!(code(spent), "nothing_begun", "and a try spends it");

    let late = harbour.depart(None).await;
    harbour.kit.clock.advance(Duration::from_secs(600));
    assert_eq!(code(harbour.arrive(&late).await), "nothing_begun", "too late");
    assert_eq!(code(identity.depart("nobody", None, &origin()).await), "not_found");
}

#[tokio::test]
async fn nothing_that_opens_a_door_lies_in_the_store() {
    let kit = Kit::new();
    let session = kit.set_up().await;
    let kim = kit.as_caller(&session).await;
    let (typed, recovery) = turn_on(&kit, &kim).await;
    let new = super::super::tokens::NewToken {
        name: "ci".to_owned(),
        scopes: vec!["admin".parse().expect("a scope")],
        expires_at: None,
    };
    let token = kit.identity.create_token(&kim, new).await.expect("created");
    let into = super::super::invitations::Into::Account(Role::Viewer);
    let new = super::super::invitations::NewInvitation { email: "lee@example.com".to_owned(), into };
    let invitation = kit.identity.invite(&kim, new).await.expect("invited");

    let raw = totp_rs::Secret::try_from_base32(&typed).expect("base32");
    let planted: Vec<Vec<u8>> = [
        PASSWORD,
        session.secret.reveal(),
        &token.secret.reveal()[10..],
        invitation.secret.reveal(),
        &typed,
        recovery[0].reveal(),
        &recovery[0].reveal().replace('-', ""),
    ]
    .into_iter()
    .map(|text| text.as_bytes().to_vec())
    .chain([raw.as_ref().to_vec()])
    .collect();
    let mut read = 0;
    for entry in std::fs::read_dir(kit.directory.path()).expect("listed").flatten() {
        if !entry.path().is_file() || entry.file_name() == "key" {
            continue;
        }
        let bytes = std::fs::read(entry.path()).expect("read");
        read += bytes.len();
        for secret in &planted {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_slice());
            assert!(!found, "{} of {:?}", entry.file_name().display(), String::from_utf8_lossy(secret));
        }
    }
    assert!(read > 10_000, "the database was read");
}
