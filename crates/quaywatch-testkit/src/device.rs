//! A device that holds passkeys: one P-256 key, a counter, no attestation. It signs what a browser at its site would.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// One device that somebody holds.
#[derive(Debug, Clone)]
pub struct Device {
    key: SigningKey,
    id: Vec<u8>,
    origin: String,
    handle: String,
    counter: u32,
    verifies: bool,
}

const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;

impl Device {
    /// A device whose browser shows the site `origin`.
    ///
    /// # Panics
    /// Where `seed` is 0, which is no key.
    #[must_use]
    pub fn new(origin: &str, seed: u8) -> Self {
        Self {
            key: SigningKey::from_slice(&[seed; 32]).expect("a valid scalar"),
            id: vec![seed; 16],
            origin: origin.to_owned(),
            handle: String::new(),
            counter: 0,
            verifies: true,
        }
    }

    /// Says to be another device.
    pub fn pretend(&mut self, other: &Self) {
        self.id.clone_from(&other.id);
        self.handle.clone_from(&other.handle);
    }

    /// The person goes to another site.
    pub fn visit(&mut self, origin: &str) {
        origin.clone_into(&mut self.origin);
    }

    /// Signs without asking for a finger or a PIN.
    pub fn skip_verification(&mut self) {
        self.verifies = false;
    }

    /// `navigator.credentials.create`.
    ///
    /// # Panics
    /// Never: what it writes is short.
    pub fn create(&mut self, options: &Value) -> Value {
        let options = &options["publicKey"];
        self.handle = text(&options["user"]["id"]).to_owned();
        let client = self.client_data("webauthn.create", options);
        let mut data = self.authenticator_data(text(&options["rp"]["id"]), ATTESTED);
        data.extend([0; 16]);
        data.extend(u16::try_from(self.id.len()).expect("short").to_be_bytes());
        data.extend(&self.id);
        data.extend(self.public_key());
        let mut attestation = vec![0xa3];
        attestation.extend(cbor_text("fmt"));
        attestation.extend(cbor_text("none"));
        attestation.extend(cbor_text("attStmt"));
        attestation.push(0xa0);
        attestation.extend(cbor_text("authData"));
        attestation.extend(cbor_bytes(&data));
        self.answer(&json!({
            "attestationObject": encode(&attestation),
            "clientDataJSON": encode(&client),
        }))
    }

    /// `navigator.credentials.get`.
    pub fn get(&mut self, options: &Value) -> Value {
        let options = &options["publicKey"];
        let client = self.client_data("webauthn.get", options);
        let data = self.authenticator_data(text(&options["rpId"]), 0);
        let mut signed = data.clone();
        signed.extend(Sha256::digest(&client));
        let signature: DerSignature = self.key.sign(&signed);
        self.answer(&json!({
            "authenticatorData": encode(&data),
            "clientDataJSON": encode(&client),
            "signature": encode(signature.as_bytes()),
            "userHandle": self.handle,
        }))
    }

    fn answer(&self, response: &Value) -> Value {
        let id = encode(&self.id);
        json!({"id": id, "rawId": id, "type": "public-key", "response": response, "extensions": {}})
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        let challenge = text(&options["challenge"]);
        let data = json!({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false});
        data.to_string().into_bytes()
    }

    fn authenticator_data(&mut self, site: &str, flags: u8) -> Vec<u8> {
        self.counter += 1;
        let mut data = Sha256::digest(site.as_bytes()).to_vec();
        data.push(PRESENT | flags | if self.verifies { VERIFIED } else { 0 });
        data.extend(self.counter.to_be_bytes());
        data
    }

    /// The key as COSE writes it: {1: 2, 3: -7, -1: 1, -2: x, -3: y}.
    fn public_key(&self) -> Vec<u8> {
        let point = self.key.verifying_key().to_sec1_point(false);
        let mut key = vec![0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21];
        key.extend(cbor_bytes(point.x().expect("not the point at infinity")));
        key.push(0x22);
        key.extend(cbor_bytes(point.y().expect("not compressed")));
        key
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn cbor_text(text: &str) -> Vec<u8> {
    let mut out = vec![0x60 | u8::try_from(text.len()).expect("shorter than 24")];
    out.extend(text.as_bytes());
    out
}

fn cbor_bytes(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x59];
    out.extend(u16::try_from(bytes.len()).expect("shorter than 64 KiB").to_be_bytes());
    out.extend(bytes);
    out
}
