"""Who somebody is and what they may do: one authoriser for sockets and HTTP."""

import hmac
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qs

import jwt

from presence_engine import MAX_NAME_BYTES, InvalidInput, canonical_id
from server import wire
from server.refusals import Refusal
from server.room_patterns import literal, room_pattern
from server.settings import Settings
from server.sockets.session import Identity, Session

Authorize = Callable[[Identity | None, str, str], bool]

# An issuer's clock may be so far ahead that its tokens are not valid yet.
_AHEAD_S: Final = 5
_MOST_NAMED: Final = 1000
_ANOTHER_USER: Final = "this socket belongs to another user"


def room_claim(identity: Identity | None, _action: str, room: str) -> bool:
    """The rule when the application brings none: the token's `rooms` patterns, all rooms without them."""
    if identity is None or identity.rooms is None:
        return True
    return any(room_pattern(pattern).fullmatch(room) for pattern in identity.rooms)


def check_sender(identity: Identity | None, payload: object) -> None:
    """Raise `forbidden` when a payload names another user than the socket's token, whatever the event needs it for."""
    # One that a client chose is checked where an event uses it.
    if identity is None or not identity.proven or not isinstance(payload, dict):
        return
    for name in ("userId", "user_id"):
        if payload.get(name) is not None and canonical_id(payload[name], "userId") != identity.user:
            raise Refusal("forbidden", _ANOTHER_USER)


