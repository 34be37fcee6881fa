"""What the site has beside the pages of docs/: a hook of mkdocs, see mkdocs.yml.

The pages at the root of the repository become pages of the site. A file of the repository that a
page links to becomes a page with its code. A link to a folder becomes plain text.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
# Pages whose places differ from docs/: the README is the first thing to read.
PLACES = {
    ROOT / "README.md": "index.md",
    ROOT / "README.th.md": "index.th.md",
    DOCS / "README.md": "contents.md",
    ROOT / "CHANGELOG.md": "changelog.md",
    ROOT / "CONTRIBUTING.md": "contributing.md",
    ROOT / "SECURITY.md": "security.md",
}
ICON = ROOT / "facesvc" / "page" / "static" / "page" / "icon.svg"
ASSETS = Path(__file__).parent / "site_assets"
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!https?:|mailto:)([^)\s]*)\)")
FENCED = re.compile(r"(^ *```.*?^ *```)", re.DOTALL | re.MULTILINE)
SHOWN_AS_THEY_ARE = {".json", ".md", ".png", ".svg"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Puts pages and pictures into the site that docs/ does not have."""
    files.remove(files.src_uris["README.md"])
    for path, uri in PLACES.items():
        files.append(File.generated(config, uri, content=path.read_text()))
    for path in (ICON, *ASSETS.iterdir()):
        files.append(File.generated(config, f"assets/{path.name}", content=path.read_bytes()))
    pages = [_origin(file) for file in files.documentation_pages()]
    targets = {target for page in pages for target in _targets(page)}
    for path in sorted(each for each in targets if _is_code(each)):
        files.append(File.generated(config, _place(path), content=_code_page(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page with its links as the site has them."""
    if page.file.src_uri.startswith("code/"):
        return markdown
    origin, here = _origin(page.file), posixpath.dirname(page.file.src_uri)

    def linked(match: re.Match[str]) -> str:
        mark, text, target = match.groups()
        file, _, anchor = target.partition("#")
        if not file:
            return match[0]
        path = (origin.parent / file).resolve()
        if path.is_dir():
            return text
        place = posixpath.relpath(_place(path), here or ".")
        return f"{mark}[{text}]({place}{'#' * bool(anchor)}{anchor})"

    parts = FENCED.split(markdown)
    return "".join(part if at % 2 else LINK.sub(linked, part) for at, part in enumerate(parts))


def _origin(file: File) -> Path:
    """The file of the repository that a page is made of."""
    origins = {uri: path for path, uri in PLACES.items()}
    return origins.get(file.src_uri, DOCS / file.src_uri)


def _targets(page: Path) -> set[Path]:
    text = FENCED.sub("", page.read_text())
    files = (target.partition("#")[0] for _, _, target in LINK.findall(text))
    return {(page.parent / file).resolve() for file in files if file}


def _is_code(path: Path) -> bool:
    return path.is_file() and path.suffix not in SHOWN_AS_THEY_ARE


def _place(path: Path) -> str:
    """Where the site has a file of the repository."""
    if path in PLACES:
        return PLACES[path]
    if _is_code(path):
        return f"code/{path.relative_to(ROOT).as_posix()}.md"
    return path.relative_to(DOCS if path.is_relative_to(DOCS) else ROOT).as_posix()


def _code_page(path: Path) -> str:
    """The code, which the search leaves out: it is there to be looked up from a page."""
    language = path.suffix.lstrip(".") or "text"
    name = path.relative_to(ROOT).as_posix()
    head = "---\nsearch:\n  exclude: true\nhide: [toc]\n---\n"
    return f"{head}\n# {name}\n\n``````{language}\n{path.read_text()}\n``````\n"
