"""The server side of the page that people open in a browser: of `glcic ui` and of the Space.

`routes.page_routes` is its door. `page/` is what the browser gets; `docs/architecture.md` names the other files.
"""
