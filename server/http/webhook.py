"""The webhook of WhatsApp's Cloud API: every message it brings is a customer's, saved once however often it comes."""

import logging
from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from presence_engine import (
    SIGNATURE_HEADER,
    InvalidInput,
    read_notification,
    signature_matches,
    verification_answer,
)
from server.auth import Authoriser
from server.http.answers import fresh, received
from server.http.chat import ChatRoutes
from server.http.chat_body import decoded
from server.refusals import Refusal

PATH: Final = "/webhook/whatsapp"

log = logging.getLogger(__name__)


class WebhookRoutes:
    """secret: signs every call; without one the call needs what posting a message needs. verify_token: answers the
    network's check of a new webhook; without one the check fails.
    """

    def __init__(self, chat: ChatRoutes, authoriser: Authoriser, secret: str | None, verify_token: str | None) -> None:
        self._chat, self._authoriser, self._secret, self._verify_token = chat, authoriser, secret, verify_token

    def routes(self) -> Sequence[BaseRoute]:
        return [Route(PATH, self.verify), Route(PATH, self.notify, methods=["POST"])]

    async def verify(self, request: Request) -> Response:
        answer = verification_answer(self._verify_token or "", request.query_params)
        if answer is None:
            raise Refusal("forbidden", "the verify token is not the one of this server")
        return PlainTextResponse(answer, headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})

    async def notify(self, request: Request) -> Response:
        """Save the messages one by one, in the order given. A message that breaks a rule is passed over and counted.

        A refusal would have the whole call repeated for days. Redis out of reach is one (503): then it must be
        repeated, and what was saved already is recognised by its id.
        """
        signed = self._secret is not None
        identity = None if signed else self._authoriser.bearer(request.headers)
        data = await received(request)
        if self._secret is not None and not signature_matches(
            self._secret, data, request.headers.get(SIGNATURE_HEADER)
        ):
            raise Refusal("unauthorized", "the signature does not fit the body")
        found = read_notification(decoded(data))
        saved, duplicates, skipped = 0, 0, found.skipped
        for message in found.messages:
            try:
                posted = await self._chat.post(message, identity, checked=signed)
            except InvalidInput as error:
                log.warning("webhook: a message is passed over, its %s is not valid", error.field)
                skipped += 1
            else:
                saved += not posted.duplicate
                duplicates += posted.duplicate
        return fresh({"success": True, "saved": saved, "duplicates": duplicates, "skipped": skipped})
