"""How do pages move between the lists of a cache? O(1) each, through links beside the pages."""

from allocenv.core.kernel import inlined
from allocenv.problems.storage.caches.state import NEWER, NOWHERE, OLDER, SIZE


@inlined
def sentinel(c, at):
    """The row of a list's sentinel."""
    return len(c.where) + at


@inlined
def oldest(c, at):
    """The oldest page of a list that is not empty."""
    return c.links[sentinel(c, at), NEWER]


@inlined
def link(c, page, older):
    """Put an unlinked page in front of `older`, as its newer neighbour."""
    newer = c.links[older, NEWER]
    c.links[page, OLDER] = older
    c.links[page, NEWER] = newer
    c.links[older, NEWER] = page
    c.links[newer, OLDER] = page


@inlined
def unlink(c, page):
    """Take a page out of its ring."""
    older, newer = c.links[page, OLDER], c.links[page, NEWER]
    c.links[older, NEWER] = newer
    c.links[newer, OLDER] = older


@inlined
def refresh(c, page, at):
    """Make a page the newest of the list it lies on."""
    ring = sentinel(c, at)
    newest = c.links[ring, OLDER]
    if newest != page:
        unlink(c, page)
        link(c, page, newest)


@inlined
def push(c, page, at):
    """Put a page that lies nowhere on a list, as its newest."""
    link(c, page, c.links[sentinel(c, at), OLDER])
    c.where[page] = at
    c.scalars[SIZE + at] += 1


@inlined
def leave(c, page):
    """Take a page off the list it lies on."""
    unlink(c, page)
    c.scalars[SIZE + c.where[page]] -= 1
    c.where[page] = NOWHERE


@inlined
def shift(c, page, at):
    """Move a page to another list, as its newest."""
    leave(c, page)
    push(c, page, at)
