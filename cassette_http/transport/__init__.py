"""Byte streams: live, recorded, played.

base           the slot that holds the transport in use; live: plain sockets
channel        decides for one connection what is played, recorded and refused
exchanges      the state of each of its requests; sent_requests: of one that is being sent
deck           what a channel asks of the cassette in use: the protocol `Deck`
live_peer      the record side of a channel: assigns what the peer does to tracks, and has complete ones stored
               recording: builds a track; idle_peer: what the peer does between two requests
replaying      the play side: plays a track
recorded_peers whether a recorded peer answers before it has the whole request, and whether it closes
websockets     adapts a recorded peer's handshake key and pongs to those of today's client
socks          negotiations with a SOCKS proxy; tunnels: live tunnels in place of played ones
host           runs a channel over one blocking connection
opening        records and replays how connections and handshakes fail; failures: errors as values
socket_face    what our own client holds in place of a socket
played_tls     what a played TLS connection says about itself
"""
