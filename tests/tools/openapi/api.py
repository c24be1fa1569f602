"""An OpenAPI document of more than a hundred operations, in 3.0 and in 3.1, with every kind of parameter and body."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

WORD: Schema = {"type": "string", "pattern": "^[a-z][a-z0-9]{0,7}$"}
TEXT: Schema = {"type": "string", "minLength": 1, "maxLength": 20}
INT: Schema = {"type": "integer", "minimum": -1000, "maximum": 100000}
KINDS: dict[str, Schema] = {
    "text": TEXT,
    "integer": INT,
    "array": {"type": "array", "items": WORD, "minItems": 1, "maxItems": 4},
    "object": {"type": "object", "properties": {"R": INT, "G": WORD}, "required": ["R", "G"], "additionalProperties": False},
}
# What openapi-core reads: delimited objects and exploded delimited arrays are beyond it (styles are tested on their own).
STYLES = {
    "path": [(style, explode, kind) for style in ("simple", "label", "matrix") for explode in (False, True) for kind in KINDS],
    "query": [
        *(("form", explode, kind) for explode in (False, True) for kind in KINDS),
        ("spaceDelimited", False, "array"),
        ("pipeDelimited", False, "array"),
        ("deepObject", True, "object"),
    ],
    "header": [("simple", explode, kind) for explode in (False, True) for kind in KINDS],
    "cookie": [("form", True, "text"), ("form", False, "integer"), ("form", False, "array"), ("form", False, "object")],
}
SECURITY_SCHEMES: dict[str, Schema] = {
    "headerKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
    "queryKey": {"type": "apiKey", "in": "query", "name": "api_key"},
    "cookieKey": {"type": "apiKey", "in": "cookie", "name": "session"},
    "userPassword": {"type": "http", "scheme": "basic"},
    "token": {"type": "http", "scheme": "bearer"},
    "oauth": {
        "type": "oauth2",
        "flows": {"clientCredentials": {"tokenUrl": "https://auth.example.com/token", "scopes": {"read": "Read."}}},
    },
    "oidc": {"type": "openIdConnect", "openIdConnectUrl": "https://auth.example.com/.well-known/openid-configuration"},
}
SECRETS = {
    "FERRULE_AUTH_HEADERKEY": "hk-0123456789",
    "FERRULE_AUTH_QUERYKEY": "qk/+&=?é",
    "FERRULE_AUTH_COOKIEKEY": "ck-abcdef",
    "FERRULE_AUTH_USERPASSWORD": "ada:pa:ss wörd",
    "FERRULE_AUTH_TOKEN": "bearer-token-1",
    "FERRULE_AUTH_OAUTH": "oauth-token-2",
    "FERRULE_AUTH_OIDC": "oidc-token-3",
}
REQUIREMENTS: dict[str, list[dict[str, list[str]]]] = {
    "header": [{"headerKey": []}],
    "query": [{"queryKey": []}],
    "cookie": [{"cookieKey": []}],
    "basic": [{"userPassword": []}],
    "bearer": [{"token": []}],
    "oauth": [{"oauth": ["read"]}],
    "oidc": [{"oidc": []}],
    "both": [{"headerKey": [], "queryKey": []}],
    "either": [{"unset": []}, {"token": []}],
    "optional": [{"unset": []}, {}],
    "none": [],
}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def closed(properties: Schema, *required: str) -> Schema:
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": list(required)} if required else {})


def or_null(schema: Schema, is_30: bool) -> Schema:
    return {**schema, "nullable": True} if is_30 else {**schema, "type": [schema["type"], "null"]}


def component_schemas(is_30: bool) -> dict[str, Schema]:
    # In 3.1 openapi-core takes readOnly for a note that changes nothing, so there such a property may not be required.
    read_only = ["id"] if is_30 else []
    above_zero = {"minimum": 0, "exclusiveMinimum": True} if is_30 else {"exclusiveMinimum": 0}
    return {
        "Done": closed({"ok": {"type": "boolean"}}, "ok"),
        "Color": {"type": "string", "enum": ["red", "green", "blue"]},
        "Address": closed(
            {"street": TEXT, "zip": {"type": "string", "pattern": "^[0-9]{5}$"}, "color": ref("Color")}, "street"
        ),
        "Price": {"type": "number", "maximum": 1000, **above_zero},
        "Node": closed({"value": INT, "next": ref("Node")}, "value"),
        "Tree": closed({"name": WORD, "children": {"type": "array", "items": ref("Tree"), "maxItems": 2}}, "name"),
        "Person": closed({"name": WORD, "employer": ref("Company")}, "name"),
        "Company": closed({"title": WORD, "boss": ref("Person")}, "title"),
        "NewPet": {"type": "object", "properties": {"name": TEXT, "tag": or_null(WORD, is_30)}, "required": ["name"]},
        "Pet": {
            "allOf": [
                ref("NewPet"),
                {"type": "object", "properties": {"id": {"type": "integer", "readOnly": True}}, "required": read_only},
            ]
        },
        "Account": closed(
            {"id": {"type": "integer", "readOnly": True}, "user": WORD, "password": {**WORD, "writeOnly": True}},
            *(*read_only, "user", "password"),
        ),
        "Circle": closed({"kind": {"type": "string"}, "radius": INT}, "kind", "radius"),
        "Square": closed({"kind": {"type": "string"}, "side": INT}, "kind", "side"),
        "Shape": {
            "oneOf": [ref("Circle"), ref("Square")],
            "discriminator": {
                "propertyName": "kind",
                "mapping": {"round": "#/components/schemas/Circle", "even": "#/components/schemas/Square"},
            },
        },
        "Vehicle": {
            "type": "object",
            "properties": {"type": {"type": "string"}, "wheels": INT},
            "required": ["type"],
            "discriminator": {"propertyName": "type"},
        },
        "Car": {"allOf": [ref("Vehicle"), {"type": "object", "properties": {"doors": INT}, "required": ["doors"]}]},
        "Bike": {"allOf": [ref("Vehicle"), {"type": "object", "properties": {"bell": {"type": "boolean"}}}]},
    }


def json_bodies(is_30: bool) -> dict[str, Schema]:
    return {
        "flat": closed({"name": TEXT, "count": INT, "price": ref("Price"), "on": {"type": "boolean"}}, "name"),
        "nested": closed(
            {"address": ref("Address"), "others": {"type": "array", "items": ref("Address"), "maxItems": 2}}, "address"
        ),
        "reference": ref("Address"),
        "array": {"type": "array", "items": ref("Color"), "maxItems": 5},
        "text": TEXT,
        "integer": INT,
        "boolean": {"type": "boolean"},
        "map": {"type": "object", "additionalProperties": INT},
        "anything": {},
        "nullable": closed({"a": or_null(TEXT, is_30), "b": or_null(INT, is_30)}, "a"),
        "all_of": ref("Pet"),
        "any_of": {"anyOf": [ref("Address"), ref("Node")]},
        "one_of_plain": {"oneOf": [INT, WORD, {"type": "boolean"}]},
        "one_of_discriminated": ref("Shape"),
        "subtypes": ref("Vehicle"),
        "list": ref("Node"),
        "tree": ref("Tree"),
        "mutual": ref("Person"),
        "account": ref("Account"),
        "bounds": closed({"p": ref("Price"), "s": {"type": "array", "items": INT, "minItems": 2, "maxItems": 3}}, "p", "s"),
        "formats": closed(
            {"day": {"type": "string", "format": "date"}, "id": {"type": "string", "format": "uuid"}}, "day", "id"
        ),
        "steps": closed({"n": {"type": "integer", "multipleOf": 5, "minimum": 0, "maximum": 100}}, "n"),
        "enums": closed({"color": ref("Color"), "size": {"type": "integer", "enum": [1, 2, 4]}}, "color", "size"),
        "deep": closed({"a": closed({"b": closed({"c": {"type": "array", "items": closed({"d": WORD}, "d")}})}, "b")}, "a"),
    }


FORMS: dict[str, tuple[Schema, Schema]] = {
    "plain": (closed({"name": TEXT, "count": INT}, "name"), {}),
    "repeated": (closed({"tags": {"type": "array", "items": WORD, "minItems": 1}}, "tags"), {}),
    "delimited": (closed({"tags": KINDS["array"]}, "tags"), {"tags": {"style": "form", "explode": False}}),
    "piped": (closed({"tags": KINDS["array"]}, "tags"), {"tags": {"style": "pipeDelimited", "explode": False}}),
    "deep": (closed({"rgb": KINDS["object"]}, "rgb"), {"rgb": {"style": "deepObject", "explode": True}}),
    "json": (closed({"data": KINDS["object"]}, "data"), {"data": {"contentType": "application/json"}}),
}


def multiparts(is_30: bool) -> dict[str, tuple[Schema, Schema]]:
    # Text only: openapi-core does not read numbers in parts.
    file = {"type": "string", "format": "binary"} if is_30 else {"contentMediaType": "application/octet-stream"}
    image = {"image": {"contentType": "image/png, image/jpeg"}}
    return {
        "file": (closed({"file": file}, "file"), {}),
        "file_and_fields": (closed({"file": file, "title": TEXT, "word": WORD}, "file", "title"), {}),
        "image": (closed({"image": {"type": "string", "format": "binary"} if is_30 else {}}, "image"), image),
        "json_part": (closed({"data": KINDS["object"], "note": TEXT}, "data"), {}),
        "fields": (closed({"a": WORD, "b": TEXT}, "a"), {}),
        "repeated": (closed({"words": {"type": "array", "items": WORD, "minItems": 1, "maxItems": 3}}, "words"), {}),
    }


RAW_BODIES = {"text/plain": TEXT, "text/html": TEXT, "application/octet-stream": None, "application/pdf": None}


def operation(**rest: Any) -> dict[str, Any]:
    return {"responses": {"200": {"$ref": "#/components/responses/Done"}}, **rest}


def parameter(where: str, style: str, explode: bool, schema: Schema, name: str = "p") -> Schema:
    return {"name": name, "in": where, "style": style, "explode": explode, "required": True, "schema": schema}


def body(media_type: str, schema: Schema | None, encoding: Schema | None = None) -> Schema:
    media = ({"schema": schema} if schema is not None else {}) | ({"encoding": encoding} if encoding else {})
    return {"required": True, "content": {media_type: media}}


def paths(is_30: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for where, styles in STYLES.items():
        for style, explode, kind in styles:
            name = "X-Param" if where == "header" else "p"
            schema = {**WORD, "minLength": 1} if where in ("header", "cookie") and kind == "text" else KINDS[kind]
            path = f"/{where}/{style}/{str(explode).lower()}/{kind}" + ("/{p}/end" if where == "path" else "")
            found[path] = {"get": operation(parameters=[parameter(where, style, explode, schema, name)])}
    for name, schema in json_bodies(is_30).items():
        found[f"/json/{name}"] = {"post": operation(requestBody=body("application/json", schema))}
    for name, (schema, encoding) in FORMS.items():
        found[f"/form/{name}"] = {"post": operation(requestBody=body("application/x-www-form-urlencoded", schema, encoding))}
    for name, (schema, encoding) in multiparts(is_30).items():
        found[f"/multipart/{name}"] = {"post": operation(requestBody=body("multipart/form-data", schema, encoding))}
    for media_type, schema in RAW_BODIES.items():
        binary = {"type": "string", "format": "binary"} if is_30 else {}
        found[f"/raw/{media_type}"] = {"post": operation(requestBody=body(media_type, schema or binary))}
    for name, requirement in REQUIREMENTS.items():
        found[f"/auth/{name}"] = {"get": operation(security=requirement)}
    for method in ("get", "put", "post", "delete", "options", "head", "patch"):
        found.setdefault("/method/{id}", {})[method] = operation(operationId=f"{method}Thing")
    found["/method/{id}"]["parameters"] = [{"name": "id", "in": "path", "required": True, "schema": INT}]
    found["/shared/{id}"] = {
        "parameters": [{"$ref": "#/components/parameters/Id"}, {"name": "q", "in": "query", "schema": INT}],
        "get": operation(parameters=[{"name": "q", "in": "query", "required": True, "schema": ref("Color")}]),
        "post": operation(requestBody={"$ref": "#/components/requestBodies/Address"}),
    }
    content = {"application/json": {"schema": KINDS["object"]}}
    found["/content"] = {"get": operation(parameters=[{"name": "filter", "in": "query", "required": True, "content": content}])}
    reserved = parameter("query", "form", True, TEXT) | {"allowReserved": True}
    found["/reserved"] = {"get": operation(parameters=[reserved])}
    defaulted = {"name": "version", "in": "query", "required": True, "schema": {**TEXT, "default": "2024-01"}}
    optional = {"name": "limit", "in": "query", "schema": {**INT, "default": 10}}
    found["/defaults"] = {"get": operation(parameters=[defaulted, optional])}
    found["/many/{a}/{b}.json"] = {
        "get": operation(
            parameters=[
                *({"name": name, "in": "path", "required": True, "schema": TEXT} for name in "ab"),
                {"name": "tags", "in": "query", "schema": KINDS["array"]},
                {"name": "X-Trace", "in": "header", "schema": WORD},
                {"name": "lang", "in": "cookie", "schema": WORD},
            ]
        )
    }
    found["/optional-body"] = {"post": operation(requestBody={**body("application/json", ref("Address")), "required": False})}
    found["/clash/{name}"] = {
        "put": operation(
            parameters=[{"name": "name", "in": "path", "required": True, "schema": TEXT}],
            requestBody=body("application/json", closed({"name": TEXT}, "name")),
        )
    }
    found["/twice/{id}"] = {
        "get": operation(
            parameters=[
                {"name": "id", "in": "path", "required": True, "schema": INT},
                {"name": "id", "in": "query", "required": True, "schema": INT},
            ]
        )
    }
    found["/pay"] = {
        "post": operation(
            parameters=[{"name": "Idempotency-Key", "in": "header", "required": True, "schema": {"type": "string"}}],
            requestBody=body("application/json", closed({"amount": INT}, "amount")),
        )
    }
    return found


def document(version: str, base: str) -> dict[str, Any]:
    """The document of a version, "3.0" or "3.1", served at `base`."""
    is_30 = version == "3.0"
    return {
        "openapi": "3.0.3" if is_30 else "3.1.0",
        "info": {"title": "Everything", "version": "1"},
        "servers": [{"url": f"{base}/{{stage}}", "variables": {"stage": {"default": "v1"}}}],
        "paths": paths(is_30),
        "components": {
            "schemas": component_schemas(is_30),
            "securitySchemes": SECURITY_SCHEMES | {"unset": {"type": "http", "scheme": "bearer"}},
            "parameters": {"Id": {"name": "id", "in": "path", "required": True, "schema": INT}},
            "requestBodies": {"Address": body("application/json", ref("Address"))},
            "responses": {"Done": {"description": "Done.", "content": {"application/json": {"schema": ref("Done")}}}},
        },
    }
