"""Notices that come late."""

from presence_engine import Change, ConnectionOut
from server.sockets.session import Membership


def test_a_notice_older_than_the_join_is_not_for_it() -> None:
    """T1.3: the same socket joined again before it heard that it had been put out."""
    out = ConnectionOut("u", "nodeOne1", "sid", "inactivity_timeout", "")
    change = Change("a1", 7, 0, 0, 0, [out])
    assert Membership("r", 0, joined_at=("a1", 8)).is_younger_than(change.epoch, change.seq)
    assert Membership("r", 0, joined_at=("a1", 7)).is_younger_than(change.epoch, change.seq)
    assert not Membership("r", 0, joined_at=("a1", 6)).is_younger_than(change.epoch, change.seq)
    assert not Membership("r", 0, joined_at=("9f", 8)).is_younger_than(change.epoch, change.seq)
    assert Membership("r", 0, joined_at=("a2", 1)).is_younger_than(change.epoch, change.seq), "it was empty in between"
    assert not Membership("r", 0).is_younger_than(change.epoch, change.seq)
