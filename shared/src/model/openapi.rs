//! How the model's texts are described in the OpenAPI document.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        KnownFormat, RefOr, Schema, SchemaFormat,
        schema::{ObjectBuilder, Type},
    },
};

use super::Micros;

/// A text of 1 to `most` characters that matches.
pub(super) fn text(pattern: &str, most: usize) -> RefOr<Schema> {
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
    text.min_length(Some(1)).max_length(Some(most)).build().into()
}

impl PartialSchema for Micros {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        text.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).build().into()
    }
}

impl ToSchema for Micros {
    fn name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }
}
