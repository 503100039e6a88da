"""Pure. Simulated populations: benign families, look-alikes and attack campaigns, seeded; `README.md` lists all knobs.

matter.py prompts.py wording.py   texts by number
schedule.py people.py             when, and who
habits.py benign.py               benign families, and controls that must stay innocent
knobs.py campaign.py              the hydra
traffic.py world.py               one line; all of them in the order of time
scenario.py files.py              what a file says, and what is written
"""
