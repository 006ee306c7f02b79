"""No vendor is indispensable: proved when a config is loaded, so a change that breaks it is never taken into use."""

from _local import configs
from modelrouter import PolicyError, Router

with configs() as folder:
    config = folder / "no_single_vendor.yaml"
    with Router.from_config(config) as router:
        print(f"loaded: each of {', '.join(router.setup.routes)} has somebody left whichever one vendor is lost")

        # Somebody saves a contract, and with it the only way out.
        text = config.read_text(encoding="utf-8")
        config.write_text(text.replace("contracts: {try: [gpt, mistral]}", "contracts: {try: [gpt]}"), encoding="utf-8")
        try:
            router.reload()
        except PolicyError as refusal:
            print(f"not reloaded: {refusal.reason}")
            assert "the loss of `azure` leaves nobody for `contracts`" in refusal.reason
            assert refusal.line is not None
        else:
            raise AssertionError("a route was left to one vendor")

        # The config that was proved is still in force, and an assertion is never asked of a single request.
        assert router.setup.routes["contracts"].candidates == ("gpt", "mistral")
        reply = router.complete("support", "Say hello to a customer.")
        print(f"still in force, and {reply.deployment} answers: {reply.text!r}")
