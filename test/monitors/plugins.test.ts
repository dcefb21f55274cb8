/** What others put around a plugin, and what reads its numbers. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { judgeCheck } from '../../src/check/check.ts';
import { diagnoseEvidence } from '../../src/diagnosis/diagnosis.ts';
import { type StagedIncident, stageIncident } from '../../src/drill/stage.ts';
import { pluginLines } from '../../src/report/check-text.ts';
import { AS_COMMAND, runCli } from '../cli/run.ts';
import { stageEvidence } from '../recorded/captures.ts';
import { type Sshd, startSshd } from '../ssh/sshd.ts';

const PLUGINS = '/usr/lib/nagios/plugins';
/** In CI nothing is skipped: what is missing fails there. */
const missing = !existsSync(`${PLUGINS}/negate`) || !existsSync('/usr/sbin/icinga2');
const skip = !process.env['CI'] && missing && 'needs monitoring-plugins-basic and icinga2-bin';

describe('a check inside another plugin', { skip }, () => {
  let salt: StagedIncident;
  let sshd: Sshd;
  let command: string[];
  before(async () => {
    [salt, sshd] = await Promise.all([stageIncident({ stage: 'healthy' }), startSshd()]);
    const target = ['-p', `${salt.port}`, '--salt-config-dir', salt.configDirectory];
    command = [...AS_COMMAND, 'check', '--config', '/dev/null', ...target];
  });
  after(async () => {
    await salt?.cleanup();
    await sshd?.stop();
  });

  it('negate turns its state round, words and all', async () => {
    const negate = [`${PLUGINS}/negate`, '-s', '-o', 'CRITICAL'];
    const { stdout, code } = await runCli([], { command: [...negate, ...command] });
    assert.match(stdout, /^SALT-API CRITICAL - healthy: /);
    assert.equal(code, 2);
  });

  /** Over ssh, where a stranger's line may come before ours. */
  async function bySsh(words: readonly string[], ...options: readonly string[]) {
    const PATH = `export PATH=${process.env['PATH']}; `;
    const remote = ['-H', 'master', '-F', join(sshd.directory, 'config'), '-t', '15', '-U'];
    const line = ['-C', PATH + words.join(' ')];
    return runCli([], { command: [`${PLUGINS}/check_by_ssh`, ...remote, ...options, ...line] });
  }

  it('check_by_ssh hands on its line and its code', async () => {
    const well = await bySsh(command);
    assert.match(well.stdout, /^SALT-API OK - healthy: [^\n]* \| close_wait=0;4;19;0 [^\n]*\n$/);
    assert.equal(well.code, 0);
    const warned = await bySsh([...command, '-w', 'threads=0']);
    assert.match(warned.stdout, /^SALT-API WARNING /);
    assert.equal(warned.code, 1);
    const misused = await bySsh([...command, '--no-such']);
    assert.match(misused.stdout, /^SALT-API UNKNOWN /);
    assert.equal(misused.code, 3);
  });

  it('check_by_ssh of a host that has none is no OK', async () => {
    const { stdout, code } = await bySsh(['/nonexistent/salt-triage', 'check']);
    assert.notEqual(code, 0);
    assert.doesNotMatch(stdout, /OK/);
  });
});

describe('the numbers', { skip }, () => {
  /** Value, warning and critical as Icinga 2 reads them; null where it takes it for no number. */
  function icinga(item: string): readonly (number | null)[] | null {
    const script = `var read = parse_performance_data(${JSON.stringify(item)}); [read.value, read.warn, read.crit]`;
    const console = spawnSync('icinga2', ['console', '--eval', script], { encoding: 'utf8' });
    return console.status === 0 ? JSON.parse(console.stdout) : null;
  }

  const line = pluginLines(
    judgeCheck(
      diagnoseEvidence(stageEvidence('jammed/hung')),
      { warning: {}, critical: {} },
      -0.25,
    ),
    0,
    0,
  );
  const items = (line.split(' | ')[1] ?? '').trim().split(' ');

  it('are read by Icinga, with their limits; what is unknown is no number to it', () => {
    assert.equal(items.length, 8);
    for (const item of items) {
      const [name = '', text = ''] = item.split('=');
      const read = icinga(item);
      if (text === 'U') assert.equal(read, null, item);
      else assert.equal(read?.[0], Number.parseFloat(text), item);
      if (name === 'close_wait') assert.deepEqual(read, [120, 4, 19]);
    }
    assert.ok(items.includes('answer_time=U'), 'a jammed one does not answer');
  });
});
