"""Protocol version 1, shared by client, daemon and worker. ``docs/protocol.md`` is its description.

limits     hard bounds on every length, count and depth
codec      bounded msgpack (the only module that imports it)
fields     typed, bounded reading of header maps
frames     a message as one header and raw parts
records    frozen records of every message between client and daemon
messages   frames <-> records, both ends
jobs       frames <-> records between daemon and worker
stream     multipart messages over a byte stream, incremental
values     variables as what they are
signature  what is signed, and how
"""
