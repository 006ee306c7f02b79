"""`modelrouter ledger forget` and `pseudonym`: what stands for personal values, and making it nobody's."""

from __future__ import annotations

from typing import Annotated

import typer

from modelrouter.cli.ledger.book import CLOSE_WAIT_S, opened
from modelrouter.cli.options import AsJson, ConfigOption
from modelrouter.cli.screen import console, print_document
from modelrouter.errors import RequestError

__all__ = ["forget", "pseudonym"]


def forget(
    *,
    tag: Annotated[str, typer.Argument(metavar="TAG", help="a personal tag of the config, as `user`")],
    config: ConfigOption = None,
    as_json: AsJson = False,
) -> None:
    """Delete the key of a personal tag: nobody can say any more whom its hashes in the book stood for.

    What was spent stays. The next request makes a new key, so the same person is another hash from then on.
    """
    with opened(config) as book:
        found = book.forget(tag)
    if as_json:
        print_document({"tag": tag, "forgotten": found})
    elif found:
        console().print(f"the key of tag `{tag}` is deleted, and the book says so", soft_wrap=True)
    else:
        console().print(f"tag `{tag}` has no key in this book: there is nothing to forget", soft_wrap=True)
    if not found:
        raise typer.Exit(1)


def pseudonym(
    *,
    tag: Annotated[str, typer.Argument(metavar="TAG", help="a personal tag of the config, as `user`")],
    value: Annotated[str, typer.Argument(metavar="VALUE", help="whose spend you look for")],
    config: ConfigOption = None,
    as_json: AsJson = False,
) -> None:
    """Print what stands for a personal value in the book, to find it in `spend --by tag.TAG` and in exports."""
    from modelrouter.config import find_config
    from modelrouter.config.build import read
    from modelrouter.ledger import open_ledger
    from modelrouter.router.outside import SystemClock

    setup = read(find_config(config)).setup
    declared = setup.tags.get(tag)
    if declared is None or not declared.personal:
        names = ", ".join(f"`{name}`" for name, each in setup.tags.items() if each.personal)
        raise RequestError(
            f"`{tag}` is no personal tag of this config: {f'take {names}' if names else 'it declares none'}"
        )
    book = open_ledger(setup.ledger, SystemClock(), create=False)
    try:
        found = book.pseudonym(tag, value)
    finally:
        book.close(CLOSE_WAIT_S)
    if as_json:
        print_document({"tag": tag, "pseudonym": found})
    else:
        print(found)
