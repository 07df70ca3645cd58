"""Socket.IO: one file a group of events."""
