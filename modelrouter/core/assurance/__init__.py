"""No vendor is indispensable: whose loss takes a deployment away, who is left, and the proof that somebody is.

`vendors_of` is the graph. A `Footing` subtracts losses from who is permitted and finds the shortest counterexample.
`broken_assertions` judges what policies assert of whole routes. `Revocation` and `exposure_of` say who is cut off.
`difference` compares two sets of policies by meaning. `watched` says what a policy that only observes would have done.
"""

from __future__ import annotations

from modelrouter.core.assurance.aftermath import Aftermath, aftermath
from modelrouter.core.assurance.assertions import Asserted, Broken, asserted_by, broken_assertions, permitted_on
from modelrouter.core.assurance.comparing import Side, difference
from modelrouter.core.assurance.difference import Difference, Turn
from modelrouter.core.assurance.loosening import Cause, Loosening
from modelrouter.core.assurance.losses import Loss, LossKind
from modelrouter.core.assurance.observing import Watch, watched
from modelrouter.core.assurance.revocations import (
    ROLES_OF,
    Exposure,
    Revocation,
    RevokedKind,
    RevokedRole,
    exposure_of,
    revocation_from,
    revoked_by,
    subjects_named,
)
from modelrouter.core.assurance.substitution import Dependence, Substitution, dependence
from modelrouter.core.assurance.survival import Footing, Ground
from modelrouter.core.assurance.tally import Tally, tally_of
from modelrouter.core.assurance.told import Told, ToldCall, told_of
from modelrouter.core.assurance.vendors import Gap, Vendor, VendorRole, Vendors, vendors_of

__all__ = [
    "ROLES_OF",
    "Aftermath",
    "Asserted",
    "Broken",
    "Cause",
    "Dependence",
    "Difference",
    "Exposure",
    "Footing",
    "Gap",
    "Ground",
    "Loosening",
    "Loss",
    "LossKind",
    "Revocation",
    "RevokedKind",
    "RevokedRole",
    "Side",
    "Substitution",
    "Tally",
    "Told",
    "ToldCall",
    "Turn",
    "Vendor",
    "VendorRole",
    "Vendors",
    "Watch",
    "aftermath",
    "asserted_by",
    "broken_assertions",
    "dependence",
    "difference",
    "exposure_of",
    "permitted_on",
    "revocation_from",
    "revoked_by",
    "subjects_named",
    "tally_of",
    "told_of",
    "vendors_of",
    "watched",
]
