"""A house file and a team file: the team adds routes and rules, and cannot loosen what the house says."""

from pathlib import Path

from _local import configs
from modelrouter import ConfigError, Router

ATTEMPTS = {
    "waive the house's rule": (
        "waivers: [{id: T-1, rule: house-data/operator.country, subject: kimi, because: it is cheaper, owner: team, "
        "expires: 2099-01-01}]"
    ),
    "define the house's deployment anew": (
        "deployments: {local: {model: kimi-k3, operator: moonshot-intl, key: 'env:EXAMPLES_MOONSHOT_KEY'}}"
    ),
    "state a fact that is the house's to state": (
        "deployments: {kimi-2: {model: kimi-k3, operator: moonshot-intl, key: 'env:EXAMPLES_MOONSHOT_KEY', "
        "training: never, source: the team's opinion}}"
    ),
    "keep a book of its own": "ledger: sqlite:///elsewhere.db",
}
"""What a team in a hurry might add to its file."""


def permitted(config: Path, policy: str | None = None) -> list[str]:
    """Who may serve the team's route. Explaining makes no call."""
    with Router.from_config(config) as router:
        return [each.deployment for each in router.explain("chat", policy=policy).permitted]


with configs() as folder:
    team = folder / "team.yaml"
    written = team.read_text(encoding="utf-8")
    with Router.from_config(team) as shared:
        print(shared.explain("chat").explain(), "\n")
        reply = shared.complete("chat", "Say hello to the team.")
        print(f"{reply.deployment} answers: {reply.text!r}\n")
        assert reply.deployment == "local", "the team lists kimi first, and the house refuses it"

    for wish, lines in ATTEMPTS.items():
        team.write_text(f"{written}{lines}\n", encoding="utf-8")
        try:
            Router.from_config(team).close()
        except ConfigError as refusal:
            print(f"to {wish}:\n  {str(refusal).replace(str(folder), '.')}")
        else:
            raise AssertionError(f"a team could {wish}")

    # A team may say `policies: none` for itself; the house's rules hold all the same.
    team.write_text(written.replace("[team-thrift]", "none"), encoding="utf-8")
    print(f"\nwith `policies: none` in the team's file: {permitted(team)}")
    assert permitted(team) == ["local"]

    # Whatever is added, to a file or to one call, only takes candidates away.
    print(f"with `team-trial` added to a call: {permitted(team, policy='team-trial')}")
    assert permitted(team, policy="team-trial") == []
