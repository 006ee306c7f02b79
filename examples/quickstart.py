"""Name a route, get an answer, know what it cost and why this model gave it."""

from _local import configs
from modelrouter import Router

with configs() as folder, Router.from_config(folder / "quickstart.yaml") as router:
    reply = router.complete("support", "A customer asks for a refund. Draft a kind answer.")

    print(reply.text)
    print()
    print(f"answered by  {reply.deployment}, {reply.usage.output_tokens if reply.usage else '?'} tokens")
    print(f"cost         ${reply.cost_usd:f}")
    print(f"saved        ${reply.saved_usd:f} against the baseline, at its list price for the same tokens")
    print("decided so:")
    print(reply.decision.explain())

    assert reply.text
    assert reply.cost_usd > 0
    assert reply.cost_is_certain, "the server counted its tokens, so the cost is no estimate"
