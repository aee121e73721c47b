"""The service's description for people: its OpenAPI document as a page that loads nothing."""

import json
from html import escape
from typing import Any

_CSS = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem;
  color-scheme: light dark; }
pre { overflow-x: auto; padding: .8rem; border: 1px solid #8884; border-radius: .4rem; font-size: .85rem; }
h2 code { font-size: 1.1rem; }
"""


def page(document: dict[str, Any]) -> str:
    """Returns HTML of an OpenAPI document, without scripts."""
    parts = [f"<h1>{escape(document['info']['title'])}</h1><p>{escape(document['info']['description'])}</p>"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts.append(
                f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
                f"<p>{escape(operation.get('description', operation.get('summary', '')))}</p>"
            )
            if body := operation.get("requestBody"):
                parts.append("<p>Body:</p>" + _schema(body["content"]))
            for status, answer in operation["responses"].items():
                parts.append(f"<p>{escape(status)}: {escape(answer['description'])}</p>")
                if status == "200":
                    parts.append(_schema(answer.get("content", {})))
    schemas = document.get("components", {}).get("schemas", {})
    parts += [f"<h2>{escape(name)}</h2>{_json(schema)}" for name, schema in schemas.items()]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(document['info']['title'])}</title><style>{_CSS}</style>"
        f'<body>{"".join(parts)}<p><a href="/openapi.json">openapi.json</a></p></body></html>'
    )


def _schema(content: dict[str, Any]) -> str:
    return "".join(
        f"<p><code>{escape(kind)}</code></p>{_json(one.get('schema', {}))}" for kind, one in content.items()
    )


def _json(value: Any) -> str:
    return f"<pre>{escape(json.dumps(value, indent=1))}</pre>"
