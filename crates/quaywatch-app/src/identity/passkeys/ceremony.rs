//! The two ceremonies of WebAuthn for this server's own address. No store here: what is begun and what is kept goes in
//! and out as values.

use quaywatch_core::UserId;
use serde_json::Value;
use webauthn_rs::prelude::{
    DiscoverableAuthentication, Passkey, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, Url, Uuid, WebauthnError,
};
use webauthn_rs::{Webauthn, WebauthnBuilder};

use crate::operations::OperationError;

/// What devices call this server.
const NAME: &str = "Quaywatch";

/// This server, as devices know it: by the name in its address.
pub(super) struct Server(Webauthn);

/// What is kept of a passkey.
#[derive(Debug, Clone)]
pub(super) struct Registered {
    pub(super) credential_id: Vec<u8>,
    /// The public key and what goes with it, as JSON. No secret.
    pub(super) credential: String,
    /// How often the device was used, as it counts itself.
    pub(super) counter: u32,
}

/// What a device has proved.
#[derive(Debug, Clone)]
pub(super) struct Proved {
    /// What to keep of it from now on, where that changes.
    pub(super) credential: Option<String>,
    pub(super) counter: u32,
}

/// A device's answer, and whom it names. Nothing is proved yet.
pub(super) struct Named {
    pub(super) user: UserId,
    pub(super) credential_id: Vec<u8>,
    answer: PublicKeyCredential,
}

impl Server {
    pub(super) fn at(public_url: Option<&str>) -> Result<Self, OperationError> {
        let url = public_url.and_then(|url| Url::parse(url).ok()).ok_or_else(|| {
            unusable(
                "passkeys are made for one address: say in `server.public_url` how people reach this server",
            )
        })?;
        let name = url.domain().map(str::to_owned).ok_or_else(|| {
            unusable(
                "passkeys need a name, and `server.public_url` has a bare address: give the server a name",
            )
        })?;
        if url.scheme() != "https" && name != "localhost" {
            return Err(unusable("passkeys need https, and `server.public_url` begins with http"));
        }
        let built = WebauthnBuilder::new(&name, &url).and_then(|builder| builder.rp_name(NAME).build());
        built.map(Self).map_err(|error| unusable(&format!("passkeys cannot be used at {url}: {error}")))
    }

    /// Begins to register a device of `user`; those in `known` are told to stand back.
    pub(super) fn begin_registration(
        &self,
        user: UserId,
        email: &str,
        name: &str,
        known: Vec<Vec<u8>>,
    ) -> Result<(Value, PasskeyRegistration), OperationError> {
        let (options, begun) = self
            .0
            .start_passkey_registration(handle(user), email, name, Some(known))
            .map_err(|error| unusable(&error.to_string()))?;
        let mut options = serde_json::to_value(options).map_err(|error| unusable(&error.to_string()))?;
        // Nobody types who they are: the device must remember it, or it could never sign in.
        if let Some(selection) = options.pointer_mut("/publicKey/authenticatorSelection") {
            selection["residentKey"] = "required".into();
            selection["requireResidentKey"] = true.into();
        }
        Ok((options, begun))
    }

    pub(super) fn finish_registration(
        &self,
        begun: &PasskeyRegistration,
        answer: &Value,
    ) -> Result<Registered, String> {
        let answer: RegisterPublicKeyCredential =
            serde_json::from_value(answer.clone()).map_err(|error| error.to_string())?;
        let passkey =
            self.0.finish_passkey_registration(&answer, begun).map_err(|error| error.to_string())?;
        // The library shows the counter only in what it writes.
        let kept = serde_json::to_value(&passkey).map_err(|error| error.to_string())?;
        let counter = kept.pointer("/cred/counter").and_then(Value::as_u64).unwrap_or_default();
        Ok(Registered {
            counter: u32::try_from(counter).unwrap_or(u32::MAX),
            credential_id: passkey.cred_id().to_vec(),
            credential: serde_json::to_string(&passkey).map_err(|error| error.to_string())?,
        })
    }

    pub(super) fn begin_sign_in(&self) -> Result<(Value, DiscoverableAuthentication), OperationError> {
        let (options, begun) =
            self.0.start_discoverable_authentication().map_err(|error| unusable(&error.to_string()))?;
        let mut options = serde_json::to_value(options).map_err(|error| unusable(&error.to_string()))?;
        // Whether the browser offers it in a field or in a window is the page's to say.
        if let Some(options) = options.as_object_mut() {
            options.remove("mediation");
        }
        Ok((options, begun))
    }

    /// Whom a device's answer names.
    pub(super) fn named(&self, answer: &Value) -> Result<Named, String> {
        let answer: PublicKeyCredential =
            serde_json::from_value(answer.clone()).map_err(|error| error.to_string())?;
        let (handle, credential_id) =
            self.0.identify_discoverable_authentication(&answer).map_err(|error| error.to_string())?;
        let user = i64::try_from(handle.as_u128()).map_err(|_| "the device names nobody".to_owned())?;
        let credential_id = credential_id.to_vec();
        Ok(Named { user: UserId(user), credential_id, answer })
    }

