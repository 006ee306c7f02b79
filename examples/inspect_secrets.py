"""A prompt that holds a secret is moved to a model of our own, or refused; what was found is never shown."""

import os

from _local import configs
from modelrouter import NoRouteError, Router

os.environ.setdefault("EXAMPLES_ANTHROPIC_KEY", "invented: nothing is sent there")
CLAIMED = {"data_class": "public"}
"""What the application believes of its prompts; inspection may only raise it."""
HARMLESS = "How do I close an account?"
WITH_IBAN = "Please pay 20 EUR back to DE89 3704 0044 0532 0130 00."

with configs() as folder, Router.from_config(folder / "inspect" / "modelrouter.yaml") as router:
    first = router.explain("support", HARMLESS, tags=CLAIMED).permitted[0].deployment
    print(f"without a secret, the route begins with {first}")
    assert first == "claude"

    reply = router.complete("support", WITH_IBAN, tags=CLAIMED)
    print(f"with an IBAN, {reply.deployment} answers: {reply.text!r}")
    print(reply.decision.explain())
    assert reply.deployment == "local"
    assert dict(reply.decision.inspected.raised) == {"data_class": "personal"}

    try:
        router.complete("cloud", WITH_IBAN, tags=CLAIMED)
    except NoRouteError as refusal:
        print(f"\nwhere only a cloud is left: {refusal}")
        assert "DE89" not in str(refusal)
    else:
        raise AssertionError("a prompt with an account number left the house")
