"""Serves real React to a page of the server's origin: React ships CommonJS, a browser wants modules."""

import json
import re
from pathlib import Path

from playwright.async_api import Page, Route

NODE_MODULES = Path(__file__).parents[2] / "node_modules"
SNIPPETS = Path(__file__).with_name("snippets.mjs")
# Module → its file, and what that file requires.
PACKAGES = {
    "scheduler": ("scheduler/cjs/scheduler.development.js", ()),
    "react": ("react/cjs/react.development.js", ()),
    "react-dom": ("react-dom/cjs/react-dom.development.js", ("react",)),
    "react-dom-client": ("react-dom/cjs/react-dom-client.development.js", ("scheduler", "react", "react-dom")),
}
HTML = """<!doctype html><html lang="en"><title>Snippets</title><script type="importmap">{imports}</script>
<div id="root"></div><script type="module" src="/react/snippets.js"></script></html>"""


def as_module(name: str) -> str:
    file, requires = PACKAGES[name]
    source = (NODE_MODULES / file).read_text("utf-8")
    imports = "".join(f"import m{at} from '/react/{one}.js';\n" for at, one in enumerate(requires))
    known = ", ".join(f"{json.dumps(one)}: m{at}" for at, one in enumerate(requires))
    names = sorted(set(re.findall(r"^\s*exports\.([A-Za-z]\w*) =", source, re.MULTILINE)))
    return (
        f"{imports}const process = {{ env: {{ NODE_ENV: 'development' }} }};\n"
        f"const module = {{ exports: {{}} }};\nconst exports = module.exports;\n"
        f"const require = (name) => ({{{known}}})[name];\n"
        f"{source}\nexport default exports;\nexport const {{ {', '.join(names)} }} = exports;\n"
    )


async def open_snippets(page: Page, url: str) -> None:
    """Show the snippets at `url`, any address of a server; `/react/*` there is the packages and the snippets.

    Chromium lets only documents that came over the network speak to a loopback server, so the document is the server's,
    with other contents.
    """

    async def answer(route: Route) -> None:
        name = route.request.url.rsplit("/", 1)[-1].removesuffix(".js")
        body = SNIPPETS.read_text("utf-8") if name == "snippets" else as_module(name)
        await route.fulfill(content_type="text/javascript", body=body)

    await page.route("**/react/*.js", answer)
    await page.goto(url)
    imports = json.dumps({"imports": {one: f"/react/{one}.js" for one in PACKAGES}})
    await page.set_content(HTML.format(imports=imports))
