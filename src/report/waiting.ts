/** What is being waited for, shown for as long as it lasts. */

import { inLocale } from '../characters.ts';
import { runningMs } from '../clock.ts';
import { printable, stripControl } from '../untrusted.ts';
import type { Screen } from './screen.ts';

/** Where a line can't be taken back, a wait that is over sooner is no news, ms. */
const LASTS_MS = 1_000;

export interface Waiting {
  /**
   * Shows a wait in place of the one before.
   * @param boundMs how long it may take; 0 where none knows
   * @param began by `runningMs()`: where that is the same, it is the same wait in other words
   */
  begin(what: string, boundMs?: number, began?: number): void;
  /** Takes it back. */
  end(): void;
}

/**
 * On a terminal one line, rewritten each second (`API answers … 3 s of 5`); elsewhere a line on
 * standard error once it lasts.
 */
export function waitingOn(screen: Screen): Waiting {
  let timer: NodeJS.Timeout | undefined;
  let shown = false;
  let since: number | undefined;
  let words = '';
  const end = () => {
    clearTimeout(timer);
    since = undefined;
    if (shown) screen.clearLine();
    shown = false;
  };
  const show = (began: number, bound: number) => {
    if (shown) screen.clearLine();
    // A timer may be a little early.
    const seconds = Math.floor((runningMs() - began + 50) / 1000);
    const passed = seconds < 1 ? '' : ` ${seconds} s${bound > 0 ? ` of ${bound}` : ''}`;
    const room = Math.max(0, screen.columns - passed.length - 8);
    screen.write(`  ${stripControl(words).slice(0, room)} …${passed}`);
    shown = true;
  };
  return {
    begin(what, boundMs = 0, began = runningMs()) {
      const goesOn = since === began;
      if (!goesOn) end();
      since = began;
      words = what;
      const bound = Math.ceil(boundMs / 1000);
      if (screen.interactive) show(began, bound);
      if (goesOn) return;
      if (screen.interactive) timer = setInterval(show, 1000, began, bound).unref();
      else {
        const upTo = bound > 0 ? `, up to ${bound} s` : '';
        const tell = () => {
          const line = `salt-triage: waiting: ${words}${upTo}\n`;
          process.stderr.write(inLocale(printable(line)));
        };
        timer = setTimeout(tell, LASTS_MS).unref();
      }
    },
    end,
  };
}
