"""Nobody may serve this: the error counts the reasons, names the fact behind each, and says what is nearest."""

from _local import configs
from modelrouter import NoRouteError, Router

with configs() as folder:
    config = folder / "refusal.yaml"
    with Router.from_config(config) as router:
        try:
            router.complete("letters", "Draft a letter to a patient.")
        except NoRouteError as refusal:
            print(refusal)
            assert "0 of 3 deployments permitted" in refusal.message
            assert "Nearest: `local` retaining at most 30 days would admit local." in refusal.message
            assert not refusal.attempts, "nothing was sent"
            assert refusal.decision is not None
            print("\nin full:")
            print(refusal.decision.explain())
        else:
            raise AssertionError("a deployment was permitted that no policy permits")

        # The nearest way out is a change of fact, not of policy: the platform team now deletes its logs after a week.
        text = config.read_text(encoding="utf-8")
        config.write_text(text.replace("retention_days: 45", "retention_days: 7"), encoding="utf-8")
        router.reload()
        reply = router.complete("letters", "Draft a letter to a patient.")
        print(f"\nafter `retention_days: 7` and a reload, {reply.deployment} answers: {reply.text!r}")
        assert reply.deployment == "local"
