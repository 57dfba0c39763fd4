"""Links of the Markdown pages to files of the tree, which a code host shows.

In the site such a link goes to the page that the file has there: that of
``../examples/plot_x.py`` is in the gallery, others are in ``tree_links`` of conf.py.
What has no page is offered as a download.  After the paragraph that names an example
first on a page comes the example's picture, if the example was run.
"""

import os
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform


def leads_out(node):
    """Whether a node is a link as MyST makes it of a path that exists."""
    if isinstance(node, addnodes.download_reference):
        return True
    return isinstance(node, addnodes.pending_xref) and node.get("refdomain") == "doc"


class TreeLinks(SphinxTransform):
    """Turns downloads of files that have a page into links to it."""

    default_priority = 5  # before Sphinx collects downloads and images

    def apply(self):
        """Replace the links of one page, and set pictures of the examples."""
        if self.env.docname.startswith(("auto_examples/", "api/generated/")):
            return
        shown = set()
        for link in list(self.document.findall(leads_out)):
            page = self.page(link["reftarget"])
            if page:
                new = self.link(page, *link.children, place=link.get("reftargetid"))
                link.replace_self(new)
                self.show(page, new.parent, shown)

    def page(self, target):
        """The page of a file of the tree, or None."""
        root = Path(self.env.srcdir).parent
        here = Path(self.env.doc2path(self.env.docname)).parent
        name = Path(os.path.relpath(here / target, root)).as_posix()
        if name.startswith("examples/") and name.endswith(".py"):
            page = f"auto_examples/{Path(name).stem}"
        else:
            # MyST has cut the suffix off where Sphinx reads such files
            pages = self.config.tree_links
            page = pages.get(name) or pages.get(f"{name}.md")
        return page if page in self.env.found_docs else None

    def link(self, page, *children, place=None):
        """A link to a page, or to a place of it, as MyST makes them."""
        return addnodes.pending_xref(
            "",
            *children,
            refdomain="doc",
            reftype="myst",
            reftarget=page,
            reftargetid=place,
            refdoc=self.env.docname,
            refexplicit=True,
        )

    def show(self, page, paragraph, shown):
        """Set an example's picture after a paragraph, once a page, and remember it."""
        folder, _, name = page.rpartition("/")
        picture = f"{folder}/images/sphx_glr_{name}_001.png"
        section = paragraph.parent
        # not where the link is in a table or in a list
        alone = isinstance(section, (nodes.section, nodes.document))
        if page in shown or not alone or not page.startswith("auto_examples/"):
            return
        shown.add(page)
        self.env.note_dependency(picture)
        if (Path(self.env.srcdir) / picture).is_file():
            image = nodes.image(uri=f"/{picture}", alt=f"Picture of the example {name}")
            link = self.link(page, nodes.inline("", "", image))
            figure = nodes.paragraph("", "", link)
            box = nodes.container("", figure, classes=["example"])
            section.insert(section.index(paragraph) + 1, box)


def setup(app):
    """Register the transform with Sphinx."""
    app.add_config_value("tree_links", {}, "env", [dict])
    app.add_transform(TreeLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
