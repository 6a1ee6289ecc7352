"""A page of HTML as a tree, read as a browser reads it as far as tests need."""

from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Node:
    """An element. tag, attributes: as written. children: Nodes and texts."""

    def __init__(self, tag, attributes, parent=None):
        self.tag, self.attributes, self.parent = tag, dict(attributes), parent
        self.children = []

    def __getitem__(self, name):
        return self.attributes[name]

    def get(self, name):
        return self.attributes.get(name)

    def all(self, tag=None, **attributes):
        """All elements below, in order, of a tag and with attributes."""
        found = []
        for child in self.children:
            if isinstance(child, Node):
                wanted = {key.strip("_"): value for key, value in attributes.items()}
                if tag in (None, child.tag) and wanted.items() <= child.attributes.items():
                    found.append(child)
                found += child.all(tag, **attributes)
        return found

    def one(self, tag=None, **attributes):
        (found,) = self.all(tag, **attributes)
        return found

    @property
    def text(self):
        return "".join(c if isinstance(c, str) else c.text for c in self.children)

    def rows(self):
        """A table's rows: heading -> (data-value as a number, or the text)."""
        headings = [th.text.strip() for th in self.one("thead").all("th")]
        found = []
        for line in self.one("tbody").all("tr"):
            cells = [c for c in line.children if isinstance(c, Node)]
            found.append(dict(zip(headings, map(value, cells), strict=True)))
        return found


def value(cell):
    exact = cell.get("data-value")
    return cell.text if exact is None else float(exact)


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.root = self.at = Node("", ())

    def handle_starttag(self, tag, attrs):
        node = Node(tag, attrs, self.at)
        self.at.children.append(node)
        if tag not in VOID:
            self.at = node

    def handle_endtag(self, tag):
        assert tag == self.at.tag, f"</{tag}> in <{self.at.tag}>"
        self.at = self.at.parent

    def handle_data(self, data):
        self.at.children.append(data)

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")


def parse(text):
    """A page's root. Fails where elements are not closed in order, and on comments."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert reader.at is reader.root
    return reader.root
