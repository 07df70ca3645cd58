"""The figures at /metrics."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

REGISTRY: Final = CollectorRegistry()
EVENTS: Final = Counter("presence_events", "Socket.IO events by outcome", ["event", "outcome"], registry=REGISTRY)
REFUSALS: Final = Counter("presence_refusals", "Refused requests by code", ["code"], registry=REGISTRY)
SOCKETS: Final = Gauge("presence_sockets", "Sockets connected to this process", registry=REGISTRY)
REMOVALS: Final = Counter("presence_removals", "Overdue connections swept here", ["reason"], registry=REGISTRY)
FORCE_LEAVES: Final = Counter("presence_force_leaves", "Sockets told to leave a room", ["reason"], registry=REGISTRY)
CLOSED: Final = Counter("presence_closed_sockets", "Sockets this process closed itself", ["reason"], registry=REGISTRY)
SENT: Final = Counter("presence_deliveries", "Events sent to sockets by the fanout", ["event"], registry=REGISTRY)
