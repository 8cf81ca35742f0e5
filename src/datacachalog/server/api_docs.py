"""The API's documentation in a browser, without a request to anybody else."""

from __future__ import annotations

from fastapi import FastAPI, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import RedirectResponse
from starlette.staticfiles import StaticFiles

DOCS = "/docs"
_ASSETS = "swagger"


def add_docs(app: FastAPI) -> None:
    """Shows the app's OpenAPI document at `/docs`, to which `/` leads.

    FastAPI's own page has a server of its author send the program that shows it, to who may type
    a key into it. All addresses are relative, as a proxy may speak TLS or add to the path.
    """
    files = StaticFiles(packages=[("fastapi_swagger", "resources")])
    app.mount(f"/{_ASSETS}", files, name=_ASSETS)

    @app.get(DOCS, include_in_schema=False)
    def docs() -> Response:
        return get_swagger_ui_html(
            openapi_url=(app.openapi_url or "").removeprefix("/"),
            title=app.title,
            swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{_ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{_ASSETS}/favicon-32x32.png",
            swagger_ui_parameters={"tryItOutEnabled": True},
        )

    @app.get("/", include_in_schema=False)
    def root() -> Response:
        return RedirectResponse(DOCS.removeprefix("/"))
