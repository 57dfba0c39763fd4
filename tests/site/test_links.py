"""Links of the built site and of the Markdown files, without a network."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[2]
# what a browser loads of itself
LOADED = {("img", "src"), ("script", "src"), ("link", "href"), ("source", "src")}


class Page(HTMLParser):
    """The identifiers and the links of a page."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.loaded = set(), [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids.update(attrs[key] for key in ("id", "name") if attrs.get(key))
        for key in ("href", "src"):
            if key in attrs:
                kind = self.loaded if (tag, key) in LOADED else self.links
                kind.append(attrs[key] or "")


def pages_of(site):
    """The pages of the site, by path: not what the theme keeps among its files."""
    paths = (path.resolve() for path in site.rglob("*.html"))
    return {path: Page(path) for path in paths if "_static" not in path.parts}


def broken(pages):
    """The links of pages, by path, that lead to no file or to no place of a page."""
    for path, page in pages.items():
        for link in page.links + page.loaded:
            url = urlsplit(link)
            if url.scheme or url.netloc:
                continue
            to = path
            if url.path:
                to = (path.parent / unquote(url.path)).resolve()
            if to.is_dir():
                to /= "index.html"
            place = unquote(url.fragment)
            lost = place and to in pages and place not in pages[to].ids
            if lost or not to.is_file():
                yield f"{path.name}: {link}"


def test_links_of_the_site_lead_somewhere(site):
    pages = pages_of(site)
    assert len(pages) > 30
    assert list(broken(pages)) == []


def test_links_to_files_of_the_tree_lead_to_their_pages(site):
    links = {
        "clustering.html": "benchmark_tables.html",
        "architecture.html": "contributing.html",
        "contributing.html": "architecture.html",
        "guide_tsne.html": "auto_examples/plot_family.html",
    }
    for page, link in links.items():
        assert link in Page(site / page).links, page
    for page in pages_of(site).values():
        assert not any(re.search(r"_downloads/.*\.md$", link) for link in page.links)


def test_pages_load_nothing_from_elsewhere(site):
    for path, page in pages_of(site).items():
        outside = [link for link in page.loaded if re.match(r"\w+:|//", link)]
        assert [link for link in outside if not link.startswith("data:")] == [], path
    for path in site.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", text), path


def anchors(text):
    """The anchors that a code host gives the headings of a Markdown text."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    for heading in re.findall(r"^#+ (.*)$", text, flags=re.M):
        heading = re.sub(r"[^\w\- ]", "", heading.strip().lower())
        yield heading.replace(" ", "-")


def test_no_page_tells_of_the_machine_that_built_it(site):
    """Where compiled code is kept is said on stderr, which examples show."""
    for path in pages_of(site):
        assert "skdec compiles what is used" not in path.read_text(encoding="utf-8")


def test_links_of_the_markdown_files_lead_somewhere():
    files = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")]
    faults = []
    for path in files:
        text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.S | re.M)
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            url = urlsplit(link)
            if url.scheme:
                continue
            to = path if not url.path else path.parent / url.path
            places = anchors(to.read_text()) if to.exists() and url.fragment else ()
            if not to.exists() or (url.fragment and url.fragment not in set(places)):
                faults.append(f"{path.name}: {link}")
    assert faults == []
