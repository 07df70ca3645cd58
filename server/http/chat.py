"""The chat over HTTP: rooms, messages, what customers and agents write, and the read mark."""

import logging
from collections.abc import Sequence
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from presence_engine import (
    MAX_PAGE,
    ChatEngine,
    ChatRoom,
    IncomingMessage,
    InvalidInput,
    Posted,
    PresenceEngine,
    UnknownRoom,
    canonical_id,
    canonical_phone,
    read_incoming,
    read_outgoing,
    room_of_phone,
)
from server import chat_wire
from server.auth import Authoriser
from server.chat_participants import participants_of
from server.http.answers import fresh, in_path, in_query, of_body, received, whole
from server.http.chat_body import check_says_something, decoded
from server.payloads import ReadTo, both_spellings, read
from server.refusals import Refusal
from server.sockets.session import Identity

DEFAULT_PAGE: Final = 50
# A token that may see few rooms does not make the server walk through all of them at once.
_PAGES_SEARCHED: Final = 20
_SEQ_DIGITS: Final = 16

log = structlog.wrap_logger(logging.getLogger(__name__))


class ChatRoutes:
    """The routes of the contract's chat. `post` is also how the webhook saves what it brings."""

    def __init__(self, engine: PresenceEngine, chat: ChatEngine, authoriser: Authoriser) -> None:
        self._engine, self._chat, self._authoriser = engine, chat, authoriser

    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route("/rooms", self.rooms),
            Route("/rooms/{room_id:path}/read", self.read, methods=["POST"]),
            Route("/rooms/{room_id:path}", self.room),
            Route("/messages", self.messages),
            Route("/messages/incoming", self.incoming, methods=["POST"]),
            Route("/messages/send", self.send, methods=["POST"]),
        ]

    async def rooms(self, request: Request) -> Response:
        identity = self._authoriser.bearer(request.headers)
        limit = whole(request, "limit", DEFAULT_PAGE, 1, MAX_PAGE)
        cursor, total = request.query_params.get("cursor"), 0
        shown: list[ChatRoom] = []
        for _ in range(_PAGES_SEARCHED):
            page = await self._chat.rooms(limit=limit - len(shown), cursor=cursor)
            shown += [room for room in page.rooms if self._authoriser.allows(identity, "chat", room.room_id)]
            cursor, total = page.cursor, page.total
            if cursor is None or len(shown) == limit:
                break
        present = await participants_of(self._engine, [room.room_id for room in shown])
        rooms = [chat_wire.room(room, present[room.room_id]) for room in shown]
        more = {} if cursor is None else {"cursor": cursor}
        if not self._authoriser.sees_all(identity):
            # Nobody is told how many there are besides those.
            total = len(rooms)
        return fresh({"success": True, "data": {"rooms": rooms, "total_count": total, **more}})

    async def room(self, request: Request) -> Response:
        room_id = self._room_of_path(request)
        room = await self._chat.room(room_id)
        if isinstance(room, UnknownRoom):
            raise _absent()
        present = await participants_of(self._engine, [room_id])
        return fresh({"success": True, "data": chat_wire.room(room, present[room_id])})

    async def messages(self, request: Request) -> Response:
        identity = self._authoriser.bearer(request.headers)
        given = in_query(request, "room_id") or in_query(request, "roomId")
        if given is None:
            raise InvalidInput("room_id", "is missing")
        room_id = canonical_id(given, "room_id")
        limit = whole(request, "limit", DEFAULT_PAGE, 1, MAX_PAGE)
        before = _before(request.query_params.get("before"))
        self._authoriser.check_room(identity, "chat", room_id)
        page = await self._chat.messages(room_id, limit=limit, before=before)
        if isinstance(page, UnknownRoom):
            raise _absent()
        messages = [chat_wire.message(one) for one in page.messages]
        return fresh(
            {
                "success": True,
                "room_id": room_id,
                "messages": messages,
                "count": len(messages),
                "has_more": page.has_more,
            }
        )

    async def incoming(self, request: Request) -> Response:
        """Save what a customer wrote. With authentication on any token will do that may see the customer's room.

        So the service that brings messages needs no more than a token, and one with `rooms` cannot write elsewhere.
        """
        identity = self._authoriser.bearer(request.headers)
        content = decoded(await received(request))
        with of_body():
            posted = await self.post(read_incoming(content), identity)
        return fresh(
            {
                "success": True,
                "room_id": posted.room_id,
                "message_id": posted.message_id,
                "is_new_room": posted.first,
                "duplicate": posted.duplicate,
            }
        )

    async def post(self, message: IncomingMessage, identity: Identity | None, *, checked: bool = False) -> Posted:
        """Save a customer's message. checked: the right to its room has been proved otherwise, by a signature."""
        phone = canonical_phone(message.phone)
        if not checked:
            self._authoriser.check_room(identity, "chat", room_of_phone(phone))
        posted = await self._chat.post(message)
        if posted.created:
            line = f"[roomService] New room created: room_id={posted.room_id}, phone={phone}"
            log.info(line, room_id=posted.room_id, phone=phone)
        _log_saved(posted)
        return posted

    async def send(self, request: Request) -> Response:
        """Save what an agent wrote: with authentication on the token's user, or whoever an admin's token names."""
        identity = self._authoriser.bearer(request.headers)
        content = decoded(await received(request))
        with of_body():
            message = read_outgoing(both_spellings(content))
            room_id, user_id = canonical_id(message.room_id, "room_id"), canonical_id(message.user_id, "user_id")
            check_says_something(message)
        self._authoriser.check_room(identity, "chat", room_id)
        if identity is not None and not identity.admin and user_id != identity.user:
            raise Refusal("forbidden", "the token belongs to another user")
        with of_body():
            posted = await self._chat.send(message)
        if isinstance(posted, UnknownRoom):
            raise _absent()
        _log_saved(posted)
        saved = None if posted.message is None else chat_wire.message(posted.message)
        return fresh(
            {
                "success": True,
                "room_id": posted.room_id,
                "message_id": posted.message_id,
                "duplicate": posted.duplicate,
                "message": saved,
            }
        )

    async def read(self, request: Request) -> Response:
        room_id = self._room_of_path(request)
        data = await received(request)
        with of_body():
            wanted = read(ReadTo, decoded(data) if data.strip() else {})
            outcome = await self._chat.read(room_id, wanted.seq)
        if isinstance(outcome, UnknownRoom):
            raise _absent()
        return fresh(
            {
                "success": True,
                "room_id": room_id,
                "unread_count": outcome.unread_count,
                "read_seq": outcome.read_seq,
            }
        )

    def _room_of_path(self, request: Request) -> str:
        identity = self._authoriser.bearer(request.headers)
        room_id = canonical_id(in_path(request, "room_id"), "room_id")
        self._authoriser.check_room(identity, "chat", room_id)
        return room_id


def _log_saved(posted: Posted) -> None:
    if not posted.duplicate:
        line = f"[messageService] Message saved: message_id={posted.message_id}, room_id={posted.room_id}"
        log.info(line, message_id=posted.message_id, room_id=posted.room_id)


def _absent() -> Refusal:
    return Refusal("not_found", "there is no such chat room")


def _before(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= _SEQ_DIGITS):
        raise InvalidInput("before", "must be a message's seq")
    return int(text)
