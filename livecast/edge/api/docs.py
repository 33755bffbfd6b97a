"""The description as a page for people: no script, nothing from elsewhere."""

from __future__ import annotations

import html
import json
from typing import Any, Final

from livecast.edge.http.problems import every_code


def page(description: dict[str, Any]) -> str:
    """The description as one page of HTML: no script, nothing from elsewhere."""
    rows = []
    for path, item in description["paths"].items():
        for method, call in item.items():
            if method == "parameters":
                continue
            scope = ", ".join(call.get("x-scopes", [])) or ("viewer's token" if call.get("security") else "open")
            body = call.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            rows.append(
                f'<details id="{html.escape(call["operationId"])}"><summary><b class="{method}">{method.upper()}</b> '
                f"<code>{html.escape(path)}</code> <i>{html.escape(scope)}</i></summary>"
                f"<p>{html.escape(call['summary'])} {html.escape(call.get('description', ''))}</p>"
                + (f"<h4>Body</h4>{_shape(body)}" if body else "")
                + f"<h4>Answers</h4><ul>{''.join(_answer(*said) for said in call['responses'].items())}</ul></details>"
            )
    shapes = "".join(
        f'<details id="{html.escape(name)}"><summary><code>{html.escape(name)}</code> {html.escape(schema.get("description", ""))}'
        f"</summary><pre>{html.escape(json.dumps(schema, indent=2, ensure_ascii=False))}</pre></details>"
        for name, schema in description["components"]["schemas"].items()
    )
    codes = "".join(f"<tr><td><code>{c}</code><td>{s}<td>{html.escape(t)}" for c, s, t in every_code())
    return _PAGE.format(calls="".join(rows), shapes=shapes, codes=codes)


def _shape(schema: dict[str, Any]) -> str:
    name = schema.get("$ref", "").rpartition("/")[2]
    if name:
        return f'<p><a href="#{html.escape(name)}"><code>{html.escape(name)}</code></a></p>'
    return f"<p>{html.escape(schema.get('description', 'A JSON object.'))}</p>"


def _answer(status: str, said: dict[str, Any]) -> str:
    return f"<li><b>{html.escape(status)}</b> {html.escape(said['description'])}"


_PAGE: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>livecast control plane</title>
<style>
body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}}
code,pre{{font:14px/1.45 ui-monospace,monospace}} pre{{background:#f3f5f7;padding:1rem;overflow:auto;border-radius:6px}}
details{{border-bottom:1px solid #dde2e7;padding:.4rem 0}} summary{{cursor:pointer}}
summary b{{display:inline-block;min-width:4.2rem}} summary i{{color:#57606a;font-size:.85em;float:right}}
.get{{color:#0b6b3a}} .post{{color:#8a4600}} .put,.patch{{color:#0a4f9e}} .delete{{color:#a1131f}}
td{{padding:.15rem .8rem .15rem 0;vertical-align:top}}
@media (prefers-color-scheme:dark){{body{{background:#14181d;color:#e6e9ec}}pre{{background:#1e242b}}details{{border-color:#333b44}}
.get{{color:#5fd08f}}.post{{color:#f0a35e}}.put,.patch{{color:#76b3ff}}.delete{{color:#ff7b86}}
summary i{{color:#9aa4ae}}a{{color:#76b3ff}}}}
</style>
<h1>livecast control plane</h1>
<p>The machine-readable form is <a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1). Callers send
<code>Authorization: Bearer lck_…</code>; the scope a call needs stands beside it.</p>
<h2>Calls</h2>{calls}<h2>Shapes</h2>{shapes}<h2>Error codes</h2><table>{codes}</table></html>
"""
