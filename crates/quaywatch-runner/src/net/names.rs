//! Names are asked for on tokio; the resolver sees to caching, coalescing and its own bounds.

use std::sync::Arc;
use std::time::Duration;

use quaywatch_core::spec::IpFamily;
use quaywatch_net::{Answer, Resolver};
use tokio::runtime::Handle;

use super::Tray;
use crate::ports::{Names, Question};

pub(super) struct Real {
    resolver: Resolver,
    runtime: Handle,
    answers: Tray<(Question, Answer)>,
}

impl Real {
    pub(super) fn new(resolver: Resolver, runtime: Handle) -> Self {
        Self { resolver, runtime, answers: Tray::default() }
    }
}

impl Names for Real {
    fn ask(&mut self, question: Question, name: &Arc<str>, family: IpFamily, limit: Duration) {
        let (resolver, name, answers) = (self.resolver.clone(), Arc::clone(name), self.answers.clone());
        self.runtime.spawn(async move {
            let answer = resolver.resolve(&name, family, limit).await;
            answers.push((question, answer));
        });
    }

    fn drain(&mut self, into: &mut Vec<(Question, Answer)>) {
        self.answers.take(into);
    }
}
