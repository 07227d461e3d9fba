"""Byte streams: live, recorded, played.

base           the slot that says who opens streams; live: plain sockets
channel        the decisions for one connection
exchanges      what is known of each of its requests; sent_requests: of one that is being sent
deck           what a channel asks of the cassette in use: the protocol `Deck`
live_peer      the record side of a channel: whose track it is what the peer does, and when that is kept
               recording: a track is made; idle_peer: what the peer does between two requests
replaying      the play side: a track is handed out
recorded_peers whether a recorded peer answers before it has the whole request, and whether it closes
websockets     the key and the pongs of a recorded peer, which have to fit those of today
socks          what is said to a SOCKS proxy; tunnels: those that were only played, opened after all
host           a channel over one blocking connection
opening        how the opening of a live connection went: kept, and played again; failures: errors as values
socket_face    what our own client holds in place of a socket
played_tls     what a TLS connection that is only played says of itself
"""
