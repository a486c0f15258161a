//! Which page of a list is wanted: asked and described the same everywhere.

use std::borrow::Cow;

use quaywatch_app::operations::page::Paging;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

/// Where a page begins.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct After(String);

/// How long a page is.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(transparent)]
pub(crate) struct Limit(u32);

impl Limit {
    pub(crate) const fn items(self) -> usize {
        self.0 as usize
    }
}

/// Both, as operations have them.
pub(crate) fn paging(after: Option<After>, limit: Option<Limit>) -> Paging {
    Paging { after: after.map(|after| after.0), limit: limit.map(Limit::items) }
}

impl JsonSchema for After {
    fn schema_name() -> Cow<'static, str> {
        "After".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "minLength": 1, "maxLength": 2000, "description": "The `next` of the page before.",
        })
    }
}

impl JsonSchema for Limit {
    fn schema_name() -> Cow<'static, str> {
        "Limit".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "integer", "format": "uint32", "minimum": 1, "maximum": 1000,
            "description": "How many: 100 unless said.",
        })
    }
}
