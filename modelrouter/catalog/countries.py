"""Country codes: ISO 3166-1 alpha-2, as officially assigned (https://www.iso.org/iso-3166-country-codes.html)."""

from __future__ import annotations

from typing import Final

__all__ = ["COUNTRIES", "country_fault"]

COUNTRIES: Final = frozenset(
    """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY
    BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK
    FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR
    IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK
    ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM
    PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF
    TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW
    """.split()  # noqa: SIM905 - nobody could review a list of 249 strings
)

INSTEAD: Final = {"UK": "GB", "EL": "GR"}
"""Codes that are in everyday use and mean nothing in ISO 3166-1: a deny-list with one of them would never match."""


def country_fault(code: str) -> str | None:
    """What is wrong with a country code, or None."""
    if code in COUNTRIES:
        return None
    if code in INSTEAD:
        return f"`{code}` is no ISO 3166-1 code: write `{INSTEAD[code]}`"
    if code.upper() in COUNTRIES:
        return f"`{code}` must be in capitals: write `{code.upper()}`"
    return f"`{code}` is no ISO 3166-1 country code: write two capitals, as `DE`"
