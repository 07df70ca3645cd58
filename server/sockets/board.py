"""Board events: join, move, group, vote, action items, relay. Each checks, authorises and calls one engine method."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Final
from uuid import uuid4

from presence_engine import (
    ActionAbsent,
    BoardEngine,
    BoardFull,
    BoardStale,
    InvalidInput,
    Move,
    canonical_id,
)
from server import board_wire, payloads, wire
from server.auth import Authoriser
from server.board_wire import stand
from server.payloads import read
from server.refusals import Refusal
from server.sockets.board_seats import BoardSeats
from server.sockets.gateway import Answer, Handler
from server.sockets.session import Session
from server.sockets.transport import SocketServer

RELAYED: Final = ("phase-change", "label-update", "vote-submission", "typing")
# A hand at 60 Hz stays below the usual 50 events a second.
_DRAG_COST: Final = 0.5


class BoardEvents:
    """What is done at a board. Answers are the acks' bodies; a change that is rejected shows its sender what holds."""

    def __init__(self, boards: BoardEngine, sockets: SocketServer, seats: BoardSeats, authoriser: Authoriser) -> None:
        self._boards, self._sockets, self._seats, self._authoriser = boards, sockets, seats, authoriser

    def handlers(self) -> Mapping[str, Handler]:
        handlers: dict[str, Handler] = {
            "join-retro-room": self._seats.join,
            "leave-retro-room": self._seats.leave,
            "request-retro-state": self.request_state,
            "item-position-update": self.move,
            "grouping-update": self.group,
            "vote-update": self.vote,
            "request-user-votes": self.request_votes,
            "request-voting-result": self.request_result,
            "action-item-added": self.add_action,
            "action-item-updated": self.update_action,
            "action-item-deleted": self.delete_action,
            **{event: partial(self.relay, event) for event in RELAYED},
        }
        return {event: partial(self._seats.after_opening, handler) for event, handler in handlers.items()}

    async def request_state(self, session: Session, payload: Any) -> Answer:
        retro = await self._seats.at(session, read(payloads.Board, payload))
        await self._seats.moves.flush(retro)
        snapshot = await self._seats.show(session, retro, self._boards.snapshot(retro))
        return stand(snapshot.position)

    async def move(self, session: Session, payload: Any) -> Answer | asyncio.Future[Any]:
        wanted = read(payloads.MoveItems, payload)
        retro = await self._seats.at(session, wanted)
        if wanted.itemPositions is not None:
            return await self._fill(session, retro, wanted)
        if wanted.itemId is None:
            raise InvalidInput("itemId", "is missing")
        if wanted.position is None:
            raise InvalidInput("position", "is missing")
        move = Move(wire.echo(wanted.itemId), wanted.position, _user(session), wanted.source or "drag")
        self._boards.check(move)
        if move.source != "drag":
            return await self._landed(retro, move)
        session.bucket.give_back(1 - _DRAG_COST)
        return asyncio.ensure_future(self._landed(retro, move))

    async def _landed(self, retro: str, move: Move) -> Answer:
        outcome = await self._seats.moves.move(retro, move)
        if isinstance(outcome, BoardFull):
            raise Refusal("too_large", "the board has no room for another item")
        at, version = outcome
        return {"itemId": move.item_id, **stand(at), "version": version}

    async def _fill(self, session: Session, retro: str, wanted: payloads.MoveItems) -> Answer:
        assert wanted.itemPositions is not None  # noqa: S101 - the caller has looked
        source = wanted.source or "bulk"
        with self._seats.holding(session, retro):
            outcome = await self._boards.fill(retro, wanted.itemPositions, user_id=_user(session), source=source)
            if isinstance(outcome, BoardFull):
                raise Refusal("too_large", "the board has no room for so many items")
            answer: Answer = {"filled": outcome.filled, **stand(outcome.position)}
            if outcome.held:
                holds = board_wire.positions(outcome, outcome.held, None, source)
                await self._sockets.tell(session, f"item-position-update:{retro}", holds)
                answer["itemPositions"] = outcome.held
        return answer

    async def group(self, session: Session, payload: Any) -> Answer:
        wanted = read(payloads.GroupItems, payload)
        retro = await self._seats.at(session, wanted)
        with self._seats.holding(session, retro):
            outcome = await self._boards.group(
                retro, wanted.itemGroups, wanted.signatureColors, user_id=_user(session), timestamp=wanted.timestamp
            )
            answer: Answer = {"timestamp": outcome.timestamp_ms, **stand(outcome.position)}
            if not isinstance(outcome, BoardStale):
                return {"accepted": True, **answer}
            holds = {"itemGroups": outcome.item_groups, "signatureColors": outcome.signature_colors, **answer}
            await self._sockets.tell(session, f"grouping-update:{retro}", {"userId": None, **holds})
        return {"accepted": False, **holds}

    async def vote(self, session: Session, payload: Any) -> Answer:
        wanted = read(payloads.CastVotes, payload)
        retro = await self._seats.at(session, wanted)
        user, group = _user(session), None if wanted.groupId is None else wire.echo(wanted.groupId)
        try:
            outcome = await self._boards.vote(retro, wanted.userVotes, user_id=user, group_id=group, votes=wanted.votes)
        except InvalidInput as error:
            with self._seats.holding(session, retro):
                await self._tell_votes(session, retro, user, await self._boards.votes(retro, user))
            if error.field == "votes":
                # The field of every refusal of votes; the words tell which it was.
                raise Refusal("invalid_input", str(error), field="userVotes") from None
            raise
        if isinstance(outcome, BoardFull):
            raise Refusal("too_large", f"no more than {outcome.count} users can vote on a board")
        return stand(outcome.position)

    async def request_votes(self, session: Session, payload: Any) -> Answer:
        retro = await self._seats.at(session, read(payloads.Board, payload))
        with self._seats.holding(session, retro):
            snapshot = await self._boards.snapshot(retro)
            await self._tell_votes(session, retro, _user(session), snapshot.state.all_user_votes)
        return stand(snapshot.position)

    async def _tell_votes(
        self, session: Session, retro: str, user: str | int, votes: Mapping[str, Mapping[str, int]]
    ) -> None:
        own = votes.get(canonical_id(user, "userId"), {})
        await self._sockets.tell(session, f"user-votes:{retro}:{user}", {"userVotes": own})

    async def request_result(self, session: Session, payload: Any) -> Answer:
        retro = await self._seats.at(session, read(payloads.Board, payload))
        with self._seats.holding(session, retro):
            snapshot = await self._boards.snapshot(retro)
            at = stand(snapshot.position)
            body = {"allUserVotes": snapshot.state.all_user_votes, **at}
            await self._sockets.tell(session, f"initial-voting-result:{retro}", body)
        return at

    async def add_action(self, session: Session, payload: Any) -> Answer:
        wanted = read(payloads.AddAction, payload)
        retro = await self._seats.at(session, wanted)
        outcome = await self._boards.action_add(
            retro,
            str(uuid4()),
            task=wanted.task,
            assignee_id=wire.echo(wanted.assigneeId),
            assignee_name=wanted.assigneeName,
            created_by=self._author(session, wanted.createdBy),
        )
        if isinstance(outcome, BoardFull):
            raise Refusal("too_large", f"a board takes no more than {outcome.count} action items")
        return {"actionItem": outcome.item, "added": outcome.changed, **stand(outcome.position)}

    async def update_action(self, session: Session, payload: Any) -> Answer:
        wanted = read(payloads.UpdateAction, payload)
        retro = await self._seats.at(session, wanted)
        self._author(session, wanted.updatedBy)
        outcome = await self._boards.action_update(
            retro,
            canonical_id(wanted.actionItemId, "actionItemId"),
            task=wanted.task,
            assignee_id=None if wanted.assigneeId is None else wire.echo(wanted.assigneeId),
            assignee_name=wanted.assigneeName,
        )
        if isinstance(outcome, ActionAbsent):
            raise await self._no_action(session, retro)
        return {"actionItem": outcome.item, "updated": outcome.changed, **stand(outcome.position)}

    async def delete_action(self, session: Session, payload: Any) -> Answer:
        wanted = read(payloads.DeleteAction, payload)
        retro = await self._seats.at(session, wanted)
        outcome = await self._boards.action_delete(retro, canonical_id(wanted.actionItemId, "actionItemId"))
        if isinstance(outcome, ActionAbsent):
            raise await self._no_action(session, retro)
        return stand(outcome.position)

    async def _no_action(self, session: Session, retro: str) -> Refusal:
        """Show the sender the action items that there are."""
        with self._seats.holding(session, retro):
            snapshot = await self._boards.snapshot(retro)
            items = board_wire.action_items(snapshot.state.action_items)
            await self._sockets.tell(session, f"action-items-update:{retro}", items)
        return Refusal("not_found", "there is no such action item")

    async def relay(self, event: str, session: Session, payload: Any) -> Answer:
        retro = await self._seats.at(session, read(payloads.Board, payload))
        outcome = await self._boards.relay(retro, event, payload)
        return stand(outcome.position)

    def _author(self, session: Session, given: str | int | float | None) -> str | int:
        """Who made an action item. With authentication that is the token's user and nobody else."""
        if given is None:
            return _user(session)
        if self._authoriser.enabled:
            self._authoriser.identify(session, given, None)
        return wire.echo(given)


def _user(session: Session) -> str | int:
    """The socket's user, as given."""
    assert session.identity is not None  # noqa: S101 - a socket at a board has joined, and joining identifies
    return session.identity.given
