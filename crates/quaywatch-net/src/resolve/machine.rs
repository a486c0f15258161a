//! Who is asked, and for which absolute names: the machine's configuration with the server's own on top.

use std::net::SocketAddr;
use std::sync::Arc;

use quaywatch_core::dns::{self, Said, Word};

use super::system::System;
use super::upstream::Upstream;

/// Search domains tried for a name of one label (glibc's old limit).
const MAX_SEARCH: usize = 6;

/// The machine's configuration and the upstreams that follow from it.
pub(super) struct Machine {
    pub(super) system: System,
    pub(super) upstreams: Vec<Arc<Upstream>>,
}

impl Machine {
    /// Upstreams that were there before keep what is known of their health.
    pub(super) fn new(system: System, fixed: Option<&[SocketAddr]>, before: &[Arc<Upstream>]) -> Self {
        let known =
            |address: &SocketAddr| before.iter().find(|upstream| upstream.address == *address).cloned();
        let upstreams = fixed
            .unwrap_or(&system.upstreams)
            .iter()
            .map(|address| known(address).unwrap_or_else(|| Arc::new(Upstream::new(*address))))
            .collect();
        Self { system, upstreams }
    }

    /// The absolute names to ask for: a name of one label goes through the machine's search domains first.
    pub(super) fn candidates(&self, question: &str) -> Vec<String> {
        let search = if question.contains('.') { &[] } else { &self.system.search[..] };
        let searched = search.iter().take(MAX_SEARCH).map(|domain| format!("{question}.{domain}."));
        searched.chain([format!("{question}.")]).collect()
    }

    /// The words for evidence while it is known that nobody answers.
    pub(super) fn nobody_answers(&self) -> String {
        let words: Vec<Word> =
            self.upstreams.iter().map(|upstream| Word::new(upstream.address, Said::Silence)).collect();
        dns::describe(&words)
    }
}