    /// Proves what a device says against what is kept of it.
    pub(super) fn finish_sign_in(
        &self,
        begun: DiscoverableAuthentication,
        named: &Named,
        kept: &str,
    ) -> Result<Proved, String> {
        let mut passkey: Passkey = serde_json::from_str(kept).map_err(|error| error.to_string())?;
        let proved = self
            .0
            .finish_discoverable_authentication_v2(&named.answer, begun, &passkey)
            .map_err(|error: WebauthnError| error.to_string())?;
        let changed = passkey.update_credential(&proved) == Some(true);
        let credential = changed.then(|| serde_json::to_string(&passkey)).transpose();
        Ok(Proved { credential: credential.map_err(|error| error.to_string())?, counter: proved.counter() })
    }
}

/// What a device remembers of somebody: their number and nothing else.
fn handle(user: UserId) -> Uuid {
    Uuid::from_u128(u128::from(user.0.unsigned_abs()))
}

fn unusable(why: &str) -> OperationError {
    OperationError::Conflict { code: "passkeys_unusable", message: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use quaywatch_testkit::device::Device;

    use super::*;

    const URL: &str = "https://watch.example.com";

    fn server() -> Server {
        Server::at(Some(URL)).expect("a usable address")
    }

    fn registered(device: &mut Device) -> Registered {
        let (options, begun) =
            server().begin_registration(UserId(3), "kim@example.com", "Kim", Vec::new()).expect("begun");
        server().finish_registration(&begun, &device.create(&options)).expect("registered")
    }

    #[test]
    fn a_device_signs_in_whom_it_was_registered_for() {
        let mut device = Device::new(URL, 7);
        let kept = registered(&mut device);
        let (options, begun) = server().begin_sign_in().expect("begun");
        assert!(options.pointer("/publicKey/challenge").is_some(), "{options}");
        let named = server().named(&device.get(&options)).expect("named");
        assert_eq!(named.user, UserId(3));
        assert_eq!(named.credential_id, kept.credential_id);
        let update = server().finish_sign_in(begun, &named, &kept.credential).expect("proved");
        assert_eq!((kept.counter, update.counter), (1, 2));
        assert!(update.credential.expect("the counter went on").contains("\"counter\":2"));
    }

    #[test]
    fn another_device_site_or_challenge_is_refused() {
        let mut device = Device::new(URL, 7);
        let kept = registered(&mut device);
        let sign_in = |device: &mut Device| {
            let (options, begun) = server().begin_sign_in().expect("begun");
            let named = server().named(&device.get(&options)).expect("named");
            server().finish_sign_in(begun, &named, &kept.credential)
        };
        let mut thief = Device::new(URL, 8);
        registered(&mut thief);
        thief.pretend(&device);
        sign_in(&mut thief).expect_err("another key under the same name");
        let mut phished = device.clone();
        phished.visit("https://watch.example.com.evil.example");
        sign_in(&mut phished).expect_err("another site");
        let (options, _) = server().begin_sign_in().expect("begun");
        let (_, other) = server().begin_sign_in().expect("begun");
        let named = server().named(&device.get(&options)).expect("named");
        server().finish_sign_in(other, &named, &kept.credential).expect_err("another challenge");
        let mut absent = device.clone();
        absent.skip_verification();
        sign_in(&mut absent).expect_err("nobody proved to be its owner");
        sign_in(&mut device).expect("the right one still works");
    }

    #[test]
    fn a_copied_device_is_noticed_by_its_counter() {
        let mut device = Device::new(URL, 7);
        let mut kept = registered(&mut device);
        let mut copy = device.clone();
        let sign_in = |device: &mut Device, kept: &str| {
            let (options, begun) = server().begin_sign_in().expect("begun");
            let named = server().named(&device.get(&options)).expect("named");
            server().finish_sign_in(begun, &named, kept)
        };
        for _ in 0..3 {
            kept.credential =
                sign_in(&mut device, &kept.credential).expect("proved").credential.expect("counted");
        }
        sign_in(&mut copy, &kept.credential).expect_err("its counter is behind");
    }

    #[test]
    fn registration_asks_for_what_can_sign_in_without_a_name() {
        let (options, begun) = server()
            .begin_registration(UserId(3), "kim@example.com", "Kim", vec![vec![1, 2]])
            .expect("begun");
        let selection = options.pointer("/publicKey/authenticatorSelection").expect("there");
        assert_eq!(selection["residentKey"], "required");
        assert_eq!(selection["userVerification"], "required");
        let other_site = Device::new("https://elsewhere.example", 7).create(&options);
        server().finish_registration(&begun, &other_site).expect_err("another site");
        server().finish_registration(&begun, &serde_json::json!({"id": "x"})).expect_err("no answer at all");
    }

    #[test]
    fn an_address_that_cannot_have_passkeys_says_why() {
        for (url, why) in [
            (None, "server.public_url"),
            (Some("http://watch.example.com"), "https"),
            (Some("https://192.0.2.7:8080"), "name"),
        ] {
            let error = Server::at(url).err().expect("unusable").to_string();
            assert!(error.contains(why), "{error}");
        }
        Server::at(Some("http://localhost:8080")).expect("browsers allow this one");
    }
}
