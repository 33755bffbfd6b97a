"""`livecast conform`: a scripted room that walks any client through what it will meet, and a grade for how it did.

Read in this order: `picture` (what a right client shows), `stage` (the room's side of the socket), `script` (what happens in
it), `grade` (what it comes to). `example` is a client under test: ours.
"""
