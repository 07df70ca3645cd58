"""ChatEngine: customers' chat rooms and their messages, one method a verb, each one script of the same name."""

import asyncio
import hashlib
from collections.abc import Collection, Sequence
from typing import Any, Final

from presence_engine import chat_replies
from presence_engine.chat_input import check_text, room_details, stored_body
from presence_engine.chat_models import (
    ChatRoom,
    ChatRules,
    IncomingMessage,
    MessagePage,
    OutgoingMessage,
    Posted,
    RoomOpened,
    RoomPage,
    RoomRead,
    UnknownRoom,
)
from presence_engine.errors import ContractBroken, InvalidInput
from presence_engine.ids import MAX_SAFE_INTEGER, canonical_id
from presence_engine.inputs import checked_limit, checked_whole, clock
from presence_engine.keys import Keyspace
from presence_engine.phones import canonical_phone, room_of_phone
from presence_engine.replies import UNIT_SEPARATOR
from presence_engine.store import Store

TRIM_LIMIT: Final = 100


class ChatEngine:
    """Chat rooms in one Redis: a phone is a room, its messages are numbered 1, 2, 3 … without gaps.

    store, keys: those of a PresenceEngine; neither ever touches the other's keys. rules: how much is kept.

    A room's id follows from its phone and its partition from its id, so one script on one partition does all that a
    message needs and nothing can be left half done. Every method is one round trip (`rooms` and `trim`: one for each
    partition, sent together). It raises InvalidInput for a bad argument, by its name on the wire, before anything is
    sent, and StoreUnavailable when Redis does not answer: a change may then have been made. Repeating is harmless; a
    message is recognised by its `wa_message_id`, an agent's by its `client_id`. `now_ms` stands in for the Redis clock
    in tests.

    Every change is published on its partition's channel, `keys.chat_feed(partition)`: `decode_chat_change` reads it.
    """

    def __init__(self, store: Store, keys: Keyspace, *, rules: ChatRules | None = None) -> None:
        self.store = store
        self.keys = keys
        self.rules = rules or ChatRules()

    async def post(self, message: IncomingMessage, *, now_ms: int | None = None) -> Posted:
        """Save a customer's message in the room of its phone, which it makes when there is none.

        Posted.first is true for exactly one message a room. A known `wa_message_id` is a duplicate: nothing changes.
        A better name updates the room: the newest customer or lead name, else title, else `Customer {phone}`.
        Source: lua/v1/chat/post.lua. O(log r) for r rooms.
        """
        phone = canonical_phone(message.phone)
        room_id = room_of_phone(phone)
        details = room_details(phone, message.customer_name, message.room_title, message.leads_info)
        body = stored_body(message, None)
        outcome = await self._post(room_id, "customer", body, details, _source("wa", message.wa_message_id), now_ms)
        if isinstance(outcome, UnknownRoom):
            raise ContractBroken("chat/post: a customer's message makes its room")
        return outcome

    async def send(self, message: OutgoingMessage, *, now_ms: int | None = None) -> Posted | UnknownRoom:
        """Save an agent's message in a room that exists; it does not raise the unread count.

        A known `client_id` of the same user, or without one a known `wa_message_id`, is a duplicate: nothing changes.
        Source: lua/v1/chat/post.lua. O(log r) for r rooms.
        """
        room_id, user_id = canonical_id(message.room_id, "room_id"), canonical_id(message.user_id, "user_id")
        body = stored_body(message, user_id, message.text)
        source = _source("agent", message.client_id, user_id) or _source("wa", message.wa_message_id)
        return await self._post(room_id, "agent", body, "", source, now_ms)

    async def _post(
        self, room_id: str, author: str, body: str, details: str, source: str, now_ms: int | None
    ) -> Posted | UnknownRoom:
        keys: Sequence[str] = self.keys.chat_room(room_id)
        if source:
            keys = (*keys, self.keys.chat_once(room_id, source))
        values = {
            "room": room_id,
            "author": author,
            "body": body,
            "details": details,
            "max_messages": self.rules.max_messages,
            "once_ms": self.rules.remember_ms,
            "now_ms": clock(now_ms),
        }
        return chat_replies.posted(await self.store.run("chat/post", keys, values), room_id, body)

    async def open(
        self,
        phone: str | int,
        *,
        customer_name: str | None = None,
        room_title: str | None = None,
        leads_info: dict[str, Any] | None = None,
        now_ms: int | None = None,
    ) -> RoomOpened:
        """Make the room of a phone before anybody wrote in it, or tell it better names; nothing is announced.

        Its first message, whoever writes it, announces the room. Arguments as in IncomingMessage.
        Source: lua/v1/chat/open.lua. O(log r) for r rooms.
        """
        digits = canonical_phone(phone)
        room_id = room_of_phone(digits)
        keys = self.keys.chat_room(room_id)
        details = room_details(digits, customer_name, room_title, leads_info)
        values = {"room": room_id, "details": details, "now_ms": clock(now_ms)}
        return chat_replies.opened(await self.store.run("chat/open", (keys.state, keys.activity), values), room_id)

    async def read(self, room_id: str, seq: int | None = None) -> RoomRead | UnknownRoom:
        """Move the read mark forward to `seq`, or to the newest message there is when the script runs.

        seq: 0–2^53−1; one behind the mark changes nothing. A message saved meanwhile stays unread.
        Announced when changed. Source: lua/v1/chat/read.lua. O(1) amortised.
        """
        room_id = canonical_id(room_id, "room_id")
        keys = self.keys.chat_room(room_id)
        values = {"room": room_id, "seq": "" if seq is None else checked_whole(seq, "seq", 0, MAX_SAFE_INTEGER)}
        reply = await self.store.run("chat/read", (keys.state, keys.unseen, keys.feed), values)
        return chat_replies.read(reply, room_id)

    async def room(self, room_id: str) -> ChatRoom | UnknownRoom:
        """Tell one room with its newest message. Source: lua/v1/chat/room.lua. O(1)."""
        room_id = canonical_id(room_id, "room_id")
        return chat_replies.room(await self.store.run("chat/room", self.keys.chat_room(room_id)[:2], {}), room_id)

    async def rooms(
        self, *, limit: int = 50, cursor: str | None = None, partitions: Collection[int] | None = None
    ) -> RoomPage:
        """List a page of rooms, newest activity first. limit: 1–1000. cursor: from the page before.
        partitions: count and list the rooms of these alone.

        A room that is written in between two pages moves to the front; no other is missed or told twice.
        Source: lua/v1/chat/rooms.lua. O(log r + limit) a partition.
        """
        wanted = checked_limit(limit, 1)
        after = _read_cursor(cursor, self.keys.partitions)
        asked = range(self.keys.partitions) if partitions is None else partitions
        parts = await asyncio.gather(*(self._rooms(p, _upper_bound(after, p), wanted + 1) for p in asked))
        found = [(-at, p, room) for p, (_, part) in zip(asked, parts, strict=True) for at, room in part]
        # Two partitions may know the same microsecond; their number then decides, here and in the cursor.
        found.sort(key=lambda one: one[:2])
        shown = found[:wanted]
        more = f"{-shown[-1][0]}:{shown[-1][1]}" if len(found) > wanted else None
        return RoomPage([room for _, _, room in shown], sum(total for total, _ in parts), more)

    async def _rooms(self, partition: int, newest: str, limit: int) -> tuple[int, list[tuple[int, ChatRoom]]]:
        keys = (self.keys.chat_activity(partition), self.keys.stem(partition))
        return chat_replies.rooms(await self.store.run("chat/rooms", keys, {"newest": newest, "limit": limit}))

    async def messages(self, room_id: str, *, limit: int = 50, before: int | None = None) -> MessagePage | UnknownRoom:
        """List the newest messages of a room, or the newest before a seq, oldest first.

        limit: 1–1000. before: a seq, 1–2^53−1. Source: lua/v1/chat/messages.lua. O(log n + limit).
        """
        room_id = canonical_id(room_id, "room_id")
        values = {
            "before": "" if before is None else checked_whole(before, "before", 1, MAX_SAFE_INTEGER),
            "limit": checked_limit(limit, 1),
        }
        reply = await self.store.run("chat/messages", self.keys.chat_room(room_id)[:2], values)
        return chat_replies.messages(reply, room_id)

    async def trim(self, *, now_ms: int | None = None) -> int:
        """Delete the messages past `rules.max_age_ms`, at most 100 a call, until none is; return how many.

        To be run now and then by any server; without an age it does nothing. Seq, counts and marks stay.
        Source: lua/v1/chat/trim.lua. O(log r + 100) a call.
        """
        if self.rules.max_age_ms == 0:
            return 0
        return sum(await asyncio.gather(*(self._trim(p, now_ms) for p in range(self.keys.partitions))))

    async def _trim(self, partition: int, now_ms: int | None) -> int:
        keys = (self.keys.chat_oldest(partition), self.keys.stem(partition))
        values = {"max_age_ms": self.rules.max_age_ms, "limit": TRIM_LIMIT, "now_ms": clock(now_ms)}
        total, more = 0, True
        while more:
            removed, more = chat_replies.trimmed(await self.store.run("chat/trim", keys, values))
            total += removed
        return total


def _source(kind: str, given: str | None, user_id: str = "") -> str:
    """Who gave a message its id, and a digest of that id: of any length and any characters, a key stays short."""
    if not given:
        return ""
    check_text("client_id" if kind == "agent" else "wa_message_id", given)
    whose = f"{user_id}{UNIT_SEPARATOR}{given}".encode()
    return f"{kind}:{hashlib.blake2b(whose, digest_size=16).hexdigest()}"


def _read_cursor(cursor: str | None, partitions: int) -> tuple[int, int] | None:
    if cursor is None:
        return None
    at, _, partition = cursor.partition(":") if isinstance(cursor, str) else ("", "", "")
    for part in (at, partition):
        if not (part.isascii() and part.isdecimal() and len(part) <= 16):
            raise InvalidInput("cursor", "must be the cursor of an earlier page")
    if int(partition) >= partitions:
        raise InvalidInput("cursor", "must be the cursor of an earlier page")
    return int(at), int(partition)


def _upper_bound(after: tuple[int, int] | None, partition: int) -> str:
    """Where a partition's part of the page begins: behind (activity, partition) of the cursor."""
    if after is None:
        return "+inf"
    return f"{after[0]}" if partition > after[1] else f"({after[0]}"
