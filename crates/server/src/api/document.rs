//! The OpenAPI document, made of the table of requests and the shapes' own schemas.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::shapes::Refusal;
use super::{Gives, routes};

/// The description of everything that is answered, as OpenAPI 3.1. <https://spec.openapis.org/oas/v3.1.1>
pub fn openapi() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let refusal = json!({
        "description": "It is refused, and this is why",
        "content": { "application/json": { "schema": generator.subschema_for::<Refusal>() } },
    });
    let mut paths: Map<String, Value> = Map::new();
    for route in routes() {
        let (status, gives) = &route.gives;
        let mut answer = json!({ "description": route.summary });
        match gives {
            Gives::Nothing => {}
            Gives::Json(shape) => {
                answer["content"] = json!({ "application/json": { "schema": shape(&mut generator) } });
            }
            Gives::Text(kind) => answer["content"] = json!({ *kind: { "schema": { "type": "string" } } }),
        }
        let names = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let parameters: Vec<Value> = names
            .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
            .collect();
        let mut operation = json!({
            "summary": route.summary,
            "parameters": parameters,
            "responses": { status.to_string(): answer, "default": refusal },
        });
        if let Some(shape) = route.takes {
            let schema = shape(&mut generator);
            operation["requestBody"] =
                json!({ "required": true, "content": { "application/json": { "schema": schema } } });
        }
        match route.who {
            None => operation["security"] = json!([]),
            Some(who) => operation["description"] = json!(format!("For {}s.", format!("{who:?}").to_lowercase())),
        }
        paths.entry(route.path).or_insert_with(|| json!({}))[route.method] = operation;
    }
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "kubewright",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            "description": "What the dashboard of kubewright is made of. A browser's requests that change anything carry \
                            X-Kubewright-Csrf; programs send their token as a bearer.",
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }, { "session": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer" },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": format!("{}-8420", crate::gate::COOKIE),
                    "description": "Its name ends with the port that is asked for; with TLS, `__Host-` stands before it.",
                },
            },
            "schemas": generator.take_definitions(true),
        },
    })
}
