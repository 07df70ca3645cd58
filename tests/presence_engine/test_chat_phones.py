"""T4.11: one phone, however it is written."""

import uuid

import pytest

from presence_engine import InvalidInput
from presence_engine.phones import canonical_phone, room_of_phone


@pytest.mark.parametrize(
    "spelling",
    [
        "628785390", "+62 878-5390", "62 878 5390", "0062878.5390", "00 62/878/5390", "+62 (0)878 5390",
        "+62 (878) 5390", "  +62\t878\u00a05390\n", "+62\u2011878\u20135390", "\u202a+62 878 5390\u202c",
        "٦٢٨٧٨٥٣٩٠", "６２８７８５３９０", 628785390, "000628785390",
    ],
)  # fmt: skip
def test_spellings_of_one_phone(spelling: str | int) -> None:
    assert canonical_phone(spelling) == "628785390"


@pytest.mark.parametrize("spelling", ["628785391", "8785390", "+62 8785 3900"])
def test_other_phones_stay_others(spelling: str) -> None:
    assert canonical_phone(spelling) != "628785390"


@pytest.mark.parametrize(
    "refused",
    ["", " ", "+", "0", "000", "+-()", "62x878", "62+878", "++62878", "1" * 16, "²3", "me@c.us", "1\x002", None, True,
     1.5, -628785390, 0, [], {}],
)  # fmt: skip
def test_what_is_no_phone_is_refused_by_name(refused: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        canonical_phone(refused)
    assert caught.value.field == "phone"


def test_the_longest_phone_passes() -> None:
    assert canonical_phone("00" + "9" * 15) == "9" * 15


def test_a_room_belongs_to_its_phone_for_ever() -> None:
    """T4.1: the claim is arithmetic, so it cannot be lost, or won twice."""
    assert room_of_phone("628785390") == "d64b647a-b75f-534c-ac30-da0ea9f352ac"
    assert len({room_of_phone(str(n)) for n in range(2000)}) == 2000
    assert uuid.UUID(room_of_phone("1")).version == 5
