//! TLS for what we send: one provider (aws-lc-rs), the system's roots, the built-in ones where the system has none.
//! A private CA or a client certificate is another [`ClientConfig`] handed to the client.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

/// The certificate authorities to trust: the machine's store; in containers without one, Mozilla's as of the build.
#[must_use]
pub fn roots() -> RootCertStore {
    let mut store = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::warn!(%error, "a certificate authority of the system cannot be read");
    }
    let (added, ignored) = store.add_parsable_certificates(native.certs);
    if added == 0 {
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        tracing::info!(
            ignored,
            built_in = store.len(),
            "no certificate authorities on this system; built-in ones are used"
        );
    }
    store
}

/// A client configuration that trusts `roots`. Names its provider, so it does not matter what a library installed.
#[must_use]
pub fn client_config(roots: RootCertStore) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs supports TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}
