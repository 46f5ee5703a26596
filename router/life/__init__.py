"""How many processes of a worker run: started on demand, ended when idle or when others need their memory.

members.py       what is known of a process, and what can be done with it
policy.py        what is to be done now: pure, the clock is an argument
room.py          which starts fit into memory, and who makes room for them
worth.py         how much is lost when a process is ended
memory.py        of the machine, the control group, a process
learned.py       what a worker serves and takes, kept from the last time it ran
processes.py     one process and its stages
conversation.py  with the router: how processes live, how much they are wanted
attendant.py     does what the policy says
warmer.py        short requests that keep what runs in memory
"""
