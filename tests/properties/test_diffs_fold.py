"""The net effect of a window equals the changes one by one."""

from hypothesis import given, settings
from hypothesis import strategies as st

from presence_engine import Change, MemberJoined, MemberLeft, MemberUpdated, NetChange, fold

users = st.sampled_from(["a", "b", "c", ""])
steps = st.lists(st.tuples(users, st.sampled_from("+-~"), st.integers(0, 9)), max_size=30)


def history(start: set[str], wanted: list[tuple[str, str, int]], at_once: int) -> tuple[list[Change], dict[str, str]]:
    """Changes that could really happen: nobody joins twice or leaves without being there."""
    members = dict.fromkeys(start, "0")
    changes: list[Change] = []
    entries: list[MemberJoined | MemberLeft] = []
    for user, kind, number in wanted:
        if (kind == "+") == (user in members):
            continue
        match kind:
            case "+":
                members[user] = str(number)
                entries.append(MemberJoined(user, 1, "", members[user], ""))
            case "~":
                members[user] = str(number)
                entries.append(MemberUpdated(user, 1, "", members[user], ""))
            case _:
                del members[user]
                entries.append(MemberLeft(user, "", "", "left"))
        if len(entries) >= at_once:
            changes.append(Change("e", len(changes) + 1, len(members), len(members), 1, tuple(entries)))
            entries = []
    changes.append(Change("e", len(changes) + 1, len(members), len(members), 1, tuple(entries)))
    return changes, members


def replayed(start: set[str], parts: list[NetChange]) -> dict[str, str]:
    members = dict.fromkeys(start, "0")
    for part in parts:
        touched = [one.user for group in (part.joined, part.updated, part.left) for one in group]
        assert len(touched) == len(set(touched)), "one user is mentioned twice"
        for one in part.joined:
            assert one.user not in members
            members[one.user] = one.name_json
        for one in part.updated:
            assert one.user in members
            members[one.user] = one.name_json
        for gone in part.left:
            del members[gone.user]
        assert part.count == len(members)
    return members


@settings(max_examples=300, deadline=None)
@given(start=st.sets(users), wanted=steps, at_once=st.integers(1, 3), cut=st.integers(0, 30))
def test_folded_equals_unfolded(start: set[str], wanted: list[tuple[str, str, int]], at_once: int, cut: int) -> None:
    """X3: the same members after it, wherever it is cut; nobody mentioned twice."""
    changes, members = history(start, wanted, at_once)
    one_by_one = replayed(start, [fold([change]) for change in changes])
    assert replayed(start, [fold(changes)]) == one_by_one == members
    cut = min(cut, len(changes))
    parts = [fold(part) for part in (changes[:cut], changes[cut:]) if part]
    assert replayed(start, parts) == members
    assert [part.from_seq for part in parts] == [0, *(part.seq for part in parts[:-1])]


@settings(max_examples=100, deadline=None)
@given(wanted=steps)
def test_nothing_is_said_of_who_came_and_went(wanted: list[tuple[str, str, int]]) -> None:
    changes, members = history(set(), wanted, 1)
    whole = fold(changes)
    assert whole.left == []
    assert whole.updated == []
    assert {one.user for one in whole.joined} == set(members)
