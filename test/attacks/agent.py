"""A monitoring agent: starts its checks, and lives for as long as they do.

    python3 agent.py [--user] [--session] LIFETIME CONFIG SCRIPT...

`--session` gives each a session of its own; `--user` is but a word for what reads argv.
"""
import signal
import subprocess
import sys

session = '--session' in sys.argv
lifetime, config, *scripts = [word for word in sys.argv[1:] if not word.startswith('--')]
signal.alarm(int(lifetime))
checks = [
    subprocess.Popen(['/usr/bin/python3', script, '-c', config], start_new_session=session)
    for script in scripts
]
for check in checks:
    check.wait()
