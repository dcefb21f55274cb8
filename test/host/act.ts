/** Runs one of LocalActions in a process of its own: `act.ts kill TARGET|self|parent`, `act.ts run ARGV`. */
import { LocalActions } from '../../src/host/local/local-actions.ts';
import { targetOf } from './fake-salt-api.ts';

const [action, ...words] = process.argv.slice(2);
const actions = new LocalActions();
// As `fix` does: a Ctrl-C lets the step in hand finish.
process.on('SIGINT', () => undefined);
if (action === 'run') {
  process.stdout.write('running\n');
  process.stdout.write(`${JSON.stringify(await actions.run(words, 20_000))}\n`);
} else {
  const [name = ''] = words;
  const pid = name === 'self' ? process.pid : name === 'parent' ? process.ppid : null;
  // As if it were called salt-api, so that who it is must be what speaks against it.
  const argv = ['/usr/bin/python3', '/usr/bin/salt-api'];
  const target = pid === null ? JSON.parse(name) : { ...targetOf(pid), argv };
  process.stdout.write(`${JSON.stringify(await actions.kill(target, 1_000))}\n`);
}
