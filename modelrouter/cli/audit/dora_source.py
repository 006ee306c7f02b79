"""Where the columns for DORA's register of information come from, what that was checked against, and how sure it is."""

from __future__ import annotations

from typing import Final

__all__ = ["CHECKED", "SOURCE"]

SOURCE: Final = (
    "Commission Implementing Regulation (EU) 2024/2956, Annex I (http://data.europa.eu/eli/reg_impl/2024/2956/oj), as "
    "corrected by OJ L, 2025/90725 of 19.9.2025"
)
_COMPARED: Final = (
    f"The columns follow {SOURCE}. On 2026-11-29 numbers and names of B_02.02, B_05.01, B_05.02, B_06.01 and B_07.01, "
    "and the values `Yes`, `No`, `Not substitutable` and `Easily substitutable`, were compared with published "
    "descriptions of that text, of its correction, and of the templates and the filing format of the European Banking "
    "Authority. The Official Journal itself was not at hand: whoever files should compare with it once more."
)
_MOVED: Final = (
    "The correction moved B_06.01. As first printed it had no 0050, and its columns from the assessment of criticality "
    "on were 0060 to 0110; here they are 0050 to 0100."
)
_OTHERWISE: Final = (
    "The Authority's spreadsheet numbers B_05.01 otherwise: its 0030 to 0090 are 0050, 0070, 0080, 0090, 0100, 0110 "
    "and 0120 here and in its filing format; 0030, 0040 and 0060 have no column there."
)
_LEFT_OUT: Final = (
    "B_02.02 is here without the columns that are about contracts and judgements alone: 0070 to 0130, 0170 and 0180."
)
CHECKED: Final = (_COMPARED, _MOVED, _OTHERWISE, _LEFT_OUT)
"""One thing each, for people."""
