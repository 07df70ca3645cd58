"""Chat events: subscribe to a room's messages, read it. Messages themselves come in over HTTP."""

from collections.abc import Mapping
from typing import Any

from presence_engine import ChatEngine, UnknownRoom, canonical_id
from server import payloads, wire
from server.auth import Authoriser
from server.chat_fanout import ChatFanout
from server.payloads import read
from server.refusals import Refusal
from server.sockets.gateway import Answer, Handler
from server.sockets.presence import PresenceEvents
from server.sockets.session import Session


class ChatEvents:
    """The chat part of the contract. Answers are the acks' bodies."""

    def __init__(self, chat: ChatEngine, fanout: ChatFanout, presence: PresenceEvents, authoriser: Authoriser) -> None:
        self._chat, self._fanout, self._presence, self._authoriser = chat, fanout, presence, authoriser

    def handlers(self) -> Mapping[str, Handler]:
        return {"room:join": self.join, "room:leave": self.leave, "room:read": self.read}

    async def join(self, session: Session, payload: Any) -> Answer:
        """Subscribe to a room's messages, and with a user enter its presence: both, or on a refusal neither."""
        wanted = read(payloads.JoinChatRoom, payload)
        room = canonical_id(wanted.room_id, "room_id")
        self._authoriser.check_room(session.identity, "chat", room)
        joined = {} if wanted.userId is None else await self._presence.join(session, payload)
        self._fanout.listen(session, room)
        return {**joined, "room_id": wire.echo(wanted.room_id)}

    async def leave(self, session: Session, payload: Any) -> Answer:
        """Unsubscribe, and with a user leave the room's presence too. Harmless where neither is the case."""
        wanted = read(payloads.ChatRoom, payload)
        room = canonical_id(wanted.room_id, "room_id")
        left: Answer = {}
        if wanted.userId is not None:
            user = canonical_id(wanted.userId, "userId")
            if session.identity is not None and session.identity.user != user:
                raise Refusal("forbidden", "this socket belongs to another user")
        self._fanout.unlisten(session, room)
        if wanted.userId is not None:
            left = await self._presence.leave(session, payload)
        return {**left, "room_id": wire.echo(wanted.room_id)}

    async def read(self, session: Session, payload: Any) -> Answer:
        wanted = read(payloads.ReadChatRoom, payload)
        room = canonical_id(wanted.room_id, "room_id")
        self._authoriser.check_room(session.identity, "chat", room)
        outcome = await self._chat.read(room, wanted.seq)
        if isinstance(outcome, UnknownRoom):
            raise Refusal("not_found", "there is no such chat room")
        return {
            "room_id": wire.echo(wanted.room_id), "unread_count": outcome.unread_count, "read_seq": outcome.read_seq
        }  # fmt: skip
