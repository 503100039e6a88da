"""Shell. `make demo`: two days in under a minute, on a terminal: customers pass, and a campaign is found and slowed.

Nothing is staged. A real gateway with the shipped pack listens on a socket, in front of the embedded model; simulated
customers and a hydra ask it over HTTP; what is drawn is what the gateway's own request lines say.

    plan.py    what is played, and in how much time
    clock.py   the gateway's clock, run faster: the one thing that is not as in `gauger serve`
    host.py    the gateway and its model
    crowd.py   who asks
    tally.py   request lines, counted
    frame.py   the counts as a picture
    words.py   the counts as lines, and what stands at the end
    screen.py  the terminal
    show.py    all of it together
"""
