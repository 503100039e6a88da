"""Shell. Several processes that serve one port, and the one that starts them: `gauger serve --workers N`.

supervisor.py   binds the port, keeps N workers running, ends them; holds no request itself
child.py        one worker as its supervisor sees it: started, asked, waited for
__main__.py     the worker: the same gateway as `gauger serve` alone, on sockets that it was given
channel.py      what the two say to each other, over a pair of sockets that only they hold
operator.py     the operator's port: every question and every order goes to all workers
sums.py         their metrics, added up
embedded.py     a Valkey server of our own for them to share; leash.py ends it with us
backoff.py      how long to wait before something that died is started again
"""
