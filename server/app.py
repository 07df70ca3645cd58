"""The composition root: builds every object once and wires them together."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping, MutableMapping, Sequence
from typing import Any

import socketio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from presence_engine import (
    BoardEngine,
    ChatEngine,
    ChatRules,
    EngineSettings,
    Node,
    PresenceEngine,
    PresenceError,
    Removal,
    Sweeper,
)
from server.auth import Authoriser, Authorize, room_claim
from server.board_fanout import BoardFanout
from server.board_view import BoardView
from server.chat_fanout import ChatFanout
from server.chat_trimmer import ChatTrimmer
from server.fanout import Fanout
from server.http.admin import AdminRoutes
from server.http.answers import on_error
from server.http.board import BoardRoutes
from server.http.chat import ChatRoutes
from server.http.health import HealthRoutes
from server.http.pages import PageRoutes
from server.http.presence import PresenceRoutes
from server.http.security import SecurityHeaders
from server.http.specs import SpecRoutes
from server.http.webhook import WebhookRoutes
from server.limits import bucket_of
from server.metrics import REMOVALS
from server.origins import allowed_origins
from server.reassert import Reassert
from server.refusals import Refusal
from server.room_policy import RoomPolicy
from server.settings import Settings
from server.sockets.arrivals import ConnectRate, UserSockets
from server.sockets.board import BoardEvents
from server.sockets.board_seats import BoardSeats
from server.sockets.chat import ChatEvents
from server.sockets.expiry import TokenExpiry
from server.sockets.following import FollowEvents
from server.sockets.force_leave import ForceLeave
from server.sockets.gateway import Gateway, Handler
from server.sockets.heartbeat import Heartbeats
from server.sockets.partings import Partings
from server.sockets.presence import PresenceEvents
from server.sockets.session import Session
from server.sockets.transport import Codec, LocalManager, SocketServer
from server.start_failures import StartFailures

# Of one message to the server: a bulk update of a large board fits. The WebSocket layer is given the same bound.
MAX_PACKET_BYTES = 1_000_000
GOODBYE_S = 0.1

log = logging.getLogger(__name__)


class PresenceServer:
    """Everything one process serves. `asgi` is the application; its lifespan starts and stops the rest."""

    def __init__(
        self, settings: Settings, redis_url: str, *, authorize: Authorize = room_claim, websocket_only: bool = False
    ) -> None:
        self.settings = settings
        self.sessions: dict[str, Session] = {}
        self.engine = PresenceEngine(
            redis_url,
            settings=EngineSettings(
                rules=RoomPolicy.from_settings(settings).for_room,
                partitions=settings.partitions,
                user_index=settings.user_index,
                sweep_interval_ms=settings.sweep_interval_ms,
                max_user_connections=settings.max_user_connections,
                max_user_rooms=settings.max_user_rooms,
            ),
        )
        self.engine.on_removed = _count_removals
        self.authoriser = Authoriser(settings, authorize)
        self.sockets = SocketServer(
            async_mode="asgi",
            async_handlers=False,
            client_manager=LocalManager(),
            json=Codec,
            namespaces=list(settings.namespaces),
            ping_interval=settings.ping_interval_ms / 1000,
            ping_timeout=settings.ping_timeout_ms / 1000,
            max_http_buffer_size=MAX_PACKET_BYTES,
            cors_allowed_origins=allowed_origins(settings.cors_origins),
            transports=["websocket"] if websocket_only else None,
        )
        self.user_sockets = UserSockets(settings.max_user_connections)
        self.expiry = TokenExpiry(self.sockets, settings.token_grace_ms)
        self.sweeper = Sweeper(self.engine)
        self._ready = False
        handlers = {**self._wire_presence(settings), **self._wire_boards(settings), **self._wire_chat(settings)}
        for namespace in settings.namespaces:
            gateway = Gateway(namespace, handlers, self.sessions, self._open, self._closed)
            self.sockets.register_namespace(gateway)
        self.asgi = self._application()

    def _wire_presence(self, settings: Settings) -> Mapping[str, Handler]:
        force_leave = ForceLeave(settings, self.engine.settings, self.sockets, self.sessions, self.engine.now_ms)
        self.fanout = Fanout(self.engine, settings, self.sockets.send_many, force_leave.put_out)
        force_leave.fanout = self.fanout
        reassert = Reassert(self.engine, self.sessions, force_leave, lambda: self.node.recovering)
        self.fanout.on_exit = reassert.departed
        self.node = Node(
            self.engine,
            settings.node_name,
            lease_ms=settings.lease_ms,
            on_condemned=reassert.condemned,
            on_recovered=reassert.recovered,
        )
        partings = self.partings = Partings(self.engine, settings.grace_ping_timeout_ms)
        follow = FollowEvents(self.engine, settings, self.fanout, self.authoriser)
        self.presence = PresenceEvents(
            self.engine, settings, self.sockets, self.fanout, self.authoriser, follow, force_leave, partings, reassert
        )
        self.presence.on_refreshed = self.expiry.watch
        self.heartbeats = Heartbeats(
            self.engine, self.sockets, self.fanout, self.authoriser, force_leave, partings, self.presence, reassert
        )
        return {**self.presence.handlers(), **self.heartbeats.handlers(), **follow.handlers()}

    def _wire_boards(self, settings: Settings) -> Mapping[str, Handler]:
        boards = BoardEngine(self.engine.store, self.engine.keys, settings.board_ttl_ms)
        self.board_view = BoardView(self.engine, boards)
        self.board_fanout = BoardFanout(boards, self.fanout.feed, self.sockets.send_burst, self.board_view.whole)
        self.fanout.on_restored.append(self.board_fanout.restored)
        self.seats = BoardSeats(
            self.engine,
            boards,
            settings,
            self.sockets,
            self.board_fanout,
            self.board_view,
            self.presence,
            self.heartbeats,
            self.authoriser,
        )
        return BoardEvents(boards, self.sockets, self.seats, self.authoriser).handlers()

    def _wire_chat(self, settings: Settings) -> Mapping[str, Handler]:
        rules = ChatRules(max_messages=settings.chat_max_messages, max_age_ms=settings.chat_max_age_ms)
        self.chat = ChatEngine(self.engine.store, self.engine.keys, rules=rules)
        self.chat_trimmer = ChatTrimmer(self.chat)
        self.chat_fanout = ChatFanout(
            self.engine,
            self.chat,
            self.sessions,
            self.sockets.send_many,
            self.authoriser.check_room,
            legacy=settings.chat_legacy_events,
        )
        return ChatEvents(self.chat, self.chat_fanout, self.presence, self.authoriser).handlers()

    def _application(self) -> ASGIApp:
        chat = ChatRoutes(self.engine, self.chat, self.authoriser)
        secret, verify_token = self.settings.chat_webhook_secret, self.settings.chat_webhook_verify_token
        routes = [
            *PresenceRoutes(self.engine, self.authoriser).routes(),
            *BoardRoutes(self.board_view, self.authoriser).routes(),
            *chat.routes(),
            *WebhookRoutes(chat, self.authoriser, secret, verify_token).routes(),
            *SpecRoutes(self.authoriser).routes(),
            *HealthRoutes(self.engine, self.authoriser, lambda: self._ready).routes(),
            *AdminRoutes(self.engine, self.authoriser, lambda: len(self.sessions), self.settings.node_name).routes(),
            *PageRoutes(self.node.name, demo=self.settings.demo).routes(),
        ]
        web = Starlette(
            routes=routes,
            exception_handlers=dict.fromkeys((HTTPException, PresenceError, Refusal, Exception), on_error),
            middleware=_middleware(self.settings),
            lifespan=lambda _app: self._lifespan(),
        )
        web.router.redirect_slashes = False
        sockets = ConnectRate(socketio.ASGIApp(self.sockets), self.settings.connect_rate)
        return SecurityHeaders(_WithSockets(sockets, StartFailures(web)))

    async def _open(self, sid: str, namespace: str, environ: MutableMapping[str, Any], auth: object) -> Session:
        bucket = bucket_of(environ, namespace, *self.settings.rate_limit)
        session = Session(sid, namespace, bucket, self.authoriser.open(auth, environ))
        self.user_sockets.enter(session)
        self.expiry.watch(session)
        self.seats.opened(session, environ)
        return session

    async def _closed(self, session: Session, reason: str) -> None:
        self.user_sockets.leave(session)
        self.expiry.forget(session)
        self.chat_fanout.forget(session)
        await asyncio.gather(self.seats.closed(session), self.presence.closed(session, reason))

    async def say_goodbye(self) -> None:
        """Tell every socket that this server stops, and put its connections into grace.

        Call before sockets are closed.
        """
        if not self._ready:
            return
        self._ready, self.heartbeats.stopping = False, True
        body = {"message": "The server is restarting", "timestamp": self.engine.now_ms()}
        sessions = list(self.sessions.values())
        self.sockets.send_many("server:restarting", body, sessions)
        for start in range(0, len(sessions), 500):
            part = sessions[start : start + 500]
            await asyncio.gather(*(self._closed(session, "server stop") for session in part), return_exceptions=True)
        await asyncio.sleep(GOODBYE_S if sessions else 0)

    @contextlib.asynccontextmanager
    async def _lifespan(self) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as ends:
            # Ended from the last to the first, whether or not another end fails.
            ends.push_async_callback(self.engine.close)
            ends.push_async_callback(self.fanout.close)
            ends.push_async_callback(self.board_fanout.close)
            ends.push_async_callback(self.seats.moves.close)
            ends.push_async_callback(self.chat_fanout.close)
            ends.push_async_callback(self.chat_trimmer.stop)
            ends.push_async_callback(self.sweeper.stop)
            ends.push_async_callback(self._give_up_lease)
            ends.push_async_callback(self.say_goodbye)
            await self.engine.start()
            await self.fanout.comparing.learn_lineages()
            await self.node.start()
            self.sweeper.start()
            await self.chat_fanout.start()
            self.chat_trimmer.start()
            self._ready = True
            yield

    async def _give_up_lease(self) -> None:
        # One that is not given up lapses, and whoever lives reaps what Redis was not told.
        await self.node.stop(retire=await self.partings.finish())


class _WithSockets:
    """Socket.IO below its own path, everything else to the web application, the lifespan included."""

    def __init__(self, sockets: ASGIApp, web: ASGIApp) -> None:
        self._sockets, self._web = sockets, web

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        below = scope["type"] in {"http", "websocket"} and scope["path"].startswith("/socket.io/")
        await (self._sockets if below else self._web)(scope, receive, send)


def create_app(settings: Settings, redis_url: str | None = None, *, authorize: Authorize = room_claim) -> ASGIApp:
    """Return the ASGI application for `settings`.

    redis_url: the Redis to use when the settings name none. authorize(identity, action, room): an application's own
    rule of who may do what. Raises ConfigurationError for a policy file or URL that is not valid.
    """
    url = settings.redis_url or redis_url
    if url is None:
        raise ValueError("neither the settings nor redis_url name a Redis")
    return PresenceServer(settings, url, authorize=authorize).asgi


def _middleware(settings: Settings) -> Sequence[Middleware]:
    if not settings.cors_origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
        )
    ]


def _count_removals(removals: Sequence[Removal]) -> None:
    for removal in removals:
        REMOVALS.labels(removal.reason).inc()
