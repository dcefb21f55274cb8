/** A report as a browser shows it: nothing asked for, nothing complained of, nothing wider than a phone. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { writePostmortem } from '../../src/report/postmortem/model.ts';
import { htmlReport } from '../../src/report/postmortem/render.ts';
import { Browser, skipWithoutChromium } from './chromium.ts';
import { incidentCase, incidentEvidence } from './incident.ts';

/** Long words of strangers are what runs past an edge. */
function crowded(): string {
  const evidence = incidentEvidence();
  const { processes } = evidence;
  assert.ok(processes.seen);
  const long = 'x'.repeat(300);
  const rows = processes.value.processes.map((facts) => ({
    ...facts,
    argv: [...facts.argv, long],
  }));
  const hostile = {
    ...evidence,
    processes: { ...processes, value: { ...processes.value, processes: rows } },
  };
  return htmlReport(writePostmortem(incidentCase(hostile)));
}

/** Text of a picture that its edge cuts, and whatever is wider than the page. */
const CUT = `[...document.querySelectorAll('svg text')].filter((text) => {
  const [own, edge] = [text.getBoundingClientRect(), text.closest('svg').getBoundingClientRect()];
  return own.left < edge.left - 1 || own.right > edge.right + 1 || own.top < edge.top - 1 || own.bottom > edge.bottom + 1;
}).map((text) => text.textContent)`;
const WIDE = `[...document.querySelectorAll('body *')].filter((one) => {
  const { right, left } = one.getBoundingClientRect();
  return right > document.documentElement.clientWidth + 0.5 || left < -0.5;
}).map((one) => one.tagName + ' ' + one.textContent.slice(0, 40))`;

describe('in chromium', { skip: skipWithoutChromium() }, () => {
  const html = crowded();
  const asked: (string | undefined)[] = [];
  let browser: Browser;
  let server: Server;
  let url: string;
  before(async () => {
    server = createServer((request, response) => {
      asked.push(request.url);
      response.setHeader('content-type', 'text/html; charset=utf-8').end(html);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/report.html`;
    browser = await Browser.start();
  });
  after(async () => {
    await browser?.end();
    server?.closeAllConnections();
    server?.close();
  });

  async function show(width: number, media: string, scheme: string): Promise<void> {
    await browser.ask('Emulation.setDeviceMetricsOverride', {
      ...{ width, height: 800, deviceScaleFactor: 1, mobile: width < 500 },
    });
    const features = [{ name: 'prefers-color-scheme', value: scheme }];
    await browser.ask('Emulation.setEmulatedMedia', { media, features });
    asked.length = 0;
    await browser.load(url);
  }

  for (const [name, width, media, scheme] of [
    ['a phone', 360, 'screen', 'light'],
    ['a phone at night', 360, 'screen', 'dark'],
    ['a desk', 1280, 'screen', 'light'],
    // A4 without its margins, at 96 dots an inch.
    ['paper', 718, 'print', 'dark'],
  ] as const) {
    it(`it asks for nothing, says nothing and fits on ${name}`, async () => {
      await show(width, media, scheme);
      assert.deepEqual(asked, ['/report.html']);
      const told = browser.events.filter(({ method }) =>
        /^(?:Log\.entryAdded|Runtime\.(?:consoleAPICalled|exceptionThrown))$/.test(method ?? ''),
      );
      assert.deepEqual(told, []);
      const requests = browser.events.filter(
        ({ method }) => method === 'Network.requestWillBeSent',
      );
      assert.equal(requests.length, 1);
      assert.deepEqual(await browser.evaluate(WIDE), []);
      assert.deepEqual(await browser.evaluate(CUT), []);
      assert.ok((await browser.evaluate<number>('document.documentElement.scrollWidth')) <= width);
    });
  }

  it('is black on white on paper, whatever the screen is', async () => {
    await show(718, 'print', 'dark');
    const style = 'getComputedStyle(document.body)';
    assert.deepEqual(await browser.evaluate(`[${style}.color, ${style}.backgroundColor]`), [
      'rgb(0, 0, 0)',
      'rgb(255, 255, 255)',
    ]);
  });

  it('has a name and a description for each picture, and a table below', async () => {
    const pictures = await browser.evaluate<
      string[][]
    >(`[...document.querySelectorAll('svg')].map((svg) => [
      svg.getAttribute('role'),
      ...svg.getAttribute('aria-labelledby').split(' ').map((id) => document.getElementById(id).textContent),
      String((svg.closest('figure').querySelector('table') ?? svg.closest('section').querySelector('table')).rows.length > 1),
    ])`);
    assert.equal(pictures.length, 5);
    for (const [role, title, description, table] of pictures) {
      assert.deepEqual([role, table], ['img', 'true']);
      assert.ok(title !== '' && description !== '');
    }
  });

  it('runs no script that somebody puts in: the policy of the page forbids it', async () => {
    await show(360, 'screen', 'light');
    await browser.evaluate(
      `{ const script = document.createElement('script'); script.textContent = 'window.ran = 1'; document.body.append(script); }`,
    );
    assert.equal(await browser.evaluate('typeof window.ran'), 'undefined');
  });
});
