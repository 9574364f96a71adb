//! The OpenAPI document: what the handlers say of themselves, and what holds for all of them.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ContentBuilder, Info, OpenApi, RefOr, ResponseBuilder, Tag,
        path::Operation,
        schema::Schema,
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};
use windlass_shared::config::Role;

use super::problem::ProblemBody;

const SCHEME: &str = "token";

/// Says on each operation what role it needs.
pub(super) fn needs(document: &mut OpenApi, role: Role) {
    for item in document.paths.paths.values_mut() {
        let each = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        for operation in each.into_iter().flatten() {
            describe(operation, role);
        }
    }
}

fn describe(operation: &mut Operation, role: Role) {
    // Handlers are named within their file, operations within the document.
    if let (Some(id), Some([tag, ..])) = (&mut operation.operation_id, operation.tags.as_deref())
        && id != tag
    {
        *id = format!("{id}_{tag}");
    }
    operation.security = Some(vec![SecurityRequirement::new::<&str, [&str; 0], &str>(SCHEME, [])]);
    let needs = format!("Needs the role `{}`.", role.as_str());
    operation.description = Some(match operation.description.take() {
        Some(description) if !description.is_empty() => format!("{description}\n\n{needs}"),
        _ => needs,
    });
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            "What was asked for".clone_into(&mut response.description);
        }
    }
    operation.responses.responses.insert("default".to_owned(), problem());
}

/// Whatever else may happen.
fn problem() -> RefOr<utoipa::openapi::Response> {
    let schema = RefOr::<Schema>::Ref(utoipa::openapi::Ref::from_schema_name(ProblemBody::name()));
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new()
        .description("A problem (RFC 9457)")
        .content("application/problem+json", content)
        .build()
        .into()
}

/// Completes the document.
pub(super) fn finish(document: &mut OpenApi) {
    document.info = Info::new("Windlass", env!("CARGO_PKG_VERSION"));
    document.info.description = Some(
        "Everything that the command line can do, over HTTP. Guarantees, errors and examples: docs/http.md of the project.".into(),
    );
    let tags = ["tasks", "batches", "queues", "nodes", "events", "fleet", "models", "reviews"];
    document.tags = Some(tags.into_iter().map(Tag::new).collect());
    let components = document.components.get_or_insert_default();
    components.schemas.insert(ProblemBody::name().into_owned(), ProblemBody::schema());
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("`windlass tokens generate NAME --roles read` makes a token."))
        .build();
    components.security_schemes.insert(SCHEME.to_owned(), SecurityScheme::Http(scheme).into());
}
