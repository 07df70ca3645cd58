"""Tokens as an application issues them, and as somebody forges them."""

import base64
import hashlib
import hmac
import json
import time
from functools import cache
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

SECRET: Final = "a-secret-for-tests-only-" + "0123456789abcdef" * 3
OTHER_SECRET: Final = "another-secret-for-tests-" + "0123456789abcdef" * 3


def claims(user: Any = "u1", *, lives_s: float = 600, **more: Any) -> dict[str, Any]:
    return {"sub": user, "exp": time.time() + lives_s, **more}


def token(user: Any = "u1", *, key: Any = SECRET, algorithm: str = "HS256", **more: Any) -> str:
    return jwt.encode(claims(user, **more), key, algorithm=algorithm)


def bearer(user: Any = "u1", **more: Any) -> dict[str, str]:
    """The headers of a request."""
    return {"Authorization": f"Bearer {token(user, **more)}"}


def forged(header: dict[str, Any], body: dict[str, Any], key: bytes | None = None) -> str:
    """A token put together by hand, signed with HMAC when there is a key: PyJWT refuses to make some of these."""
    signed = ".".join(_part(json.dumps(part).encode()) for part in (header, body))
    signature = b"" if key is None else hmac.new(key, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{_part(signature)}"


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@cache
def pair(kind: str) -> tuple[str, str]:
    """A private key and its public key as PEM; kind: RS256 or ES256."""
    made: PrivateKeyTypes
    if kind == "RS256":
        made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    else:
        made = ec.generate_private_key(ec.SECP256R1())
    private = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = made.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return private, public