class Authoriser:
    """Decides for sockets and HTTP alike.

    authorize(identity, action, room): an application's own rule; action is `join` `heartbeat` `list` `sync` `watch`
    `board` `chat` `read`; identity is None only without authentication.
    """

    def __init__(self, settings: Settings, authorize: Authorize = room_claim) -> None:
        self._settings, self._authorize = settings, authorize
        self.enabled = settings.auth_enabled

    def open(self, auth: object, environ: Mapping[str, Any]) -> Identity | None:
        """Return the identity of a new socket.

        Raises `unauthorized` when authentication is on and the token is no good.
        """
        handshake = auth if isinstance(auth, dict) else {}
        if self.enabled:
            return self.identity_of(handshake.get("token"))
        query = parse_qs(environ.get("QUERY_STRING", ""))
        user = handshake.get("userId", handshake.get("user_id", query.get("userId", [None])[0]))
        if user is None:
            return None
        canonical = canonical_id(user, "userId")
        username = handshake.get("username")
        if isinstance(username, str) and username and not _is_name(username):
            raise InvalidInput("username", f"must have 1–{MAX_NAME_BYTES} UTF-8 bytes")
        return Identity(canonical, wire.echo(user), username if isinstance(username, str) and username else None)

    def identity_of(self, token: object) -> Identity:
        """Read a token: signature, algorithm, expiry, subject. Raises `unauthorized` without saying which was wrong."""
        if not isinstance(token, str) or not token:
            raise Refusal("unauthorized", "a token is needed")
        secret, public_key = self._settings.jwt_secret, self._settings.jwt_public_key
        key, algorithms = (secret, ["HS256"]) if secret is not None else (public_key or "", ["RS256", "ES256"])
        audience = self._settings.jwt_audience
        try:
            identity = _identity(jwt.decode(token, key, algorithms, _CLAIMS, audience=audience, leeway=_AHEAD_S))
            self.check_fresh(identity)
            return identity
        except Exception:
            raise Refusal("unauthorized", "the token is not valid") from None

    def identify(self, session: Session, user: str | int | float | None, username: str | None) -> Identity | None:
        """Return the socket's identity. Without authentication the first payload that names a user sets it for good.

        Raises `forbidden` when the payload names another user, `unauthorized` when the token has expired.
        """
        canonical = None if user is None else canonical_id(user, "userId")
        identity = session.identity
        if identity is None:
            if canonical is None or user is None:
                return None
            session.identity = Identity(canonical, wire.echo(user), username)
            return session.identity
        self.check_fresh(identity)
        if canonical is not None and canonical != identity.user:
            raise Refusal("forbidden", _ANOTHER_USER)
        if user is not None and (given := wire.echo(user)) != identity.given:
            # `15` and `"15"` are one user, who is answered as it last wrote itself.
            identity = session.identity = replace(identity, given=given)
        return identity

    def check_fresh(self, identity: Identity | None) -> None:
        if identity is not None and identity.expires_at_s is not None and time.time() >= identity.expires_at_s:
            raise Refusal("unauthorized", "the token has expired")

    def check_room(self, identity: Identity | None, action: str, room: str) -> None:
        """Raise `forbidden` unless the identity may do `action` in `room`."""
        if self.enabled and identity is None:
            raise Refusal("unauthorized", "a token is needed")
        self.check_fresh(identity)
        if not self.allows(identity, action, room):
            raise Refusal("forbidden", "this room is not yours")

    def allows(self, identity: Identity | None, action: str, room: str) -> bool:
        return self._authorize(identity, action, room)

    def rooms_named(self, identity: Identity | None) -> list[str] | None:
        """The only rooms the identity may see, where its token names each; None: to be found among all rooms."""
        patterns = None if identity is None or self._authorize is not room_claim else identity.rooms
        rooms = [literal(pattern) for pattern in patterns or ()]
        if patterns is None or len(rooms) > _MOST_NAMED or None in rooms:
            return None
        return [room for room in rooms if room is not None and _is_id(room)]

    def sees_all(self, identity: Identity | None) -> bool:
        """Whether no room is hidden from the identity. An application's own rule may hide any."""
        return self._authorize is room_claim and (identity is None or identity.rooms is None)

    def check_rooms_of(self, session: Session, room: str) -> None:
        """Raise `rate_limited` when the socket would be in more rooms than a user may."""
        bound = self._settings.max_user_rooms
        if bound and room not in session.rooms and len(session.rooms) >= bound:
            raise Refusal("rate_limited", f"a user may be in at most {bound} rooms")

    def refresh(self, session: Session, token: str) -> None:
        """Replace the token of a live socket.

        Raises `forbidden` when it is another user's, or does not open a room that the socket is in.
        """
        if not self.enabled:
            return
        fresh = self.identity_of(token)
        if session.identity is not None and session.identity.user != fresh.user:
            raise Refusal("forbidden", "the token belongs to another user")
        opened = all(self.allows(fresh, "join", room) for room in session.rooms)
        if not opened or not all(self.allows(fresh, "watch", room) for room in session.watching):
            raise Refusal("forbidden", "the token does not open every room this socket is in or watches")
        session.identity = fresh

    def bearer(self, headers: Mapping[str, str]) -> Identity | None:
        """Return the identity behind an HTTP request; None without authentication. Raises `unauthorized`."""
        token = _bearer(headers)
        if not self.enabled:
            return None
        if self._is_admin_token(token):
            return Identity("admin", "admin", admin=True)
        return self.identity_of(token)

    def check_admin(self, headers: Mapping[str, str]) -> None:
        """Raise `forbidden` unless the request carries the admin token, or a token with the admin claim."""
        token = _bearer(headers)
        if self._is_admin_token(token):
            return
        if self.enabled and self.identity_of(token).admin:
            return
        raise Refusal("forbidden", "this needs the admin token")

    def _is_admin_token(self, token: str | None) -> bool:
        known = self._settings.admin_token
        return bool(known and token) and hmac.compare_digest((token or "").encode(), (known or "").encode())


# A user may be a number; PyJWT takes texts only.
_CLAIMS: Final[Any] = {"require": ["sub"], "verify_sub": False}


def _identity(claims: Mapping[str, Any]) -> Identity:
    rooms = claims.get("rooms")
    if rooms is not None and not (isinstance(rooms, list) and all(isinstance(one, str) for one in rooms)):
        raise Refusal("unauthorized", "the token is not valid")
    name = claims.get("name")
    return Identity(
        canonical_id(claims["sub"], "sub"),
        wire.echo(claims["sub"]),
        # Another name is the issuer's mistake, which no client could mend; a part of it would be a name nobody gave.
        name if isinstance(name, str) and _is_name(name) else None,
        None if rooms is None else tuple(rooms),
        claims.get("admin") is True,
        float(claims["exp"]) if "exp" in claims else None,
        proven=True,
    )


def _is_name(text: str) -> bool:
    try:
        return 1 <= len(text.encode()) <= MAX_NAME_BYTES
    except UnicodeEncodeError:
        return False


def _is_id(room: str) -> bool:
    with suppress(InvalidInput):
        return bool(canonical_id(room, "rooms"))
    return False


def _bearer(headers: Mapping[str, str]) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None
