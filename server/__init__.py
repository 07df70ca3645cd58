"""The server: routes Socket.IO events and HTTP requests to the scripts."""
