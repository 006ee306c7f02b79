"""The weights before the weights: ancestors, teachers and allegations, as the rules about developers see them."""

from __future__ import annotations

from tests.core.rules.cases import NO, PERMITTED, REFUSED, UNKNOWN, Case, put, rule, table
from tests.core.rules.world import (
    GPT,
    MISTRAL,
    QWEN_SG,
    UNDISCLOSED_SET,
    UNKNOWN_SET,
    Without,
    low,
    model,
    names,
    self_hosted,
    world,
)
from tests.core.rules.world import UNKNOWN as NOT_KNOWN

BOTH = ("derived_from", "distilled_from")
ALL_THREE = (*BOTH, "lineage_claim")
NO_CHINA = rule("developer.country", deny="CN")
NO_CHINA_TAUGHT = rule("developer.country", deny="CN", lineage=BOTH)
NO_CHINA_CLAIMED = rule("developer.country", deny="CN", lineage=ALL_THREE)

LINEAGE = (
    Case(
        "a German merge of Chinese checkpoints is refused for its ancestors",
        NO_CHINA,
        self_hosted("rhein-merge"),
        REFUSED,
        "CN via deepseek-",
    ),
    Case(
        "allow needs the ancestors inside as well",
        rule("developer.country", allow="DE"),
        self_hosted("rhein-merge"),
        REFUSED,
        "CN via deepseek-",
    ),
    Case(
        "a merge passes when its ancestors' country is allowed too",
        rule("developer.country", allow="DE CN"),
        self_hosted("rhein-merge"),
        PERMITTED,
        used=("rhein-merge.derived_from", "deepseek-r1.derived_from", "deepseek-v3.derived_from", "deepseek.country"),
    ),
    Case(
        "our own tuning of that merge is refused two generations up",
        NO_CHINA,
        self_hosted("acme-merge"),
        REFUSED,
        "CN via deepseek-",
    ),
    Case("a teacher is not asked for unless the rule names the relation", NO_CHINA, self_hosted("hermes-r"), PERMITTED),
    Case(
        "a teacher is found when the rule names the relation",
        NO_CHINA_TAUGHT,
        self_hosted("hermes-r"),
        REFUSED,
        "CN via deepseek-r1",
        used=("hermes-r.distilled_from",),
    ),
    Case(
        "the teacher of an ancestor is found as well",
        NO_CHINA_TAUGHT,
        self_hosted("acme-hermes"),
        REFUSED,
        "CN via deepseek-r1",
    ),
    Case(
        "a distilled Llama is refused for its own developer", NO_CHINA, self_hosted("r1-distill-llama"), REFUSED, "CN"
    ),
    Case(
        "a distilled Llama also has an American ancestor",
        rule("developer.country", allow="CN"),
        self_hosted("r1-distill-llama"),
        REFUSED,
        "US via llama-3.3",
    ),
    Case(
        "asked for teachers alone, weights do not count",
        rule("developer.country", deny="CN", lineage=("distilled_from",)),
        self_hosted("rhein-merge"),
        PERMITTED,
    ),
    Case(
        "the parent of an ancestor's developer counts",
        NO_CHINA,
        self_hosted("quiet-7b"),
        REFUSED,
        "CN",
        world(model("quiet-7b", "rhein-labs", derived_from=names("lion-7b"))),
    ),
    Case("undisclosed weights refuse by default", NO_CHINA, self_hosted("quiet-7b"), NO, "undisclosed"),
    Case(
        "undisclosed weights pass where the rule says so",
        rule("developer.country", deny="CN", undisclosed={"derived_from": "permit"}),
        self_hosted("quiet-7b"),
        PERMITTED,
    ),
    Case("undisclosed teachers pass by default", NO_CHINA_TAUGHT, GPT, PERMITTED),
    Case(
        "undisclosed teachers refuse where the rule says so",
        rule("developer.country", deny="CN", lineage=BOTH, undisclosed={"distilled_from": "refuse"}),
        GPT,
        NO,
        "undisclosed",
    ),
    Case(
        "permitting undisclosed teachers leaves undisclosed weights refused",
        rule("developer.country", deny="CN", lineage=BOTH, undisclosed={"distilled_from": "permit"}),
        self_hosted("quiet-7b"),
        NO,
        "undisclosed",
    ),
    Case("unknown weights are unknown", NO_CHINA, self_hosted("murky-7b"), UNKNOWN, "unknown"),
    Case(
        "permitting the undisclosed does not permit the unknown",
        rule("developer.country", deny="CN", undisclosed={"derived_from": "permit"}),
        self_hosted("murky-7b"),
        UNKNOWN,
        "unknown",
    ),
    Case(
        "unknown teachers are unknown where they are asked for",
        NO_CHINA_TAUGHT,
        MISTRAL,
        UNKNOWN,
        "unknown",
        world(model("mistral-medium", "mistral", distilled_from=UNKNOWN_SET)),
    ),
    Case(
        "unknown teachers do not matter where nobody asks",
        NO_CHINA,
        MISTRAL,
        PERMITTED,
        world=world(model("mistral-medium", "mistral", distilled_from=UNKNOWN_SET)),
    ),
    Case(
        "a denied developer beats unknown weights",
        NO_CHINA,
        QWEN_SG,
        REFUSED,
        "CN",
        world(model("qwen3-32b", "alibaba", derived_from=UNKNOWN_SET)),
    ),
    Case(
        "a denied ancestor beats an undisclosed teacher",
        rule("developer.country", deny="CN", lineage=BOTH, undisclosed={"distilled_from": "refuse"}),
        self_hosted("rhein-merge"),
        REFUSED,
        world=world(
            model("rhein-merge", "rhein-labs", derived_from=names("deepseek-v3"), distilled_from=UNDISCLOSED_SET)
        ),
    ),
    Case(
        "an ancestor with unknown weights leaves the descendant unknown",
        NO_CHINA,
        self_hosted("acme-support"),
        UNKNOWN,
        "unknown",
        world(model("mistral-small", "mistral", derived_from=UNKNOWN_SET)),
    ),
    Case(
        "an ancestor that the world does not describe is unknown",
        NO_CHINA,
        self_hosted("acme-support"),
        UNKNOWN,
        "unknown",
        world(Without("mistral-small")),
    ),
    Case(
        "an ancestor with an unknown developer is unknown",
        NO_CHINA,
        self_hosted("acme-support"),
        UNKNOWN,
        "unknown",
        world(model("mistral-small", NOT_KNOWN)),
    ),
    Case(
        "that weights derive from nothing needs more than a low source",
        NO_CHINA,
        MISTRAL,
        NO,
        "low confidence",
        world(model("mistral-medium", "mistral", derived_from=low(None))),
    ),
    Case(
        "an ancestor named by a low source does refuse",
        NO_CHINA,
        MISTRAL,
        REFUSED,
        "CN via deepseek-v3",
        world(model("mistral-medium", "mistral", derived_from=low(names("deepseek-v3")))),
    ),
    Case(
        "a harmless ancestor named by a low source does not permit",
        NO_CHINA,
        MISTRAL,
        NO,
        "low confidence",
        world(model("mistral-medium", "mistral", derived_from=low(names("mistral-small")))),
    ),
    Case(
        "models that name each other as ancestors end, and a denied one is found",
        NO_CHINA,
        MISTRAL,
        REFUSED,
        "CN via deepseek-v3",
        world(
            model("mistral-medium", "mistral", derived_from=names("deepseek-v3")),
            model("deepseek-v3", "deepseek", derived_from=names("mistral-medium")),
        ),
    ),
    Case(
        "an allegation is not asked for unless the rule names it",
        NO_CHINA_TAUGHT,
        self_hosted("norwood-12b"),
        PERMITTED,
    ),
    Case(
        "an allegation refuses where the rule names it",
        NO_CHINA_CLAIMED,
        self_hosted("norwood-12b"),
        REFUSED,
        "CN via deepseek-r1",
    ),
    Case(
        "an allegation on a low source refuses where the rule names it",
        NO_CHINA_CLAIMED,
        self_hosted("norwood-12b"),
        REFUSED,
        "CN via deepseek-r1",
        world(model("norwood-12b", "norwood", lineage_claim=low(names("deepseek-r1")))),
    ),
    Case("that nobody alleges anything is a fact that permits", NO_CHINA_CLAIMED, MISTRAL, PERMITTED),
)


@table(LINEAGE)
def test_lineage(case: Case) -> None:
    """The developers of ancestors answer as the sentence says, by the relations that the rule names."""
    put(case)
