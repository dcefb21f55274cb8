/** What is being waited for, shown for as long as it lasts. */
import { inLocale } from '../characters.ts';
import { printable, stripControl } from '../untrusted.ts';
import type { Screen } from './screen.ts';

/** Where a line can't be taken back, a wait that is over sooner is no news, ms. */
const LASTS_MS = 1_000;

export interface Waiting {
  /** Shows a wait in place of the one before. @param boundMs how long it may take; 0 where none knows */
  begin(what: string, boundMs?: number): void;
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
  const end = () => {
    clearTimeout(timer);
    if (shown) screen.clearLine();
    shown = false;
  };
  const show = (what: string, passed: string) => {
    if (shown) screen.clearLine();
    const room = Math.max(0, screen.columns - passed.length - 6);
    screen.write(`  ${stripControl(what).slice(0, room)} …${passed}`);
    shown = true;
  };
  return {
    begin(what, boundMs = 0) {
      end();
      const bound = Math.ceil(boundMs / 1000);
      if (!screen.interactive) {
        const upTo = bound > 0 ? `, up to ${bound} s` : '';
        const line = inLocale(printable(`salt-triage: waiting: ${what}${upTo}\n`));
        timer = setTimeout(() => process.stderr.write(line), LASTS_MS).unref();
        return;
      }
      show(what, '');
      const began = performance.now();
      timer = setInterval(() => {
        const seconds = Math.round((performance.now() - began) / 1000);
        show(what, ` ${seconds} s${bound > 0 ? ` of ${bound}` : ''}`);
      }, 1000).unref();
    },
    end,
  };
}
